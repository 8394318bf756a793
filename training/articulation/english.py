"""English clips of real voices, aligned with their transcripts by pocketsphinx (Debian: asterisk-core-sounds-en and
-en-g722, pocketsphinx-testdata, ktuberling-data, tuxpaint-stamps-default).

The prompts' one speaker trains; the LibriVox reader, the speakers of pocketsphinx's tests, of ktuberling's words and
of Tux Paint's stamps are only ever tested on.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import pocketsphinx  # type: ignore[import-not-found, unused-ignore]
import soxr  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray
from training.articulation.corpus import Clip, Span
from training.articulation.pronunciation import read_american, read_british

from liveavatar.timeline import SAMPLE_RATE

Recording = tuple[Path, str]
"""A file and what is said in it."""

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PROMPT_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
SPHINX = Path("/usr/share/pocketsphinx/test/data")
WORDS = Path("/usr/share/ktuberling/sounds/en")
STAMPS = Path("/usr/share/tuxpaint/stamps")
_STEP_SAMPLES = 160
_BRITISH_SUFFIX = "'british"
"""Ends the names of British readings in pocketsphinx's dictionary."""


def training_clips() -> Iterator[Clip]:
    """The telephone prompts, one female speaker."""
    for path, text in list_prompts():
        yield from align_transcript(path, text, "real:allison")


def held_out_clips() -> Iterator[Clip]:
    """Everybody else."""
    for path, text in list_librivox():
        yield from align_transcript(path, text, "real:librivox")
    for path, text in list_commands():
        yield from align_transcript(path, text, "real:commands")
    for path, text in list_words():
        yield from align_transcript(
            path, text, "real:words", is_british=True
        )  # the reader says "car" without an r
    for path, text in list_stamps():
        yield from align_transcript(path, text, "real:stamps", abridged=True)  # "A frog." is read as "frog"


def list_prompts() -> Iterator[Recording]:
    """Prompts with their texts; tones and the like are left out."""
    for line in gzip.decompress(PROMPT_TEXTS.read_bytes()).decode("utf-8", "ignore").splitlines():
        name, _, text = line.partition(": ")
        path = PROMPTS / f"{name}.g722"
        if path.exists() and text and "[" not in text:
            yield path, text


def list_librivox() -> Iterator[Recording]:
    """Five sentences of Sense and Sensibility."""
    yield from _list_transcript(SPHINX / "librivox" / "transcription", SPHINX / "librivox")


def list_commands() -> Iterator[Recording]:
    """Cards, directions and numbers, several speakers."""
    yield from _list_transcript(SPHINX / "cards" / "cards.transcription", SPHINX / "cards")
    yield SPHINX / "goforward.raw", "go forward ten meters"


def list_words() -> Iterator[Recording]:
    """Names of what ktuberling's pictures show."""
    for path in sorted(WORDS.glob("*.ogg")):
        yield path, path.stem.rpartition("_")[2]


def list_stamps() -> Iterator[Recording]:
    """Names of Tux Paint's stamps, with an article that is not read."""
    for path in sorted(STAMPS.rglob("*_desc.ogg")):
        described = path.with_name(path.name.replace("_desc.ogg", ".txt"))
        if described.exists():
            yield path, described.read_text(encoding="utf-8").partition("\n")[0]


def _list_transcript(transcript: Path, folder: Path) -> Iterator[Recording]:
    for line in transcript.read_text().splitlines():
        found = re.fullmatch(r"<s>(.*)</s> \((.*)\)", line)
        if found:
            yield folder / f"{found[2]}.wav", found[1]


def read_recording(path: Path) -> NDArray[np.float32]:
    """A recording at 16 kHz mono."""
    if path.suffix == ".raw":
        return np.asarray(np.fromfile(path, np.int16) / 32768, np.float32)
    return decode_audio(path, {".g722": "g722"}.get(path.suffix))


def decode_audio(file: Path | BinaryIO, kind: str | None = None) -> NDArray[np.float32]:
    """What FFmpeg finds in a file, of a `kind` that it cannot tell by itself, at 16 kHz mono; nothing in one without
    sound."""
    with av.open(file, mode="r", format=kind, metadata_errors="replace") as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("flt", "mono")
        frames = [
            out.to_ndarray().ravel()
            for frame in container.decode(stream)
            for out in resampler.resample(frame)
        ]
        if not frames:
            return np.zeros(0, np.float32)
        return np.asarray(soxr.resample(np.concatenate(frames), stream.rate, SAMPLE_RATE, "VHQ"), np.float32)


def align_transcript(
    path: Path, text: str, speaker: str, abridged: bool = False, is_british: bool = False
) -> Iterator[Clip]:
    """The clip with its phones; nothing if a word is not in the dictionary or the words do not fit the sound. Of an
    `abridged` text the beginning may have been left out, and `abroad` it may have been read as in Britain: what fits
    best was said, and where only letters differ, what Britons say."""
    words, samples = re.findall(r"[a-z']+", text.lower()), read_recording(path)
    said = [words[first:] for first in range(len(words) if abridged else 1)]
    if is_british:
        there = [[word + _BRITISH_SUFFIX for word in some] for some in said if all(map(read_british, some))]
        sounds = [_look_up_words(some) for some in there]
        said = [*there, *(some for some in said if _look_up_words(some) not in sounds)]
    fits = [fit for fit in (_align_words(samples, some) for some in said) if fit]
    if fits:
        _, phones = max(fits, key=lambda fit: fit[0])
        yield Clip(speaker=speaker, language="en", samples=samples, phones=phones)


def _look_up_words(words: list[str]) -> list[str | None]:
    """The phones of words in pocketsphinx's dictionary, or as Britons say them; None for words it does not know."""
    return [
        _look_up_british(word) if word.endswith(_BRITISH_SUFFIX) else _dictionary().lookup_word(word)
        for word in words
    ]


def _look_up_british(word: str) -> str:
    return " ".join(name for name, _ in read_british(word.removesuffix(_BRITISH_SUFFIX)) or ())


def _align_words(samples: NDArray[np.float32], words: list[str]) -> tuple[int, list[Span]] | None:
    """How well the words fit the sound, and their phones."""
    if not words or None in _look_up_words(words):
        return None
    decoder = _make_decoder()
    for word in (word for word in words if word.endswith(_BRITISH_SUFFIX)):
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, _look_up_british(word), True)
    pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()
    decoder.set_align_text(" ".join(words))
    try:
        _run_decoder(decoder, pcm)
        decoder.set_alignment()
        _run_decoder(decoder, pcm)
    except RuntimeError:  # the words do not fit the sound
        return None
    aligned = [
        (entry.name, entry.score, [(phone.name, phone.start, phone.duration) for phone in entry])
        for entry in decoder.get_alignment() or ()
    ]
    # "word(2)" is the word's second pronunciation, "<sil>" no word; the last words may be missing
    if [_strip_variant(name) for name, _, _ in aligned if name[0] != "<"] != words:
        return None
    phones = [
        (ipa, start, duration)
        for word, _, timed in aligned
        for ipa, (_, start, duration) in zip(
            _word_to_ipa(word, [name for name, *_ in timed]), timed, strict=True
        )
    ]
    return sum(score for _, score, _ in aligned), _make_spans(phones, len(samples))


def _strip_variant(word: str) -> str:
    return re.sub(r"\(\d+\)$", "", word)


def _word_to_ipa(word: str, phones: list[str]) -> list[str]:
    """IPA of the phones of a word as pocketsphinx names it, with its reading."""
    if word.endswith(_BRITISH_SUFFIX):
        return [phone for _, phone in read_british(word.removesuffix(_BRITISH_SUFFIX)) or ()]
    return read_american(_strip_variant(word), phones)


def _make_decoder() -> Any:
    """One for each attempt: it remembers, and after one that fails finds less."""
    pocketsphinx.set_loglevel("FATAL")  # as an argument of Decoder it crashes
    return pocketsphinx.Decoder(lm=None)


@cache
def _dictionary() -> Any:
    """One to look words up in."""
    return _make_decoder()


def _run_decoder(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _make_spans(phones: Iterable[tuple[str, int, int]], length: int) -> list[Span]:
    # Frame i of pocketsphinx spans samples 160i … 160i + 410, so its centre is that of step i plus 125 samples.
    spans: list[Span] = []
    for name, start, duration in phones:
        first = start * _STEP_SAMPLES + 125
        spans.append((name, first if spans else 0, first + duration * _STEP_SAMPLES))
    return [*spans, ("", spans[-1][2], max(length, spans[-1][2]))]

"""English clips of real voices, aligned with their transcripts by pocketsphinx (Debian: asterisk-core-sounds-en and
-en-g722, pocketsphinx-testdata, ktuberling-data, tuxpaint-stamps-default).

The speaker of the Asterisk prompts is for training. The LibriVox reader and the speakers of pocketsphinx's tests, of
ktuberling's words and of Tux Paint's stamps are only for testing.
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
"""A file and its transcript."""

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PROMPT_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
SPHINX = Path("/usr/share/pocketsphinx/test/data")
WORDS = Path("/usr/share/ktuberling/sounds/en")
STAMPS = Path("/usr/share/tuxpaint/stamps")
_STEP_SAMPLES = 160
_BRITISH_SUFFIX = "'british"
"""Suffix of words in pocketsphinx's dictionary that are pronounced as in Britain."""


def training_clips() -> Iterator[Clip]:
    """The telephone prompts, by one female speaker."""
    for path, text in list_prompts():
        yield from align_transcript(path, text, "real:allison")


def held_out_clips() -> Iterator[Clip]:
    """The clips of all other speakers."""
    for path, text in list_librivox():
        yield from align_transcript(path, text, "real:librivox")
    for path, text in list_commands():
        yield from align_transcript(path, text, "real:commands")
    for path, text in list_words():
        yield from align_transcript(path, text, "real:words", is_british=True)  # "car" has no r
    for path, text in list_stamps():
        yield from align_transcript(path, text, "real:stamps", abridged=True)  # "A frog." is read as "frog"


def list_prompts() -> Iterator[Recording]:
    """Prompts with their texts, without tones and other sounds that are not speech."""
    for line in gzip.decompress(PROMPT_TEXTS.read_bytes()).decode("utf-8", "ignore").splitlines():
        name, _, text = line.partition(": ")
        path = PROMPTS / f"{name}.g722"
        if path.exists() and text and "[" not in text:
            yield path, text


def list_librivox() -> Iterator[Recording]:
    """Five sentences of Sense and Sensibility, from LibriVox."""
    yield from _list_transcript(SPHINX / "librivox" / "transcription", SPHINX / "librivox")


def list_commands() -> Iterator[Recording]:
    """Cards, directions and numbers, by several speakers."""
    yield from _list_transcript(SPHINX / "cards" / "cards.transcription", SPHINX / "cards")
    yield SPHINX / "goforward.raw", "go forward ten meters"


def list_words() -> Iterator[Recording]:
    """Names of things in ktuberling's pictures."""
    for path in sorted(WORDS.glob("*.ogg")):
        yield path, path.stem.rpartition("_")[2]


def list_stamps() -> Iterator[Recording]:
    """Names of Tux Paint's stamps, with an article that is not spoken."""
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
    """Decode a file at 16 kHz mono; empty for one without sound.

    `kind` names the format where FFmpeg does not recognise it.
    """
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
    """Yield the clip with its phones, or nothing if a word is unknown or the words do not fit the sound.

    Of an `abridged` text the beginning may be missing in the sound. With `is_british`, British pronunciations are tried
    too. The best fit is taken; of two with the same dictionary phones, the British one.
    """
    words, samples = re.findall(r"[a-z']+", text.lower()), read_recording(path)
    candidates = [words[first:] for first in range(len(words) if abridged else 1)]
    if is_british:
        british = [
            [word + _BRITISH_SUFFIX for word in candidate]
            for candidate in candidates
            if all(map(read_british, candidate))
        ]
        british_phones = [_look_up_words(candidate) for candidate in british]
        candidates = [
            *british,
            *(candidate for candidate in candidates if _look_up_words(candidate) not in british_phones),
        ]
    alignments = [
        alignment for alignment in (_align_words(samples, candidate) for candidate in candidates) if alignment
    ]
    if alignments:
        _, phones = max(alignments, key=lambda alignment: alignment[0])
        yield Clip(speaker=speaker, language="en", samples=samples, phones=phones)


def _look_up_words(words: list[str]) -> list[str | None]:
    """Phones of words in pocketsphinx's dictionary, or in British pronunciation; None for unknown words."""
    return [
        _look_up_british(word) if word.endswith(_BRITISH_SUFFIX) else _load_dictionary().lookup_word(word)
        for word in words
    ]


def _look_up_british(word: str) -> str:
    return " ".join(name for name, _ in read_british(word.removesuffix(_BRITISH_SUFFIX)) or ())


def _align_words(samples: NDArray[np.float32], words: list[str]) -> tuple[int, list[Span]] | None:
    """Align words with sound: the score and the phones, or None if they do not fit."""
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
    except RuntimeError:  # the words do not fit
        return None
    aligned = [
        (entry.name, entry.score, [(phone.name, phone.start, phone.duration) for phone in entry])
        for entry in decoder.get_alignment() or ()
    ]
    # "word(2)" is the second pronunciation, "<sil>" is silence; the last words may be missing
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
    """IPA of an aligned word, from pocketsphinx's name of the word and its phones."""
    if word.endswith(_BRITISH_SUFFIX):
        return [phone for _, phone in read_british(word.removesuffix(_BRITISH_SUFFIX)) or ()]
    return read_american(_strip_variant(word), phones)


def _make_decoder() -> Any:
    """Make a decoder. Each alignment needs its own: after a failure one finds less."""
    pocketsphinx.set_loglevel("FATAL")  # as an argument of Decoder it crashes
    return pocketsphinx.Decoder(lm=None)


@cache
def _load_dictionary() -> Any:
    """A decoder for looking words up."""
    return _make_decoder()


def _run_decoder(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _make_spans(phones: Iterable[tuple[str, int, int]], length: int) -> list[Span]:
    # Frame i of pocketsphinx covers samples 160i … 160i + 410; its centre is 125 samples after the centre of step i.
    spans: list[Span] = []
    for name, start, duration in phones:
        first = start * _STEP_SAMPLES + 125
        spans.append((name, first if spans else 0, first + duration * _STEP_SAMPLES))
    return [*spans, ("", spans[-1][2], max(length, spans[-1][2]))]

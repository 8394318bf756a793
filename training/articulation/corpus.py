"""Clips of speech with phone times, which every source of training data yields, and their files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray

from liveavatar.timeline import SAMPLE_RATE

Span = tuple[str, int, int]
"""A phone in IPA ("" is silence), its first sample, and the first sample after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One utterance at 16 kHz; `phones` cover `samples` without gaps."""

    speaker: str
    language: str
    samples: NDArray[np.float32]
    phones: list[Span]


def clip_at_16k(
    speaker: str, language: str, samples: NDArray[np.float32], rate: int, phones: list[Span]
) -> Clip:
    """Resample a clip to 16 kHz, scale its phone times, and fill gaps with silence."""
    sound = soxr.resample(samples, rate, SAMPLE_RATE, "VHQ").astype(np.float32)
    spans: list[Span] = []
    end = 0
    for phone, first, last in phones:
        first16, last16 = (round(at * SAMPLE_RATE / rate) for at in (first, last))
        if first16 > end:
            spans.append(("", end, first16))
        if last16 > max(first16, end):
            spans.append((phone, max(first16, end), last16))
        end = max(end, last16)
    return Clip(
        speaker=speaker, language=language, samples=sound, phones=[*spans, ("", end, max(end, len(sound)))]
    )


def save_clip(path: Path, clip: Clip) -> None:
    """Write a clip as a compressed .npz, its sound as 16-bit integers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names, firsts, lasts = zip(*clip.phones, strict=True)
    np.savez_compressed(
        path,
        speaker=clip.speaker,
        language=clip.language,
        sound=np.rint(np.clip(clip.samples, -1, 1) * 32767).astype(np.int16),
        phones=np.array(names),
        firsts=np.array(firsts),
        lasts=np.array(lasts),
    )


def load_clip(path: Path) -> Clip:
    """Read what `save_clip` wrote."""
    with np.load(path, allow_pickle=False) as data:
        spans = zip(data["phones"].tolist(), data["firsts"].tolist(), data["lasts"].tolist(), strict=True)
        sound = data["sound"].astype(np.float32) / 32767
        return Clip(
            speaker=str(data["speaker"]), language=str(data["language"]), samples=sound, phones=list(spans)
        )

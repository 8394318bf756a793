"""Clips of flite's voices, recorded or statistical, with the phone times it prints."""

import subprocess
import tempfile
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from training.articulation.arpabet import to_ipa
from training.articulation.corpus import Clip, Span, clip_at_16k
from training.articulation.texts import make_sentences

VOICES = ("slt", "rms", "awb", "kal16")


def make_clips(seed: int = 3) -> Iterator[Clip]:
    """Yield clips without end."""
    random = np.random.default_rng(seed)
    for text in make_sentences("en", seed):
        yield _make_clip(text, str(random.choice(VOICES)), float(random.uniform(0.85, 1.3)))


def _make_clip(text: str, voice: str, stretch: float) -> Clip:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = [
            "flite",
            "-voice",
            voice,
            "--setf",
            f"duration_stretch={stretch}",
            "-psdur",
            "-t",
            text,
            str(path),
        ]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        with wave.open(str(path)) as file:
            rate = file.getframerate()
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            sound = np.asarray(pcm / 32768, np.float32)
    return clip_at_16k(f"flite:{voice}", "en", sound, rate, _parse_phones(printed, rate))


def _parse_phones(printed: str, rate: int) -> list[Span]:
    spans: list[Span] = []
    start = 0
    for item in printed.split():
        name, _, end = item.partition(":")
        spans.append((to_ipa(name), start, round(float(end) * rate)))
        start = spans[-1][2]
    return spans

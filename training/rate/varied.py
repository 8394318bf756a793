"""Varies the training speakers: another pitch, another length of the vocal tract and another pace.

    python -m training.rate.varied VOICES

Analysis and synthesis are by WORLD (M. Morise, F. Yokomori, K. Ozawa, 2016), which changes the three independently. A
change of sample rate changes them together.
"""

import argparse
from pathlib import Path

import numpy as np
import pyworld  # type: ignore[import-not-found, import-untyped, unused-ignore]
import soxr  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray
from training.rate.sources import Voice, load_voices, save_voice

RATE = 24_000
FRAME_MS = 10.0
"""Frame period of WORLD."""

VOICE_SECONDS = 30.0
VARIANTS = 3
"""Per speaker of words; four times as many per speaker of sentences."""


def vary_speaker(sound: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float32]:
    """A passage by a varied speaker. Shorter vocal tracts raise the formants, and pitch 2.5 times as much in log."""
    size = float(np.clip(random.normal(0, 0.1), -0.2, 0.25))
    pitch = float(np.exp(np.clip(2.5 * size + random.normal(0, 0.22), -0.6, 0.8)))
    pace = float(np.exp(np.clip(random.normal(0, 0.15), -0.3, 0.3)))
    f0, times = pyworld.dio(sound, RATE, frame_period=FRAME_MS)
    envelope = pyworld.cheaptrick(sound, f0, times, RATE)
    breath = pyworld.d4c(sound, f0, times, RATE)
    bins = np.arange(envelope.shape[1]) / np.exp(size)
    below = np.minimum(bins.astype(int), envelope.shape[1] - 2)
    part = np.clip(bins - below, 0.0, 1.0)
    log = np.log(envelope + 1e-16)
    moved = np.exp(log[:, below] * (1 - part) + log[:, below + 1] * part)
    varied = pyworld.synthesize(
        f0 * pitch, np.ascontiguousarray(moved), breath, RATE, frame_period=FRAME_MS / pace
    )
    return np.asarray(varied / (np.abs(varied).max() + 1e-9) * 0.9, np.float32)


def make_varied_voice(voice: Voice, number: int) -> Voice:
    """A variant of a voice, up to `VOICE_SECONDS` of its clips."""
    random = np.random.default_rng([number, *voice.name.encode()])
    order = random.permutation(len(voice.clips))
    joined = np.concatenate([voice.clips[index] for index in order])[: int(VOICE_SECONDS * voice.rate)]
    sound = soxr.resample(joined.astype(np.float64), voice.rate, RATE)
    name = f"varied:{voice.name}:{number}"
    return Voice(name=name, kind="varied", split="train", rate=RATE, clips=[vary_speaker(sound, random)])


def main() -> None:
    """Write the variants of every training speaker who is a person."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", type=Path)
    options = parser.parse_args()
    people = [voice for voice in load_voices(options.voices, "train") if voice.kind in {"real", "words"}]
    for voice in people:
        for number in range(VARIANTS if voice.kind == "words" else 4 * VARIANTS):
            varied = make_varied_voice(voice, number)
            save_voice(options.voices / f"{varied.name.replace(':', '_')}.npz", varied)


if __name__ == "__main__":
    main()

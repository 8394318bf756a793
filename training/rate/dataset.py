"""Builds data sets: features of simulated recordings of known speed.

python -m training.rate.dataset VOICES OUT.npz --split train --recordings 5000
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.rate.damage import RecordingSimulator, make_chords, make_hiss
from training.rate.sources import Voice, load_voices

from liveavatar.audio.analysis.sample_rate import RATE_PRIORS
from liveavatar.audio.analysis.sample_rate_features import (
    FEATURE_COUNT,
    SEGMENT_SAMPLES,
    STEP_COUNT,
    extract_rate_features,
)
from liveavatar.timeline import SAMPLE_RATE

KIND_SHARES = {"real": 0.37, "varied": 0.2, "words": 0.13, "neural": 0.2, "diphone": 0.07, "formant": 0.03}
"""Share of each kind of voice in training."""

SEGMENT_COUNT = 4
"""Per recording, at most."""

SPEECHLESS_SHARE = 0.06
"""Share of recordings without speech; their speed is unknown: NaN."""

Segments = NDArray[np.float16]


def draw_speed(random: np.random.Generator) -> float:
    """Right (35 %), the ratio of two rates in use (45 %), or any: up to e^1.95 = 7 (10 %) or e^0.6 = 1.8 (10 %)."""
    chance = random.random()
    if chance < 0.35:
        return 1.0
    if chance < 0.8:
        declared, true = random.choice(list(RATE_PRIORS)[:-1], 2)
        return float(declared / true)
    most = 1.95 if chance < 0.9 else 0.6
    return float(np.exp(random.uniform(-most, most)))


def draw_voice(random: np.random.Generator, by_kind: dict[str, list[Voice]]) -> Voice:
    """A kind by `KIND_SHARES`, then any voice of that kind."""
    shares = np.array([KIND_SHARES[kind] for kind in by_kind])
    kind = str(random.choice(list(by_kind), p=shares / shares.sum()))
    return by_kind[kind][int(random.integers(len(by_kind[kind])))]


def group_by_kind(voices: list[Voice]) -> dict[str, list[Voice]]:
    """The voices of each kind."""
    groups: dict[str, list[Voice]] = defaultdict(list)
    for voice in voices:
        groups[voice.kind].append(voice)
    return dict(groups)


def make_speechless_sound(random: np.random.Generator, length: int) -> NDArray[np.float32]:
    """Music or noise, `length` samples."""
    make_sound = make_chords if random.random() < 0.6 else make_hiss
    sound = make_sound(random, length, float(np.exp(random.uniform(-1, 1))))
    return np.asarray(sound / np.abs(sound).max() * random.uniform(0.05, 1), np.float32)


def extract_segments(sound: NDArray[np.float32]) -> Segments:
    """Features of all segments that are not silent, [n, STEP_COUNT, FEATURE_COUNT]; the last may be short."""
    pieces = [
        extract_rate_features(sound[at : at + SEGMENT_SAMPLES])
        for at in range(0, len(sound) - SAMPLE_RATE + 1, SEGMENT_SAMPLES)
    ]
    return np.array([piece for piece in pieces if piece is not None], np.float16).reshape(
        -1, STEP_COUNT, FEATURE_COUNT
    )


def make_dataset(
    voices: list[Voice], count: int, seed: int, only_right: bool = False
) -> tuple[Segments, NDArray[np.float32]]:
    """Features [count, SEGMENT_COUNT, STEP_COUNT, FEATURE_COUNT], NaN for missing segments; log speeds [count]."""
    random = np.random.default_rng(seed)
    simulator, by_kind = RecordingSimulator(random=random, voices=voices), group_by_kind(voices)
    segments = np.full((count, SEGMENT_COUNT, STEP_COUNT, FEATURE_COUNT), np.nan, np.float16)
    speeds = np.empty(count, np.float32)
    for index in range(count):
        seconds = (
            SEGMENT_SAMPLES / SAMPLE_RATE * SEGMENT_COUNT
            if random.random() < 0.85
            else float(random.uniform(1.5, 4.0))
        )
        if not only_right and random.random() < SPEECHLESS_SHARE:
            sound, speeds[index] = make_speechless_sound(random, int(seconds * SAMPLE_RATE)), np.nan
        else:
            speed = 1.0 if only_right else draw_speed(random)
            sound, speeds[index] = (
                simulator.simulate(draw_voice(random, by_kind), seconds, speed),
                np.log(speed),
            )
        features = extract_segments(sound)[:SEGMENT_COUNT]
        segments[index, : len(features)] = features
    return segments, speeds


def main() -> None:
    """Build one data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--recordings", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--right", action="store_true", help="right rates only, for the thresholds")
    options = parser.parse_args()
    segments, speeds = make_dataset(
        load_voices(options.voices, options.split), options.recordings, options.seed, options.right
    )
    np.savez(options.out, looks=segments, speeds=speeds)


if __name__ == "__main__":
    main()

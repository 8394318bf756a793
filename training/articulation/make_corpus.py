"""Gather the corpus that the other sources than Kokoro give: espeak-ng, flite and real voices."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from training.articulation import real, synth_espeak, synth_flite
from training.articulation.corpus import Clip, save


def fill(folder: Path, prefix: str, clips: Iterator[Clip], minutes: float) -> float:
    """Write clips until they last `minutes` or there are no more; minutes written."""
    written = 0.0
    for i, clip in enumerate(clips):
        if written >= minutes:
            break
        save(folder / f"{prefix}_{i:04}.npz", clip)
        written += len(clip.samples) / 16_000 / 60
    return written


def main() -> None:
    """Fill OUT/train and OUT/test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--espeak-minutes", type=float, default=15.0)
    parser.add_argument("--flite-minutes", type=float, default=10.0)
    options = parser.parse_args()
    train, test = options.out / "train", options.out / "test"
    print("espeak-ng", fill(train, "espeak", synth_espeak.clips(), options.espeak_minutes))
    print("flite", fill(train, "flite", synth_flite.clips(), options.flite_minutes))
    print("real, to train on", fill(train, "real", real.training_clips(), 1e9))
    print("real, to test on", fill(test, "real", real.held_out_clips(), 1e9))


if __name__ == "__main__":
    main()

"""Gather the corpus that the other sources than Kokoro give: espeak-ng, flite, Piper and people."""

from collections.abc import Iterator
from pathlib import Path

from training.articulation import people, real, synth_espeak, synth_flite, synth_piper
from training.articulation.corpus import Clip, save
from training.articulation.realign import Ear


def fill(folder: Path, prefix: str, clips: Iterator[Clip], minutes: float) -> float:
    """Write clips until they last `minutes` or there are no more; minutes written."""
    written = 0.0
    for i, clip in enumerate(clips):
        if written >= minutes:
            break
        save(folder / f"{prefix}_{i:04}.npz", clip)
        written += len(clip.samples) / 16_000 / 60
    return written


def gather(out: Path, espeak_minutes: float, flite_minutes: float, piper_minutes: float) -> None:
    """Fill out/train and out/test."""
    train, test = out / "train", out / "test"
    print("espeak-ng", fill(train, "espeak", synth_espeak.clips(), espeak_minutes))
    print("flite", fill(train, "flite", synth_flite.clips(), flite_minutes))
    print("Piper", fill(train, "piper", synth_piper.clips(), piper_minutes))
    print("real, to train on", fill(train, "real", real.training_clips(), 1e9))
    print("real, to test on", fill(test, "real", real.held_out_clips(), 1e9))


def gather_people(out: Path, ear: Ear) -> None:
    """Add the people of twelve more languages, aligned by what an `ear` hears."""
    for i, clip in enumerate(people.clips(ear)):
        save(out / people.HELD_OUT.get(clip.speaker, "train") / f"people_{i:05}.npz", clip)

"""Write the clips of all sources but Kokoro: espeak-ng, flite, Piper, English and multilingual recordings."""

from collections.abc import Iterator
from pathlib import Path

from training.articulation import english, multilingual, synth_espeak, synth_flite, synth_piper
from training.articulation.corpus import Clip, save_clip
from training.articulation.realign import Predictor


def write_clips(folder: Path, prefix: str, clips: Iterator[Clip], minutes: float) -> float:
    """Write clips until they last `minutes` or there are no more; returns the minutes written."""
    written = 0.0
    for i, clip in enumerate(clips):
        if written >= minutes:
            break
        save_clip(folder / f"{prefix}_{i:04}.npz", clip)
        written += len(clip.samples) / 16_000 / 60
    return written


def gather_corpus(out: Path, espeak_minutes: float, flite_minutes: float, piper_minutes: float) -> None:
    """Write synthetic and English clips into out/train and out/test."""
    train, test = out / "train", out / "test"
    print("espeak-ng", write_clips(train, "espeak", synth_espeak.make_clips(), espeak_minutes))
    print("flite", write_clips(train, "flite", synth_flite.make_clips(), flite_minutes))
    print("Piper", write_clips(train, "piper", synth_piper.make_clips(), piper_minutes))
    print("real, to train on", write_clips(train, "real", english.training_clips(), 1e9))
    print("real, to test on", write_clips(test, "real", english.held_out_clips(), 1e9))


def gather_multilingual(out: Path, predictor: Predictor) -> None:
    """Write clips in twelve more languages, aligned by a network, into out/train, out/valid and out/test."""
    for i, clip in enumerate(multilingual.make_clips(predictor)):
        save_clip(out / multilingual.HELD_OUT.get(clip.speaker, "train") / f"people_{i:05}.npz", clip)

"""Difference between speech features of a sliding window and of the whole recording, by context and look-ahead.

    python -m benchmarks.dit.audio_window CHECKPOINT SPEECH… [--device cuda] [-o OUT.md]

CHECKPOINT is the folder of any wav2vec2, HuBERT or WavLM model. `random` builds one of 12 layers with random weights,
which shows the effect of convolutions and attention alone and nothing about a trained model: choose the window with the
checkpoint that will be used. The distance is the root mean square of the difference, as a share of the variation of the
whole-file features over time, averaged over the layers: 100 % is as far as unrelated speech.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from liveavatar.audio.front_end import read_speech
from liveavatar.dit.checkpoint.encoders import open_audio_encoder
from liveavatar.dit.checkpoint.load import Placement
from liveavatar.dit.checkpoint.random_weights import randomise_weights
from liveavatar.dit.codecs import audio_encoder
from liveavatar.dit.codecs.audio_encoder import AudioEncoder, SpeechLevel
from liveavatar.dit.plan.config import AudioEncoderConfig
from liveavatar.dit.streaming.audio_encoder_stream import EncoderWindow, StreamingAudioEncoder
from liveavatar.frames import Samples

LEFT = (25, 50, 100, 250, 500)
AHEAD = (0, 5, 10, 25, 50)
HOP = 24  # steps: one block of the engine, 0.48 s
RANDOM = AudioEncoderConfig(width=256, layers=12, heads=8, hidden=1024, convolution_width=128)


@dataclass(frozen=True, slots=True)
class Cell:
    """Result of one window: distance with the level of the whole file and with the running level, and seconds a hop."""

    window: EncoderWindow
    file_level: float
    running_level: float
    seconds: float


def open_encoder(checkpoint: str, device: str) -> AudioEncoder:
    """Load the encoder in a folder, or build one with random weights."""
    if checkpoint != "random":
        return open_audio_encoder(Path(checkpoint), device=device)
    with torch.device("meta"):
        network = audio_encoder.build_audio_network(RANDOM.to_wav2vec2())
    randomise_weights(network, seed=0, placement=Placement(device=device))
    return AudioEncoder(network)


def stream(encoder: AudioEncoder, window: EncoderWindow, wave: Samples) -> tuple[Tensor, float]:
    """Features of a recording from a stream, and seconds a hop."""
    streaming = StreamingAudioEncoder(encoder, window)
    started = time.perf_counter()
    hops = [*streaming.push(wave), *streaming.flush()]
    return torch.cat(hops, dim=1), (time.perf_counter() - started) / len(hops)


def distance(states: Tensor, whole: Tensor) -> float:
    """Root mean square of the difference, as a share of the variation of `whole` over time; mean over layers."""
    error = (states - whole).square().sum(dim=(1, 2))
    spread = (whole - whole.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2))
    return float((error / spread).sqrt().mean())


def measure(encoder: AudioEncoder, window: EncoderWindow, waves: list[Samples], wholes: list[Tensor]) -> Cell:
    """Measure one window on all recordings."""
    plain = AudioEncoder(encoder.network, needs_normalisation=False)
    fixed, running, seconds = [], [], []
    for wave, whole in zip(waves, wholes, strict=True):
        level = SpeechLevel.from_samples(wave) if encoder.needs_normalisation else SpeechLevel(0.0, 1.0, 1)
        states, _ = stream(plain, window, level.normalise_samples(wave))
        fixed.append(distance(states, whole))
        states, took = stream(encoder, window, wave)
        running.append(distance(states, whole))
        seconds.append(took)
    return Cell(window, float(np.mean(fixed)), float(np.mean(running)), float(np.mean(seconds)))


def table(cells: list[Cell], column: str) -> Iterator[str]:
    """Rows by left context, columns by look-ahead."""
    yield "| left \\ ahead | " + " | ".join(f"{20 * ahead} ms" for ahead in AHEAD) + " |"
    yield "|---|" + "---|" * len(AHEAD)
    for left in LEFT:
        row = [cell for cell in cells if cell.window.left == left]
        yield (
            f"| {left / 50:g} s | "
            + " | ".join(f"{100 * getattr(cell, column):.1f} %" for cell in row)
            + " |"
        )


def report(checkpoint: str, seconds: float, cells: list[Cell]) -> str:
    """The tables, as markdown."""
    live = next(cell for cell in cells if cell.window == EncoderWindow())
    lines = [
        "# Speech through a sliding window, against the whole recording",
        f"`python -m benchmarks.dit.audio_window {checkpoint if checkpoint == 'random' else 'CHECKPOINT'} SPEECH…`, "
        f"{seconds:.0f} s of speech, {HOP} new steps ({20 * HOP} ms) at a time.",
        "",
        "Distance with the whole recording's level: what the window alone costs.",
        "",
        *table(cells, "file_level"),
        "",
        "Distance with the running level: what a live session gets.",
        "",
        *table(cells, "running_level"),
        "",
        f"The default window ({live.window.left / 50:g} s, {20 * live.window.ahead} ms) takes "
        f"{1000 * live.seconds:.0f} ms a hop here.",
    ]
    if checkpoint == "random":
        lines += [
            "",
            "**Random weights.** This shows the effect of convolutions and attention at the edges of a window in an",
            "untrained network. It is no basis for the choice of a window: run it with the checkpoint.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("speech", nargs="+", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    encoder = open_encoder(options.checkpoint, options.device)
    waves = [np.concatenate(list(read_speech(path)[1])) for path in options.speech]
    wholes = [encoder(wave) for wave in waves]
    windows = [EncoderWindow(left=left, hop=HOP, ahead=ahead) for left in LEFT for ahead in AHEAD]
    cells = [measure(encoder, window, waves, wholes) for window in windows]
    text = report(options.checkpoint, sum(map(len, waves)) / 16_000, cells)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()

"""A teacher for the network: it hears a whole recording at once, through whisper's encoder as well as through our own
features, and says more reliably what was said and when. What it says of speech becomes what the
network learns, for recordings without texts too (G. Hinton et al., Distilling the knowledge in a neural network, 2015).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray
from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
from training.articulation.dataset import make_features
from training.articulation.examples import COLUMN_COUNT, CONTROL_COLUMNS, Example, Floats
from training.articulation.network import Weights, to_probabilities
from training.articulation.train import compute_loss

from liveavatar.speech.features import MEL_BANDS
from liveavatar.speech.models.articulation import PAIR_STEPS
from liveavatar.speech.models.quantised_weights import save_packed_weights
from liveavatar.speech.models.whisper import DILATIONS, TAPS, encode_with_whisper
from liveavatar.speech.track import STEP_SAMPLES
from liveavatar.timeline import SAMPLE_RATE

WIDTH = 256
ENCODER_WIDTH = 384
"""Numbers in a row of whisper's output."""

INPUT_WIDTH = ENCODER_WIDTH + PAIR_STEPS * MEL_BANDS
ROW_SAMPLES = PAIR_STEPS * STEP_SAMPLES
"""Samples at 16 kHz from one row to the next."""

TRAILING_SAMPLES = SAMPLE_RATE // 2
"""Silence after each recording."""

WINDOW, BATCH = 200, 16
"""Rows of a training window, windows of a batch."""

EPOCHS, LEARNING_RATE = 3, 1.5e-3
FIXED_WEIGHTS = ("mean", "spread")
"""Not learned."""

DROPOUT_SHARE = 0.15
"""Share of a layer's outputs that is hidden while learning."""

ENCODER_ONLY_SHARE = 0.15
"""Share of batches that do without our own features."""

SOURCE_WEIGHTS = {
    "kokoro": 2.0,
    "piper": 2.0,
    "real": 2.0,
    "people": 0.7,
    "espeak": 0.5,
    "flite": 0.7,
    "game": 0.35,
}
"""How often an epoch brings each lesson of a source, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherExample:
    """One lesson as the teacher learns it: `heard` [rows, INPUTS], `wanted` [PAIR * rows, COLUMNS]."""

    source: str
    inputs: NDArray[np.float16]
    targets: NDArray[np.float16]


def compute_inputs(samples: Floats) -> Floats:
    """Whisper's output for a recording at 16 kHz, under 29 s, beside two steps of our features, [rows, INPUTS]."""
    rows = -(-len(samples) // ROW_SAMPLES)
    padded = np.zeros(-(-(len(samples) + TRAILING_SAMPLES) // ROW_SAMPLES) * ROW_SAMPLES, np.float32)
    padded[: len(samples)] = samples
    encoded, seen = encode_with_whisper(padded)[:rows], make_features(samples)
    missing = PAIR_STEPS * len(encoded) - len(seen)
    pairs = np.pad(seen, ((0, missing), (0, 0)), mode="edge").reshape(len(encoded), -1)
    return np.concatenate([encoded, pairs], axis=1)


def make_teacher_example(example: Example) -> TeacherExample:
    """What to hear in a lesson, and what to say."""
    heard = compute_inputs(example.samples)
    missing = PAIR_STEPS * len(heard) - len(example.targets)
    wanted = np.pad(example.targets, ((0, missing), (0, 0)), mode="edge")
    return TeacherExample(
        source=example.speaker.split(":")[0], inputs=heard.astype(np.float16), targets=wanted
    )


def init_weights(examples: list[TeacherExample], seed: int) -> Weights:
    """Random weights, and the mean and spread of what is heard."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"first": (WIDTH, INPUT_WIDTH, TAPS), "last": (PAIR_STEPS * COLUMN_COUNT, WIDTH, 1)}
    for i in range(len(DILATIONS)):
        shapes |= {f"wide{i}": (WIDTH, WIDTH, TAPS), f"mix{i}": (WIDTH, WIDTH, 1)}
    weights: Weights = {}
    for name, shape in shapes.items():
        scale = (0.3 if name.startswith("mix") else 1.0) * (2.0 / (shape[1] * shape[2])) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(*shape, generator=generator)
        weights[f"{name}.bias"] = torch.zeros(shape[0])
    some = np.concatenate([page.inputs for page in examples[:: max(1, len(examples) // 300)]]).astype(
        np.float32
    )
    return weights | {"mean": torch.from_numpy(some.mean(0)), "spread": torch.from_numpy(some.std(0) + 1e-3)}


def compute_logits(
    weights: Weights,
    inputs_BTD: Any,  # noqa: N803
    dropout: float = 0.0,
    encoder_only: bool = False,
) -> Any:
    """What is heard, [batch, rows, INPUTS], to logits [batch, PAIR * rows, COLUMNS]."""
    x = (inputs_BTD - weights["mean"]) / weights["spread"]
    x = torch.cat([x[..., :ENCODER_WIDTH], x[..., ENCODER_WIDTH:] * (not encoder_only)], -1).transpose(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        x = torch.relu(_convolve(weights, "first", x, 1))
        for i, dilation in enumerate(DILATIONS):
            y = torch.relu(_convolve(weights, f"wide{i}", x, dilation))
            x = x + _convolve(weights, f"mix{i}", functional.dropout(y, dropout), 1)
        out = _convolve(weights, "last", functional.dropout(torch.relu(x), dropout), 1)
    return out.float().transpose(1, 2).unflatten(2, (PAIR_STEPS, COLUMN_COUNT)).flatten(1, 2)


def _convolve(weights: Weights, name: str, x: Any, dilation: int) -> Any:
    weight = weights[f"{name}.weight"]
    padding = dilation * (weight.shape[2] // 2)
    return functional.conv1d(x, weight, weights[f"{name}.bias"], padding=padding, dilation=dilation)


def _cut_windows(
    examples: list[TeacherExample], random: np.random.Generator
) -> tuple[NDArray[np.float16], ...]:
    """All pages in random order, one after another, cut into windows: what is heard, what is wanted."""
    often = np.floor([SOURCE_WEIGHTS[page.source] + random.random() for page in examples]).astype(int)
    order = random.permutation(np.repeat(np.arange(len(examples)), often))
    heard, wanted = (
        np.concatenate([getattr(examples[i], name) for i in order]) for name in ("inputs", "targets")
    )
    skip = int(random.integers(WINDOW))
    count = (len(heard) - skip) // WINDOW
    heard = heard[skip : skip + count * WINDOW].reshape(count, WINDOW, -1)
    wanted = wanted[PAIR_STEPS * skip :][: PAIR_STEPS * count * WINDOW].reshape(
        count, PAIR_STEPS * WINDOW, -1
    )
    return heard, wanted


def train_teacher(examples: list[TeacherExample], epochs: int, start: Weights | None, seed: int) -> Weights:
    """Learn, going on with `start` or from nothing; the learning rate falls along a cosine."""
    random, weights = np.random.default_rng(seed), start or init_weights(examples, seed)
    learned = [tensor.requires_grad_() for name, tensor in weights.items() if name not in FIXED_WEIGHTS]
    optimizer = torch.optim.AdamW(learned, lr=LEARNING_RATE, weight_decay=0.01)
    for epoch in range(epochs):
        heard, wanted = _cut_windows(examples, random)
        batches = np.array_split(random.permutation(len(heard)), len(heard) // BATCH)
        for i, batch in enumerate(batches):
            done = (epoch + i / len(batches)) / epochs
            pace = min(1.0, done * 40) * max(0.01, 0.5 * (1 + np.cos(np.pi * done)))
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * pace
            x, y = (torch.from_numpy(part[batch].astype(np.float32)) for part in (heard, wanted))
            x *= 1 + 0.1 * torch.randn(x.shape[0], 1, x.shape[2])
            loss = compute_loss(
                compute_logits(weights, x, DROPOUT_SHARE, bool(random.random() < ENCODER_ONLY_SHARE)), y
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
        print(f"teacher, epoch {epoch + 1}/{epochs}  loss {loss.item():.4f}", flush=True)
    return weights


def write_reader(path: Path, weights: Weights) -> None:
    """What `liveavatar.speech.models.whisper` ships: visemes and controls only."""
    shipped = {name: weights[name].detach().numpy() for name in FIXED_WEIGHTS}
    for name in (name.removesuffix(".bias") for name in weights if name.endswith(".bias")):
        weight, bias = (weights[f"{name}.{part}"].detach().numpy() for part in ("weight", "bias"))
        if name == "last":
            spoken = (
                np.arange(PAIR_STEPS * COLUMN_COUNT)
                .reshape(PAIR_STEPS, COLUMN_COUNT)[:, : CONTROL_COLUMNS.stop]
                .ravel()
            )
            weight, bias = weight[spoken], bias[spoken]
        shipped |= {f"{name}.weight": weight.transpose(2, 1, 0).reshape(-1, len(bias)), f"{name}.bias": bias}
    save_packed_weights(path, shipped)


def predict(weights: Weights, samples: Floats) -> Floats:
    """What the teacher hears in a recording at 16 kHz, [steps, COLUMNS]."""
    with torch.no_grad():
        said = compute_logits(weights, torch.from_numpy(compute_inputs(samples))[None])[0]
    return to_probabilities(said[: -(-len(samples) // STEP_SAMPLES)])

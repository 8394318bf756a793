"""The teacher: a convolutional network on whole recordings, from Whisper's encoder and our own features.

It is more accurate than the streaming network, which learns from its predictions, also of recordings without texts
(G. Hinton et al., Distilling the Knowledge in a Neural Network, 2015).
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
"""Width of the output of Whisper's encoder."""

INPUT_WIDTH = ENCODER_WIDTH + PAIR_STEPS * MEL_BANDS
ROW_SAMPLES = PAIR_STEPS * STEP_SAMPLES
"""Samples at 16 kHz between rows."""

TRAILING_SAMPLES = SAMPLE_RATE // 2
"""Silence appended to each recording."""

WINDOW, BATCH = 200, 16
"""Rows in a training window, and windows in a batch."""

EPOCHS, LEARNING_RATE = 3, 1.5e-3
FIXED_WEIGHTS = ("mean", "spread")
"""Not trained."""

DROPOUT_SHARE = 0.15
"""Dropout of layer outputs in training."""

ENCODER_ONLY_SHARE = 0.15
"""Share of batches without our own features."""

SOURCE_WEIGHTS = {
    "kokoro": 2.0,
    "piper": 2.0,
    "real": 2.0,
    "people": 0.7,
    "espeak": 0.5,
    "flite": 0.7,
    "game": 0.35,
}
"""Average number of times that an epoch uses each example of a source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherExample:
    """Inputs [rows, INPUT_WIDTH] and targets [PAIR_STEPS * rows, COLUMN_COUNT] of one example."""

    source: str
    inputs: NDArray[np.float16]
    targets: NDArray[np.float16]


def compute_inputs(samples: Floats) -> Floats:
    """Whisper's output for a recording at 16 kHz under 29 s, with two steps of our features, [rows, INPUT_WIDTH]."""
    rows = -(-len(samples) // ROW_SAMPLES)
    padded = np.zeros(-(-(len(samples) + TRAILING_SAMPLES) // ROW_SAMPLES) * ROW_SAMPLES, np.float32)
    padded[: len(samples)] = samples
    encoded, features = encode_with_whisper(padded)[:rows], make_features(samples)
    missing = PAIR_STEPS * len(encoded) - len(features)
    pairs = np.pad(features, ((0, missing), (0, 0)), mode="edge").reshape(len(encoded), -1)
    return np.concatenate([encoded, pairs], axis=1)


def make_teacher_example(example: Example) -> TeacherExample:
    """Compute the teacher's inputs of an example, and pad its targets to whole rows."""
    inputs = compute_inputs(example.samples)
    missing = PAIR_STEPS * len(inputs) - len(example.targets)
    targets = np.pad(example.targets, ((0, missing), (0, 0)), mode="edge")
    return TeacherExample(
        source=example.speaker.split(":")[0], inputs=inputs.astype(np.float16), targets=targets
    )


def init_weights(examples: list[TeacherExample], seed: int) -> Weights:
    """Draw random weights, and measure mean and standard deviation of the inputs."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"first": (WIDTH, INPUT_WIDTH, TAPS), "last": (PAIR_STEPS * COLUMN_COUNT, WIDTH, 1)}
    for i in range(len(DILATIONS)):
        shapes |= {f"wide{i}": (WIDTH, WIDTH, TAPS), f"mix{i}": (WIDTH, WIDTH, 1)}
    weights: Weights = {}
    for name, shape in shapes.items():
        scale = (0.3 if name.startswith("mix") else 1.0) * (2.0 / (shape[1] * shape[2])) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(*shape, generator=generator)
        weights[f"{name}.bias"] = torch.zeros(shape[0])
    sample = np.concatenate([example.inputs for example in examples[:: max(1, len(examples) // 300)]]).astype(
        np.float32
    )
    return weights | {
        "mean": torch.from_numpy(sample.mean(0)),
        "spread": torch.from_numpy(sample.std(0) + 1e-3),
    }


def compute_logits(
    weights: Weights,
    inputs_BTD: Any,  # noqa: N803
    dropout: float = 0.0,
    encoder_only: bool = False,
) -> Any:
    """Inputs [batch, rows, INPUT_WIDTH] to logits [batch, PAIR_STEPS * rows, COLUMN_COUNT]."""
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
    """Join the examples in random order and cut them into windows of inputs and of targets."""
    repeats = np.floor([SOURCE_WEIGHTS[example.source] + random.random() for example in examples]).astype(int)
    order = random.permutation(np.repeat(np.arange(len(examples)), repeats))
    inputs = np.concatenate([examples[i].inputs for i in order])
    targets = np.concatenate([examples[i].targets for i in order]).reshape(len(inputs), PAIR_STEPS, -1)
    skip = int(random.integers(WINDOW))
    count = (len(inputs) - skip) // WINDOW
    rows = slice(skip, skip + count * WINDOW)
    return (
        inputs[rows].reshape(count, WINDOW, -1),
        targets[rows].reshape(count, PAIR_STEPS * WINDOW, COLUMN_COUNT),
    )


def train_teacher(examples: list[TeacherExample], epochs: int, start: Weights | None, seed: int) -> Weights:
    """Train from `start` or from random weights; the learning rate falls along a cosine."""
    random, weights = np.random.default_rng(seed), start or init_weights(examples, seed)
    parameters = [tensor.requires_grad_() for name, tensor in weights.items() if name not in FIXED_WEIGHTS]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01)
    for epoch in range(epochs):
        inputs, targets = _cut_windows(examples, random)
        batches = np.array_split(random.permutation(len(inputs)), len(inputs) // BATCH)
        for i, batch in enumerate(batches):
            done = (epoch + i / len(batches)) / epochs
            rate_factor = min(1.0, done * 40) * max(0.01, 0.5 * (1 + np.cos(np.pi * done)))
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * rate_factor
            x, y = (torch.from_numpy(part[batch].astype(np.float32)) for part in (inputs, targets))
            x *= 1 + 0.1 * torch.randn(x.shape[0], 1, x.shape[2])
            loss = compute_loss(
                compute_logits(weights, x, DROPOUT_SHARE, bool(random.random() < ENCODER_ONLY_SHARE)), y
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        print(f"teacher, epoch {epoch + 1}/{epochs}  loss {loss.item():.4f}", flush=True)
    return weights


def write_reader(path: Path, weights: Weights) -> None:
    """Write the weights of `liveavatar.speech.models.whisper`, without the output of IPA sounds."""
    shipped = {name: weights[name].detach().numpy() for name in FIXED_WEIGHTS}
    for name in (name.removesuffix(".bias") for name in weights if name.endswith(".bias")):
        weight, bias = (weights[f"{name}.{part}"].detach().numpy() for part in ("weight", "bias"))
        if name == "last":
            columns = np.arange(PAIR_STEPS * COLUMN_COUNT).reshape(PAIR_STEPS, COLUMN_COUNT)
            shipped_columns = columns[:, : CONTROL_COLUMNS.stop].ravel()
            weight, bias = weight[shipped_columns], bias[shipped_columns]
        shipped |= {f"{name}.weight": weight.transpose(2, 1, 0).reshape(-1, len(bias)), f"{name}.bias": bias}
    save_packed_weights(path, shipped)


def predict(weights: Weights, samples: Floats) -> Floats:
    """Predict a recording at 16 kHz, [steps, COLUMN_COUNT]."""
    with torch.no_grad():
        logits = compute_logits(weights, torch.from_numpy(compute_inputs(samples))[None])[0]
    return to_probabilities(logits[: -(-len(samples) // STEP_SAMPLES)])

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
from training.articulation.lesson import COLUMNS, MOVED, Floats, Lesson
from training.articulation.network import Weights, likely
from training.articulation.train import difference

from liveavatar.speech.articulation import PAIR
from liveavatar.speech.features import BANDS
from liveavatar.speech.packed import save_packed
from liveavatar.speech.track import STEP
from liveavatar.speech.whisper import DILATIONS, TAPS, encode
from liveavatar.timeline import SAMPLE_RATE

WIDTH = 256
ENCODED = 384
"""Numbers in a row of whisper's output."""

INPUTS = ENCODED + PAIR * BANDS
ROW = PAIR * STEP
"""Samples at 16 kHz from one row to the next."""

AFTER = SAMPLE_RATE // 2
"""Silence after each recording."""

WINDOW, BATCH = 200, 16
"""Rows of a training window, windows of a batch."""

EPOCHS, RATE = 3, 1.5e-3
FIXED = ("mean", "spread")
"""Not learned."""

DROPPED = 0.15
"""Share of a layer's outputs that is hidden while learning."""

DEAF = 0.15
"""Share of batches that do without our own features."""

HEARD = {"kokoro": 2.0, "piper": 2.0, "real": 2.0, "people": 0.7, "espeak": 0.5, "flite": 0.7, "game": 0.35}
"""How often an epoch brings each lesson of a source, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One lesson as the teacher learns it: `heard` [rows, INPUTS], `wanted` [PAIR * rows, COLUMNS]."""

    source: str
    heard: NDArray[np.float16]
    wanted: NDArray[np.float16]


def hear(samples: Floats) -> Floats:
    """Whisper's output for a recording at 16 kHz, under 29 s, beside two steps of our features, [rows, INPUTS]."""
    rows = -(-len(samples) // ROW)
    padded = np.zeros(-(-(len(samples) + AFTER) // ROW) * ROW, np.float32)
    padded[: len(samples)] = samples
    encoded, seen = encode(padded)[:rows], make_features(samples)
    missing = PAIR * len(encoded) - len(seen)
    pairs = np.pad(seen, ((0, missing), (0, 0)), mode="edge").reshape(len(encoded), -1)
    return np.concatenate([encoded, pairs], axis=1)


def page(lesson: Lesson) -> Page:
    """What to hear in a lesson, and what to say."""
    heard = hear(lesson.samples)
    missing = PAIR * len(heard) - len(lesson.wanted)
    wanted = np.pad(lesson.wanted, ((0, missing), (0, 0)), mode="edge")
    return Page(source=lesson.speaker.split(":")[0], heard=heard.astype(np.float16), wanted=wanted)


def fresh_weights(pages: list[Page], seed: int) -> Weights:
    """Random weights, and the mean and spread of what is heard."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"first": (WIDTH, INPUTS, TAPS), "last": (PAIR * COLUMNS, WIDTH, 1)}
    for i in range(len(DILATIONS)):
        shapes |= {f"wide{i}": (WIDTH, WIDTH, TAPS), f"mix{i}": (WIDTH, WIDTH, 1)}
    weights: Weights = {}
    for name, shape in shapes.items():
        scale = (0.3 if name.startswith("mix") else 1.0) * (2.0 / (shape[1] * shape[2])) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(*shape, generator=generator)
        weights[f"{name}.bias"] = torch.zeros(shape[0])
    some = np.concatenate([page.heard for page in pages[:: max(1, len(pages) // 300)]]).astype(np.float32)
    return weights | {"mean": torch.from_numpy(some.mean(0)), "spread": torch.from_numpy(some.std(0) + 1e-3)}


def say(weights: Weights, heard_BTD: Any, dropped: float = 0.0, deaf: bool = False) -> Any:  # noqa: N803
    """What is heard, [batch, rows, INPUTS], to logits [batch, PAIR * rows, COLUMNS]."""
    x = (heard_BTD - weights["mean"]) / weights["spread"]
    x = torch.cat([x[..., :ENCODED], x[..., ENCODED:] * (not deaf)], -1).transpose(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        x = torch.relu(_convolve(weights, "first", x, 1))
        for i, dilation in enumerate(DILATIONS):
            y = torch.relu(_convolve(weights, f"wide{i}", x, dilation))
            x = x + _convolve(weights, f"mix{i}", functional.dropout(y, dropped), 1)
        out = _convolve(weights, "last", functional.dropout(torch.relu(x), dropped), 1)
    return out.float().transpose(1, 2).unflatten(2, (PAIR, COLUMNS)).flatten(1, 2)


def _convolve(weights: Weights, name: str, x: Any, dilation: int) -> Any:
    weight = weights[f"{name}.weight"]
    padding = dilation * (weight.shape[2] // 2)
    return functional.conv1d(x, weight, weights[f"{name}.bias"], padding=padding, dilation=dilation)


def _windows(pages: list[Page], random: np.random.Generator) -> tuple[NDArray[np.float16], ...]:
    """All pages in random order, one after another, cut into windows: what is heard, what is wanted."""
    often = np.floor([HEARD[page.source] + random.random() for page in pages]).astype(int)
    order = random.permutation(np.repeat(np.arange(len(pages)), often))
    heard, wanted = (np.concatenate([getattr(pages[i], name) for i in order]) for name in ("heard", "wanted"))
    skip = int(random.integers(WINDOW))
    count = (len(heard) - skip) // WINDOW
    heard = heard[skip : skip + count * WINDOW].reshape(count, WINDOW, -1)
    wanted = wanted[PAIR * skip :][: PAIR * count * WINDOW].reshape(count, PAIR * WINDOW, -1)
    return heard, wanted


def train(pages: list[Page], epochs: int, start: Weights | None, seed: int) -> Weights:
    """Learn, going on with `start` or from nothing; the learning rate falls along a cosine."""
    random, weights = np.random.default_rng(seed), start or fresh_weights(pages, seed)
    learned = [tensor.requires_grad_() for name, tensor in weights.items() if name not in FIXED]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=0.01)
    for epoch in range(epochs):
        heard, wanted = _windows(pages, random)
        batches = np.array_split(random.permutation(len(heard)), len(heard) // BATCH)
        for i, batch in enumerate(batches):
            done = (epoch + i / len(batches)) / epochs
            pace = min(1.0, done * 40) * max(0.01, 0.5 * (1 + np.cos(np.pi * done)))
            optimizer.param_groups[0]["lr"] = RATE * pace
            x, y = (torch.from_numpy(part[batch].astype(np.float32)) for part in (heard, wanted))
            x *= 1 + 0.1 * torch.randn(x.shape[0], 1, x.shape[2])
            loss = difference(say(weights, x, DROPPED, bool(random.random() < DEAF)), y)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
        print(f"teacher, epoch {epoch + 1}/{epochs}  loss {loss.item():.4f}", flush=True)
    return weights


def write_reader(path: Path, weights: Weights) -> None:
    """What `liveavatar.speech.whisper` ships: visemes and controls only."""
    shipped = {name: weights[name].detach().numpy() for name in FIXED}
    for name in (name.removesuffix(".bias") for name in weights if name.endswith(".bias")):
        weight, bias = (weights[f"{name}.{part}"].detach().numpy() for part in ("weight", "bias"))
        if name == "last":
            spoken = np.arange(PAIR * COLUMNS).reshape(PAIR, COLUMNS)[:, : MOVED.stop].ravel()
            weight, bias = weight[spoken], bias[spoken]
        shipped |= {f"{name}.weight": weight.transpose(2, 1, 0).reshape(-1, len(bias)), f"{name}.bias": bias}
    save_packed(path, shipped)


def teach(weights: Weights, samples: Floats) -> Floats:
    """What the teacher hears in a recording at 16 kHz, [steps, COLUMNS]."""
    with torch.no_grad():
        said = say(weights, torch.from_numpy(hear(samples))[None])[0]
    return likely(said[: -(-len(samples) // STEP)])

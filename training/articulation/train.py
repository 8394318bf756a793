"""Train the articulation network on examples and write its weights."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray
from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
from training.articulation.dataset import FeatureSequence, draw_sequence
from training.articulation.examples import CONTROL_COLUMNS, SOUND_COLUMNS, VISEME_COLUMNS, Example
from training.articulation.network import (
    AUXILIARY_LAYER,
    Weights,
    compute_logits,
    encode_features,
    init_weights,
)

from liveavatar.speech.features import MEL_BANDS
from liveavatar.speech.models.articulation import DELAY_STEPS, PAIR_STEPS
from liveavatar.speech.models.quantised_weights import save_packed_weights
from liveavatar.speech.track import CONTROLS, VISEMES

WINDOW, WARM_UP = 512, 112
"""Steps in a training window, and steps at its beginning that are context only."""

BATCH = 8
PIECE_EXAMPLES, PIECE_PASSES = 1200, 2
"""Examples augmented at a time, and passes over them, with other windows each."""

SOURCE_WEIGHTS = {
    "kokoro": 3.0, "real": 2.0, "people:syllables": 3.0, "people:fishes": 0.35, "people": 0.5, "espeak": 0.3,
    "flite": 0.3, "piper": 2.0, "game:sky": 1.5, "game:queen": 1.0, "game:drascula-": 0.8, "game:drascula": 1.5,
    "game:hedgewars-": 2.0, "game:hedgewars": 3.0, "game:warzone": 3.0, "game:klettres": 1.5, "game:ktuberling": 3.0,
}  # fmt: skip
"""Relative probability of drawing an example, by the beginning of its speaker's name; the first match counts."""

RATE_RISE_BATCHES = 300
"""Batches over which the learning rate rises."""

EMA_DECAY = 0.9995
"""Decay per step of the exponential moving average of the weights, which is the result of training."""

VISEME_WEIGHTS = {"PP": 1.3, "FF": 1.2}
SOUNDS_WEIGHT = 0.5
"""Weight of the auxiliary loss on IPA sounds, which improves the visemes."""

CONTROL_WEIGHTS = {
    "jaw": 10.0,
    "closure": 0.0,
    "rounding": 5.0,
    "spread": 3.0,
    "upper_lip": 5.0,
    "tongue": 2.0,
}
CLOSURE_WEIGHT = 1.6
"""Weight of the closure's cross entropy; unlike squares it makes the control a probability."""

LABEL_SMOOTHING = 0.03
"""Share of every target probability that is spread over all classes."""

VTLP_RANGE = 0.1
"""The bands of a window move by up to this share (Jaitly and Hinton, Vocal Tract Length Perturbation, 2013)."""


def draw_window_starts(sequence: FeatureSequence, random: np.random.Generator) -> NDArray[np.int64]:
    """First steps of windows that cover a sequence, in random order; outputs lag by DELAY_STEPS."""
    step = WINDOW - WARM_UP
    skip = int(random.integers(step))
    return skip + random.permutation((len(sequence.features) - DELAY_STEPS - skip - WARM_UP) // step) * step


def make_batch(
    sequence: FeatureSequence, starts: NDArray[np.int64], random: np.random.Generator
) -> tuple[Any, Any]:
    """Features with noise floor [batch, WINDOW, 144], and targets [batch, WINDOW - WARM_UP, COLUMN_COUNT]."""
    index = starts[:, None] + np.arange(WINDOW)
    features = stretch_bands(sequence.features[index + DELAY_STEPS].astype(np.float32), random)
    return torch.from_numpy(features), torch.from_numpy(
        sequence.targets[index[:, WARM_UP:]].astype(np.float32)
    )


def stretch_bands(features: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Stretch each window's bands and its noise floor in place, as another vocal tract length does."""
    for window in features.reshape(*features.shape[:2], -1, MEL_BANDS):
        at = np.clip(
            np.arange(MEL_BANDS) * random.uniform(1 - VTLP_RANGE, 1 + VTLP_RANGE), 0, MEL_BANDS - 1.001
        )
        low = at.astype(int)
        share = (at - low).astype(np.float32)
        window[:] = window[..., low] * (1 - share) + window[..., low + 1] * share
    return features


def compute_loss(logits: Any, targets: Any) -> Any:
    """Loss of logits against targets, both [batch, steps, COLUMN_COUNT].

    Cross entropy of visemes, sounds and closure, plus weighted squared errors of the other controls.
    """
    classes = torch.tensor([VISEME_WEIGHTS.get(name, 1.0) for name in VISEMES])
    importance = torch.tensor([CONTROL_WEIGHTS[name] for name in CONTROLS])
    closure = CONTROL_COLUMNS.start + CONTROLS.index("closure")
    squares = (torch.sigmoid(logits[..., CONTROL_COLUMNS]) - targets[..., CONTROL_COLUMNS]) ** 2
    return (
        _cross_entropy(logits[..., VISEME_COLUMNS], targets[..., VISEME_COLUMNS], classes)
        + SOUNDS_WEIGHT
        * _cross_entropy(logits[..., SOUND_COLUMNS], targets[..., SOUND_COLUMNS], torch.ones(1))
        + (importance * squares).mean()
        + CLOSURE_WEIGHT
        * functional.binary_cross_entropy_with_logits(logits[..., closure], targets[..., closure])
    )


def _cross_entropy(logits: Any, targets: Any, classes: Any) -> Any:
    shares = ((1 - LABEL_SMOOTHING) * targets + LABEL_SMOOTHING / targets.shape[-1]) * classes
    return -(torch.log_softmax(logits, -1) * shares).sum() / shares.sum()


def compute_all_logits(weights: Weights, features: Any) -> Any:
    """Logits of all outputs, [batch, WINDOW - WARM_UP, COLUMN_COUNT]."""
    with torch.autocast("cpu", torch.bfloat16):
        encoded = encode_features(weights, features)[:, WARM_UP // PAIR_STEPS :]
        return torch.cat(
            [compute_logits(weights, name, encoded).float() for name in ("last", AUXILIARY_LAYER)], -1
        )


def weigh_examples(examples: list[Example]) -> NDArray[np.float64]:
    """Relative probability of each example."""
    return np.array(
        [
            next(share for name, share in SOURCE_WEIGHTS.items() if example.speaker.startswith(name))
            for example in examples
        ]
    )


def train_network(
    examples: list[Example], pieces: int, rate: float, seed: int, start: Weights | None = None
) -> Weights:
    """Train on `pieces` pieces of PIECE_EXAMPLES each, from `start` or from random weights; returns averaged weights.

    The learning rate rises to `rate` over RATE_RISE_BATCHES and falls along a cosine.
    """
    initial, random = start or init_weights(seed), np.random.default_rng(seed)
    weights = {name: tensor.detach().clone().requires_grad_() for name, tensor in initial.items()}
    mean = {name: tensor.detach().clone() for name, tensor in weights.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=rate, weight_decay=0.01)
    shares, done, started = weigh_examples(examples), 0, time.monotonic()
    for i in range(pieces):
        sequence, losses = draw_sequence(examples, shares, PIECE_EXAMPLES, random), []
        starts = [draw_window_starts(sequence, random) for _ in range(PIECE_PASSES)]
        batches = [part for order in starts for part in np.array_split(order, len(order) // BATCH)]
        for k, batch in enumerate(batches):
            progress = (i + k / len(batches)) / pieces
            rate_factor = min(1.0, done / RATE_RISE_BATCHES + 0.01) * max(
                0.003, 0.5 * (1 + np.cos(np.pi * progress))
            )
            optimizer.param_groups[0]["lr"] = rate * rate_factor
            losses.append(_train_step(weights, optimizer, *make_batch(sequence, batch, random)))
            done += 1
            _update_ema(mean, weights, min(EMA_DECAY, (done + 1) / (done + 10)))
        print(
            f"piece {i + 1}/{pieces}  loss {np.mean(losses):.4f}  {time.monotonic() - started:.0f} s",
            flush=True,
        )
    return mean


def _train_step(weights: Weights, optimizer: Any, features: Any, targets: Any) -> float:
    """Make one optimiser step; returns the loss."""
    loss = compute_loss(compute_all_logits(weights, features), targets)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
    optimizer.step()
    return float(loss.item())


def _update_ema(mean: Weights, weights: Weights, share: float) -> None:
    """Move the moving average towards the weights, keeping `share` of it."""
    with torch.no_grad():
        for name, tensor in weights.items():
            mean[name].lerp_(tensor, 1 - share)


def average_weights(*ends: Weights) -> Weights:
    """The mean of the weights at the ends of several courses, each continuing the one before.

    It is more accurate than any of them (M. Wortsman et al., Model soups, 2022).
    """
    return {name: torch.stack([end[name] for end in ends]).mean(0) for name in ends[0]}


def write_weights(path: Path, weights: Weights) -> None:
    """Write the weights without the auxiliary layer."""
    shipped = {name: tensor for name, tensor in weights.items() if not name.startswith(AUXILIARY_LAYER)}
    save_packed_weights(path, {name: tensor.detach().numpy() for name, tensor in shipped.items()})

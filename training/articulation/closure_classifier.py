"""The classifier of closed lips: a logistic regression on the network's output for speakers it was not trained on.

A network is surer of its training speakers than of others, and its closure output rises before the lips meet. The
regression turns the log odds of all its outputs over the last few steps into the probability of closed lips now.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
from training.articulation.augment import Augmenter
from training.articulation.corpus import Clip
from training.articulation.dataset import load_clips
from training.articulation.examples import CONTROL_COLUMNS, Floats
from training.articulation.network import Weights, predict
from training.articulation.realign import Predictor
from training.articulation.targets import list_closures

from liveavatar.speech.models.articulation import ClosureClassifier
from liveavatar.speech.track import STEP_SAMPLES

DEGRADED_COPIES = 3
"""Degraded copies of every clip, beside the clip itself."""

EARLY_STEPS = 1
"""Steps by which a closure begins before its label; without them a regression that looks back would be late."""

CLOSED_WEIGHT = 2.0
"""Weight of steps with closed lips, which are rare, in the cross entropy."""

RIDGE_PENALTY = 0.005
"""Weight of the sum of squared coefficients, for inputs of unit variance."""


def add_closure_classifier(weights: Weights, folder: Path) -> Weights:
    """Add the classifier's weights to a network's, fitted to clips that the network did not learn from."""
    rows, together = make_closure_data(
        load_clips(folder), partial(predict, weights), np.random.default_rng(0)
    )
    return {**weights, **fit_closure_classifier(rows, together)}


def make_closure_data(
    clips: list[Clip], predictor: Predictor, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Inputs of `ClosureClassifier` [steps, CLOSURE_CONTEXT_STEPS * 21] for clips, and closed lips, 0 or 1, [steps]."""
    augmenter = Augmenter(random=random, others=[clip.samples for clip in clips])
    rows, closed = [], []
    for clip in clips:
        is_closed = np.zeros(-(-len(clip.samples) // STEP_SAMPLES), np.float32)
        for first, last in list_closures(clip):
            is_closed[max(first - EARLY_STEPS, 0) : last] = 1.0
        for sound in (clip.samples, *(augmenter.degrade(clip.samples) for _ in range(DEGRADED_COPIES))):
            rows.append(ClosureClassifier().stack_recent_odds(predictor(sound)[:, : CONTROL_COLUMNS.stop]))
            closed.append(is_closed)
    return np.concatenate(rows), np.concatenate(closed)


def fit_closure_classifier(rows: Floats, together: Floats) -> Weights:
    """Fit the regression to inputs [steps, inputs] and closed lips [steps]; returns its weights by name."""
    inputs, closed = torch.from_numpy(rows), torch.from_numpy(together)
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-2
    normalised = (inputs - mean) / spread
    weight, bias = torch.zeros(normalised.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer: Any = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def compute_loss() -> Any:
        optimizer.zero_grad()
        logits = normalised @ weight + bias
        entropy = functional.binary_cross_entropy_with_logits(
            logits, closed, pos_weight=torch.tensor(CLOSED_WEIGHT)
        )
        total: Any = entropy + RIDGE_PENALTY * (weight**2).sum()
        total.backward()
        return total

    optimizer.step(compute_loss)
    weight, bias = weight.detach() / spread, bias.detach()
    return {"lips.weight": weight[:, None], "lips.bias": bias - (mean * weight).sum()}

"""When lips are together, read off what a trained network says about speakers that it was not trained on.

Of its own speakers a network is surer than of others, and what it learns of lips is their whole course, which begins
to close early; so what it says of others is turned into how likely lips are together right now by a logistic
regression on the odds of all that it says, in the last few steps.
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
"""Times that every clip is heard through some other microphone, beside as it is."""

EARLY_STEPS = 1
"""Steps by which lips are together before their label begins: a regression that looks back would close them late."""

CLOSED_WEIGHT = 2.0
"""Of steps with closed lips, which are rare, in the regression's entropy."""

RIDGE_PENALTY = 0.005
"""Of the squares of its weights, for inputs of unit variance."""


def add_closure_classifier(weights: Weights, folder: Path) -> Weights:
    """A network's weights, and beside them those that read lips, from clips that it did not learn from."""
    rows, together = make_closure_data(
        load_clips(folder), partial(predict, weights), np.random.default_rng(0)
    )
    return {**weights, **fit_closure_classifier(rows, together)}


def make_closure_data(
    clips: list[Clip], predictor: Predictor, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """What an `ear` hears of clips, as `Lips` sees it, [steps, READ * 21], and whether lips are together, [steps]."""
    augmenter = Augmenter(random=random, others=[clip.samples for clip in clips])
    rows, together = [], []
    for clip in clips:
        shut = np.zeros(-(-len(clip.samples) // STEP_SAMPLES), np.float32)
        for first, last in list_closures(clip):
            shut[max(first - EARLY_STEPS, 0) : last] = 1.0
        for sound in (clip.samples, *(augmenter.degrade(clip.samples) for _ in range(DEGRADED_COPIES))):
            rows.append(ClosureClassifier().stack_recent_odds(predictor(sound)[:, : CONTROL_COLUMNS.stop]))
            together.append(shut)
    return np.concatenate(rows), np.concatenate(together)


def fit_closure_classifier(rows: Floats, together: Floats) -> Weights:
    """The regression's weights by name, from what is heard [steps, inputs] and whether lips are together [steps]."""
    heard, closed = torch.from_numpy(rows), torch.from_numpy(together)
    mean, spread = heard.mean(0), heard.std(0) + 1e-2
    seen = (heard - mean) / spread
    weight, bias = torch.zeros(seen.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer: Any = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def compute_loss() -> Any:
        optimizer.zero_grad()
        said = seen @ weight + bias
        entropy = functional.binary_cross_entropy_with_logits(
            said, closed, pos_weight=torch.tensor(CLOSED_WEIGHT)
        )
        total: Any = entropy + RIDGE_PENALTY * (weight**2).sum()
        total.backward()
        return total

    optimizer.step(compute_loss)
    weight, bias = weight.detach() / spread, bias.detach()
    return {"lips.weight": weight[:, None], "lips.bias": bias - (mean * weight).sum()}

"""Train the articulation network on lessons and write its weights."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray
from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
from training.articulation.dataset import Run, draw
from training.articulation.lesson import MOVED, SAID, SOUNDED, Lesson
from training.articulation.network import TEACHING, Weights, fresh_weights, say, understand

from liveavatar.speech.articulation import DELAY, PAIR
from liveavatar.speech.features import BANDS
from liveavatar.speech.packed import save_packed
from liveavatar.speech.track import CONTROLS, VISEMES

WINDOW, WARM_UP = 512, 112
"""Steps of a training window, and how many at its beginning only lend context."""

BATCH = 8
PIECE, REUSE = 1200, 2
"""Lessons damaged at a time, and how often they are gone through, in other windows."""

HEARD = {
    "kokoro": 3.0, "real": 2.0, "people:syllables": 3.0, "people:fishes": 0.35, "people": 0.5, "espeak": 0.3,
    "flite": 0.3, "piper": 2.0, "game:sky": 1.5, "game:queen": 1.0, "game:drascula-": 0.8, "game:drascula": 1.5,
    "game:hedgewars-": 2.0, "game:hedgewars": 3.0, "game:warzone": 3.0, "game:klettres": 1.5, "game:ktuberling": 3.0,
}  # fmt: skip
"""How often the lessons of each source are drawn, one beside another; the first name that fits counts."""

KEPT = 0.9995
"""Share of a running mean of the weights that stays with every step; the mean is what training yields."""

VISEME_WEIGHTS = {"PP": 1.3, "FF": 1.2}
SOUNDS_WEIGHT = 0.5
"""To tell all sounds of the IPA apart teaches more than the visemes alone do."""

CONTROL_WEIGHTS = {
    "jaw": 10.0,
    "closure": 0.0,
    "rounding": 5.0,
    "spread": 3.0,
    "upper_lip": 5.0,
    "tongue": 2.0,
}
CLOSURE_WEIGHT = 1.6
"""Of the closure's cross entropy; unlike squares it makes the control a probability."""

DOUBT = 0.03
"""Share of every probability to learn that is spread over all classes."""

STRETCH = 0.1
"""The formants of a window move by up to that share (Jaitly and Hinton, Vocal tract length perturbation, 2013)."""


def starts_of(run: Run, random: np.random.Generator) -> NDArray[np.int64]:
    """First steps of windows that cover a run, in random order; outputs lag by DELAY steps."""
    step = WINDOW - WARM_UP
    skip = int(random.integers(step))
    return skip + random.permutation((len(run.seen) - DELAY - skip - WARM_UP) // step) * step


def batch_of(run: Run, starts: NDArray[np.int64], random: np.random.Generator) -> tuple[Any, Any]:
    """Features and surroundings [batch, WINDOW, 144] and what to say [batch, WINDOW - WARM_UP, COLUMNS]."""
    index = starts[:, None] + np.arange(WINDOW)
    seen = stretched(run.seen[index + DELAY].astype(np.float32), random)
    return torch.from_numpy(seen), torch.from_numpy(run.wanted[index[:, WARM_UP:]].astype(np.float32))


def stretched(seen: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Move each window's bands up or down, as a shorter or longer throat does, those of the surroundings too."""
    for window in seen.reshape(*seen.shape[:2], -1, BANDS):
        at = np.clip(np.arange(BANDS) * random.uniform(1 - STRETCH, 1 + STRETCH), 0, BANDS - 1.001)
        low = at.astype(int)
        share = (at - low).astype(np.float32)
        window[:] = window[..., low] * (1 - share) + window[..., low + 1] * share
    return seen


def difference(said: Any, wanted: Any) -> Any:
    """Between logits and what was wanted, both [batch, steps, COLUMNS]: cross entropy of visemes, sounds and closure
    plus weighted squares of the other controls."""
    classes = torch.tensor([VISEME_WEIGHTS.get(name, 1.0) for name in VISEMES])
    importance = torch.tensor([CONTROL_WEIGHTS[name] for name in CONTROLS])
    closure = MOVED.start + CONTROLS.index("closure")
    squares = (torch.sigmoid(said[..., MOVED]) - wanted[..., MOVED]) ** 2
    return (
        _entropy(said[..., SAID], wanted[..., SAID], classes)
        + SOUNDS_WEIGHT * _entropy(said[..., SOUNDED], wanted[..., SOUNDED], torch.ones(1))
        + (importance * squares).mean()
        + CLOSURE_WEIGHT
        * functional.binary_cross_entropy_with_logits(said[..., closure], wanted[..., closure])
    )


def _entropy(said: Any, wanted: Any, classes: Any) -> Any:
    shares = ((1 - DOUBT) * wanted + DOUBT / wanted.shape[-1]) * classes
    return -(torch.log_softmax(said, -1) * shares).sum() / shares.sum()


def all_said(weights: Weights, seen: Any) -> Any:
    """Logits [batch, WINDOW - WARM_UP, COLUMNS]."""
    with torch.autocast("cpu", torch.bfloat16):
        understood = understand(weights, seen)[:, WARM_UP // PAIR :]
        return torch.cat([say(weights, name, understood).float() for name in ("last", TEACHING)], -1)


def shares_of(lessons: list[Lesson]) -> NDArray[np.float64]:
    """How often to draw each lesson."""
    return np.array(
        [
            next(share for name, share in HEARD.items() if lesson.speaker.startswith(name))
            for lesson in lessons
        ]
    )


def train(
    lessons: list[Lesson], pieces: int, rate: float, seed: int, start: Weights | None = None
) -> Weights:
    """Go through so many pieces of PIECE lessons each, from `start` or from nothing; the learning rate rises to `rate`
    over 300 batches and falls along a cosine. The mean of the last weights."""
    begun, random = start or fresh_weights(seed), np.random.default_rng(seed)
    weights = {name: tensor.detach().clone().requires_grad_() for name, tensor in begun.items()}
    mean = {name: tensor.detach().clone() for name, tensor in weights.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=rate, weight_decay=0.01)
    shares, done, began = shares_of(lessons), 0, time.monotonic()
    for i in range(pieces):
        run, losses = draw(lessons, shares, PIECE, random), []
        starts = [starts_of(run, random) for _ in range(REUSE)]
        batches = [part for order in starts for part in np.array_split(order, len(order) // BATCH)]
        for k, batch in enumerate(batches):
            along = (i + k / len(batches)) / pieces
            pace = min(1.0, done / 300 + 0.01) * max(0.003, 0.5 * (1 + np.cos(np.pi * along)))
            optimizer.param_groups[0]["lr"] = rate * pace
            losses.append(_learn(weights, optimizer, *batch_of(run, batch, random)))
            done += 1
            _keep(mean, weights, min(KEPT, (done + 1) / (done + 10)))
        print(
            f"piece {i + 1}/{pieces}  loss {np.mean(losses):.4f}  {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return mean


def _learn(weights: Weights, optimizer: Any, seen: Any, wanted: Any) -> float:
    """One step; the loss."""
    loss = difference(all_said(weights, seen), wanted)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
    optimizer.step()
    return float(loss.item())


def _keep(mean: Weights, weights: Weights, share: float) -> None:
    """Move the running mean towards the weights."""
    with torch.no_grad():
        for name, tensor in weights.items():
            mean[name].lerp_(tensor, 1 - share)


def mean_of(*ends: Weights) -> Weights:
    """The mean of the weights at which courses of learning ended, each going on from the one before: it tells more than
    any of them (M. Wortsman et al., Model soups, 2022)."""
    return {name: torch.stack([end[name] for end in ends]).mean(0) for name in ends[0]}


def write(path: Path, weights: Weights) -> None:
    """Without the layer that was only there to learn with."""
    shipped = {name: tensor for name, tensor in weights.items() if not name.startswith(TEACHING)}
    save_packed(path, {name: tensor.detach().numpy() for name, tensor in shipped.items()})

"""Train the articulation network on clips and write its weights."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray
from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
from training.articulation.corpus import Clip
from training.articulation.dataset import Example, epoch, join
from training.articulation.network import TEACHING, Weights, fresh_weights, say, understand

from liveavatar.speech.articulation import DELAY, PAIR
from liveavatar.speech.track import CONTROLS, VISEMES

WINDOW, WARM_UP = 464, 88
"""Steps of a training window, and how many at its beginning only lend context."""

BATCH = 6
REUSE = 4
"""Epochs for which a damaged copy of the corpus is used, in other windows and behind other masks."""

HEARD = {"kokoro": 4.0, "real": 2.0, "people": 0.5}
"""How often an epoch brings each clip of a source, on average; the others once."""

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
CLOSURE_WEIGHT = 0.8
"""Of the closure's cross entropy; unlike squares it makes the control a probability."""

MASKS = 2
"""Bands hidden from each window: runs of up to MASKED bands."""

MASKED = 6
STRETCH = 0.1
"""The formants of a window move by up to that share (Jaitly and Hinton, Vocal tract length perturbation, 2013)."""


def windows(example: Example, random: np.random.Generator) -> list[Any]:
    """Features, visemes, sounds and controls cut into windows [count, WINDOW, …]; outputs lag by DELAY steps."""
    step = WINDOW - WARM_UP
    offset = int(random.integers(step))
    count = (len(example.seen) - DELAY - offset - WARM_UP) // step
    index = offset + np.arange(count)[:, None] * step + np.arange(WINDOW)
    seen = masked(stretched(example.seen[index + DELAY], random), random)
    parts = (seen, example.visemes[index], example.sounds[index], example.controls[index])
    return [torch.from_numpy(np.ascontiguousarray(part)) for part in parts]


def stretched(seen: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Move each window's bands up or down, as a shorter or longer throat does."""
    bands = seen.shape[2]
    for window in seen:
        at = np.clip(np.arange(bands) * random.uniform(1 - STRETCH, 1 + STRETCH), 0, bands - 1.001)
        low = at.astype(int)
        share = (at - low).astype(np.float32)
        window[:] = window[:, low] * (1 - share) + window[:, low + 1] * share
    return seen


def masked(seen: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Hide a few runs of bands behind their mean (SpecAugment, Park et al. 2019)."""
    for window in seen:
        for _ in range(MASKS):
            width = int(random.integers(MASKED + 1))
            at = int(random.integers(window.shape[1] - width))
            window[:, at : at + width] = window.mean()
    return seen


def loss_of(weights: Weights, seen: Any, visemes: Any, sounds: Any, controls: Any) -> Any:
    """Cross entropy of visemes, sounds and closure plus weighted squares of the other controls."""
    with torch.autocast("cpu", torch.bfloat16):
        understood = understand(weights, seen)[:, WARM_UP // PAIR :]
        last, heard = (say(weights, name, understood).float() for name in ("last", TEACHING))
    logits, raised = last[..., : len(VISEMES)], last[..., len(VISEMES) :]
    wanted = controls[:, WARM_UP:]
    importance = torch.tensor([CONTROL_WEIGHTS[name] for name in CONTROLS])
    closure = CONTROLS.index("closure")
    classes = torch.tensor([VISEME_WEIGHTS.get(name, 1.0) for name in VISEMES])
    return (
        _entropy(logits, visemes, classes)
        + SOUNDS_WEIGHT * _entropy(heard, sounds)
        + (importance * (torch.sigmoid(raised) - wanted) ** 2).mean()
        + CLOSURE_WEIGHT
        * functional.binary_cross_entropy_with_logits(raised[..., closure], wanted[..., closure])
    )


def _entropy(logits: Any, classes: Any, weight: Any = None) -> Any:
    return functional.cross_entropy(
        logits.flatten(0, 1), classes[:, WARM_UP:].flatten(), weight, label_smoothing=0.05
    )


def epochs(clips: list[Clip], count: int, seed: int) -> Iterator[Example]:
    """Damaged copies of the corpus, each used REUSE times."""
    for i in range(-(-count // REUSE)):
        random = np.random.default_rng([seed, i])
        shares = np.array([HEARD.get(clip.speaker.split(":")[0], 1.0) for clip in clips])
        often = np.floor(shares + random.random(len(clips))).astype(int)
        damaged = join(
            list(epoch([clips[k] for k in np.repeat(np.arange(len(clips)), often)], 1000 * seed + i))
        )
        yield from [damaged] * min(REUSE, count - i * REUSE)


def train(clips: list[Clip], count: int, rate: float, start: Weights | None, seed: int) -> Weights:
    """Run `count` epochs from `start`, which stays as it is, or from nothing; the learning rate rises to `rate` over
    the first hundredth and falls along a cosine."""
    weights, random = fresh_weights(seed), np.random.default_rng(seed)
    if start:
        weights = {name: tensor.detach().clone().requires_grad_() for name, tensor in start.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=rate, weight_decay=0.01)
    done, began = 0, time.monotonic()
    for i, example in enumerate(epochs(clips, count, seed)):
        parts = windows(example, random)
        batches = np.array_split(random.permutation(len(parts[0])), max(1, len(parts[0]) // BATCH))
        total, losses = count * len(batches), []
        for batch in batches:
            pace = min(1.0, done / (0.01 * total + 1)) * 0.5 * (1 + np.cos(np.pi * min(1.0, done / total)))
            optimizer.param_groups[0]["lr"] = rate * max(pace, 0.01)
            loss = loss_of(weights, *(part[batch] for part in parts))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            done += 1
        print(
            f"epoch {i + 1}/{count}  loss {np.mean(losses):.4f}  {time.monotonic() - began:.0f} s", flush=True
        )
    return weights


def write(path: Path, weights: Weights) -> None:
    """Half precision, no pickle, without the layer that was only there to learn with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shipped = {name: tensor for name, tensor in weights.items() if not name.startswith(TEACHING)}
    np.savez(path, **{name: tensor.detach().numpy().astype(np.float16) for name, tensor in shipped.items()})

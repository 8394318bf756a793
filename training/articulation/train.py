"""Train the articulation network on a corpus and write its weights.

python -m training.articulation.train CORPUS -o src/liveavatar/speech/assets/articulation.npz
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray
from training.articulation.corpus import Clip
from training.articulation.dataset import Example, epoch, join, load_clips
from training.articulation.network import Weights, forward, fresh_weights

from liveavatar.speech.articulation import DELAY
from liveavatar.speech.track import CONTROLS, VISEMES

WINDOW, WARM_UP = 448, 72
"""Steps of a training window, and how many at its beginning only lend context."""

BATCH = 6
REUSE = 2
"""Epochs for which a damaged copy of the corpus is used, in other windows and behind other masks."""

LEARNING_RATE = 2e-3
POLISH_RATE = 1.2e-3
"""For going on with a network that is nearly there."""

VISEME_WEIGHTS = {"PP": 1.3, "FF": 1.2}
CONTROL_WEIGHTS = {
    "jaw": 10.0,
    "closure": 10.0,
    "rounding": 5.0,
    "spread": 3.0,
    "upper_lip": 5.0,
    "tongue": 2.0,
}
CLOSED_WEIGHT = 1.0
"""How much more a step counts for the closure control when the lips are together: with 1, the control passes a half
where a closure is a third likely. Closures must be reached."""

MASKS = 2
"""Bands hidden from each window: runs of up to MASKED bands."""

MASKED = 6


def windows(example: Example, random: np.random.Generator) -> list[Any]:
    """Features, classes and controls cut into windows [count, WINDOW, …]; outputs lag by DELAY steps."""
    step = WINDOW - WARM_UP
    offset = int(random.integers(step))
    count = (len(example.seen) - DELAY - offset - WARM_UP) // step
    index = offset + np.arange(count)[:, None] * step + np.arange(WINDOW)
    parts = (masked(example.seen[index + DELAY], random), example.visemes[index], example.controls[index])
    return [torch.from_numpy(np.ascontiguousarray(part)) for part in parts]


def masked(seen: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Hide a few runs of bands behind their mean (SpecAugment, Park et al. 2019)."""
    for window in seen:
        for _ in range(MASKS):
            width = int(random.integers(MASKED + 1))
            at = int(random.integers(window.shape[1] - width))
            window[:, at : at + width] = window.mean()
    return seen


def loss_of(weights: Weights, seen: Any, visemes: Any, controls: Any) -> Any:
    """Cross entropy of the visemes plus weighted squares of the controls."""
    logits, raised = (out[:, WARM_UP:] for out in forward(weights, seen))
    classes = torch.tensor([VISEME_WEIGHTS.get(name, 1.0) for name in VISEMES])
    entropy = torch.nn.functional.cross_entropy(
        logits.reshape(-1, len(VISEMES)), visemes[:, WARM_UP:].reshape(-1), classes, label_smoothing=0.05
    )
    wanted = controls[:, WARM_UP:]
    importance = torch.tensor([CONTROL_WEIGHTS[name] for name in CONTROLS]).expand_as(wanted).clone()
    closure = CONTROLS.index("closure")
    importance[..., closure] *= 1.0 + CLOSED_WEIGHT * wanted[..., closure]
    return entropy + (importance * (torch.sigmoid(raised) - wanted) ** 2).mean()


def epochs(clips: list[Clip], count: int, seed: int) -> Iterator[Example]:
    """Damaged copies of the corpus, each used REUSE times while the next is in the making."""
    fresh = -(-count // REUSE)
    with ProcessPoolExecutor(1, initializer=_share, initargs=(clips,)) as pool:
        upcoming = pool.submit(_one_epoch, 1000 * seed)
        for i in range(fresh):
            ready = upcoming.result()
            if i + 1 < fresh:
                upcoming = pool.submit(_one_epoch, 1000 * seed + i + 1)
            yield from [ready] * min(REUSE, count - i * REUSE)


_SHARED: list[Clip] = []


def _share(clips: list[Clip]) -> None:
    _SHARED[:] = clips


def _one_epoch(seed: int) -> Example:
    return join(list(epoch(_SHARED, seed)))


def train(clips: list[Clip], count: int, start: Weights | None, rate: float, seed: int) -> Weights:
    """Run `count` epochs; the learning rate rises over the first hundredth and falls along a cosine."""
    weights, random = start or fresh_weights(seed), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(weights.values(), lr=rate, weight_decay=0.01)
    done, began = 0, time.monotonic()
    for i, example in enumerate(epochs(clips, count, seed)):
        seen, visemes, controls = windows(example, random)
        batches = np.array_split(random.permutation(len(seen)), max(1, len(seen) // BATCH))
        total, losses = count * len(batches), []
        for batch in batches:
            pace = min(1.0, done / (0.01 * total + 1)) * 0.5 * (1 + np.cos(np.pi * min(1.0, done / total)))
            optimizer.param_groups[0]["lr"] = rate * max(pace, 0.01)
            loss = loss_of(weights, seen[batch], visemes[batch], controls[batch])
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
    """Half precision, no pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: tensor.detach().numpy().astype(np.float16) for name, tensor in weights.items()})


def read(path: Path) -> Weights:
    """What `write` wrote, to go on training."""
    with np.load(path, allow_pickle=False) as data:
        return {name: torch.from_numpy(data[name].astype(np.float32)).requires_grad_() for name in data.files}


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=LEARNING_RATE, help="highest learning rate")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and damage")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = read(options.start) if options.start else None
    write(
        options.output,
        train(load_clips(options.corpus / "train"), options.epochs, start, options.rate, options.seed),
    )


if __name__ == "__main__":
    main()

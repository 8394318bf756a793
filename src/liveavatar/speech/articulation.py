"""A small causal network from log-mel features to mouth shapes, in numpy.

A stack of dilated convolutions in time with residual connections (after WaveNet, van den Oord et al. 2016, without its
gates). It sees only the past; its look-ahead is a delay: what it says on hearing step k is about step k - DELAY.
The weights are made by training/articulation; see assets/README.md.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from liveavatar.speech.features import BANDS, SILENT
from liveavatar.speech.track import CONTROLS, VISEMES

BLOCK = 8
"""Steps that are computed together. A step always has the same place in its block, so its bits do not
depend on how the sound arrived."""

DELAY = 9
"""Steps of look-ahead."""

BELL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""What is said is smoothed over five steps: mouths have mass."""

FIRST_TAPS, TAPS = 5, 3
DILATIONS = (1, 2, 4, 8, 16, 4)
"""Steps between the taps of each residual layer."""

SETTLED = (0.25, 0.6)
"""What the network says of closure hedges between neighbours that sound alike; a mouth cannot."""

PAST = 80
"""Steps back that all layers reach together, up to a whole block."""

Rows = NDArray[np.float32]


@cache
def load_weights() -> dict[str, Rows]:
    """The shipped weights by name, shared by all streams."""
    path = files("liveavatar.speech") / "assets" / "articulation.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return {name: data[name].astype(np.float32) for name in data.files}


class Layer:
    """`rows @ weight + bias` over this row and earlier ones, oldest first; remembers the rows it needs."""

    def __init__(self, weight: Rows, bias: Rows, taps: int = 1, dilation: int = 1) -> None:
        self._weight, self._bias = weight, bias
        self._reach = (taps - 1) * dilation
        self._starts = range(0, self._reach + 1, dilation)
        self._rows = np.zeros((self._reach + BLOCK, len(weight) // taps), np.float32)

    def __call__(self, block: Rows, new: slice) -> Rows:
        """A block of 8 rows of which only `new` are new and meant; a block's earlier rows came before."""
        self._rows[self._reach + new.start : self._reach + new.stop] = block[new]
        seen = np.concatenate([self._rows[start : start + BLOCK] for start in self._starts], axis=1)
        if new.stop == BLOCK:
            self._rows[: self._reach] = self._rows[BLOCK:].copy()
        return np.asarray(seen @ self._weight + self._bias, np.float32)


class ArticulationStream:
    """Visemes and controls of one stream of features."""

    def __init__(self) -> None:
        weights = load_weights()

        def layer(name: str, taps: int = 1, dilation: int = 1) -> Layer:
            return Layer(weights[f"{name}.weight"], weights[f"{name}.bias"], taps, dilation)

        self._block = np.zeros((BLOCK, BANDS), np.float32)
        self._first = layer("first", FIRST_TAPS)
        self._wide = [layer(f"wide{i}", TAPS, dilation) for i, dilation in enumerate(DILATIONS)]
        self._mix = [layer(f"mix{i}") for i in range(len(DILATIONS))]
        self._last = layer("last")
        said = len(weights["last.bias"])
        self._bell = Layer(
            np.kron(np.array(BELL)[:, None], np.eye(said)).astype(np.float32),
            np.zeros(said, np.float32),
            len(BELL),
        )
        for _ in range(PAST // BLOCK):  # before the first sound there was silence
            self.push(np.full((BLOCK, BANDS), SILENT, np.float32), 0)

    def push(self, seen: Rows, place: int) -> tuple[Rows, Rows]:
        """Relative log-mel [n, 48] of steps from `place` in their block on, to visemes [n, 15] and controls
        [n, 6] of the steps DELAY earlier."""
        new = slice(place, place + len(seen))
        self._block[new] = seen
        x = np.maximum(self._first(self._block, new), 0.0)
        for wide, mix in zip(self._wide, self._mix, strict=True):
            x = x + mix(np.maximum(wide(x, new), 0.0), new)
        out = self._bell(self._last(np.maximum(x, 0.0), new), new)
        return softmax(out[:, : len(VISEMES)])[new], settle_closure(sigmoid(out[:, len(VISEMES) :]))[new]


def settle_closure(controls: Rows) -> Rows:
    """Lips that are likely to close do close: the control rises in an S from 0 at the first value of SETTLED to 1."""
    low, high = SETTLED
    at = CONTROLS.index("closure")
    rise = np.clip((controls[:, at] - low) / (high - low), 0.0, 1.0)
    settled = controls.copy()
    settled[:, at] = rise * rise * (3.0 - 2.0 * rise)
    return settled


def softmax(logits: Rows) -> Rows:
    """Rows that add up to 1."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def sigmoid(logits: Rows) -> Rows:
    """0…1."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float32)

"""A small causal network from log-mel features to mouth shapes, in numpy.

Pairs of steps go through a stack of dilated convolutions in time with residual connections (after WaveNet, van den
Oord et al. 2016, without its gates). It sees only the past; its look-ahead is a delay: what it says on hearing steps
k and k + 1 is about steps k - DELAY and k + 1 - DELAY. The weights are made by training/articulation; see
assets/README.md.
"""

from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from liveavatar.speech.features import BANDS, SILENT, times
from liveavatar.speech.track import CONTROLS, VISEMES

PAIR = 2
"""Steps heard, and said, at a time: the network runs at 50 Hz."""

DELAY = 10
"""Steps of look-ahead, beside the other one of the pair."""

BELL = (0.25, 0.5, 0.25)
"""What is said is smoothed over three steps: mouths have mass."""

TAPS = 3
DILATIONS = (1, 2, 4, 8, 4, 2)
"""Pairs between the taps of each residual layer."""

PAST = (TAPS - 1) * (1 + sum(DILATIONS)) + len(BELL) // PAIR
"""Pairs back that all layers reach together."""

SETTLED = (0.3, 0.6)
"""What the network says of closure hedges between neighbours that sound alike; a mouth cannot. Halfway between these
it is wrong about as often in claiming closures as in missing them, for speakers that it was not trained on."""

Rows = NDArray[np.float32]


@cache
def load_weights() -> dict[str, Rows]:
    """The shipped weights by name, shared by all streams."""
    path = files("liveavatar.speech") / "assets" / "articulation.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return {name: data[name].astype(np.float32) for name in data.files}


@lru_cache(maxsize=64)
def _rows_seen(count: int, dilation: int) -> NDArray[np.int64]:
    """Numbers of the rows that each of `count` rows is computed from, [count, TAPS]."""
    return np.arange(count)[:, None] + np.arange(TAPS) * dilation


class Layer:
    """A convolution over this row and earlier ones, oldest first; remembers the rows it needs."""

    def __init__(self, weight: Rows, bias: Rows, dilation: int) -> None:
        self._weight, self._bias = weight, bias
        self._before = np.zeros(((TAPS - 1) * dilation, len(weight) // TAPS), np.float32)
        self._dilation = dilation

    def __call__(self, rows: Rows) -> Rows:
        """The next rows [n, width]."""
        known = np.concatenate([self._before, rows])
        self._before = known[len(rows) :]
        seen = known.take(_rows_seen(len(rows), self._dilation), axis=0).reshape(len(rows), -1)
        out = times(seen, self._weight)
        out += self._bias
        return np.maximum(out, 0.0, out=out)


class ArticulationStream:
    """Visemes and controls of one stream of features."""

    hop = PAIR
    delay = DELAY

    def __init__(self) -> None:
        weights = load_weights()

        def layer(name: str, dilation: int) -> Layer:
            return Layer(weights[f"{name}.weight"], weights[f"{name}.bias"], dilation)

        self._first = layer("first", 1)
        self._wide = [layer(f"wide{i}", dilation) for i, dilation in enumerate(DILATIONS)]
        self._mix = [(weights[f"mix{i}.weight"], weights[f"mix{i}.bias"]) for i in range(len(DILATIONS))]
        self._last = weights["last.weight"], weights["last.bias"]
        self._said = np.zeros((len(BELL) - 1, len(VISEMES) + len(CONTROLS)), np.float32)
        self.push(
            np.full((PAIR * PAST, BANDS), SILENT, np.float32)
        )  # before the first sound there was silence

    def push(self, seen: Rows, _sound: Rows | None = None, /) -> tuple[Rows, Rows]:
        """Relative log-mel [n, 48] of whole pairs of steps, which is all it hears, to visemes [n, 15] and controls
        [n, 6] of the steps DELAY earlier."""
        x = self._first(seen.reshape(-1, PAIR * BANDS))
        for wide, (weight, bias) in zip(self._wide, self._mix, strict=True):
            x = x + times(wide(x), weight)
            x += bias
        out = times(np.maximum(x, 0.0), self._last[0])
        out += self._last[1]
        out = self._smooth(out.reshape(len(seen), -1))
        visemes, controls = softmax(out[:, : len(VISEMES)]), sigmoid(out[:, len(VISEMES) :])
        return visemes, settle_closure(visemes, controls)

    def _smooth(self, out: Rows) -> Rows:
        known = np.concatenate([self._said, out])
        self._said = known[len(out) :]
        early, here, late = (known[i : i + len(out)] * share for i, share in enumerate(BELL))
        return np.asarray(early + here + late, np.float32)


def settle_closure(visemes: Rows, controls: Rows) -> Rows:
    """Lips that are likely to close do close: the control rises in an S from 0 to 1 between the values of SETTLED.
    How likely, both the control and the viseme tell."""
    low, high = SETTLED
    at = CONTROLS.index("closure")
    likely = 0.5 * (controls[:, at] + visemes[:, VISEMES.index("PP")])
    rise = np.minimum(np.maximum((likely - low) / (high - low), 0.0), 1.0)
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

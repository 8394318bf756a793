"""A small causal network from log-mel features to mouth shapes, in numpy.

Pairs of steps go through a stack of residual layers. Each looks at every channel's own course over a few earlier
pairs, then mixes the channels through a wide layer and back (separable convolutions in time, after S. Kriman et al.,
QuartzNet, 2019, and Z. Liu et al., A ConvNet for the 2020s, 2022). It sees only the past; its look-ahead is a delay:
what it says on hearing steps k and k + 1 is about steps k - DELAY and k + 1 - DELAY. The weights are made by
training/articulation; see assets/README.md.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.speech.features import BANDS, Surroundings, before, times
from liveavatar.speech.packed import load_packed
from liveavatar.speech.track import CONTROLS, VISEMES

PAIR = 2
"""Steps heard, and said, at a time: the network runs at 50 Hz."""

DELAY = 10
"""Steps of look-ahead, beside the other one of the pair."""

BELL = (0.25, 0.5, 0.25)
"""What is said is smoothed over three steps: mouths have mass."""

HEARD = 3
"""Pairs that the first layer hears at once."""

TAPS = 5
DILATIONS = (1, 1, 2, 4, 4, 2, 1)
"""Pairs between the taps of each residual layer."""

PAST = (HEARD - 1) + (TAPS - 1) * sum(DILATIONS) + len(BELL) // PAIR
"""Pairs back that all layers reach together."""

READ = 5
"""Steps from which lips are read: this one and those before it."""

LEAST = 1e-3
"""Nothing is taken for less likely than this, nor for more likely than all the rest."""

SETTLED = (0.37, 0.65)
"""How likely closure is hedges between neighbours that sound alike; a mouth cannot. Halfway between these it is wrong
about as often in claiming closures as in missing them, for speakers that it was not trained on."""

APPROACH = 0.45
"""How far lips come towards each other before they close and after, of the course that the network says; less than
halfway, so that what it hedges does not look shut."""

SILENT = (0.4, 0.6)
"""Between these likelihoods of silence a mouth comes to count as one that does not speak."""

AJAR = 0.25
"""How far doubt of silence opens a jaw: rather less than the 0.33 to 0.39 of speech, so that mouths still open ahead
of it."""

Rows = NDArray[np.float32]


@cache
def load_weights() -> dict[str, Rows]:
    """The shipped weights by name, shared by all streams."""
    return load_packed("articulation.safetensors")


class Past:
    """The rows that a convolution reaches back to."""

    def __init__(self, taps: int, dilation: int, width: int) -> None:
        self._before = np.zeros(((taps - 1) * dilation, width), np.float32)
        self._taps, self._dilation = taps, dilation

    def beside(self, rows: Rows) -> Rows:
        """The next rows [n, width], each behind the earlier ones that are heard with it, oldest first,
        [n, taps, width]."""
        known = np.concatenate([self._before, rows])
        self._before = known[len(rows) :]
        size = known.strides[0]
        # a view by hand: numpy's sliding windows take ten times as long to make
        return np.ndarray(
            (len(rows), self._taps, rows.shape[1]),
            np.float32,
            known,
            0,
            (size, size * self._dilation, known.itemsize),
        )


class Layer:
    """One residual layer of a stream."""

    def __init__(self, weights: dict[str, Rows], number: int, dilation: int) -> None:
        self._kernel = weights[f"taps{number}"]
        self._wide, self._mix = (
            (weights[f"{name}{number}.weight"], weights[f"{name}{number}.bias"]) for name in ("wide", "mix")
        )
        self._past = Past(TAPS, dilation, self._kernel.shape[1])

    def __call__(self, rows: Rows) -> Rows:
        """The next rows, [n, width]."""
        courses = np.add.reduce(self._past.beside(rows) * self._kernel, axis=1)
        wide = times(courses, self._wide[0])
        wide += self._wide[1]
        out = times(np.maximum(wide, 0.0, out=wide), self._mix[0])
        out += self._mix[1]
        out += rows
        return out


class ArticulationStream:
    """Visemes and controls of one stream of features."""

    hop = PAIR
    delay = DELAY

    def __init__(self) -> None:
        self._weights = load_weights()
        self._heard = Past(HEARD, 1, PAIR * BANDS)
        self._layers = [Layer(self._weights, i, dilation) for i, dilation in enumerate(DILATIONS)]
        self._said = np.zeros((len(BELL) - 1, len(VISEMES) + len(CONTROLS)), np.float32)
        self._surroundings = Surroundings()
        self._lips = Lips()
        self._began = False

    def push(self, seen: Rows, _sound: Rows | None = None, /) -> tuple[Rows, Rows]:
        """Relative log-mel [n, 48] of whole pairs of steps, which is all it hears, to visemes [n, 15] and controls
        [n, 6] of the steps DELAY earlier."""
        return self._lips.settle(self.hear(seen))

    def hear(self, seen: Rows) -> Rows:
        """The same as it is heard, before the lips settle, [n, 21]."""
        if not self._began:
            self._began = True
            past = before(seen[:1], PAIR * PAST)
            self._say(past[:, :BANDS], past[:, BANDS:])
        return likely(self._say(seen, self._surroundings.follow(seen)))

    def _say(self, seen: Rows, around: Rows) -> Rows:
        """Logits of steps, [n, 21], from their features [n, 48] and `Surroundings` [n, 96]."""
        weights = self._weights
        pairs = self._heard.beside(seen.reshape(-1, PAIR * BANDS))
        x = times(pairs.reshape(len(pairs), -1), weights["first.weight"])
        x += times(around[PAIR - 1 :: PAIR], weights["around.weight"])
        x += weights["first.bias"]
        np.maximum(x, 0.0, out=x)
        for layer in self._layers:
            x = layer(x)
        out = times(np.maximum(x, 0.0), weights["last.weight"])
        out += weights["last.bias"]
        return self._smooth(out.reshape(len(seen), -1))

    def _smooth(self, out: Rows) -> Rows:
        known = np.concatenate([self._said, out])
        self._said = known[len(out) :]
        early, here, late = (known[i : i + len(out)] * share for i, share in enumerate(BELL))
        return np.asarray(early + here + late, np.float32)


def likely(said: Rows) -> Rows:
    """Logits of visemes and controls [n, 21] to how likely they are."""
    return np.concatenate([softmax(said[:, : len(VISEMES)]), sigmoid(said[:, len(VISEMES) :])], axis=1)


class Lips:
    """Reads off what one stream hears whether its lips are together.

    The network learns when lips begin to close, and hedges. Here a logistic regression on the odds of all that it says,
    lately, tells how likely they are together; it is fitted to speakers that the network was not trained on
    (training/articulation/lips.py)."""

    def __init__(self) -> None:
        self._past: Past | None = None

    def settle(self, heard: Rows) -> tuple[Rows, Rows]:
        """Visemes [n, 15] and controls [n, 6] of the next steps of what is `likely`, [n, 21], with lips that are open
        or shut, and shut in silence."""
        visemes, controls = heard[:, : len(VISEMES)], heard[:, len(VISEMES) :].copy()
        jaw, closure = CONTROLS.index("jaw"), CONTROLS.index("closure")
        controls[:, jaw] = settle_jaw(visemes, controls[:, jaw])
        shut = smoothstep(self._together(heard), *SETTLED)
        controls[:, closure] = np.maximum(APPROACH * controls[:, closure], shut)
        return visemes, controls

    def _together(self, heard: Rows) -> Rows:
        """How likely lips are together, [n]."""
        weights = load_weights()
        return sigmoid(times(self.lately(heard), weights["lips.weight"])[:, 0] + weights["lips.bias"])

    def lately(self, heard: Rows) -> Rows:
        """The odds of what the next steps hear, behind those of the steps before, [n, READ * 21]."""
        now = odds(heard)
        if self._past is None:
            self._past = Past(READ, 1, now.shape[1])
            self._past.beside(np.repeat(now[:1], READ - 1, axis=0))
        return self._past.beside(now).reshape(len(now), -1)


def odds(heard: Rows) -> Rows:
    """Logarithms of the odds of what is so likely, [n, 21]."""
    kept = np.minimum(np.maximum(heard, LEAST), 1.0 - LEAST)
    return np.asarray(np.log(kept / (1.0 - kept)), np.float32)


def settle_jaw(visemes: Rows, jaw: Rows) -> Rows:
    """A network that doubts that nobody speaks opens the mouth by its doubt; a silent mouth does not hang ajar. What
    is left, [n], is how far it opens for the sound to come."""
    silence = visemes[:, VISEMES.index("sil")]
    doubt = AJAR * (1.0 - silence) * smoothstep(silence, *SILENT)
    return np.asarray(np.maximum(jaw - doubt, 0.0), np.float32)


def smoothstep(value: Rows, low: float, high: float) -> Rows:
    """An S from 0 to 1 between two values."""
    along = np.minimum(np.maximum((value - low) / (high - low), 0.0), 1.0)
    return np.asarray(along * along * (3.0 - 2.0 * along), np.float32)


def softmax(logits: Rows) -> Rows:
    """Rows that add up to 1."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def sigmoid(logits: Rows) -> Rows:
    """0…1."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float32)

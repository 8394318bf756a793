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

from liveavatar.audio.dsp.windows import stack_taps
from liveavatar.speech.features import MEL_BANDS, NoiseFloorTracker, make_initial_context, matmul_rowwise
from liveavatar.speech.models.quantised_weights import load_packed_weights
from liveavatar.speech.track import CONTROLS, VISEMES

PAIR_STEPS = 2
"""Steps heard, and said, at a time: the network runs at 50 Hz."""

DELAY_STEPS = 10
"""Steps of look-ahead, beside the other one of the pair."""

SMOOTHING_KERNEL = (0.25, 0.5, 0.25)
"""What is said is smoothed over three steps: mouths have mass."""

INPUT_TAPS = 3
"""Pairs that the first layer hears at once."""

TAPS = 5
DILATIONS = (1, 1, 2, 4, 4, 2, 1)
"""Pairs between the taps of each residual layer."""

RECEPTIVE_FIELD_PAIRS = (INPUT_TAPS - 1) + (TAPS - 1) * sum(DILATIONS) + len(SMOOTHING_KERNEL) // PAIR_STEPS
"""Pairs back that all layers reach together."""

CLOSURE_CONTEXT_STEPS = 5
"""Steps from which lips are read: this one and those before it."""

MIN_PROBABILITY = 1e-3
"""Nothing is taken for less likely than this, nor for more likely than all the rest."""

CLOSURE_THRESHOLDS = (0.37, 0.65)
"""How likely closure is hedges between neighbours that sound alike; a mouth cannot. Halfway between these it is wrong
about as often in claiming closures as in missing them, for speakers that it was not trained on."""

APPROACH_GAIN = 0.45
"""How far lips come towards each other before they close and after, of the course that the network says; less than
halfway, so that what it hedges does not look shut."""

SILENCE_THRESHOLDS = (0.4, 0.6)
"""Between these likelihoods of silence a mouth comes to count as one that does not speak."""

DOUBT_JAW_GAIN = 0.25
"""How far doubt of silence opens a jaw: rather less than the 0.33 to 0.39 of speech, so that mouths still open ahead
of it."""

Rows = NDArray[np.float32]


@cache
def load_articulation_weights() -> dict[str, Rows]:
    """The shipped weights by name, shared by all streams."""
    return load_packed_weights("articulation.safetensors")


class ConvolutionHistory:
    """The rows that a convolution reaches back to."""

    def __init__(self, taps: int, dilation: int, width: int) -> None:
        self._rows = np.zeros(((taps - 1) * dilation, width), np.float32)
        self._taps, self._dilation = taps, dilation

    def gather_taps(self, rows: Rows) -> Rows:
        """The next rows [n, width], each behind the earlier ones that are heard with it, oldest first,
        [n, taps, width]."""
        known = np.concatenate([self._rows, rows])
        self._rows = known[len(rows) :]
        return stack_taps(known, self._taps, dilation=self._dilation)


class ResidualLayer:
    """One residual layer of a stream."""

    def __init__(self, weights: dict[str, Rows], number: int, dilation: int) -> None:
        self._kernel = weights[f"taps{number}"]
        self._wide, self._mix = (
            (weights[f"{name}{number}.weight"], weights[f"{name}{number}.bias"]) for name in ("wide", "mix")
        )
        self._history = ConvolutionHistory(TAPS, dilation, self._kernel.shape[1])

    def __call__(self, rows: Rows) -> Rows:
        """The next rows, [n, width]."""
        courses = np.add.reduce(self._history.gather_taps(rows) * self._kernel, axis=1)
        wide = matmul_rowwise(courses, self._wide[0])
        wide += self._wide[1]
        out = matmul_rowwise(np.maximum(wide, 0.0, out=wide), self._mix[0])
        out += self._mix[1]
        out += rows
        return out


class SmallArticulationModel:
    """Visemes and controls of one stream of features."""

    hop_steps = PAIR_STEPS
    delay_steps = DELAY_STEPS

    def __init__(self) -> None:
        self._weights = load_articulation_weights()
        self._input_history = ConvolutionHistory(INPUT_TAPS, 1, PAIR_STEPS * MEL_BANDS)
        self._layers = [ResidualLayer(self._weights, i, dilation) for i, dilation in enumerate(DILATIONS)]
        self._logit_history = np.zeros((len(SMOOTHING_KERNEL) - 1, len(VISEMES) + len(CONTROLS)), np.float32)
        self._noise_floor = NoiseFloorTracker()
        self._closure_classifier = ClosureClassifier()
        self._has_started = False

    def push(self, relative_mel: Rows, _sound: Rows | None = None, /) -> tuple[Rows, Rows]:
        """Relative log-mel [n, 48] of whole pairs of steps, which is all it hears, to visemes [n, 15] and controls
        [n, 6] of the steps DELAY earlier."""
        return self._closure_classifier.refine_controls(self.predict_probabilities(relative_mel))

    def predict_probabilities(self, relative_mel: Rows) -> Rows:
        """The same as it is heard, before the lips settle, [n, 21]."""
        if not self._has_started:
            self._has_started = True
            past = make_initial_context(relative_mel[:1], PAIR_STEPS * RECEPTIVE_FIELD_PAIRS)
            self._compute_logits(past[:, :MEL_BANDS], past[:, MEL_BANDS:])
        return logits_to_probabilities(
            self._compute_logits(relative_mel, self._noise_floor.track_bands(relative_mel))
        )

    def _compute_logits(self, relative_mel: Rows, floor_and_mean: Rows) -> Rows:
        """Logits of steps, [n, 21], from their features [n, 48] and `Surroundings` [n, 96]."""
        weights = self._weights
        pairs = self._input_history.gather_taps(relative_mel.reshape(-1, PAIR_STEPS * MEL_BANDS))
        x = matmul_rowwise(pairs.reshape(len(pairs), -1), weights["first.weight"])
        x += matmul_rowwise(floor_and_mean[PAIR_STEPS - 1 :: PAIR_STEPS], weights["around.weight"])
        x += weights["first.bias"]
        np.maximum(x, 0.0, out=x)
        for layer in self._layers:
            x = layer(x)
        out = matmul_rowwise(np.maximum(x, 0.0), weights["last.weight"])
        out += weights["last.bias"]
        return self._smooth_logits(out.reshape(len(relative_mel), -1))

    def _smooth_logits(self, logits: Rows) -> Rows:
        known = np.concatenate([self._logit_history, logits])
        self._logit_history = known[len(logits) :]
        early, here, late = (known[i : i + len(logits)] * share for i, share in enumerate(SMOOTHING_KERNEL))
        return np.asarray(early + here + late, np.float32)


def logits_to_probabilities(logits: Rows) -> Rows:
    """Logits of visemes and controls [n, 21] to how likely they are."""
    return np.concatenate([softmax(logits[:, : len(VISEMES)]), sigmoid(logits[:, len(VISEMES) :])], axis=1)


class ClosureClassifier:
    """Reads off what one stream hears whether its lips are together.

    The network learns when lips begin to close, and hedges. Here a logistic regression on the odds of all that it says,
    lately, tells how likely they are together; it is fitted to speakers that the network was not trained on
    (training/articulation/lips.py)."""

    def __init__(self) -> None:
        self._odds_history: ConvolutionHistory | None = None

    def refine_controls(self, probabilities: Rows) -> tuple[Rows, Rows]:
        """Visemes [n, 15] and controls [n, 6] of the next steps of what is `likely`, [n, 21], with lips that are open
        or shut, and shut in silence."""
        visemes, controls = probabilities[:, : len(VISEMES)], probabilities[:, len(VISEMES) :].copy()
        jaw, closure = CONTROLS.index("jaw"), CONTROLS.index("closure")
        controls[:, jaw] = close_silent_jaw(visemes, controls[:, jaw])
        shut = smoothstep_between(self._estimate_closure(probabilities), *CLOSURE_THRESHOLDS)
        controls[:, closure] = np.maximum(APPROACH_GAIN * controls[:, closure], shut)
        return visemes, controls

    def _estimate_closure(self, probabilities: Rows) -> Rows:
        """How likely lips are together, [n]."""
        weights = load_articulation_weights()
        return sigmoid(
            matmul_rowwise(self.stack_recent_odds(probabilities), weights["lips.weight"])[:, 0]
            + weights["lips.bias"]
        )

    def stack_recent_odds(self, probabilities: Rows) -> Rows:
        """The odds of what the next steps hear, behind those of the steps before, [n, READ * 21]."""
        now = to_log_odds(probabilities)
        if self._odds_history is None:
            self._odds_history = ConvolutionHistory(CLOSURE_CONTEXT_STEPS, 1, now.shape[1])
            self._odds_history.gather_taps(np.repeat(now[:1], CLOSURE_CONTEXT_STEPS - 1, axis=0))
        return self._odds_history.gather_taps(now).reshape(len(now), -1)


def to_log_odds(probabilities: Rows) -> Rows:
    """Logarithms of the odds of what is so likely, [n, 21]."""
    kept = np.minimum(np.maximum(probabilities, MIN_PROBABILITY), 1.0 - MIN_PROBABILITY)
    return np.asarray(np.log(kept / (1.0 - kept)), np.float32)


def close_silent_jaw(visemes: Rows, jaw: Rows) -> Rows:
    """A network that doubts that nobody speaks opens the mouth by its doubt; a silent mouth does not hang ajar. What
    is left, [n], is how far it opens for the sound to come."""
    silence = visemes[:, VISEMES.index("sil")]
    doubt = DOUBT_JAW_GAIN * (1.0 - silence) * smoothstep_between(silence, *SILENCE_THRESHOLDS)
    return np.asarray(np.maximum(jaw - doubt, 0.0), np.float32)


def smoothstep_between(value: Rows, low: float, high: float) -> Rows:
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

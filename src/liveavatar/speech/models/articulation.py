"""The default articulation model: a small causal network from log-mel features to mouth shapes, in numpy.

The input is pairs of steps, so the network runs at 50 Hz. A convolution over three pairs is followed by residual
layers: a depthwise convolution over earlier pairs, then two dense layers, 256 to 512 channels and back (after S. Kriman
et al., QuartzNet, 2019, and Z. Liu et al., A ConvNet for the 2020s, 2022). All convolutions are causal; the look-ahead
is a delay: from the input of steps k and k + 1 the network predicts steps k - DELAY_STEPS and k + 1 - DELAY_STEPS.
Numpy, because it is fast enough and the same for any chunks to the bit. The weights come from training/articulation;
see assets/README.md.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.spectral.framing import stack_taps
from liveavatar.speech.features import MEL_BANDS, NoiseFloorTracker, make_initial_context, matmul_rowwise
from liveavatar.speech.models.quantised_weights import load_packed_weights
from liveavatar.speech.track import CONTROLS, VISEMES

PAIR_STEPS = 2
"""Steps in one row of input and output."""

DELAY_STEPS = 10
"""Look-ahead in steps, beside the other step of the pair."""

SMOOTHING_KERNEL = (0.25, 0.5, 0.25)
"""Weights of three steps in the smoothing of the output."""

INPUT_TAPS = 3
"""Pairs that the first convolution reads."""

TAPS = 5
DILATIONS = (1, 1, 2, 4, 4, 2, 1)
"""Distance in pairs between the taps of each residual layer."""

RECEPTIVE_FIELD_PAIRS = (INPUT_TAPS - 1) + (TAPS - 1) * sum(DILATIONS) + len(SMOOTHING_KERNEL) // PAIR_STEPS
"""Earlier pairs that the output depends on."""

CLOSURE_CONTEXT_STEPS = 5
"""Steps that the closure classifier reads: the current one and those before it."""

MIN_PROBABILITY = 1e-3
"""Probabilities are limited to this and to one minus this before their log odds."""

CLOSURE_THRESHOLDS = (0.37, 0.65)
"""Probabilities of closed lips below which lips are open and above which they are closed. Halfway between them false
closures are about as frequent as missed ones, for speakers that are not in the training data."""

APPROACH_GAIN = 0.45
"""Factor of the network's closure control while lips are not closed. Less than one half, so that an uncertain
prediction does not look closed."""

SILENCE_THRESHOLDS = (0.4, 0.6)
"""Probabilities of silence between which the correction of the jaw sets in."""

DOUBT_JAW_GAIN = 0.25
"""Jaw opening for which a doubt of silence of 1 is responsible. Less than the 0.33 to 0.39 of speech, so that mouths
still open ahead of it."""

Rows = NDArray[np.float32]


@cache
def load_articulation_weights() -> dict[str, Rows]:
    """The shipped weights by name, shared by all streams."""
    return load_packed_weights("articulation.safetensors")


class ConvolutionHistory:
    """The earlier rows that a causal convolution needs; zeros before the first."""

    def __init__(self, taps: int, dilation: int, width: int) -> None:
        self._rows = np.zeros(((taps - 1) * dilation, width), np.float32)
        self._taps, self._dilation = taps, dilation

    def gather_taps(self, rows: Rows) -> Rows:
        """The next rows [n, width] with the earlier rows that the convolution reads, oldest first, [n, taps, width]."""
        known = np.concatenate([self._rows, rows])
        self._rows = known[len(rows) :]
        return stack_taps(known, self._taps, dilation=self._dilation)


class ResidualLayer:
    """One residual layer of a stream: depthwise convolution, dense layer, ReLU, dense layer."""

    def __init__(self, weights: dict[str, Rows], number: int, dilation: int) -> None:
        self._kernel = weights[f"taps{number}"]
        self._wide, self._mix = (
            (weights[f"{name}{number}.weight"], weights[f"{name}{number}.bias"]) for name in ("wide", "mix")
        )
        self._history = ConvolutionHistory(TAPS, dilation, self._kernel.shape[1])

    def __call__(self, rows: Rows) -> Rows:
        """The output for the next rows, [n, width] both."""
        convolved = np.add.reduce(self._history.gather_taps(rows) * self._kernel, axis=1)
        wide = matmul_rowwise(convolved, self._wide[0])
        wide += self._wide[1]
        out = matmul_rowwise(np.maximum(wide, 0.0, out=wide), self._mix[0])
        out += self._mix[1]
        out += rows
        return out


class SmallArticulationModel:
    """Visemes and controls of one stream; see `ArticulationModel`."""

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
        """Relative log-mel [n, 48], n even, to visemes [n, 15] and controls [n, 6] of the steps DELAY_STEPS earlier.

        The sound is not used.
        """
        return self._closure_classifier.refine_controls(self.predict_probabilities(relative_mel))

    def predict_probabilities(self, relative_mel: Rows) -> Rows:
        """Visemes and controls as the network predicts them, before the closure classifier, [n, 21]."""
        if not self._has_started:
            self._has_started = True
            context = make_initial_context(relative_mel[:1], PAIR_STEPS * RECEPTIVE_FIELD_PAIRS)
            self._compute_logits(context[:, :MEL_BANDS], context[:, MEL_BANDS:])
        floor_and_mean = self._noise_floor.track_bands(relative_mel)
        return logits_to_probabilities(self._compute_logits(relative_mel, floor_and_mean))

    def _compute_logits(self, relative_mel: Rows, floor_and_mean: Rows) -> Rows:
        """Logits of steps, [n, 21], from relative log-mel [n, 48] and the output of `NoiseFloorTracker` [n, 96]."""
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
    """Logits of visemes and controls to probabilities of visemes and values of controls, [n, 21] both."""
    visemes, controls = logits[:, : len(VISEMES)], logits[:, len(VISEMES) :]
    return np.concatenate([softmax(visemes), sigmoid(controls)], axis=1)


class ClosureClassifier:
    """Decides for one stream whether lips are closed.

    The network learns when lips begin to close, and its closure control is often between open and closed. A logistic
    regression on the log odds of its last outputs gives the probability that lips are closed. It is fitted to
    speakers that are not in the network's training data (training/articulation/closure_classifier.py).
    """

    def __init__(self) -> None:
        self._odds_history: ConvolutionHistory | None = None

    def refine_controls(self, probabilities: Rows) -> tuple[Rows, Rows]:
        """Visemes [n, 15] and controls [n, 6] of the next steps, from the network's output [n, 21].

        Lips are open or closed, and the jaw is closed in silence.
        """
        visemes, controls = probabilities[:, : len(VISEMES)], probabilities[:, len(VISEMES) :].copy()
        jaw, closure = CONTROLS.index("jaw"), CONTROLS.index("closure")
        controls[:, jaw] = close_silent_jaw(visemes, controls[:, jaw])
        closed = smoothstep_between(self._estimate_closure(probabilities), *CLOSURE_THRESHOLDS)
        controls[:, closure] = np.maximum(APPROACH_GAIN * controls[:, closure], closed)
        return visemes, controls

    def _estimate_closure(self, probabilities: Rows) -> Rows:
        """Probability that lips are closed, [n]."""
        weights = load_articulation_weights()
        odds = self.stack_recent_odds(probabilities)
        return sigmoid(matmul_rowwise(odds, weights["lips.weight"])[:, 0] + weights["lips.bias"])

    def stack_recent_odds(self, probabilities: Rows) -> Rows:
        """Log odds of the next steps [n, 21] with those of the steps before, oldest first, [n, 105].

        The first step stands for the steps before it.
        """
        odds = to_log_odds(probabilities)
        if self._odds_history is None:
            self._odds_history = ConvolutionHistory(CLOSURE_CONTEXT_STEPS, 1, odds.shape[1])
            self._odds_history.gather_taps(np.repeat(odds[:1], CLOSURE_CONTEXT_STEPS - 1, axis=0))
        return self._odds_history.gather_taps(odds).reshape(len(odds), -1)


def to_log_odds(probabilities: Rows) -> Rows:
    """log(p / (1 - p)), with p limited by MIN_PROBABILITY."""
    limited = np.minimum(np.maximum(probabilities, MIN_PROBABILITY), 1.0 - MIN_PROBABILITY)
    return np.asarray(np.log(limited / (1.0 - limited)), np.float32)


def close_silent_jaw(visemes: Rows, jaw: Rows) -> Rows:
    """The jaw control [n] without the opening that only comes from doubt of silence.

    A network that is not sure of silence opens the jaw in proportion to its doubt. An opening for the sound that
    follows stays.
    """
    silence = visemes[:, VISEMES.index("sil")]
    doubt = DOUBT_JAW_GAIN * (1.0 - silence) * smoothstep_between(silence, *SILENCE_THRESHOLDS)
    return np.asarray(np.maximum(jaw - doubt, 0.0), np.float32)


def smoothstep_between(value: Rows, low: float, high: float) -> Rows:
    """The smoothstep 3t² - 2t³ from 0 at `low` to 1 at `high`."""
    t = np.minimum(np.maximum((value - low) / (high - low), 0.0), 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def softmax(logits: Rows) -> Rows:
    """Softmax of each row."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def sigmoid(logits: Rows) -> Rows:
    """1 / (1 + exp(-x))."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float32)

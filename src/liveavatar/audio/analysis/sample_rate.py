"""Detects from speech whether a recording was taken at another sample rate than it declares.

Speech played at a wrong rate has a combination of pitch, formants and pace that no speaker has. A network trained on
many voices at many speeds (training/rate) gives a probability for every speed. Priors of the rates in use decide where
that is not enough. The network runs in numpy: it is small, and this way needs no further library.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.analysis.sample_rate_features import (
    FEATURE_COUNT,
    SEGMENT_SAMPLES,
    STEP_COUNT,
    StepFeatures,
    extract_rate_features,
)
from liveavatar.audio.spectral.framing import stack_taps
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

RATE_PRIORS = {8_000: 1.0, 11_025: 0.3, 12_000: 0.15, 16_000: 1.0, 22_050: 0.9, 24_000: 0.9, 32_000: 0.3, 44_100: 1.0,
         48_000: 0.95, 96_000: 0.1}  # fmt: skip
"""The rates in use in Hz, and how common each is relative to the others. They decide which rate replaces a wrong one,
not whether it is wrong. Between 44.1 and 48 kHz, which sound nearly alike, they prefer the first."""

MAX_SEGMENT_COUNT = 30
"""Segments that are analysed: two minutes that are not silent."""

MIN_SEGMENT_SAMPLES = SAMPLE_RATE
"""At 16 kHz: less than a second is not analysed."""

LOG_SPEEDS = np.linspace(-2.0, 2.0, 81)
"""Natural logarithms of the speeds that the network distinguishes. 0 is right, above 0 the voice is too fast."""

LOG_SPEED_TOLERANCE = 0.1
"""Natural logarithm of the ratio up to which two rates cannot be distinguished: 44.1 and 48 kHz are 0.085 apart."""

SUSPECT_LOG_ODDS, SUSPECT_LOG_ODDS_BRIEF = 0.5, 2.3
"""A declared rate counts as wrong from these log odds: the first plus the second over the number of segments. One right
rate in a hundred reaches them: see training/rate/calibrate.py and docs/rate.md."""

SURE_LOG_ODDS_MARGIN, SURE_MIN_CONFIDENCE = 1.5, 0.4
"""Log odds above that, and confidence, from which a voice of ordinary pace excludes the declared rate."""

FAST_SPEECH_SPEED = 1.7
"""Somebody who speaks 1.8 times as fast and five semitones higher sounds so many times too fast, or little less."""

PROBABILITY_FLOOR = 1e-9
"""Keeps the logarithm of a probability finite."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateGuess:
    """The sample rate of a recording as detected from its sound. Rates are in Hz."""

    declared_rate: int
    """As the container says."""
    likely_rate: int
    """The rate that the samples were probably taken at; `declared_rate` unless the odds are against it."""
    ratio: float
    """`likely_rate / declared_rate`: below 1 the recording sounds too fast, above 1 too slow."""
    confidence: float
    """Probability, 0…1, that the true rate is `likely_rate` or one of `alternatives`; 0 without sound to judge by."""
    is_sure: bool
    """Whether no voice of ordinary pace fits `declared_rate`; fast and high ones may."""
    alternatives: tuple[int, ...] = ()
    """Rates too close to `likely_rate` to be distinguished from it."""
    near_probability: float = 1.0
    """Probability, 0…1, that the recording is at most `FAST_SPEECH_SPEED` times too fast or too slow."""


def detect_rate(samples: Samples, declared_rate: int) -> RateGuess:
    """Detect the rate of a whole recording: float32 [n], resampled to 16 kHz from `declared_rate`."""
    detector = RateDetector(declared_rate)
    detector.push(samples)
    return detector.finish()


class RateDetector:
    """Detects the rate of one recording, chunk by chunk, in constant memory. Any chunking gives the same."""

    def __init__(self, declared_rate: int) -> None:
        self._declared_rate = declared_rate
        self.clear()

    def clear(self) -> None:
        """Drop everything: ready for another recording of the same declared rate."""
        self._waiting = np.empty(0, np.float32)
        self._embedding_sum = np.zeros(len(load_rate_weights()["look.bias"]), np.float32)
        self._segment_count = 0

    def push(self, samples: Samples) -> None:
        """Take the next float32 [n], resampled to 16 kHz from the declared rate."""
        start = 0
        while start < len(samples) and self._segment_count < MAX_SEGMENT_COUNT:
            end = start + SEGMENT_SAMPLES - len(self._waiting)
            self._waiting = np.concatenate([self._waiting, samples[start:end]])
            start = end
            if len(self._waiting) == SEGMENT_SAMPLES:
                self._add_segment(self._waiting)
                self._waiting = np.empty(0, np.float32)

    def finish(self) -> RateGuess:
        """The guess for the whole stream; then ready for another recording."""
        if (
            self._segment_count < MAX_SEGMENT_COUNT
            and len(self._waiting) >= (2 if self._segment_count else 1) * MIN_SEGMENT_SAMPLES
        ):
            self._add_segment(self._waiting)
        speeds, count = self._predict_speeds() if self._segment_count else None, self._segment_count
        self.clear()
        return choose_rate(speeds, self._declared_rate, count)

    def _predict_speeds(self) -> FloatArray:
        return predict_speed_probabilities(
            np.asarray(self._embedding_sum / self._segment_count, np.float32), self._segment_count
        )

    def _add_segment(self, samples: Samples) -> None:
        features = extract_rate_features(samples)
        if features is not None:
            self._embedding_sum += embed_rate_features(features)
            self._segment_count += 1


def choose_rate(speed_probabilities: FloatArray | None, declared_rate: int, segment_count: int) -> RateGuess:
    """The likeliest of `RATE_PRIORS`, from the probabilities of `LOG_SPEEDS` [81] after so many segments.

    It is the declared rate unless the odds against that are high enough; also without probabilities (None).
    """
    if speed_probabilities is None:
        return _confirm_declared_rate(declared_rate, 0.0)
    odds = wrong_rate_log_odds(speed_probabilities, declared_rate)
    suspect = SUSPECT_LOG_ODDS + SUSPECT_LOG_ODDS_BRIEF / segment_count
    if odds < suspect:
        return _confirm_declared_rate(declared_rate, _logit_to_probability(-odds))
    probabilities = _wrong_rate_probabilities(speed_probabilities, declared_rate)
    weights = {rate: RATE_PRIORS[rate] * probability for rate, probability in probabilities.items()}
    likely = max(weights, key=lambda rate: weights[rate])
    close = [rate for rate in weights if abs(np.log(likely / rate)) < LOG_SPEED_TOLERANCE]
    declared_weight = probability_near_rate(speed_probabilities, declared_rate, declared_rate)
    confidence = sum(weights[rate] for rate in close) / (sum(weights.values()) + declared_weight)
    return RateGuess(
        declared_rate=declared_rate,
        likely_rate=likely,
        ratio=likely / declared_rate,
        confidence=confidence,
        is_sure=odds >= suspect + SURE_LOG_ODDS_MARGIN and confidence >= SURE_MIN_CONFIDENCE,
        alternatives=tuple(rate for rate in close if rate != likely),
        near_probability=float(speed_probabilities[np.abs(LOG_SPEEDS) <= np.log(FAST_SPEECH_SPEED)].sum()),
    )


def _confirm_declared_rate(declared_rate: int, confidence: float) -> RateGuess:
    return RateGuess(
        declared_rate=declared_rate,
        likely_rate=declared_rate,
        ratio=1.0,
        confidence=confidence,
        is_sure=False,
    )


def wrong_rate_log_odds(speed_probabilities: FloatArray, declared_rate: int) -> float:
    """Log odds of the likeliest other rate, farther than `LOG_SPEED_TOLERANCE`, against the declared one."""
    wrong = max(_wrong_rate_probabilities(speed_probabilities, declared_rate).values())
    return float(
        np.log(wrong + PROBABILITY_FLOOR)
        - np.log(probability_near_rate(speed_probabilities, declared_rate, declared_rate) + PROBABILITY_FLOOR)
    )


def _wrong_rate_probabilities(speed_probabilities: FloatArray, declared_rate: int) -> dict[int, float]:
    wrong = [rate for rate in RATE_PRIORS if abs(np.log(declared_rate / rate)) > 1.5 * LOG_SPEED_TOLERANCE]
    return {rate: probability_near_rate(speed_probabilities, declared_rate, rate) for rate in wrong}


def probability_near_rate(speed_probabilities: FloatArray, declared_rate: int, rate: int) -> float:
    """Probability that the speed is that of samples taken at `rate` and played at `declared_rate`."""
    distance = (LOG_SPEEDS - np.log(declared_rate / rate)) / LOG_SPEED_TOLERANCE
    return float(speed_probabilities @ np.exp(-0.5 * distance**2))


def _logit_to_probability(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-logit)))


@cache
def load_rate_weights() -> dict[str, FloatArray]:
    """The shipped weights by name."""
    path = files("liveavatar.audio") / "assets" / "rate.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return {name: data[name].astype(np.float32) for name in data.files}


def embed_rate_features(features: StepFeatures) -> FloatArray:
    """Features of one segment [STEP_COUNT, FEATURE_COUNT] to its embedding, [128]."""
    x = _apply_layer("first", features.reshape(STEP_COUNT, FEATURE_COUNT))
    x = _convolve_taps("second", x, 5, stride=2)
    x = _convolve_taps("third", x, 5, stride=2)
    x = x[1:-1] + _convolve_taps("near", x, 3)
    x = x[4:-4] + _convolve_taps("far", x, 3, dilation=4)
    return _apply_layer("look", np.concatenate([x.mean(axis=0), x.std(axis=0)]))


def predict_speed_probabilities(mean_embedding: FloatArray, segment_count: int) -> FloatArray:
    """The mean embedding of all segments [128] to probabilities of `LOG_SPEEDS`, [81]."""
    hidden = _apply_layer("hidden", np.append(mean_embedding, np.float32(np.log2(segment_count) / 5.0)))
    weights = load_rate_weights()
    logits = hidden @ weights["speeds.weight"] + weights["speeds.bias"]
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum(), np.float32)


def _apply_layer(name: str, x: FloatArray) -> FloatArray:
    weights = load_rate_weights()
    return np.asarray(np.maximum(x @ weights[f"{name}.weight"] + weights[f"{name}.bias"], 0.0), np.float32)


def _convolve_taps(name: str, x: FloatArray, taps: int, stride: int = 1, dilation: int = 1) -> FloatArray:
    """A convolution over time: one layer over each row and the `taps - 1` rows that follow, oldest first."""
    windows = stack_taps(x, taps, stride, dilation)
    return _apply_layer(name, windows.reshape(len(windows), -1))

"""Is the sample rate that a recording declares the one it was taken at? Told from how the speech sounds.

Speech played at a wrong rate has the pitch, the mouth and the pace of nobody: a network that has heard many voices
at many speeds (training/rate) says how likely every speed is. What that leaves open is decided among the rates in use.
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
from liveavatar.audio.dsp.windows import stack_taps
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

RATE_PRIORS = {8_000: 1.0, 11_025: 0.3, 12_000: 0.15, 16_000: 1.0, 22_050: 0.9, 24_000: 0.9, 32_000: 0.3, 44_100: 1.0,
         48_000: 0.95, 96_000: 0.1}  # fmt: skip
"""The rates recordings are taken at, and how common each is beside the others: it decides which of them a wrong one
is, not whether it is wrong. Of 44.1 and 48 kHz, which sound nearly alike, it is the first unless the voice says so."""

MAX_SEGMENT_COUNT = 30
"""Sound that is analysed: two minutes that are not silent."""

MIN_SEGMENT_SAMPLES = SAMPLE_RATE
"""Samples: in less than a second nothing is told."""

LOG_SPEEDS = np.linspace(-2.0, 2.0, 81)
"""Natural logarithms of the speeds the network tells apart; 0 is right, above it the voice is too fast."""

LOG_SPEED_TOLERANCE = 0.1
"""Logarithm of speed within which two rates cannot be told apart by ear: 44.1 and 48 kHz are 0.085 apart."""

SUSPECT_LOG_ODDS, SUSPECT_LOG_ODDS_BRIEF = 0.5, 2.3
"""Logarithm of the odds from which a rate counts as wrong: the first, and the second divided by the looks taken. One
right rate in a hundred comes as far: see training/rate/calibrate.py and benchmarks/rate_detection.md."""

SURE_LOG_ODDS_MARGIN, SURE_MIN_CONFIDENCE = 1.5, 0.4
"""How much more than that the logarithm of the odds must be, and the confidence, to mend it without asking."""

PROBABILITY_FLOOR = 1e-9

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateGuess:
    """What a recording's sound says of its declared rate."""

    declared_rate: int
    """Hz, as the container says."""
    likely_rate: int
    """Hz the samples were probably taken at; `declared` unless something speaks against it."""
    ratio: float
    """`likely / declared`: below 1 the recording sounds too fast, above it too slow."""
    confidence: float
    """0…1: that the true rate is `likely`, or one in `also`."""
    is_sure: bool
    """Whether `likely` differs from `declared` beyond doubt."""
    alternatives: tuple[int, ...] = ()
    """Rates so close to `likely` that the sound cannot tell them from it."""


def detect_rate(samples: Samples, declared_rate: int) -> RateGuess:
    """Judge a whole recording: float32 [n] at 16 kHz, resampled from what it declared."""
    detector = RateDetector(declared_rate)
    detector.push(samples)
    return detector.finish()


class RateDetector:
    """Judges one recording piece by piece, in constant memory; chunking makes no difference."""

    def __init__(self, declared_rate: int) -> None:
        self._declared_rate = declared_rate
        self.clear()

    def clear(self) -> None:
        """Forget everything: ready for another recording of the same declared rate."""
        self._waiting = np.empty(0, np.float32)
        self._embedding_sum = np.zeros(len(load_rate_weights()["look.bias"]), np.float32)
        self._segment_count = 0

    def push(self, samples: Samples) -> None:
        """Hear the next float32 [n] at 16 kHz, made under the declared rate."""
        start = 0
        while start < len(samples) and self._segment_count < MAX_SEGMENT_COUNT:
            end = start + SEGMENT_SAMPLES - len(self._waiting)
            self._waiting = np.concatenate([self._waiting, samples[start:end]])
            start = end
            if len(self._waiting) == SEGMENT_SAMPLES:
                self._add_segment(self._waiting)
                self._waiting = np.empty(0, np.float32)

    def finish(self) -> RateGuess:
        """The verdict on what was heard; then ready for another recording."""
        if (
            self._segment_count < MAX_SEGMENT_COUNT
            and len(self._waiting) >= (2 if self._segment_count else 1) * MIN_SEGMENT_SAMPLES
        ):
            self._add_segment(self._waiting)
        speeds, looks = self._predict_speeds() if self._segment_count else None, self._segment_count
        self.clear()
        return choose_rate(speeds, self._declared_rate, looks)

    def _predict_speeds(self) -> FloatArray:
        return predict_speed_probabilities(
            np.asarray(self._embedding_sum / self._segment_count, np.float32), self._segment_count
        )

    def _add_segment(self, samples: Samples) -> None:
        steps = extract_rate_features(samples)
        if steps is not None:
            self._embedding_sum += embed_rate_features(steps)
            self._segment_count += 1


def choose_rate(speed_probabilities: FloatArray | None, declared_rate: int, segment_count: int) -> RateGuess:
    """Decide among RATES, given the probabilities of SPEEDS [81] after so many looks, or nothing."""
    if speed_probabilities is None:
        return RateGuess(
            declared_rate=declared_rate, likely_rate=declared_rate, ratio=1.0, confidence=0.0, is_sure=False
        )
    masses = {
        rate: RATE_PRIORS[rate] * mass
        for rate, mass in _wrong_rate_probabilities(speed_probabilities, declared_rate).items()
    }
    odds, suspect = (
        wrong_rate_log_odds(speed_probabilities, declared_rate),
        SUSPECT_LOG_ODDS + SUSPECT_LOG_ODDS_BRIEF / segment_count,
    )
    if odds < suspect:
        return RateGuess(
            declared_rate=declared_rate,
            likely_rate=declared_rate,
            ratio=1.0,
            confidence=_logit_to_probability(-odds),
            is_sure=False,
        )
    likely = max(masses, key=lambda rate: masses[rate])
    close = [rate for rate in masses if abs(np.log(likely / rate)) < LOG_SPEED_TOLERANCE]
    share = sum(masses[rate] for rate in close) / (
        sum(masses.values()) + probability_near_rate(speed_probabilities, declared_rate, declared_rate)
    )
    return RateGuess(
        declared_rate=declared_rate,
        likely_rate=likely,
        ratio=likely / declared_rate,
        confidence=share,
        is_sure=odds >= suspect + SURE_LOG_ODDS_MARGIN and share >= SURE_MIN_CONFIDENCE,
        alternatives=tuple(rate for rate in close if rate != likely),
    )


def wrong_rate_log_odds(speed_probabilities: FloatArray, declared_rate: int) -> float:
    """Logarithm of the odds of the likeliest other rate, further off than NEAR, against the declared one."""
    wrong = max(_wrong_rate_probabilities(speed_probabilities, declared_rate).values())
    return float(
        np.log(wrong + PROBABILITY_FLOOR)
        - np.log(probability_near_rate(speed_probabilities, declared_rate, declared_rate) + PROBABILITY_FLOOR)
    )


def _wrong_rate_probabilities(speed_probabilities: FloatArray, declared_rate: int) -> dict[int, float]:
    wrong = [rate for rate in RATE_PRIORS if abs(np.log(declared_rate / rate)) > 1.5 * LOG_SPEED_TOLERANCE]
    return {rate: probability_near_rate(speed_probabilities, declared_rate, rate) for rate in wrong}


def probability_near_rate(speed_probabilities: FloatArray, declared_rate: int, rate: int) -> float:
    """Probability that the speed is the one of `rate` played as `declared`."""
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
    """One look [STEPS, WIDTH] to what it says about the speed, [128]."""
    x = _apply_layer("first", features.reshape(STEP_COUNT, FEATURE_COUNT))
    x = _convolve_taps("second", x, 5, stride=2)
    x = _convolve_taps("third", x, 5, stride=2)
    x = x[1:-1] + _convolve_taps("near", x, 3)
    x = x[4:-4] + _convolve_taps("far", x, 3, dilation=4)
    return _apply_layer("look", np.concatenate([x.mean(axis=0), x.std(axis=0)]))


def predict_speed_probabilities(mean_embedding: FloatArray, segment_count: int) -> FloatArray:
    """The mean over looks to probabilities of SPEEDS, [81]."""
    said = _apply_layer("hidden", np.append(mean_embedding, np.float32(np.log2(segment_count) / 5.0)))
    weights = load_rate_weights()
    logits = said @ weights["speeds.weight"] + weights["speeds.bias"]
    raised = np.exp(logits - logits.max())
    return np.asarray(raised / raised.sum(), np.float32)


def _apply_layer(name: str, x: FloatArray) -> FloatArray:
    weights = load_rate_weights()
    return np.asarray(np.maximum(x @ weights[f"{name}.weight"] + weights[f"{name}.bias"], 0.0), np.float32)


def _convolve_taps(name: str, x: FloatArray, taps: int, stride: int = 1, dilation: int = 1) -> FloatArray:
    """A layer over each row side by side with the `taps - 1` that follow, oldest first."""
    windows = stack_taps(x, taps, stride, dilation)
    return _apply_layer(name, windows.reshape(len(windows), -1))

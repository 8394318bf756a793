"""Is the sample rate that a recording declares the one it was taken at? Told from how the speech sounds.

Speech played at a wrong rate has the pitch, the mouth and the pace of nobody: a network that has heard many voices
at many speeds (training/rate) says how likely every speed is. What that leaves open is decided among the rates in use.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.rate_features import LOOK, STEPS, WIDTH, Steps, look
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

RATES = {8_000: 1.0, 11_025: 0.3, 12_000: 0.15, 16_000: 1.0, 22_050: 0.9, 24_000: 0.9, 32_000: 0.3, 44_100: 1.0,
         48_000: 0.95, 96_000: 0.1}  # fmt: skip
"""The rates recordings are taken at, and how common each is beside the others: it decides which of them a wrong one
is, not whether it is wrong. Of 44.1 and 48 kHz, which sound nearly alike, it is the first unless the voice says so."""

MOST_LOOKS = 30
"""Sound that is analysed: two minutes that are not silent."""

LEAST = SAMPLE_RATE
"""Samples: in less than a second nothing is told."""

SPEEDS = np.linspace(-2.0, 2.0, 81)
"""Natural logarithms of the speeds the network tells apart; 0 is right, above it the voice is too fast."""

NEAR = 0.1
"""Logarithm of speed within which two rates cannot be told apart by ear: 44.1 and 48 kHz are 0.085 apart."""

SUSPECT, SUSPECT_BRIEF = 0.5, 2.3
"""Logarithm of the odds from which a rate counts as wrong: the first, and the second divided by the looks taken. One
right rate in a hundred comes as far: see training/rate/calibrate.py and benchmarks/rate_detection.md."""

SURE, CERTAIN = 1.5, 0.4
"""How much more than that the logarithm of the odds must be, and the confidence, to mend it without asking."""

TINY = 1e-9

Row = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateGuess:
    """What a recording's sound says of its declared rate."""

    declared: int
    """Hz, as the container says."""
    likely: int
    """Hz the samples were probably taken at; `declared` unless something speaks against it."""
    ratio: float
    """`likely / declared`: below 1 the recording sounds too fast, above it too slow."""
    confidence: float
    """0…1: that the true rate is `likely`, or one in `also`."""
    sure: bool
    """Whether `likely` differs from `declared` beyond doubt."""
    also: tuple[int, ...] = ()
    """Rates so close to `likely` that the sound cannot tell them from it."""


def detect_rate(samples: Samples, declared_rate: int) -> RateGuess:
    """Judge a whole recording: float32 [n] at 16 kHz, resampled from what it declared."""
    detector = RateDetector(declared_rate)
    detector.push(samples)
    return detector.finish()


class RateDetector:
    """Judges one recording piece by piece, in constant memory; chunking makes no difference."""

    def __init__(self, declared_rate: int) -> None:
        self._declared = declared_rate
        self.clear()

    def clear(self) -> None:
        """Forget everything: ready for another recording of the same declared rate."""
        self._waiting = np.empty(0, np.float32)
        self._said = np.zeros(len(load_weights()["look.bias"]), np.float32)
        self._looks = 0

    def push(self, samples: Samples) -> None:
        """Hear the next float32 [n] at 16 kHz, made under the declared rate."""
        start = 0
        while start < len(samples) and self._looks < MOST_LOOKS:
            end = start + LOOK - len(self._waiting)
            self._waiting = np.concatenate([self._waiting, samples[start:end]])
            start = end
            if len(self._waiting) == LOOK:
                self._hear(self._waiting)
                self._waiting = np.empty(0, np.float32)

    def finish(self) -> RateGuess:
        """The verdict on what was heard; then ready for another recording."""
        if self._looks < MOST_LOOKS and len(self._waiting) >= (2 if self._looks else 1) * LEAST:
            self._hear(self._waiting)
        speeds, looks = self._speeds() if self._looks else None, self._looks
        self.clear()
        return judge(speeds, self._declared, looks)

    def _speeds(self) -> Row:
        return weigh_speeds(np.asarray(self._said / self._looks, np.float32), self._looks)

    def _hear(self, samples: Samples) -> None:
        steps = look(samples)
        if steps is not None:
            self._said += embed(steps)
            self._looks += 1


def judge(speeds: Row | None, declared: int, looks: int) -> RateGuess:
    """Decide among RATES, given the probabilities of SPEEDS [81] after so many looks, or nothing."""
    if speeds is None:
        return RateGuess(declared=declared, likely=declared, ratio=1.0, confidence=0.0, sure=False)
    masses = {rate: RATES[rate] * mass for rate, mass in _masses(speeds, declared).items()}
    odds, suspect = log_odds(speeds, declared), SUSPECT + SUSPECT_BRIEF / looks
    if odds < suspect:
        return RateGuess(declared=declared, likely=declared, ratio=1.0, confidence=_share(-odds), sure=False)
    likely = max(masses, key=lambda rate: masses[rate])
    close = [rate for rate in masses if abs(np.log(likely / rate)) < NEAR]
    share = sum(masses[rate] for rate in close) / (
        sum(masses.values()) + mass_near(speeds, declared, declared)
    )
    return RateGuess(
        declared=declared,
        likely=likely,
        ratio=likely / declared,
        confidence=share,
        sure=odds >= suspect + SURE and share >= CERTAIN,
        also=tuple(rate for rate in close if rate != likely),
    )


def log_odds(speeds: Row, declared: int) -> float:
    """Logarithm of the odds of the likeliest other rate, further off than NEAR, against the declared one."""
    wrong = max(_masses(speeds, declared).values())
    return float(np.log(wrong + TINY) - np.log(mass_near(speeds, declared, declared) + TINY))


def _masses(speeds: Row, declared: int) -> dict[int, float]:
    wrong = [rate for rate in RATES if abs(np.log(declared / rate)) > 1.5 * NEAR]
    return {rate: mass_near(speeds, declared, rate) for rate in wrong}


def mass_near(speeds: Row, declared: int, rate: int) -> float:
    """Probability that the speed is the one of `rate` played as `declared`."""
    distance = (SPEEDS - np.log(declared / rate)) / NEAR
    return float(speeds @ np.exp(-0.5 * distance**2))


def _share(odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-odds)))


@cache
def load_weights() -> dict[str, Row]:
    """The shipped weights by name."""
    path = files("liveavatar.audio") / "assets" / "rate.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return {name: data[name].astype(np.float32) for name in data.files}


def embed(steps: Steps) -> Row:
    """One look [STEPS, WIDTH] to what it says about the speed, [128]."""
    x = _layer("first", steps.reshape(STEPS, WIDTH))
    x = _layer("second", _taps(x, 5, stride=2))
    x = _layer("third", _taps(x, 5, stride=2))
    x = x[1:-1] + _layer("near", _taps(x, 3))
    x = x[4:-4] + _layer("far", _taps(x, 3, dilation=4))
    return _layer("look", np.concatenate([x.mean(axis=0), x.std(axis=0)]))


def weigh_speeds(mean: Row, looks: int) -> Row:
    """The mean over looks to probabilities of SPEEDS, [81]."""
    said = _layer("hidden", np.append(mean, np.float32(np.log2(looks) / 5.0)))
    weights = load_weights()
    logits = said @ weights["speeds.weight"] + weights["speeds.bias"]
    raised = np.exp(logits - logits.max())
    return np.asarray(raised / raised.sum(), np.float32)


def _layer(name: str, x: Row) -> Row:
    weights = load_weights()
    return np.asarray(np.maximum(x @ weights[f"{name}.weight"] + weights[f"{name}.bias"], 0.0), np.float32)


def _taps(x: Row, taps: int, stride: int = 1, dilation: int = 1) -> Row:
    """Rows side by side with the `taps - 1` that follow, oldest first."""
    end = len(x) - (taps - 1) * dilation
    return np.concatenate([x[i * dilation : i * dilation + end : stride] for i in range(taps)], axis=1)

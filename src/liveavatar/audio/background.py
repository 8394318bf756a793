"""What lies behind a voice: noise, the echo of a room, silence. From the level of every 10 ms, in constant memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_FRAME = SAMPLE_RATE // 100
_SECONDS = _FRAME / SAMPLE_RATE
_LOWEST, _LEVELS = -120, 220  # dB, counted in steps of 1 dB; float files may be scaled to ±32768
_DIGITAL = -95.0  # dB below which there is no noise but zeros and dither
_ENOUGH = 50  # frames that tell something
_QUIET = 0.05  # share of the frames that are taken for pauses
_THRESHOLDS = np.arange(-100, 0, 3.0)  # dB: candidates for what counts as silence
_BELOW_SPEECH = 30.0  # dB under speech that is silence,
_ABOVE_NOISE = 6.0  # or this near the noise
_SPAN = 6  # frames over which the fall of the level is measured
_STEEPEST = 1500  # dB a second
_SLOPES = 75  # in steps of 20 dB a second
_FALLS_FROM = 25.0  # dB over the noise from where a fall tells the room,
_FALLS_TO = 14.0  # and dB over it where it must end


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Levels in dB of full scale of `noise` and `speech`; `silence`, the longest one, in seconds; `echo` in seconds.

    `echo` is the time in which the fastest falls of the level would reach 60 dB: a hint at the distance of the
    microphone and the size of the room. None where there is too little to tell.
    """

    noise: float | None
    speech: float | None
    silence: float
    echo: float | None

    @property
    def snr(self) -> float | None:
        """Decibels that speech lies over the noise."""
        return None if self.noise is None or self.speech is None else self.speech - self.noise


class BackgroundMeter:
    """Measures the `Background` of one stream at 16 kHz. Any chunking gives the same."""

    def __init__(self) -> None:
        self._waiting = np.empty(0, np.float32)
        self._counts = np.zeros(_LEVELS, np.int64)
        self._runs = [_LongestRun(threshold) for threshold in _THRESHOLDS]
        self._falls = np.zeros((_LEVELS, _SLOPES), np.int64)
        self._recent = np.empty(0)

    def push(self, samples: Samples) -> None:
        """Hear float32 [n]."""
        waiting = np.concatenate([self._waiting, samples])
        whole = len(waiting) // _FRAME * _FRAME
        self._waiting = waiting[whole:]
        if whole:
            self._hear(_levels(waiting[:whole].reshape(-1, _FRAME)))

    def finish(self) -> Background:
        """Everything that was measured."""
        centres = np.arange(_LEVELS) + _LOWEST
        counts = np.where(centres > _DIGITAL, self._counts, 0)
        if counts.sum() < _ENOUGH:
            return Background(noise=None, speech=None, silence=self._silence(-60.0), echo=None)
        noise, loud = (_percentile(counts, share) + _LOWEST for share in (_QUIET, 0.95))
        upper = np.where(centres > (noise + loud) / 2, counts, 0)
        power = (upper * 10 ** (centres / 10)).sum() / upper.sum() if upper.any() else 10 ** (loud / 10)
        speech = float(10 * np.log10(power))
        limit = min(max(speech - _BELOW_SPEECH, noise + _ABOVE_NOISE), speech - 2 * _ABOVE_NOISE)
        return Background(
            noise=float(noise), speech=speech, silence=self._silence(limit), echo=self._echo(noise)
        )

    def _hear(self, levels: NDArray[np.float64]) -> None:
        index = _index(levels)
        self._counts += np.bincount(index, minlength=_LEVELS)
        for run in self._runs:
            run.push(levels)
        recent = np.concatenate([self._recent, levels])
        self._recent = recent[max(0, len(recent) - _SPAN + 1) :]
        if len(recent) >= _SPAN:
            self._fall(np.lib.stride_tricks.sliding_window_view(recent, _SPAN))

    def _fall(self, windows: NDArray[np.float64]) -> None:
        """Count how fast the level falls where it falls all along, by the level at which it ends."""
        falling = windows[(np.diff(windows, axis=1) < 0).all(axis=1)]
        speed = (falling[:, 0] - falling[:, -1]) / ((_SPAN - 1) * _SECONDS)
        slope = np.clip(speed * _SLOPES / _STEEPEST, 0, _SLOPES - 1).astype(np.intp)
        np.add.at(self._falls, (_index(falling[:, -1]), slope), 1)

    def _echo(self, noise: float) -> float | None:
        end = np.arange(_LEVELS)[:, None] + _LOWEST - noise
        speed = (np.arange(_SLOPES) + 0.5) * _STEEPEST / _SLOPES
        start = end + speed * (_SPAN - 1) * _SECONDS
        counts = np.where((end >= _FALLS_TO) & (start >= _FALLS_FROM), self._falls, 0).sum(axis=0)
        if counts.sum() < _ENOUGH / 5:
            return None
        return float(60 / speed[_percentile(counts, 0.75)])

    def _silence(self, limit: float) -> float:
        nearest = min(self._runs, key=lambda run: abs(run.threshold - limit))
        return nearest.longest * _SECONDS


class _LongestRun:
    """The longest run of frames under a threshold."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.longest = 0
        self._now = 0

    def push(self, levels: NDArray[np.float64]) -> None:
        loud = np.flatnonzero(levels >= self.threshold)
        if not len(loud):
            self._now += len(levels)
            self.longest = max(self.longest, self._now)
            return
        between = int(np.diff(loud).max(initial=1)) - 1
        self.longest = max(self.longest, self._now + int(loud[0]), between)
        self._now = len(levels) - 1 - int(loud[-1])
        self.longest = max(self.longest, self._now)


def _levels(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Level of each frame in dB, a constant offset left out."""
    levels: NDArray[np.float64] = 10 * np.log10(frames.var(axis=1, dtype=np.float64) + 1e-12)
    return levels


def _index(levels: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.clip(np.round(levels) - _LOWEST, 0, _LEVELS - 1).astype(np.intp)


def _percentile(counts: NDArray[np.int64], share: float) -> int:
    """The place under which `share` of what is counted lies."""
    return int((counts.cumsum() >= share * counts.sum()).argmax())

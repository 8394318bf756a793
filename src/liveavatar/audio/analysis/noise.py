"""Noise level, speech level, reverberation and silence of a stream, from the level of every 10 ms."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.analysis.histogram import find_percentile_bin, level_to_bin
from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.audio.spectral.spectrum import power_to_decibels
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_FRAME_SAMPLES = SAMPLE_RATE // 100
_FRAME_SECONDS = _FRAME_SAMPLES / SAMPLE_RATE
_LOWEST_DB, _LEVEL_COUNT = -120, 220  # bins of 1 dB: float files may be scaled to ±32768
_DIGITAL_SILENCE_DB = -95.0  # digital zero and dither lie below, noise above
_POWER_FLOOR = 1e-12  # -120 dB, the lowest level
_MIN_FRAME_COUNT = 50  # half a second that is not digital silence
_NOISE_PERCENTILE = 0.05  # the quietest frames are pauses
_SILENCE_THRESHOLDS_DB = np.arange(-100, 0, 3.0)  # the threshold is known only at the end
_SILENCE_BELOW_SPEECH_DB = 30.0  # silence lies so far below speech,
_SILENCE_ABOVE_NOISE_DB = 6.0  # or at most so far above the noise
_DECAY_FRAMES = 6  # a decay is measured over 50 ms
_STEEPEST_DB_PER_SECOND, _SLOPE_COUNT = 1500, 75  # bins of 20 dB/s
_DECAY_FROM_DB = 25.0  # a decay that shows the room starts so far above the noise
_DECAY_TO_DB = 14.0  # and ends so far above it


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Levels in dB of full scale, times in seconds; None where there is too little sound to measure.

    `reverberation_time` is the time in which the fast decays of the level (the upper quartile) would reach 60 dB. It
    grows with the size of the room and the distance of the microphone.
    """

    noise_level: float | None
    speech_level: float | None
    longest_silence: float
    reverberation_time: float | None

    @property
    def snr(self) -> float | None:
        """Signal-to-noise ratio in dB."""
        if self.noise_level is None or self.speech_level is None:
            return None
        return self.speech_level - self.noise_level


class BackgroundMeter:
    """Measures the `Background` of one stream at 16 kHz in constant memory. Any chunking gives the same."""

    def __init__(self) -> None:
        self._framer = StreamFramer(_FRAME_SAMPLES, _FRAME_SAMPLES)
        self._level_histogram = np.zeros(_LEVEL_COUNT, np.int64)
        self._silence_runs = [_LongestQuietRun(threshold) for threshold in _SILENCE_THRESHOLDS_DB]
        self._decay_histogram = np.zeros((_LEVEL_COUNT, _SLOPE_COUNT), np.int64)
        self._recent_levels = np.empty(0)

    def push(self, samples: Samples) -> None:
        """Take the next float32 [n]."""
        frames = self._framer.push(samples)
        if len(frames):  # a constant offset is left out
            self._add_levels(power_to_decibels(frames.var(axis=1, dtype=np.float64), _POWER_FLOOR))

    def finish(self) -> Background:
        """The background of the whole stream."""
        centres = np.arange(_LEVEL_COUNT) + _LOWEST_DB
        counts = np.where(centres > _DIGITAL_SILENCE_DB, self._level_histogram, 0)
        if counts.sum() < _MIN_FRAME_COUNT:
            return Background(
                noise_level=None,
                speech_level=None,
                longest_silence=self._find_longest_silence(-60.0),
                reverberation_time=None,
            )
        noise, loud = (
            int(find_percentile_bin(counts, share)) + _LOWEST_DB for share in (_NOISE_PERCENTILE, 0.95)
        )
        upper = np.where(centres > (noise + loud) / 2, counts, 0)
        power = (upper * 10 ** (centres / 10)).sum() / upper.sum() if upper.any() else 10 ** (loud / 10)
        speech = float(10 * np.log10(power))
        limit = min(
            max(speech - _SILENCE_BELOW_SPEECH_DB, noise + _SILENCE_ABOVE_NOISE_DB),
            speech - 2 * _SILENCE_ABOVE_NOISE_DB,
        )
        return Background(
            noise_level=float(noise),
            speech_level=speech,
            longest_silence=self._find_longest_silence(limit),
            reverberation_time=self._estimate_reverberation(noise),
        )

    def _add_levels(self, levels: NDArray[np.floating[Any]]) -> None:
        index = level_to_bin(levels, _LOWEST_DB, _LEVEL_COUNT)
        self._level_histogram += np.bincount(index, minlength=_LEVEL_COUNT)
        for run in self._silence_runs:
            run.push(levels)
        recent = np.concatenate([self._recent_levels, levels])
        self._recent_levels = recent[max(0, len(recent) - _DECAY_FRAMES + 1) :]
        if len(recent) >= _DECAY_FRAMES:
            self._count_decays(np.lib.stride_tricks.sliding_window_view(recent, _DECAY_FRAMES))

    def _count_decays(self, windows: NDArray[np.float64]) -> None:
        """Count windows in which the level falls throughout, by slope and by the level at the end."""
        falling = windows[(np.diff(windows, axis=1) < 0).all(axis=1)]
        speed = (falling[:, 0] - falling[:, -1]) / ((_DECAY_FRAMES - 1) * _FRAME_SECONDS)
        slope = np.clip(speed * _SLOPE_COUNT / _STEEPEST_DB_PER_SECOND, 0, _SLOPE_COUNT - 1).astype(np.intp)
        np.add.at(self._decay_histogram, (level_to_bin(falling[:, -1], _LOWEST_DB, _LEVEL_COUNT), slope), 1)

    def _estimate_reverberation(self, noise: float) -> float | None:
        end = np.arange(_LEVEL_COUNT)[:, None] + _LOWEST_DB - noise
        speed = (np.arange(_SLOPE_COUNT) + 0.5) * _STEEPEST_DB_PER_SECOND / _SLOPE_COUNT
        start = end + speed * (_DECAY_FRAMES - 1) * _FRAME_SECONDS
        counts = np.where((end >= _DECAY_TO_DB) & (start >= _DECAY_FROM_DB), self._decay_histogram, 0).sum(
            axis=0
        )
        if counts.sum() < _MIN_FRAME_COUNT / 5:
            return None
        return float(60 / speed[find_percentile_bin(counts, 0.75)])

    def _find_longest_silence(self, threshold: float) -> float:
        nearest = min(self._silence_runs, key=lambda run: abs(run.threshold - threshold))
        return nearest.longest * _FRAME_SECONDS


class _LongestQuietRun:
    """The longest run of frames under a threshold."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.longest = 0
        self._current = 0

    def push(self, levels: NDArray[np.floating[Any]]) -> None:
        loud = np.flatnonzero(levels >= self.threshold)
        if not len(loud):
            self._current += len(levels)
            self.longest = max(self.longest, self._current)
            return
        between = int(np.diff(loud).max(initial=1)) - 1
        self.longest = max(self.longest, self._current + int(loud[0]), between)
        self._current = len(levels) - 1 - int(loud[-1])
        self.longest = max(self.longest, self._current)

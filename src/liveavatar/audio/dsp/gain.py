"""Gain that brings speech to one loudness: a fixed one for files, a slow causal one for live sound."""

from dataclasses import dataclass

import numpy as np

from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

TARGET_LUFS = -20.0
"""Integrated loudness that speech is brought to."""

PEAK_CEILING = 10 ** (-1 / 20)
"""Largest amplitude of a true peak: -1 dBTP, as EBU R 128 asks for."""

MAX_GAIN_DB = 30.0
"""A recording that needs more is mostly noise."""

GAIN_BLOCK_SAMPLES = SAMPLE_RATE // 100
"""Samples of one step of the live gain and of its look-ahead: 10 ms."""

_BLOCK_SECONDS = GAIN_BLOCK_SAMPLES / SAMPLE_RATE
_MIN_SPEECH_DB = -55.0  # power of full scale below which a block is not speech
_PAUSE_GATE_DB = 10.0  # below the average power of speech: pauses and breaths
_AVERAGING_SECONDS = 3.0  # of speech over which its power is averaged
_SETTLING_SECONDS = 1.0  # of speech in which the gain may also rise fast
_DC_AVERAGING_SECONDS = 0.5
RISE_DB_PER_SECOND = 3.0
"""Largest rise of the live gain once it has settled."""

FALL_DB_PER_SECOND = 12.0
"""Largest fall of the live gain, and its largest rise during the first second of speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLevel:
    """Integrated loudness in LUFS (-inf for silence); true peak and DC offset as amplitudes, full scale 1."""

    loudness: float
    true_peak: float
    dc_offset: float


def compute_fixed_gain(level: SignalLevel) -> float:
    """Factor that brings a recording to `TARGET_LUFS`, or as near as its true peak without DC offset allows."""
    peak = level.true_peak + abs(level.dc_offset)
    if level.loudness == -np.inf or peak <= 0:
        return 1.0
    target_gain: float = 10 ** (min(TARGET_LUFS - level.loudness, MAX_GAIN_DB) / 20)
    return min(target_gain, PEAK_CEILING / peak)


class LiveGainControl:
    """Automatic gain control of one live stream at 16 kHz: no DC offset, speech near the target, peaks to -1 dBFS.

    The gain follows the power of speech, averaged over 3 s of speech. It changes only during speech, so pauses are
    not amplified: down by at most 12 dB/s, up by at most 3 dB/s (12 dB/s in the first second). Before a peak that
    would exceed the ceiling, the gain falls over 10 ms. Output lags by 10 ms; any chunking gives the same samples to
    the last bit.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Drop all state, for another stream."""
        self._pending = np.empty(0, np.float32)
        self._delayed_block: Samples | None = None  # the last block, without DC offset
        self._start_gain = 1.0  # factor at the start of the delayed block
        self._gain_db = 0.0  # before it is limited for peaks
        self._speech_power = 0.0
        self._speech_seconds = 0.0
        self._dc_offset = 0.0

    def push(self, samples: Samples) -> Samples:
        """Level float32 [n]; returns the complete blocks, float32 [m]."""
        self._pending = np.concatenate([self._pending, samples])
        ready = [np.empty(0, np.float32)]
        while len(self._pending) >= GAIN_BLOCK_SAMPLES:
            block, self._pending = self._pending[:GAIN_BLOCK_SAMPLES], self._pending[GAIN_BLOCK_SAMPLES:]
            ready.append(self._process_block(block))
        return np.concatenate(ready)

    def flush(self) -> Samples:
        """End the stream; returns the samples that are left, float32 [m]."""
        pending_count = len(self._pending)
        delayed_count = 0 if self._delayed_block is None else GAIN_BLOCK_SAMPLES
        rest = self.push(np.zeros(-pending_count % GAIN_BLOCK_SAMPLES + GAIN_BLOCK_SAMPLES, np.float32))
        self.clear()
        return rest[: delayed_count + pending_count]

    def _process_block(self, block: Samples) -> Samples:
        """Take one block and return the one before, levelled."""
        block = self._remove_dc_offset(block)
        self._update_gain(block)
        delayed, self._delayed_block = self._delayed_block, block
        gain = min(10 ** (self._gain_db / 20), _compute_max_gain(block))
        if delayed is None:
            self._start_gain = gain
            return np.empty(0, np.float32)
        start, self._start_gain = self._start_gain, min(gain, _compute_max_gain(delayed))
        return delayed * _interpolate_block(start, self._start_gain)

    def _remove_dc_offset(self, block: Samples) -> Samples:
        before = self._dc_offset
        change = float(block.mean(dtype=np.float64)) - before
        self._dc_offset += change * _BLOCK_SECONDS / _DC_AVERAGING_SECONDS
        return block - _interpolate_block(before, self._dc_offset)

    def _update_gain(self, block: Samples) -> None:
        power = float(np.square(block, dtype=np.float64).mean())
        if power < 10 ** (_MIN_SPEECH_DB / 10) or power < self._speech_power * 10 ** (-_PAUSE_GATE_DB / 10):
            return
        self._speech_seconds += _BLOCK_SECONDS
        averaging_seconds = min(self._speech_seconds, _AVERAGING_SECONDS)
        self._speech_power += (power - self._speech_power) * _BLOCK_SECONDS / averaging_seconds
        target_db = np.clip(TARGET_LUFS - 10 * np.log10(self._speech_power), -MAX_GAIN_DB, MAX_GAIN_DB)
        rise = FALL_DB_PER_SECOND if self._speech_seconds < _SETTLING_SECONDS else RISE_DB_PER_SECOND
        lowest, highest = -FALL_DB_PER_SECOND * _BLOCK_SECONDS, rise * _BLOCK_SECONDS
        self._gain_db += float(np.clip(target_db - self._gain_db, lowest, highest))


def _interpolate_block(start: float, end: float) -> Samples:
    """A line from `start` to `end`, without its end, over one block, float32 [block samples]."""
    return np.linspace(start, end, GAIN_BLOCK_SAMPLES, endpoint=False, dtype=np.float32)


def _compute_max_gain(block: Samples) -> float:
    """Largest factor that keeps `block` under the ceiling."""
    peak = float(np.abs(block).max())
    return PEAK_CEILING / peak if peak > 0 else np.inf

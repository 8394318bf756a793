"""Bringing speech to one loudness: a fixed gain for files, a slow causal one for live sound."""

from dataclasses import dataclass

import numpy as np

from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

TARGET_LUFS = -20.0
"""LUFS that speech is brought to."""

PEAK_CEILING = 10 ** (-1 / 20)
"""Amplitude no true peak may pass: -1 dBTP."""

MAX_GAIN_DB = 30.0
"""dB; what needs more is noise."""

GAIN_BLOCK_SAMPLES = SAMPLE_RATE // 100
"""Samples the live gain looks ahead: 10 ms."""

_BLOCK_SECONDS = GAIN_BLOCK_SAMPLES / SAMPLE_RATE  # seconds
_MIN_SPEECH_DB = -55.0  # dB: blocks below are not speech
_PAUSE_GATE_DB = 10.0  # dB below the speech heard so far: pauses and breaths
_AVERAGING_SECONDS = 3.0  # seconds of speech the level is averaged over
_SETTLING_SECONDS = 1.0  # seconds of speech in which the gain may also rise fast
_DC_AVERAGING_SECONDS = 0.5  # seconds
RISE_DB_PER_SECOND = 3.0
"""dB a second the live gain may rise once it has settled."""

FALL_DB_PER_SECOND = 12.0
"""dB a second the live gain may fall, and rise during the first second of speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLevel:
    """Integrated loudness in LUFS (-inf: silence); true peak and constant offset as amplitudes."""

    loudness: float
    true_peak: float
    dc_offset: float


def compute_fixed_gain(level: SignalLevel) -> float:
    """Factor that brings a recording to the target, its true peak under the ceiling once the offset is gone."""
    peak = level.true_peak + abs(level.dc_offset)
    if level.loudness == -np.inf or peak <= 0:
        return 1.0
    wanted: float = 10 ** (min(TARGET_LUFS - level.loudness, MAX_GAIN_DB) / 20)
    return min(wanted, PEAK_CEILING / peak)


class LiveGainControl:
    """Levels one live stream at 16 kHz: no constant offset, speech near the target, no peak over -1 dBFS.

    The gain follows the power of what is heard as speech, averaged over 3 s of it. It moves only while there
    is speech, so pauses are not pumped up: down at most 12 dB/s, up at most 3 dB/s (12 dB/s in the first
    second). A peak that would pass the ceiling is met by a gain lowered over the 10 ms before it. Output lags
    by 10 ms; any chunking gives the same samples to the last bit.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: ready for another stream."""
        self._pending = np.empty(0, np.float32)
        self._delayed_block: Samples | None = None  # the block before, free of offset
        self._start_gain = 1.0  # gain at the start of the held block
        self._gain_db = 0.0  # dB, without regard to peaks
        self._speech_power = 0.0  # of speech
        self._speech_seconds = 0.0  # seconds of speech
        self._dc_offset = 0.0

    def push(self, samples: Samples) -> Samples:
        """Hear float32 [n]; gives float32 [m], the blocks that are ready."""
        self._pending = np.concatenate([self._pending, samples])
        ready = [np.empty(0, np.float32)]
        while len(self._pending) >= GAIN_BLOCK_SAMPLES:
            block, self._pending = self._pending[:GAIN_BLOCK_SAMPLES], self._pending[GAIN_BLOCK_SAMPLES:]
            ready.append(self._process_block(block))
        return np.concatenate(ready)

    def flush(self) -> Samples:
        """End the stream: gives what was held back, float32 [m]."""
        rest = len(self._pending)
        held = 0 if self._delayed_block is None else GAIN_BLOCK_SAMPLES
        out = self.push(np.zeros(-rest % GAIN_BLOCK_SAMPLES + GAIN_BLOCK_SAMPLES, np.float32))
        self.clear()
        return out[: held + rest]

    def _process_block(self, block: Samples) -> Samples:
        """Take one block, give the one before."""
        block = self._remove_dc_offset(block)
        self._update_gain(block)
        held, self._delayed_block = self._delayed_block, block
        wanted = 10 ** (self._gain_db / 20)
        if held is None:
            self._start_gain = min(wanted, _compute_max_gain(block))
            return np.empty(0, np.float32)
        start, self._start_gain = (
            self._start_gain,
            min(wanted, _compute_max_gain(block), _compute_max_gain(held)),
        )
        ramp = np.linspace(start, self._start_gain, GAIN_BLOCK_SAMPLES, endpoint=False, dtype=np.float32)
        return held * ramp

    def _remove_dc_offset(self, block: Samples) -> Samples:
        before = self._dc_offset
        self._dc_offset += (
            (float(block.mean(dtype=np.float64)) - before) * _BLOCK_SECONDS / _DC_AVERAGING_SECONDS
        )
        return block - np.linspace(
            before, self._dc_offset, GAIN_BLOCK_SAMPLES, endpoint=False, dtype=np.float32
        )

    def _update_gain(self, block: Samples) -> None:
        power = float(np.square(block, dtype=np.float64).mean())
        if power < 10 ** (_MIN_SPEECH_DB / 10) or power < self._speech_power * 10 ** (-_PAUSE_GATE_DB / 10):
            return
        self._speech_seconds += _BLOCK_SECONDS
        self._speech_power += (
            (power - self._speech_power) * _BLOCK_SECONDS / min(self._speech_seconds, _AVERAGING_SECONDS)
        )
        ahead = (
            np.clip(TARGET_LUFS - 10 * np.log10(self._speech_power), -MAX_GAIN_DB, MAX_GAIN_DB)
            - self._gain_db
        )
        rise = FALL_DB_PER_SECOND if self._speech_seconds < _SETTLING_SECONDS else RISE_DB_PER_SECOND
        self._gain_db += float(np.clip(ahead, -FALL_DB_PER_SECOND * _BLOCK_SECONDS, rise * _BLOCK_SECONDS))


def _compute_max_gain(block: Samples) -> float:
    """Largest gain at which `block` stays under the ceiling."""
    peak = float(np.abs(block).max())
    return PEAK_CEILING / peak if peak > 0 else np.inf

"""Bringing speech to one loudness: a fixed gain for files, a slow causal one for live sound."""

from dataclasses import dataclass

import numpy as np

from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

TARGET = -20.0
"""LUFS that speech is brought to."""

CEILING = 10 ** (-1 / 20)
"""Amplitude no true peak may pass: -1 dBTP."""

MAX_GAIN = 30.0
"""dB; what needs more is noise."""

BLOCK = SAMPLE_RATE // 100
"""Samples the live gain looks ahead: 10 ms."""

_STEP = BLOCK / SAMPLE_RATE  # seconds
_MIN_LEVEL = -55.0  # dB: blocks below are not speech
_GATE = 10.0  # dB below the speech heard so far: pauses and breaths
_MEMORY = 3.0  # seconds of speech the level is averaged over
_SETTLING = 1.0  # seconds of speech in which the gain may also rise fast
_DC_MEMORY = 0.5  # seconds
RISE = 3.0
"""dB a second the live gain may rise once it has settled."""

FALL = 12.0
"""dB a second the live gain may fall, and rise during the first second of speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Integrated loudness in LUFS (-inf: silence); true peak and constant offset as amplitudes."""

    loudness: float
    true_peak: float
    dc: float


def fixed_gain(level: Level) -> float:
    """Factor that brings a recording to the target, its true peak under the ceiling once the offset is gone."""
    peak = level.true_peak + abs(level.dc)
    if level.loudness == -np.inf or peak <= 0:
        return 1.0
    wanted: float = 10 ** (min(TARGET - level.loudness, MAX_GAIN) / 20)
    return min(wanted, CEILING / peak)


class LiveLevel:
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
        self._waiting = np.empty(0, np.float32)
        self._held: Samples | None = None  # the block before, free of offset
        self._edge = 1.0  # gain at the start of the held block
        self._gain = 0.0  # dB, without regard to peaks
        self._power = 0.0  # of speech
        self._heard = 0.0  # seconds of speech
        self._offset = 0.0

    def push(self, samples: Samples) -> Samples:
        """Hear float32 [n]; gives float32 [m], the blocks that are ready."""
        self._waiting = np.concatenate([self._waiting, samples])
        ready = [np.empty(0, np.float32)]
        while len(self._waiting) >= BLOCK:
            block, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
            ready.append(self._next(block))
        return np.concatenate(ready)

    def flush(self) -> Samples:
        """End the stream: gives what was held back, float32 [m]."""
        rest = len(self._waiting)
        held = 0 if self._held is None else BLOCK
        out = self.push(np.zeros(-rest % BLOCK + BLOCK, np.float32))
        self.clear()
        return out[: held + rest]

    def _next(self, block: Samples) -> Samples:
        """Take one block, give the one before."""
        block = self._centred(block)
        self._listen(block)
        held, self._held = self._held, block
        wanted = 10 ** (self._gain / 20)
        if held is None:
            self._edge = min(wanted, _room(block))
            return np.empty(0, np.float32)
        start, self._edge = self._edge, min(wanted, _room(block), _room(held))
        ramp = np.linspace(start, self._edge, BLOCK, endpoint=False, dtype=np.float32)
        return held * ramp

    def _centred(self, block: Samples) -> Samples:
        before = self._offset
        self._offset += (float(block.mean(dtype=np.float64)) - before) * _STEP / _DC_MEMORY
        return block - np.linspace(before, self._offset, BLOCK, endpoint=False, dtype=np.float32)

    def _listen(self, block: Samples) -> None:
        power = float(np.square(block, dtype=np.float64).mean())
        if power < 10 ** (_MIN_LEVEL / 10) or power < self._power * 10 ** (-_GATE / 10):
            return
        self._heard += _STEP
        self._power += (power - self._power) * _STEP / min(self._heard, _MEMORY)
        ahead = np.clip(TARGET - 10 * np.log10(self._power), -MAX_GAIN, MAX_GAIN) - self._gain
        rise = FALL if self._heard < _SETTLING else RISE
        self._gain += float(np.clip(ahead, -FALL * _STEP, rise * _STEP))


def _room(block: Samples) -> float:
    """Largest gain at which `block` stays under the ceiling."""
    peak = float(np.abs(block).max())
    return CEILING / peak if peak > 0 else np.inf

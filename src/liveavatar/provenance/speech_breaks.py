"""Tells when speech goes on after a break, from the level of the sound so far."""

import math

import numpy as np

from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

BREAK_SECONDS = 3.0
"""Silence that counts as a break: pauses between sentences are shorter, so the label does not come back at each."""

_BLOCK_SAMPLES = SAMPLE_RATE // 10
_BREAK_BLOCKS = round(BREAK_SECONDS * SAMPLE_RATE / _BLOCK_SAMPLES)
_ABOVE_FLOOR_DB = 10.0
"""Sound so far above the noise floor is speech."""
_FLOOR_RISE_DB = 0.3
"""In a block, 3 dB a second: speech dips to the floor between syllables, before it has risen."""
_LOWEST_FLOOR_DB = -65.0
"""Of full scale: nothing below -55 dB is speech."""


class SpeechBreakTracker:
    """Listens to one stream of 16 kHz mono sound in blocks of 100 ms. Any chunking gives the same."""

    def __init__(self) -> None:
        self._pending: Samples = np.zeros(0, np.float32)
        self._start = 0
        self._floor = _LOWEST_FLOOR_DB
        self._quiet_blocks = 0

    def push(self, samples: Samples) -> None:
        """Take the next sound, float32 [n]."""
        self._pending = np.concatenate([self._pending, samples])

    def restart_at(self, sample: int) -> None:
        """Drop the sound that was not listened to; what is pushed next starts at `sample`."""
        self._pending, self._start = self._pending[:0], sample

    def listen_until(self, sample: int) -> bool:
        """Listen to the blocks that end by `sample`, if they are there; True if speech went on after a break."""
        has_resumed = False
        while self._start + _BLOCK_SAMPLES <= sample and len(self._pending) >= _BLOCK_SAMPLES:
            has_resumed |= self._hear_block(self._pending[:_BLOCK_SAMPLES])
            self._pending = self._pending[_BLOCK_SAMPLES:]
            self._start += _BLOCK_SAMPLES
        return has_resumed

    def _hear_block(self, block: Samples) -> bool:
        """Whether a block is the first one with speech after a break."""
        level = 10 * math.log10(float(np.square(block, dtype=np.float64).mean()) + 1e-12)
        self._floor = max(min(level, self._floor + _FLOOR_RISE_DB), _LOWEST_FLOOR_DB)
        if level < self._floor + _ABOVE_FLOOR_DB:
            self._quiet_blocks += 1
            return False
        has_resumed = self._quiet_blocks >= _BREAK_BLOCKS
        self._quiet_blocks = 0
        return has_resumed

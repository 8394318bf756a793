"""Takes noise out from behind a voice with RNNoise, by way of the extra "denoise". (Valin, arXiv 1709.08243.)"""

import ctypes
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType

import numpy as np

from liveavatar.audio.background import BackgroundMeter
from liveavatar.audio.resample import Resampler
from liveavatar.errors import AudioError
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_RATE = 48_000  # Hz: what RNNoise hears
_FRAME = 480  # samples it takes at a time
_DELAY = 960  # samples it lags
_FULL_SCALE = np.float32(32768)


def library() -> ModuleType:
    """The library pyrnnoise.

    Raises:
        AudioError: it is not installed, or has no build for this machine.
    """
    try:
        return import_module("pyrnnoise.rnnoise")
    except (ImportError, OSError) as error:
        raise AudioError("RNNoise is not installed", "run: pip install 'liveavatar[denoise]'") from error


class Denoiser:
    """One stream at 16 kHz without its noise, as long as it was and on time. Any chunking gives the same.

    `change` tells, when the stream has ended, by how many dB the noise sank; None where there was none.
    """

    def __init__(self) -> None:
        self._library = library()
        self._waiting = np.empty(0, np.float32)
        self._skip = _DELAY
        self.change: float | None = None

    def __call__(self, sound: Iterable[Samples]) -> Iterator[Samples]:
        """The whole stream, float32 [n] a piece."""
        before, after = BackgroundMeter(), BackgroundMeter()
        down = Resampler(_RATE, SAMPLE_RATE)
        for piece in self._cleaned(_raised(_heard(sound, before))):
            yield from _heard([down.resample_chunk(piece)], after)
        yield from _heard([down.resample_chunk(np.empty(0, np.float32), last=True)], after)
        noise, rest = before.finish().noise, after.finish().noise
        self.change = None if noise is None or rest is None else noise - rest

    def _cleaned(self, sound: Iterator[Samples]) -> Iterator[Samples]:
        """Sound at 48 kHz, cleaned: what RNNoise gives for silence after the end makes up for its lag."""
        state, taken = self._library.create(), 0
        try:
            for piece in sound:
                taken += len(piece)
                yield self._clean(state, piece)
            filling = -taken % _FRAME
            tail = self._clean(state, np.zeros(_DELAY + filling, np.float32))
            yield tail[: len(tail) - filling]
        finally:
            self._library.destroy(state)

    def _clean(self, state: ctypes.c_void_p, piece: Samples) -> Samples:
        waiting = np.concatenate([self._waiting, piece * _FULL_SCALE])
        whole = len(waiting) // _FRAME * _FRAME
        self._waiting = waiting[whole:]
        for start in range(0, whole, _FRAME):
            frame = waiting[start:].ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            self._library.lib.rnnoise_process_frame(state, frame, frame)
        ready = (waiting[self._skip : whole] / _FULL_SCALE).astype(np.float32)
        self._skip = max(0, self._skip - whole)
        return ready


def _heard(sound: Iterable[Samples], meter: BackgroundMeter) -> Iterator[Samples]:
    for piece in sound:
        meter.push(piece)
        yield piece


def _raised(sound: Iterable[Samples]) -> Iterator[Samples]:
    """Sound at 16 kHz to 48 kHz."""
    up = Resampler(SAMPLE_RATE, _RATE)
    for piece in sound:
        yield up.resample_chunk(piece)
    yield up.resample_chunk(np.empty(0, np.float32), last=True)

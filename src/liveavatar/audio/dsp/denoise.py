"""Takes noise out from behind a voice with RNNoise, by way of the extra "denoise". (Valin, arXiv 1709.08243.)"""

import ctypes
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType

import numpy as np

from liveavatar.audio.analysis.noise import BackgroundMeter
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.errors import AudioError
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_RNNOISE_RATE = 48_000  # Hz: what RNNoise hears
_FRAME_SAMPLES = 480  # samples it takes at a time
_DELAY_SAMPLES = 960  # samples it lags
_FULL_SCALE = np.float32(32768)


def load_rnnoise() -> ModuleType:
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
        self._rnnoise = load_rnnoise()
        self._pending = np.empty(0, np.float32)
        self._skip_samples = _DELAY_SAMPLES
        self.noise_reduction_db: float | None = None

    def __call__(self, chunks: Iterable[Samples]) -> Iterator[Samples]:
        """The whole stream, float32 [n] a piece."""
        before, after = BackgroundMeter(), BackgroundMeter()
        down = Resampler(_RNNOISE_RATE, SAMPLE_RATE)
        for piece in self._denoise_stream(_upsample_stream(_meter_stream(chunks, before))):
            yield from _meter_stream([down.resample_chunk(piece)], after)
        yield from _meter_stream([down.resample_chunk(np.empty(0, np.float32), last=True)], after)
        noise, rest = before.finish().noise_level, after.finish().noise_level
        self.noise_reduction_db = None if noise is None or rest is None else noise - rest

    def _denoise_stream(self, chunks: Iterator[Samples]) -> Iterator[Samples]:
        """Sound at 48 kHz, cleaned: what RNNoise gives for silence after the end makes up for its lag."""
        state, taken = self._rnnoise.create(), 0
        try:
            for piece in chunks:
                taken += len(piece)
                yield self._denoise_piece(state, piece)
            filling = -taken % _FRAME_SAMPLES
            tail = self._denoise_piece(state, np.zeros(_DELAY_SAMPLES + filling, np.float32))
            yield tail[: len(tail) - filling]
        finally:
            self._rnnoise.destroy(state)

    def _denoise_piece(self, state: ctypes.c_void_p, piece: Samples) -> Samples:
        waiting = np.concatenate([self._pending, piece * _FULL_SCALE])
        whole = len(waiting) // _FRAME_SAMPLES * _FRAME_SAMPLES
        self._pending = waiting[whole:]
        for start in range(0, whole, _FRAME_SAMPLES):
            frame = waiting[start:].ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            self._rnnoise.lib.rnnoise_process_frame(state, frame, frame)
        ready = (waiting[self._skip_samples : whole] / _FULL_SCALE).astype(np.float32)
        self._skip_samples = max(0, self._skip_samples - whole)
        return ready


def _meter_stream(chunks: Iterable[Samples], meter: BackgroundMeter) -> Iterator[Samples]:
    for piece in chunks:
        meter.push(piece)
        yield piece


def _upsample_stream(chunks: Iterable[Samples]) -> Iterator[Samples]:
    """Sound at 16 kHz to 48 kHz."""
    up = Resampler(SAMPLE_RATE, _RNNOISE_RATE)
    for piece in chunks:
        yield up.resample_chunk(piece)
    yield up.resample_chunk(np.empty(0, np.float32), last=True)

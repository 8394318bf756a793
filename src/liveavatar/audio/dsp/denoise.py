"""Noise suppression behind a voice by RNNoise (Valin, arXiv 1709.08243), installed with the extra "denoise"."""

import ctypes
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType

import numpy as np

from liveavatar.audio.dsp.resample import Resampler
from liveavatar.errors import AudioError
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_RNNOISE_RATE = 48_000  # Hz; RNNoise works at no other rate
_FRAME_SAMPLES = 480  # samples that RNNoise processes at a time (FRAME_SIZE in its denoise.h)
_DELAY_SAMPLES = 960  # samples by which its output lags
_RNNOISE_FULL_SCALE = np.float32(2**15)  # RNNoise takes floats on the scale of 16-bit samples


def load_rnnoise() -> ModuleType:
    """Import the binding to RNNoise from pyrnnoise.

    Raises:
        AudioError: it is not installed, or has no build for this machine.
    """
    try:
        return import_module("pyrnnoise.rnnoise")
    except (ImportError, OSError) as error:
        raise AudioError("RNNoise is not installed", "run: pip install 'liveavatar[denoise]'") from error


class Denoiser:
    """Removes noise from one stream at 16 kHz; length and time stay. Any chunking gives the same samples."""

    def __init__(self) -> None:
        self._rnnoise = load_rnnoise()
        self._pending = np.empty(0, np.float32)
        self._skip_samples = _DELAY_SAMPLES

    def __call__(self, chunks: Iterable[Samples]) -> Iterator[Samples]:
        """Denoise the whole stream, float32 [n] a chunk."""
        return _resample_stream(
            self._denoise_stream(_resample_stream(chunks, SAMPLE_RATE, _RNNOISE_RATE)),
            _RNNOISE_RATE,
            SAMPLE_RATE,
        )

    def _denoise_stream(self, chunks: Iterator[Samples]) -> Iterator[Samples]:
        """Denoise at 48 kHz. The delay is cut at the start and made up for by silence at the end."""
        state, input_count = self._rnnoise.create(), 0
        try:
            for chunk in chunks:
                input_count += len(chunk)
                yield self._denoise_chunk(state, chunk)
            padding = -input_count % _FRAME_SAMPLES
            tail = self._denoise_chunk(state, np.zeros(_DELAY_SAMPLES + padding, np.float32))
            yield tail[: len(tail) - padding]
        finally:
            self._rnnoise.destroy(state)

    def _denoise_chunk(self, state: ctypes.c_void_p, chunk: Samples) -> Samples:
        """Append a chunk and denoise the complete frames, in place."""
        samples = np.concatenate([self._pending, chunk * _RNNOISE_FULL_SCALE])
        complete = len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES
        self._pending = samples[complete:]
        for start in range(0, complete, _FRAME_SAMPLES):
            frame = samples[start:].ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            self._rnnoise.lib.rnnoise_process_frame(state, frame, frame)
        ready = (samples[self._skip_samples : complete] / _RNNOISE_FULL_SCALE).astype(np.float32)
        self._skip_samples = max(0, self._skip_samples - complete)
        return ready


def _resample_stream(chunks: Iterable[Samples], from_rate: int, to_rate: int) -> Iterator[Samples]:
    resampler = Resampler(from_rate, to_rate)
    for chunk in chunks:
        yield resampler.resample_chunk(chunk)
    yield resampler.resample_chunk(np.empty(0, np.float32), last=True)

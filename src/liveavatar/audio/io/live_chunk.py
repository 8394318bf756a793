"""Chunks of live sound as callers have them: arrays, tensors or lists, and what cannot be sound."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liveavatar.audio.dsp.invalid_samples import silence_invalid_samples
from liveavatar.audio.io.decode import SUPPORTED_RATES
from liveavatar.audio.io.pcm import int16_to_float
from liveavatar.errors import AudioError

LiveChunk = ArrayLike
"""[n] or [n, channels]: int16, or floating point from -1 to 1. An array, a tensor of the CPU, a list of floats."""

MAX_LIVE_CHANNELS = 32
"""A chunk with more is one of [channels, n]: sound cards have up to 32, and 2 ms at 16 kHz are 32 samples."""

_LOUDEST_FLOAT = 4.0
"""12 dB over full scale. Floats with full scale 1 hardly get there; floats with that of integers do in any noise."""
_MAX_LOUDER_SHARE = 0.1
"""Share of the samples of a chunk that may be louder: a few are damage."""


def check_live_rate(rate: object) -> int:
    """A sample rate in Hz as a whole number.

    Raises:
        AudioError: it is no number, not whole, or outside 1…768 kHz.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real) or not _is_supported_rate(float(rate)):
        raise AudioError(f"live sound at {rate!r} Hz is not possible", "send 16000, 24000, 44100 or 48000 Hz")
    return int(float(rate))


def _is_supported_rate(rate: float) -> bool:
    """A range looks for a float among its numbers one by one; an integer it finds at once."""
    return rate.is_integer() and int(rate) in SUPPORTED_RATES


def convert_live_chunk(chunk: object) -> NDArray[np.float32]:
    """Convert live samples to float32 [n, channels], full scale 1, with invalid ones silenced.

    A chunk of floats on the scale of integers is refused and not scaled: one chunk may be too quiet to tell its scale,
    and a guess that changes from chunk to chunk would be heard.

    Raises:
        AudioError: another type than int16 or floating point, another shape, or floats far beyond ±1.
    """
    samples = _to_array(chunk)
    if samples.ndim == 1:
        samples = samples[:, None]
    shape = list(samples.shape)
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise AudioError(f"live sound of shape {shape} is not possible", "send [n] or [n, channels]")
    if samples.shape[1] > MAX_LIVE_CHANNELS:
        problem = f"live sound of shape {shape} would have {shape[1]} channels"
        raise AudioError(problem, "send [n, channels]: chunk.T if it is [channels, n]")
    if np.issubdtype(samples.dtype, np.int16):  # of either byte order
        return int16_to_float(samples.astype(np.int16))
    if not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(f"live sound of type {samples.dtype} is not possible", "send float32 or int16")
    _refuse_integer_scale(samples)
    return silence_invalid_samples(samples.astype(np.float32))[0]


def _refuse_integer_scale(samples: NDArray[Any]) -> None:
    amplitudes = np.abs(samples[np.isfinite(samples)])
    if np.count_nonzero(amplitudes > _LOUDEST_FLOAT) > _MAX_LOUDER_SHARE * samples.size:
        problem = f"live sound reaches {amplitudes.max():.6g}, but floats are -1 to 1"
        raise AudioError(problem, "divide it by 32768 if it is on the scale of 16 bits, or send int16")


def _to_array(chunk: object) -> NDArray[Any]:
    if isinstance(chunk, bytes | bytearray | memoryview | str):
        raise AudioError(
            f"live sound of type {type(chunk).__name__} does not say how samples are stored",
            "send an array: numpy.frombuffer(chunk, numpy.int16) if they are 16-bit",
        )
    try:
        return np.asarray(chunk)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:  # a tensor of a GPU, a ragged list
        problem = f"live sound of type {type(chunk).__name__} cannot become an array"
        raise AudioError(problem, "send a NumPy array: of a tensor, tensor.detach().cpu().numpy()") from error

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
"""[n] or [n, channels]: int16, or floating point with full scale 1. An array, a tensor of the CPU, a list of floats."""

MAX_LIVE_CHANNELS = 32
"""A chunk with more is one of [channels, n]: sound cards have up to 32, and 2 ms at 16 kHz are 32 samples."""


def check_live_rate(rate: object) -> int:
    """A sample rate in Hz as a whole number.

    Raises:
        AudioError: it is no number, not whole, or outside 1…768 kHz.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real) or float(rate) not in SUPPORTED_RATES:
        raise AudioError(f"live sound at {rate!r} Hz is not possible", "send 16000, 24000, 44100 or 48000 Hz")
    return int(float(rate))


def convert_live_chunk(chunk: object) -> NDArray[np.float32]:
    """Convert live samples to float32 [n, channels], full scale 1, with invalid ones silenced.

    Raises:
        AudioError: another type than int16 or floating point, or another shape.
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
    return silence_invalid_samples(samples.astype(np.float32))[0]


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

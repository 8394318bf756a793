"""PCM samples as float32, from decoded frames or, for 16-bit WAV, straight from the file, which is faster."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import AudioError

INT16_FULL_SCALE = np.float32(2**15)
"""Value of a 16-bit sample at full scale."""

SAMPLE_FORMATS = {
    "u8": ("u1", 2.0**7),
    "s16": ("i2", 2.0**15),
    "s32": ("i4", 2.0**31),
    "flt": ("f4", 1.0),
    "dbl": ("f8", 1.0),
}
"""FFmpeg's name of a sample format (packed): NumPy's type and full scale."""


def pcm_to_float(
    planes: list[memoryview], sample_format: str, sample_count: int, channels: int
) -> NDArray[np.float32]:
    """Convert to float32 [sample_count, channels], full scale 1. There is one plane, or one for each channel."""
    dtype, full_scale = SAMPLE_FORMATS[sample_format]
    if len(planes) > 1:
        samples = np.stack([np.frombuffer(plane, dtype, sample_count) for plane in planes])
    else:
        samples = np.frombuffer(planes[0], dtype, sample_count * channels)
    if sample_format == "u8":
        samples = samples.astype(np.float32) - 128
    with np.errstate(over="ignore", invalid="ignore"):  # `silence_invalid_samples` finds NaN and infinity
        scaled: NDArray[np.float32] = np.multiply(samples, 1 / full_scale, dtype=np.float32, casting="unsafe")
    return scaled.T if len(planes) > 1 else scaled.reshape(sample_count, channels)


def int16_to_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Scale 16-bit samples of any shape to float32, full scale 1."""
    scaled: NDArray[np.float32] = np.multiply(samples, 1 / INT16_FULL_SCALE, dtype=np.float32)
    return scaled


def read_pcm16(
    path: Path, byte_range: range, channels: int, block_samples: int
) -> Iterator[NDArray[np.float32]]:
    """Read 16-bit samples from a range of bytes, `block_samples` at a time, as float32 [n, channels], full scale 1.

    Raises:
        AudioError: the file cannot be read any more.
    """
    values = np.empty(block_samples * channels, "<i2")
    remaining = len(byte_range) // (2 * channels) * channels
    try:
        with path.open("rb") as file:
            file.seek(byte_range.start)
            while remaining:
                count = file.readinto(values.data[:remaining]) // (2 * channels) * channels
                if not count:
                    return
                remaining -= count
                yield int16_to_float(values[:count]).reshape(-1, channels)
    except OSError as error:
        raise AudioError(f"{path.name} cannot be read any more", "start again") from error

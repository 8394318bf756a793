"""Plain samples as float32; those of 16-bit WAV, the commonest recording, straight from the file."""

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
"""Kind of sample, as FFmpeg calls it: type and full scale."""


def pcm_to_float(
    planes: list[memoryview], sample_format: str, sample_count: int, channels: int
) -> NDArray[np.float32]:
    """Samples of one kind as float32 [count, channels], full scale 1; `planes` is one, or one for each channel."""
    form, full = SAMPLE_FORMATS[sample_format]
    if len(planes) > 1:
        samples = np.stack([np.frombuffer(plane, form, sample_count) for plane in planes])
    else:
        samples = np.frombuffer(planes[0], form, sample_count * channels)
    if sample_format == "u8":
        samples = samples.astype(np.float32) - 128
    with np.errstate(over="ignore", invalid="ignore"):  # what is no float32 is found as such later
        scaled: NDArray[np.float32] = np.multiply(samples, 1 / full, dtype=np.float32, casting="unsafe")
    return scaled.T if len(planes) > 1 else scaled.reshape(sample_count, channels)


def read_pcm16(
    path: Path, byte_range: range, channels: int, block_samples: int
) -> Iterator[NDArray[np.float32]]:
    """The 16-bit samples in these bytes of a file, `count` at a time, float32 [n, channels], full scale 1.

    Raises:
        AudioError: the file cannot be read any more.
    """
    values = np.empty(block_samples * channels, "<i2")
    left = len(byte_range) // (2 * channels) * channels
    try:
        with path.open("rb") as file:
            file.seek(byte_range.start)
            while left:
                got = file.readinto(values.data[:left]) // (2 * channels) * channels
                if not got:
                    return
                left -= got
                scaled: NDArray[np.float32] = np.multiply(values[:got], 2.0**-15, dtype=np.float32)
                yield scaled.reshape(-1, channels)
    except OSError as error:
        raise AudioError(f"{path.name} cannot be read any more", "start again") from error

"""Writes mono 16-bit WAV files with dither."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.io.pcm import INT16_FULL_SCALE
from liveavatar.audio.io.riff import build_wave_header
from liveavatar.errors import OutputError
from liveavatar.files import atomic_write, create_folder
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_NOISE_LENGTH = 1 << 18  # samples until the noise repeats: 16 s


class Ditherer:
    """Rounds float32 to 16 bits with TPDF dither two steps wide, so that the error is noise and not distortion.

    Each random number is added to one sample and subtracted from the next, which keeps the triangular density and
    shifts the noise to high frequencies, where hearing is less sensitive (Lipshitz, Wannamaker, Vanderkooy:
    Quantization and Dither, JAES 40, 1992). The noise is seeded and repeats every 16 s. The same sound gives the same
    samples by any chunking.
    """

    def __init__(self, seed: int = 0) -> None:
        draws = np.random.Generator(np.random.SFC64(seed)).random(_NOISE_LENGTH, np.float32)
        self._noise = draws - np.roll(draws, 1)
        self._noise_position = 0

    def __call__(self, samples: Samples) -> NDArray[np.int16]:
        """Round float32 [n], full scale 1, to int16 [n]; larger values are clipped."""
        values = samples * INT16_FULL_SCALE
        start = 0
        while start < len(values):
            noise = self._noise[self._noise_position : self._noise_position + len(values) - start]
            values[start : start + len(noise)] += noise
            start += len(noise)
            self._noise_position = (self._noise_position + len(noise)) % _NOISE_LENGTH
        np.rint(values, out=values)
        np.clip(values, -32768, 32767, out=values)
        return values.astype("<i2")


def write_wav(path: Path, chunks: Iterable[Samples], sample_count: int, rate: int = SAMPLE_RATE) -> None:
    """Write mono chunks of `sample_count` samples in all, at `rate` Hz. The file appears complete or not at all.

    Raises:
        OutputError: the folder or the file cannot be written, or `chunks` have another length.
    """
    create_folder(path.parent)
    with atomic_write(path) as partial:
        if _write_samples(partial, chunks, sample_count, rate) != sample_count:
            raise OutputError(f"{path.name} changed while it was read", "start again")


def _write_samples(path: Path, chunks: Iterable[Samples], sample_count: int, rate: int) -> int:
    """Write header and samples; returns the number of samples written."""
    ditherer, written_count = Ditherer(), 0
    with path.open("wb") as file:
        file.write(build_wave_header(sample_count, rate))
        for chunk in chunks:
            file.write(ditherer(chunk).data)
            written_count += len(chunk)
    return written_count

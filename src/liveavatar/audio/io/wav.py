"""Writes 16-bit mono WAV files at 16 kHz: dithered, and whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.io.pcm import INT16_FULL_SCALE
from liveavatar.audio.io.riff import build_wave_header
from liveavatar.errors import OutputError
from liveavatar.files import atomic_write
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_NOISE_LENGTH = 1 << 18  # numbers, about 16 s


class Ditherer:
    """Rounds float to 16 bit behind noise of triangular density, two steps wide: the error is noise, not distortion.

    The noise is seeded and comes round every 16 s, so the same sound gives the same samples whatever the chunking.
    (Lipshitz, Wannamaker, Vanderkooy: Quantization and Dither, JAES 40, 1992. Each draw serves two neighbours with
    opposite signs, which keeps the density and moves the noise up to where the ear is dull.)
    """

    def __init__(self, seed: int = 0) -> None:
        draws = np.random.Generator(np.random.SFC64(seed)).random(_NOISE_LENGTH, np.float32)
        self._noise = draws - np.roll(draws, 1)
        self._noise_position = 0

    def __call__(self, samples: Samples) -> NDArray[np.int16]:
        """Round float32 [n], full scale 1; what lies beyond is cut off."""
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


def write_wav(path: Path, chunks: Iterable[Samples], sample_count: int) -> None:
    """Write 16 kHz mono of `samples` samples in all; a file that is there already is replaced at the end.

    Raises:
        OutputError: the folder cannot be made, the file not be written, or `sound` is of another length.
    """
    with atomic_write(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _write_samples(part, chunks, sample_count) != sample_count:
            raise OutputError(f"{path.name} changed while it was read", "start again")


def _write_samples(part: Path, chunks: Iterable[Samples], sample_count: int) -> int:
    """Write header and sound; gives how many samples there were."""
    dither, written = Ditherer(), 0
    with part.open("wb") as file:
        file.write(build_wave_header(sample_count, SAMPLE_RATE))
        for piece in chunks:
            file.write(dither(piece).data)
            written += len(piece)
    return written

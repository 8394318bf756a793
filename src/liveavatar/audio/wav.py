"""Writes 16-bit mono WAV files at 16 kHz: dithered, and whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.riff import header
from liveavatar.errors import OutputError
from liveavatar.files import whole
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_FULL_SCALE = np.float32(32768)
_DRAWS = 1 << 18  # numbers, about 16 s


class Dither:
    """Rounds float to 16 bit behind noise of triangular density, two steps wide: the error is noise, not distortion.

    The noise is seeded and comes round every 16 s, so the same sound gives the same samples whatever the chunking.
    (Lipshitz, Wannamaker, Vanderkooy: Quantization and Dither, JAES 40, 1992. Each draw serves two neighbours with
    opposite signs, which keeps the density and moves the noise up to where the ear is dull.)
    """

    def __init__(self, seed: int = 0) -> None:
        draws = np.random.Generator(np.random.SFC64(seed)).random(_DRAWS, np.float32)
        self._noise = draws - np.roll(draws, 1)
        self._at = 0

    def __call__(self, samples: Samples) -> NDArray[np.int16]:
        """Round float32 [n], full scale 1; what lies beyond is cut off."""
        values = samples * _FULL_SCALE
        start = 0
        while start < len(values):
            noise = self._noise[self._at : self._at + len(values) - start]
            values[start : start + len(noise)] += noise
            start += len(noise)
            self._at = (self._at + len(noise)) % _DRAWS
        np.rint(values, out=values)
        np.clip(values, -32768, 32767, out=values)
        return values.astype("<i2")


def write_wav(path: Path, sound: Iterable[Samples], samples: int) -> None:
    """Write 16 kHz mono of `samples` samples in all; a file that is there already is replaced at the end.

    Raises:
        OutputError: the folder cannot be made, the file not be written, or `sound` is of another length.
    """
    with whole(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _fill(part, sound, samples) != samples:
            raise OutputError(f"{path.name} changed while it was read", "start again")


def _fill(part: Path, sound: Iterable[Samples], samples: int) -> int:
    """Write header and sound; gives how many samples there were."""
    dither, written = Dither(), 0
    with part.open("wb") as file:
        file.write(header(samples, SAMPLE_RATE))
        for piece in sound:
            file.write(dither(piece).data)
            written += len(piece)
    return written

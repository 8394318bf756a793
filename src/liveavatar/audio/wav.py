"""Writes 16-bit mono WAV files at 16 kHz: dithered, and whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.riff import header
from liveavatar.errors import OutputError
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_FULL_SCALE = np.float32(32768)
_DRAWS = 1 << 16  # at a time
_PART = ".part"


class Dither:
    """Rounds float to 16 bit behind noise of triangular density, two steps wide: the error is noise, not distortion.

    The noise is seeded, so the same sound gives the same samples whatever the chunking. (Lipshitz, Wannamaker,
    Vanderkooy: Quantization and Dither, JAES 40, 1992. Each draw serves two neighbours with opposite signs, which
    keeps the density and moves the noise up to where the ear is dull.)
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.Generator(np.random.SFC64(seed))
        self._last = np.zeros(1, np.float32)
        self._noise = np.empty(0, np.float32)

    def __call__(self, samples: Samples) -> NDArray[np.int16]:
        """Round float32 [n], full scale 1; what lies beyond is cut off."""
        while len(self._noise) < len(samples):
            self._noise = np.concatenate([self._noise, self._draw()])
        values = samples * _FULL_SCALE
        values += self._noise[: len(values)]
        self._noise = self._noise[len(values) :]
        np.rint(values, out=values)
        np.clip(values, -32768, 32767, out=values)
        return values.astype("<i2")

    def _draw(self) -> Samples:
        """Noise for a while: differences of neighbours among even draws from 0…1, four of which come out of 64 bit."""
        bits = self._random.integers(0, 1 << 64, _DRAWS // 4, np.uint64).astype("<u8", copy=False)
        draws = np.concatenate([self._last, bits.view("<u2") * np.float32(2**-16)])
        self._last = draws[-1:]
        return np.diff(draws)


def part_of(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(f".{path.name}{_PART}")


def write_wav(path: Path, sound: Iterable[Samples], samples: int) -> None:
    """Write 16 kHz mono of `samples` samples in all; a file that is there already is replaced at the end.

    Raises:
        OutputError: the folder cannot be made, the file not be written, or `sound` is of another length.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if _fill(part, sound, samples) != samples:
                raise OutputError(f"{path.name} changed while it was read", "start again")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise OutputError(f"{path} cannot be written: {reason}", "choose another folder") from error


def _fill(part: Path, sound: Iterable[Samples], samples: int) -> int:
    """Write header and sound; gives how many samples there were."""
    dither, written = Dither(), 0
    with part.open("wb") as file:
        file.write(header(samples, SAMPLE_RATE))
        for piece in sound:
            file.write(dither(piece).data)
            written += len(piece)
    return written

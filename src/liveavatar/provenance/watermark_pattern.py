"""The keyed pattern of the watermark: waves of secret phase, in lengths relative to the frame's shorter side.

Shapes: V frequencies down, U frequencies across; one unit of length is the shorter side of the frame.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Spectrum = NDArray[np.complex64]
"""Complex amplitudes [V, U] of the waves, over `FREQUENCIES_DOWN` and `FREQUENCIES_ACROSS`."""

LOWEST_FREQUENCY = 12
"""Cycles a unit. Longer waves are lost in the shapes of the picture."""
HIGHEST_FREQUENCY = 80
"""Cycles a unit. Shorter waves are what H.264 drops first, and what the eye sees best."""
FREQUENCIES_DOWN = np.arange(1, HIGHEST_FREQUENCY + 1)
FREQUENCIES_ACROSS = np.arange(-HIGHEST_FREQUENCY, HIGHEST_FREQUENCY + 1)
"""The waves of one half-plane; those of the other are their conjugates, since pictures are real. Waves without a
frequency down are left out, so that a mirror only exchanges columns."""

FLAT_SLOPE = -1.5
"""Of amplitude over frequency, on flat ground: long waves outlive strong compression, and the eye sees them least."""
TEXTURE_SLOPE = -0.5
"""In texture, which hides short waves and drowns long ones."""
SEARCH_SLOPE = -0.4
"""Of the weights of waves in the search."""


@dataclass(frozen=True, slots=True)
class WatermarkKey:
    """What decides the phases. Who knows it can find the mark, and can remove it."""

    secret: bytes


DEFAULT_KEY = WatermarkKey(b"liveavatar 1")
"""Public: anybody can verify a video of this program."""


def build_amplitudes(slope: float) -> NDArray[np.float32]:
    """Amplitudes [V, U] of the waves, frequency to the power `slope`, zero outside of the band."""
    v, u = FREQUENCIES_DOWN[:, None], FREQUENCIES_ACROSS[None]
    frequency = np.hypot(v, u)
    is_used = (frequency >= LOWEST_FREQUENCY) & (frequency <= HIGHEST_FREQUENCY)
    return np.where(is_used, frequency**slope, 0).astype(np.float32)


def draw_phasors(key: WatermarkKey) -> Spectrum:
    """Phasors [V, U] of length 1 with the key's phases; the same on every machine."""
    shape = (len(FREQUENCIES_DOWN), len(FREQUENCIES_ACROSS))
    digits = hashlib.shake_256(key.secret).digest(2 * shape[0] * shape[1])
    phases = np.frombuffer(digits, "<u2").reshape(shape) * (2 * np.pi / 2**16)
    return np.asarray(np.exp(1j * phases), np.complex64)


def build_waves(frequencies: NDArray[np.int_], length: int, unit: float) -> Spectrum:
    """Waves [frequencies, length], at the centres of `length` pixels of which `unit` make one unit."""
    positions = (np.arange(length) + 0.5) / unit
    return np.asarray(np.exp((2j * np.pi * np.outer(frequencies, positions)).astype(np.complex64)))


def draw_pattern(size: tuple[int, int], key: WatermarkKey, slope: float) -> NDArray[np.float32]:
    """The pattern, float32 [height, width] with a root mean square of 1, for frames of `size` (width, height)."""
    width, height = size
    unit = min(size)
    spectrum = build_amplitudes(slope) * draw_phasors(key)
    across = spectrum @ build_waves(FREQUENCIES_ACROSS, width, unit)
    pattern = (build_waves(FREQUENCIES_DOWN, height, unit).T @ across).real
    return np.asarray(pattern / np.sqrt(np.mean(pattern**2)), np.float32)

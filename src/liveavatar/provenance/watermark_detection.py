"""Find the imperceptible watermark in a video, at any scale and offset, also mirrored.

The frames are averaged, since the mark is the same in all, and divided by their local contrast. What remains is
analysed at the frequencies of the mark, for each scale at which the frame may be. Only phases are kept. Under a wrong
key, these are independent of the mark's, so the distribution of the correlation does not depend on the picture.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import erfc, sqrt
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import VideoError
from liveavatar.files import describe_path
from liveavatar.frames import Picture
from liveavatar.provenance.watermark_pattern import (
    DEFAULT_KEY,
    FREQUENCIES_ACROSS,
    FREQUENCIES_DOWN,
    SEARCH_SLOPE,
    Spectrum,
    WatermarkKey,
    build_amplitudes,
    draw_phasors,
)
from liveavatar.video.reader import open_video

Plane = NDArray[np.float32]
"""Grey levels, float32 [height, width]."""

MAX_FALSE_ALARM_PROBABILITY = 5e-5
"""A mark is found where chance would do as well with less than this probability."""

_MAX_FRAMES = 1500
_ANALYSIS_SIDE = 256
"""Pixels of the shorter side at which frames are analysed."""
_SMOOTHING_SCALE = 1 / 20
_CONTRAST_SCALE = 1 / 96
"""Standard deviations, relative to the shorter side, of the windows of the mean and of the contrast."""
_CONTRAST_FLOOR = 0.3
"""Grey levels below which contrast is not amplified further."""
_SCALES = np.geomspace(0.72, 1.4, 170)
"""Length of the marked frame's shorter side, relative to that of the video: more than 1 after a crop."""
_PADDING = 4
"""Side of the transformed picture relative to its own: between frequencies, the spectrum is interpolated."""
_GRID = 256
"""Offsets tried in each direction, in a unit."""
_TRIAL_COUNT = 2 * len(_SCALES) * _GRID**2
"""Correlations of which the largest is taken: all scales and offsets, mirrored or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkFinding:
    """Whether a video carries the mark.

    `strength` is the correlation in standard deviations of its chance value. If the mark is found, `scale` is the
    shorter side of the marked frame relative to that of the video: more than 1 after a crop; `offset` (across and down,
    0 to 1, in that side) is where the middle of the video lies in the pattern, which repeats.
    """

    strength: float
    false_alarm_probability: float
    scale: float
    offset: tuple[float, float]
    is_mirrored: bool

    @property
    def is_found(self) -> bool:
        """Whether chance is excluded."""
        return self.false_alarm_probability < MAX_FALSE_ALARM_PROBABILITY


def detect_watermark(path: Path, key: WatermarkKey = DEFAULT_KEY) -> WatermarkFinding:
    """Look for the mark of `key` in a video.

    Raises:
        VideoError: the file cannot be read, or holds no pictures.
    """
    with open_video(path) as video:
        average = average_frames(picture.rgb for picture in islice(video, _MAX_FRAMES))
    if average is None:
        raise VideoError(f"{describe_path(path.name)} has no pictures", "check that it plays")
    return find_mark(analyse_scales(normalise_contrast(average)), key)


def average_frames(frames: Iterable[Picture]) -> Plane | None:
    """The mean luma of frames at the size of the analysis, or None without frames."""
    total, count, size = None, 0, (0, 0)
    for rgb in frames:
        if total is None:
            height, width = rgb.shape[:2]
            factor = min(1, _ANALYSIS_SIDE / min(height, width))
            size = (round(width * factor), round(height * factor))
            total = np.zeros(size[::-1], np.float64)
        luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
        total += cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        count += 1
    return None if total is None else np.asarray(total / count, np.float32)


def normalise_contrast(average: Plane) -> Plane:
    """Details of a picture, divided by the contrast around them."""
    unit = min(average.shape)
    details = average - cv2.GaussianBlur(average, (0, 0), _SMOOTHING_SCALE * unit)
    power = cv2.GaussianBlur(details**2, (0, 0), _CONTRAST_SCALE * unit)
    return np.asarray(details / np.sqrt(power + _CONTRAST_FLOOR**2), np.float32)


def analyse_scales(details: Plane) -> NDArray[np.complex64]:
    """Phasors [scales, V, U] of the waves in a picture, for each of `_SCALES`; zero above half a cycle a pixel."""
    spectrum = _transform_padded(details)
    rows, columns = spectrum.shape[:2]
    phasors = np.empty((len(_SCALES), len(FREQUENCIES_DOWN), len(FREQUENCIES_ACROSS)), np.complex64)
    for index, unit in enumerate(_SCALES * min(details.shape)):
        x, y = np.meshgrid(
            (columns // 2 + FREQUENCIES_ACROSS * (columns / unit)).astype(np.float32),
            (rows // 2 + FREQUENCIES_DOWN * (rows / unit)).astype(np.float32),
        )
        waves = cv2.remap(spectrum, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        sums = waves[..., 0] + 1j * waves[..., 1]
        phasors[index] = sums / np.maximum(np.abs(sums), 1e-9)
    return phasors


def _transform_padded(details: Plane) -> NDArray[np.float32]:
    """The spectrum of a picture among zeros, real and imaginary [rows, columns, 2]: its middle is frequency 0.

    The middle of the picture is the origin, so the phases change slowly and can be interpolated.
    """
    height, width = details.shape
    rows, columns = (cv2.getOptimalDFTSize(_PADDING * side) for side in details.shape)
    padded = np.zeros((rows, columns), np.float32)
    padded[:height, :width] = details
    padded = np.roll(padded, (-(height // 2), -(width // 2)), (0, 1))
    spectrum = np.fft.fftshift(np.fft.fft2(padded))
    return np.dstack([spectrum.real, spectrum.imag]).astype(np.float32)


def find_mark(phasors: NDArray[np.complex64], key: WatermarkKey) -> WatermarkFinding:
    """The best match of the mark over all scales, offsets and mirrors."""
    mark = draw_phasors(key)
    strength, offset, scale, is_mirrored = max(
        (*correlate_offsets(spectrum, mark[:, ::-1] if is_mirrored else mark), float(scale), is_mirrored)
        for scale, spectrum in zip(_SCALES, phasors, strict=True)
        for is_mirrored in (False, True)
    )
    return WatermarkFinding(
        strength=strength,
        false_alarm_probability=estimate_false_alarm_probability(strength),
        scale=scale,
        offset=offset,
        is_mirrored=is_mirrored,
    )


def correlate_offsets(phasors: Spectrum, mark: Spectrum) -> tuple[float, tuple[float, float]]:
    """The largest correlation over all offsets, in standard deviations of its chance value, and the offset."""
    weights = build_amplitudes(SEARCH_SLOPE)
    grid = np.zeros((_GRID, _GRID // 2 + 1), np.complex64)
    grid[np.ix_(FREQUENCIES_ACROSS, FREQUENCIES_DOWN)] = (weights * phasors * mark.conj()).T
    deviation = sqrt(float(np.sum(weights**2)) / 2)
    surface = np.fft.irfft2(grid)
    across, down = np.unravel_index(int(np.argmax(surface)), surface.shape)
    strength = float(surface[across, down]) * (_GRID**2 / 2 / deviation)
    return strength, (float(-across % _GRID) / _GRID, float(-down % _GRID) / _GRID)


def estimate_false_alarm_probability(strength: float) -> float:
    """At most so probable is such a correlation or a larger one under a wrong key, or without a mark.

    Each correlation is a sum of thousands of waves of independent phases, so it is normally distributed; the largest
    of many is bounded by their number (Bonferroni).
    """
    return min(1.0, _TRIAL_COUNT * 0.5 * erfc(strength / sqrt(2)))

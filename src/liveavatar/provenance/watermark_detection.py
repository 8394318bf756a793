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
    build_waves,
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
_GRID = 256
"""Offsets tried in each direction, in a unit."""
_TRIAL_COUNT = 2 * len(_SCALES) * _GRID**2
"""Correlations of which the largest is taken: all scales and offsets, mirrored or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkFinding:
    """Whether a video carries the mark.

    `strength` is the correlation in standard deviations of its chance value. `scale`, `offset` (across and down, in
    units of the marked frame's shorter side) and `is_mirrored` say how the frame was changed, if the mark is found.
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
    """Phasors [scales, V, U] of the waves in a picture, for each of `_SCALES`."""
    height, width = details.shape
    picture = details.astype(np.complex64)
    spectra = np.empty((len(_SCALES), len(FREQUENCIES_DOWN), len(FREQUENCIES_ACROSS)), np.complex64)
    for index, scale in enumerate(_SCALES):
        unit = scale * min(height, width)
        down = build_waves(FREQUENCIES_DOWN, height, unit).conj() @ picture
        spectrum = down @ build_waves(FREQUENCIES_ACROSS, width, unit).conj().T
        spectra[index] = spectrum / np.maximum(np.abs(spectrum), 1e-9)
    return spectra


def find_mark(phasors: NDArray[np.complex64], key: WatermarkKey) -> WatermarkFinding:
    """The best match of the mark over all scales, offsets and mirrors."""
    mark = draw_phasors(key)
    best = max(
        (
            (*correlate_offsets(spectrum, mark, is_mirrored), float(scale), is_mirrored)
            for scale, spectrum in zip(_SCALES, phasors, strict=True)
            for is_mirrored in (False, True)
        ),
    )
    strength, offset, scale, is_mirrored = best
    return WatermarkFinding(
        strength=strength,
        false_alarm_probability=estimate_false_alarm_probability(strength),
        scale=scale,
        offset=offset,
        is_mirrored=is_mirrored,
    )


def correlate_offsets(
    spectrum: Spectrum, mark: Spectrum, is_mirrored: bool
) -> tuple[float, tuple[float, float]]:
    """The largest correlation over all offsets in standard deviations of its chance value, and where it is."""
    weights = build_amplitudes(SEARCH_SLOPE)
    product = weights * spectrum * (mark[:, ::-1] if is_mirrored else mark).conj()
    grid = np.zeros((_GRID, _GRID // 2 + 1), np.complex64)
    grid[np.ix_(FREQUENCIES_ACROSS, FREQUENCIES_DOWN)] = product.T
    deviation = sqrt(float(np.sum(weights**2)) / 2)
    surface = np.fft.irfft2(grid) * (_GRID**2 / 2 / deviation)
    column, row = np.unravel_index(int(np.argmax(surface)), surface.shape)
    return float(surface[column, row]), (float(column) / _GRID, float(row) / _GRID)


def estimate_false_alarm_probability(strength: float) -> float:
    """At most so probable is such a correlation or a larger one under a wrong key, or without a mark.

    Each correlation is a sum of thousands of waves of independent phases, so it is normally distributed; the largest
    of many is bounded by their number (Bonferroni).
    """
    return min(1.0, _TRIAL_COUNT * 0.5 * erfc(strength / sqrt(2)))

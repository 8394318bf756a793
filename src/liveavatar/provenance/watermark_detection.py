"""Find the imperceptible watermark in a video, at any scale and offset, also mirrored.

The frames are averaged, since the mark is the same in all, and divided by their local contrast. Of a long video, parts
are averaged, and searched one by one and together, so that one which is only partly ours is found. What remains is
analysed at the frequencies of the mark, for each scale at which the frame may be. Under a wrong key, the phases of
these waves are independent of the mark's. So the correlation is normally distributed, with a deviation that is known
from the amplitudes, whatever the picture is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
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
from liveavatar.video.reader import VideoReader, open_video

Plane = NDArray[np.float32]
"""Grey levels, float32 [height, width]."""

MAX_FALSE_ALARM_PROBABILITY = 5e-5
"""A mark is found where chance would do as well with less than this probability."""

_MAX_FRAMES = 1500
"""Analysed of a video. A longer one is analysed in parts."""
_PART_COUNT = 5
_ANALYSIS_SIDE = 256
"""Pixels of the shorter side at which frames are analysed."""
_SMOOTHING_SCALE = 1 / 80
_CONTRAST_SCALE = 1 / 96
"""Standard deviations, relative to the shorter side, of the windows of the mean and of the contrast."""
_CONTRAST_FLOOR = 0.3
"""Grey levels below which contrast is not amplified further."""
_SCALES = np.geomspace(0.72, 1.4, 170)
"""Length of the marked frame's shorter side, relative to that of the video: more than 1 after a crop."""
_COMPRESSION = 0.5
"""Exponent of the amplitudes: of 1, the picture's strongest waves would decide; of 0, those that compression emptied
would count as much as others."""
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
    parts = average_parts(path)
    if not parts:
        raise VideoError(f"{describe_path(path.name)} has no pictures", "check that it plays")
    searched = parts if len(parts) == 1 else [*parts, _average_planes(parts)]
    findings = [find_mark(analyse_scales(normalise_contrast(average)), key) for average in searched]
    best = max(findings, key=lambda finding: finding.strength)
    return replace(best, false_alarm_probability=min(1.0, len(findings) * best.false_alarm_probability))


def average_parts(path: Path) -> list[Plane]:
    """The averages of the parts of a video that are analysed: all of it, or parts spread over it, if it is long.

    Parts that cannot be reached, for want of an index, are left out.

    Raises:
        VideoError: the file cannot be read.
    """
    with open_video(path) as video:
        starts = _choose_starts(video)
    averages = [_average_part(path, start, _MAX_FRAMES // (1 + len(starts))) for start in (None, *starts)]
    return [average for average in averages if average is not None]


def _average_part(path: Path, start: Fraction | None, frame_count: int) -> Plane | None:
    with open_video(path) as video:
        try:
            pictures = islice(video.read_between(start, None), frame_count)
            return average_frames(picture.rgb for picture in pictures)
        except VideoError:
            if start is None:
                raise
            return None


def _choose_starts(video: VideoReader) -> list[Fraction]:
    """Where the parts after the first begin, in seconds. A video of undeclared length has only the first."""
    if not video.duration or not video.fps or video.duration * video.fps <= _MAX_FRAMES:
        return []
    part = _MAX_FRAMES / video.fps / _PART_COUNT
    step = (video.duration - part) / (_PART_COUNT - 1)
    return [number * step for number in range(1, _PART_COUNT)]


def _average_planes(planes: list[Plane]) -> Plane:
    """The mean of planes, in the size of the first."""
    size = planes[0].shape[::-1]
    same = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes]
    return np.asarray(np.mean(same, 0), np.float32)


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
    """Waves [scales, V, U] in a picture, for each of `_SCALES`; zero above half a cycle a pixel.

    Their amplitudes are compressed.
    """
    spectrum = _transform_padded(details)
    rows, columns = spectrum.shape[:2]
    waves = np.empty((len(_SCALES), len(FREQUENCIES_DOWN), len(FREQUENCIES_ACROSS)), np.complex64)
    for index, unit in enumerate(_SCALES * min(details.shape)):
        x, y = np.meshgrid(
            (columns // 2 + FREQUENCIES_ACROSS * (columns / unit)).astype(np.float32),
            (rows // 2 + FREQUENCIES_DOWN * (rows / unit)).astype(np.float32),
        )
        parts = cv2.remap(spectrum, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        sums = parts[..., 0] + 1j * parts[..., 1]
        waves[index] = sums * np.maximum(np.abs(sums), 1e-9) ** (_COMPRESSION - 1)
    return waves


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


def find_mark(waves: NDArray[np.complex64], key: WatermarkKey) -> WatermarkFinding:
    """The best match of the mark over all scales, offsets and mirrors."""
    mark = draw_phasors(key)
    strength, offset, scale, is_mirrored = max(
        (*correlate_offsets(spectrum, mark[:, ::-1] if is_mirrored else mark), float(scale), is_mirrored)
        for scale, spectrum in zip(_SCALES, waves, strict=True)
        for is_mirrored in (False, True)
    )
    return WatermarkFinding(
        strength=strength,
        false_alarm_probability=estimate_false_alarm_probability(strength),
        scale=scale,
        offset=offset,
        is_mirrored=is_mirrored,
    )


def correlate_offsets(waves: Spectrum, mark: Spectrum) -> tuple[float, tuple[float, float]]:
    """The largest correlation over all offsets, in standard deviations of its chance value, and the offset."""
    weighted = build_amplitudes(SEARCH_SLOPE) * waves
    grid = np.zeros((_GRID, _GRID // 2 + 1), np.complex64)
    grid[np.ix_(FREQUENCIES_ACROSS, FREQUENCIES_DOWN)] = (weighted * mark.conj()).T
    deviation = estimate_deviation(weighted)
    surface = np.fft.irfft2(grid)
    across, down = np.unravel_index(int(np.argmax(surface)), surface.shape)
    strength = float(surface[across, down]) * (_GRID**2 / 2 / deviation)
    return strength, (float(-across % _GRID) / _GRID, float(-down % _GRID) / _GRID)


def estimate_deviation(weighted: Spectrum) -> float:
    """Standard deviation of a correlation with phases drawn at random."""
    return max(sqrt(float(np.sum(np.abs(weighted) ** 2)) / 2), 1e-9)


def estimate_false_alarm_probability(strength: float) -> float:
    """At most so probable is such a correlation or a larger one under a wrong key, or without a mark.

    Each correlation is a sum of thousands of waves of independent phases, so it is normally distributed; the largest
    of many is bounded by their number (Bonferroni).
    """
    return min(1.0, _TRIAL_COUNT * 0.5 * erfc(strength / sqrt(2)))

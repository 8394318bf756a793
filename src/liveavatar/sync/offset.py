"""Offset and drift between two tracks on one clock, with 95 % intervals.

Both tracks, the opening of the lips and the opening that the sound predicts, are band-passed and correlated. The
result is the line `lag(t) = offset + drift · t` along which the correlation is largest. A coarse line is searched
first, from a short stretch that grows to the whole video; windows of one second then refine it. A block bootstrap over
these windows (Künsch 1989) gives the intervals.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.spectral.spectrum import interpolate_peak

Track = NDArray[np.float64]

TRACK_RATE = 100
"""Steps a second of every track."""

SEARCH_REACH_SECONDS = 1.0
"""Largest offset that the coarse search finds."""

MAX_DRIFT = 0.06
"""Largest drift that is searched, seconds a second."""

_FIRST_STRETCH_SECONDS = 40.0  # the stretch in which a drift is searched first
_PEAK_HALF_WIDTH = 0.06  # seconds: half the width of a correlation's peak
_FINE_REACH_SECONDS = 0.3  # around the coarse line
_MAX_WINDOWS = 600
_BOOTSTRAP_DRAWS = 400
_SLOPE_COUNT = 81
_MAX_SHEAR_SECONDS = 0.25  # change of the lag over the whole length by the steepest fine slope
MIN_DRIFT_SECONDS = 15.0
"""Shorter videos are not tested for drift: it cannot be told from chance."""
_MIN_AMPLITUDE = 1e-6  # centimetres, or full scale 1: rounding errors of a constant track
_DRIFT_GAIN = 1.3
"""Factor by which a coarse line with drift must match better than one without. Many such lines are tried, so that
some match by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LagLine:
    """`lag(t) = lag_at_zero + slope · t` in seconds: how much later than the lips the sound comes."""

    lag_at_zero: float
    slope: float

    def lag_at(self, time: Track) -> Track:
        """Lags at times in seconds."""
        return self.lag_at_zero + self.slope * time

    def shift_line(self, pivot: float, lag: float, slope: float) -> "LagLine":
        """A line that is `lag` later at time `pivot` and steeper by `slope`."""
        return LagLine(lag_at_zero=self.lag_at_zero + lag - slope * pivot, slope=self.slope + slope)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceInterval:
    """The middle 95 % of the bootstrap's results."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The line with the largest correlation.

    `offset` is its lag at `middle`, both in seconds; `match` is the correlation along it. `windows` [n, 3] holds for
    parts of the video: time, best lag there, correlation at that lag.
    """

    line: LagLine
    middle: float
    offset: float
    offset_interval: ConfidenceInterval
    drift_interval: ConfidenceInterval
    match: float
    windows: Track

    def remove_bias(self, bias: float, start: float) -> "Alignment":
        """Add `bias` to all lags and `start` to all times, both in seconds."""
        line = LagLine(
            lag_at_zero=self.line.lag_at_zero + bias - self.line.slope * start, slope=self.line.slope
        )
        interval = self.offset_interval
        return replace(
            self,
            line=line,
            middle=self.middle + start,
            offset=self.offset + bias,
            offset_interval=ConfidenceInterval(low=interval.low + bias, high=interval.high + bias),
            windows=self.windows + np.array([start, bias, 0.0]),
        )


def band_pass_track(track: Track) -> Track:
    """A track without its mean over about a quarter second, and without jitter."""
    return smooth_track(track, 5) - smooth_track(track, 51)


def smooth_track(track: Track, width: int) -> Track:
    """A track convolved with a Hann window of `width` steps, odd."""
    kernel = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(track, width // 2, mode="edge"), kernel / kernel.sum(), mode="valid")


def align_tracks(lips: Track, face_mask: NDArray[np.bool_], sound: Track) -> Alignment:
    """The line between two band-passed tracks at `TRACK_RATE`; lips count only where `face_mask` is set.

    If one of the tracks is constant, the offset is 0 and the intervals are as wide as the search.
    """
    lips = np.where(face_mask, lips, 0.0)
    if not (_has_movement(lips) and _has_movement(sound)):
        return _unknown_alignment(len(lips))
    return _refine_line(lips, sound, _find_coarse_line(lips, sound))


def _has_movement(track: Track) -> bool:
    return bool(np.abs(track).max(initial=0.0) > _MIN_AMPLITUDE)


def _unknown_alignment(steps: int) -> Alignment:
    return Alignment(
        line=LagLine(lag_at_zero=0.0, slope=0.0),
        middle=steps / 2 / TRACK_RATE,
        offset=0.0,
        offset_interval=ConfidenceInterval(low=-SEARCH_REACH_SECONDS, high=SEARCH_REACH_SECONDS),
        drift_interval=ConfidenceInterval(low=-MAX_DRIFT, high=MAX_DRIFT),
        match=0.0,
        windows=np.empty((0, 3)),
    )


def _find_coarse_line(lips: Track, sound: Track) -> LagLine:
    """The best line without drift, or one with drift if that matches clearly better."""
    level = LagLine(lag_at_zero=0.0, slope=0.0)
    steady, steady_match = _search_line(lips, sound, level, np.zeros(1), SEARCH_REACH_SECONDS)
    active = np.flatnonzero(lips)
    if len(active) < MIN_DRIFT_SECONDS * TRACK_RATE:
        return steady
    begin, end = int(active[0]), int(active[-1]) + 1
    last = min(end, begin + round(_FIRST_STRETCH_SECONDS * TRACK_RATE))
    slopes = np.arange(-MAX_DRIFT, MAX_DRIFT, _PEAK_HALF_WIDTH * TRACK_RATE / (2 * (last - begin)))
    stretch = _isolate_stretch(lips, begin, last)
    drifting, match = _search_line(stretch, sound, level, slopes, SEARCH_REACH_SECONDS)
    while last < end:
        length = last - begin
        last = min(end, begin + 2 * length)
        slopes = np.linspace(-2, 2, 17) * _PEAK_HALF_WIDTH * TRACK_RATE / length
        stretch = _isolate_stretch(lips, begin, last)
        drifting, match = _search_line(stretch, sound, drifting, slopes, _FINE_REACH_SECONDS)
    return drifting if match > _DRIFT_GAIN * steady_match else steady


def _isolate_stretch(lips: Track, begin: int, end: int) -> Track:
    stretch = np.zeros(end)
    stretch[begin:end] = lips[begin:end]
    return stretch


def _search_line(
    lips: Track, sound: Track, around: LagLine, slopes: Track, reach: float
) -> tuple[LagLine, float]:
    """The best line, and its match, of those that are steeper by one of `slopes` and shifted by up to `reach`."""
    active = np.flatnonzero(lips)
    if not len(active):
        return around, 0.0
    begin, end = int(active[0]), int(active[-1]) + 1
    pivot, part = begin / TRACK_RATE, lips[begin:end]
    best, best_match = around, -1.0
    for slope in slopes.tolist():
        line = around.shift_line(pivot, 0.0, slope)
        shifted = _sample_along_line(sound, line, begin, end, round(reach * TRACK_RATE))
        curve = np.correlate(shifted, part, mode="valid")
        top = int(curve.argmax())
        power = float((part**2).sum() * (shifted[top : top + len(part)] ** 2).sum())
        match = float(curve[top]) / max(np.sqrt(power), 1e-12)
        if match > best_match:
            best, best_match = line.shift_line(pivot, top / TRACK_RATE - reach, 0.0), match
    return best, best_match


def _sample_along_line(sound: Track, line: LagLine, begin: int, end: int, margin: int) -> Track:
    """The sound at steps [begin - margin, end + margin) of the lips' clock, read along `line`; zero outside."""
    time = np.arange(begin - margin, end + margin) / TRACK_RATE
    places = (time + line.lag_at(time)) * TRACK_RATE
    return np.interp(places, np.arange(len(sound)), sound, left=0.0, right=0.0)


def _refine_line(lips: Track, sound: Track, line: LagLine) -> Alignment:
    """Lag and slope at the peak of the summed correlations of windows of at least one second."""
    size = max(TRACK_RATE, -(-len(lips) // _MAX_WINDOWS))
    margin = round(_FINE_REACH_SECONDS * TRACK_RATE)
    starts = range(0, max(1, len(lips) - size // 2), size)
    shifted = _sample_along_line(sound, line, 0, len(lips), margin)
    curves = np.array(
        [_correlate_window(lips[s : s + size], shifted[s : s + size + 2 * margin], margin) for s in starts]
    )
    power = np.array([(lips[s : s + size] ** 2).sum() for s in starts])
    times = (np.array(starts) + size / 2) / TRACK_RATE
    middle = float((power * times).sum() / max(power.sum(), 1e-12))
    slopes = _list_fine_slopes(len(lips) / TRACK_RATE)
    sheared = np.array(
        [_shear_curves(curves, slope * (times - middle) * TRACK_RATE) for slope in slopes.tolist()]
    )
    lag, slope = _locate_peaks(sheared.sum(axis=1)[None], slopes, margin)
    drawn_lags, drawn_slopes = _bootstrap_lines(sheared, slopes, margin)
    best = line.shift_line(middle, float(lag[0]), float(slope[0]))
    offset = float(best.lag_at(np.array(middle)))
    return Alignment(
        line=best,
        middle=middle,
        offset=offset,
        offset_interval=_to_interval(offset - lag[0] + drawn_lags),
        drift_interval=_to_interval(line.slope + drawn_slopes),
        match=_correlate_along_line(lips, sound, best),
        windows=_summarise_windows(curves, power, times, line, margin),
    )


def _list_fine_slopes(seconds: float) -> Track:
    if seconds < MIN_DRIFT_SECONDS:
        return np.zeros(3)
    return np.linspace(-_MAX_SHEAR_SECONDS, _MAX_SHEAR_SECONDS, _SLOPE_COUNT) / seconds


def _correlate_window(lips: Track, sound: Track, margin: int) -> Track:
    if len(sound) < 2 * margin + len(lips) or not len(lips):
        return np.zeros(2 * margin + 1)
    return np.correlate(sound, lips, mode="valid")[: 2 * margin + 1]


def _shear_curves(curves: Track, shifts: Track) -> Track:
    """Row w of `curves` [w, lags] read `shifts[w]` steps later.

    Cubic convolution (Keys 1981): linear interpolation would blur, and favour the slope that needs none.
    """
    lags = curves.shape[1]
    places = np.clip(np.arange(lags) + shifts[:, None], 1, lags - 2.001)
    columns = places.astype(np.intp)
    rows = np.arange(len(curves))[:, None]
    x = places - columns
    before, here, there, after = (curves[rows, columns + k] for k in (-1, 0, 1, 2))
    bend = 2 * before - 5 * here + 4 * there - after
    twist = 3 * (here - there) + after - before
    return np.asarray(here + 0.5 * x * (there - before + x * (bend + x * twist)))


def _bootstrap_lines(sheared: Track, slopes: Track, margin: int) -> tuple[Track, Track]:
    """Best lags and slopes when the windows of `sheared` [slopes, windows, lags] are drawn with replacement."""
    windows = sheared.shape[1]
    draws = np.random.default_rng(0).multinomial(
        windows, np.full(windows, 1 / windows), size=_BOOTSTRAP_DRAWS
    )
    flat = np.swapaxes(sheared, 0, 1).reshape(windows, -1)
    found = [_locate_peaks((part @ flat).reshape(len(part), *sheared.shape[::2]), slopes, margin)
             for part in np.array_split(draws.astype(np.float64), 8)]  # fmt: skip
    return np.concatenate([lag for lag, _ in found]), np.concatenate([slope for _, slope in found])


def _locate_peaks(totals: Track, slopes: Track, margin: int) -> tuple[Track, Track]:
    """Lag in seconds and slope at the peak of each of `totals` [n, slopes, lags], interpolated."""
    count, _, lags = totals.shape
    best = totals.reshape(count, -1).argmax(axis=1)
    row, column = np.clip(best // lags, 1, len(slopes) - 2), np.clip(best % lags, 1, lags - 2)
    n = np.arange(count)
    top = totals[n, row, column]
    lag = interpolate_peak(totals[n, row, column - 1], top, totals[n, row, column + 1], 1.0)
    slope = interpolate_peak(totals[n, row - 1, column], top, totals[n, row + 1, column], 1.0)
    return (column + lag - margin) / TRACK_RATE, slopes[row] + slope * (slopes[1] - slopes[0])


def _to_interval(values: Track) -> ConfidenceInterval:
    low, high = np.percentile(values, (2.5, 97.5))
    return ConfidenceInterval(low=float(low), high=float(high))


def _correlate_along_line(lips: Track, sound: Track, line: LagLine) -> float:
    shifted = _sample_along_line(sound, line, 0, len(lips), 0)
    power = float((lips**2).sum() * (shifted[lips != 0] ** 2).sum())
    return float((lips * shifted).sum() / max(np.sqrt(power), 1e-12))


def _summarise_windows(curves: Track, power: Track, times: Track, line: LagLine, margin: int) -> Track:
    """Time, best lag and correlation of runs of five windows, [n, 3]."""
    rows = []
    for first in range(0, max(1, len(curves) - 2), 5):
        run = slice(first, first + 5)
        total, weight = curves[run].sum(axis=0), float(power[run].sum())
        if weight <= 0 or total.max() <= 0:
            continue
        lag, _ = _locate_peaks(np.repeat(total[None, None], 3, axis=1), np.zeros(3), margin)
        time = float((power[run] * times[run]).sum() / weight)
        rows.append((time, float(line.lag_at(np.array(time)) + lag[0]), float(total.max() / weight)))
    return np.array(rows).reshape(-1, 3)

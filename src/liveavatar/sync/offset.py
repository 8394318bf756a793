"""When the sound comes after the lips: offset, drift and how sure both are, from two tracks on one clock.

The lips' opening and what the sound lets expect of it are freed from slow changes and correlated. The line
`lag(t) = offset + drift · t` is chosen along which the correlation is largest: first a coarse one that grows from
a short stretch to the whole video, then a fine one from windows of a second. These windows are drawn again and
again with replacement (a block bootstrap; Künsch 1989), which tells how far to trust the line.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.spectrum import interpolate_peak

Track = NDArray[np.float64]

TRACK_RATE = 100
"""Steps a second of every track."""

SEARCH_REACH_SECONDS = 1.0
"""Seconds by which lips and sound may be apart where the search begins."""

MAX_DRIFT = 0.06
"""Largest drift that is looked for, seconds a second."""

_FIRST_STRETCH_SECONDS = 40.0  # seconds of the stretch in which a drift is looked for first
_PEAK_HALF_WIDTH = 0.06  # seconds: half the width of a correlation's peak
_FINE_REACH_SECONDS = 0.3  # seconds around the coarse line that are searched finely
_MAX_WINDOWS = 600
_BOOTSTRAP_DRAWS = 400
_SLOPE_COUNT = 81
_MAX_SHEAR_SECONDS = 0.25  # seconds: what the steepest fine slope makes of the whole length
_MIN_DRIFT_LENGTH = 15.0  # seconds from which on a drift can be told from chance
_DRIFT_GAIN = 1.3
"""How much better a coarse line with drift must match than one without: it has more ways to match by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LagLine:
    """`lag(t) = at_zero + slope · t` in seconds: how much later than the lips the sound comes."""

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
    """The middle 95 % of what the bootstrap found."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The line that fits best.

    `offset` is its lag at `middle`, both seconds; `match` the correlation along it; `surprise` says by how many
    standard deviations that exceeds what unrelated tracks as smooth as these give at one lag. `windows` [n, 3]
    holds for parts of the video: time, lag that matches best there, and that match.
    """

    line: LagLine
    middle: float
    offset: float
    offset_interval: ConfidenceInterval
    drift_interval: ConfidenceInterval
    match: float
    z_score: float
    windows: Track

    def remove_bias(self, bias: float, start: float) -> "Alignment":
        """Later by `bias`, and with times that count from `start` seconds earlier on: both in seconds."""
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
    """A track without its mean over about a quarter second, and without trembling."""
    return smooth_track(track, 5) - smooth_track(track, 51)


def smooth_track(track: Track, width: int) -> Track:
    """A track blurred with a bell of `width` steps, odd."""
    bell = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(track, width // 2, mode="edge"), bell / bell.sum(), mode="valid")


def align_tracks(lips: Track, face_mask: NDArray[np.bool_], sound: Track) -> Alignment:
    """Find the line between two flattened tracks at `RATE`; lips count only where they were `seen`."""
    lips = np.where(face_mask, lips, 0.0)
    return _refine_line(lips, int(face_mask.sum()), sound, _find_coarse_line(lips, sound))


def _find_coarse_line(lips: Track, sound: Track) -> LagLine:
    """The best line without drift, or one with drift if that is clearly better."""
    level = LagLine(lag_at_zero=0.0, slope=0.0)
    still, still_match = _search_line(lips, sound, level, np.zeros(1), SEARCH_REACH_SECONDS)
    active = np.flatnonzero(lips)
    if len(active) < _MIN_DRIFT_LENGTH * TRACK_RATE:
        return still
    begin, end = int(active[0]), int(active[-1]) + 1
    last = min(end, begin + round(_FIRST_STRETCH_SECONDS * TRACK_RATE))
    steps = np.arange(-MAX_DRIFT, MAX_DRIFT, _PEAK_HALF_WIDTH * TRACK_RATE / (2 * (last - begin)))
    moving, match = _search_line(
        _isolate_stretch(lips, begin, last), sound, level, steps, SEARCH_REACH_SECONDS
    )
    while last < end:
        known = last - begin
        last = min(end, begin + 2 * known)
        steps = np.linspace(-2, 2, 17) * _PEAK_HALF_WIDTH * TRACK_RATE / known
        moving, match = _search_line(
            _isolate_stretch(lips, begin, last), sound, moving, steps, _FINE_REACH_SECONDS
        )
    return moving if match > _DRIFT_GAIN * still_match else still


def _isolate_stretch(lips: Track, begin: int, end: int) -> Track:
    part = np.zeros(end)
    part[begin:end] = lips[begin:end]
    return part


def _search_line(
    lips: Track, sound: Track, around: LagLine, slopes: Track, reach: float
) -> tuple[LagLine, float]:
    """The best of the lines that are steeper by one of `slopes` and off by up to `reach`, and its match."""
    active = np.flatnonzero(lips)
    if not len(active):
        return around, 0.0
    begin, end = int(active[0]), int(active[-1]) + 1
    pivot, part = begin / TRACK_RATE, lips[begin:end]
    best, highest = around, -1.0
    for slope in slopes.tolist():
        line = around.shift_line(pivot, 0.0, slope)
        heard = _sample_along_line(sound, line, begin, end, round(reach * TRACK_RATE))
        curve = np.correlate(heard, part, mode="valid")
        top = int(curve.argmax())
        power = float((part**2).sum() * (heard[top : top + len(part)] ** 2).sum())
        match = float(curve[top]) / max(np.sqrt(power), 1e-12)
        if match > highest:
            best, highest = line.shift_line(pivot, top / TRACK_RATE - reach, 0.0), match
    return best, highest


def _sample_along_line(sound: Track, line: LagLine, begin: int, end: int, margin: int) -> Track:
    """The sound as it lies under steps [begin - margin, end + margin) when read along `line`; silence outside."""
    time = np.arange(begin - margin, end + margin) / TRACK_RATE
    return np.interp(
        (time + line.lag_at(time)) * TRACK_RATE, np.arange(len(sound)), sound, left=0.0, right=0.0
    )


def _refine_line(lips: Track, face_steps: int, sound: Track, line: LagLine) -> Alignment:
    size = max(TRACK_RATE, -(-len(lips) // _MAX_WINDOWS))
    margin = round(_FINE_REACH_SECONDS * TRACK_RATE)
    starts = range(0, max(1, len(lips) - size // 2), size)
    heard = _sample_along_line(sound, line, 0, len(lips), margin)
    curves = np.array(
        [_correlate_window(lips[s : s + size], heard[s : s + size + 2 * margin], margin) for s in starts]
    )
    power = np.array([(lips[s : s + size] ** 2).sum() for s in starts])
    times = (np.array(starts) + size / 2) / TRACK_RATE
    middle = float((power * times).sum() / max(power.sum(), 1e-12))
    length = len(lips) / TRACK_RATE
    slopes = (
        np.linspace(-_MAX_SHEAR_SECONDS, _MAX_SHEAR_SECONDS, _SLOPE_COUNT) / length
        if length >= _MIN_DRIFT_LENGTH
        else np.zeros(3)
    )
    sheared = np.array(
        [_shear_curves(curves, slope * (times - middle) * TRACK_RATE) for slope in slopes.tolist()]
    )
    lag, slope = _locate_peaks(sheared.sum(axis=1)[None], slopes, margin)
    drawn = _bootstrap_lines(sheared, slopes, margin)
    best = line.shift_line(middle, float(lag[0]), float(slope[0]))
    offset = float(best.lag_at(np.array(middle)))
    match, surprise = _score_line(lips, face_steps, sound, best)
    return Alignment(
        line=best,
        middle=middle,
        offset=offset,
        offset_interval=_to_interval(offset - lag[0] + drawn[0]),
        drift_interval=_to_interval(line.slope + drawn[1]),
        match=match,
        z_score=surprise,
        windows=_summarise_windows(curves, power, times, line, margin),
    )


def _correlate_window(lips: Track, sound: Track, margin: int) -> Track:
    if len(sound) < 2 * margin + len(lips) or not len(lips):
        return np.zeros(2 * margin + 1)
    return np.correlate(sound, lips, mode="valid")[: 2 * margin + 1]


def _shear_curves(curves: Track, shifts: Track) -> Track:
    """Row w of `curves` [w, lags] read `shifts[w]` steps later, between steps by cubics (Keys 1981): straight lines
    would blur, and favour the slope that needs none."""
    lags = curves.shape[1]
    at = np.clip(np.arange(lags) + shifts[:, None], 1, lags - 2.001)
    whole = at.astype(np.intp)
    rows = np.arange(len(curves))[:, None]
    x = at - whole
    before, here, there, after = (curves[rows, whole + k] for k in (-1, 0, 1, 2))
    bend = 2 * before - 5 * here + 4 * there - after
    twist = 3 * (here - there) + after - before
    return np.asarray(here + 0.5 * x * (there - before + x * (bend + x * twist)))


def _bootstrap_lines(sheared: Track, slopes: Track, margin: int) -> tuple[Track, Track]:
    """Lags and slopes that win when the windows of `sheared` [slopes, windows, lags] are drawn anew."""
    windows = sheared.shape[1]
    draws = np.random.default_rng(0).multinomial(
        windows, np.full(windows, 1 / windows), size=_BOOTSTRAP_DRAWS
    )
    flat = np.swapaxes(sheared, 0, 1).reshape(windows, -1)
    found = [_locate_peaks((part @ flat).reshape(len(part), *sheared.shape[::2]), slopes, margin)
             for part in np.array_split(draws.astype(np.float64), 8)]  # fmt: skip
    return np.concatenate([lag for lag, _ in found]), np.concatenate([slope for _, slope in found])


def _locate_peaks(totals: Track, slopes: Track, margin: int) -> tuple[Track, Track]:
    """Lag in seconds and slope at the top of each of `totals` [n, slopes, lags], between the steps too."""
    count, _, lags = totals.shape
    best = totals.reshape(count, -1).argmax(axis=1)
    row, column = np.clip(best // lags, 1, len(slopes) - 2), np.clip(best % lags, 1, lags - 2)
    n = np.arange(count)
    top = totals[n, row, column]
    near = interpolate_peak(totals[n, row, column - 1], top, totals[n, row, column + 1], 1.0)
    steep = interpolate_peak(totals[n, row - 1, column], top, totals[n, row + 1, column], 1.0)
    return (column + near - margin) / TRACK_RATE, slopes[row] + steep * (slopes[1] - slopes[0])


def _to_interval(values: Track) -> ConfidenceInterval:
    low, high = np.percentile(values, (2.5, 97.5))
    return ConfidenceInterval(low=float(low), high=float(high))


def _score_line(lips: Track, face_steps: int, sound: Track, line: LagLine) -> tuple[float, float]:
    """Match along the line, and by how many standard deviations it is above chance (Bartlett 1935)."""
    heard = _sample_along_line(sound, line, 0, len(lips), 0)
    mask = lips != 0
    power = float((lips**2).sum() * (heard[mask] ** 2).sum())
    match = float((lips * heard).sum()) / max(np.sqrt(power), 1e-12)
    spread = np.sqrt(
        max((_autocorrelate_track(lips) * _autocorrelate_track(heard)).sum(), 1.0) / max(face_steps, 1)
    )
    return match, match / float(spread)


def _autocorrelate_track(track: Track) -> Track:
    """Autocorrelation for lags up to a second each way."""
    reach = min(TRACK_RATE, len(track) - 1)
    power = max(float((track**2).sum()), 1e-12)
    half = np.array([(track[k:] * track[: len(track) - k]).sum() / power for k in range(reach + 1)])
    return np.concatenate([half[:0:-1], half])


def _summarise_windows(curves: Track, power: Track, times: Track, line: LagLine, margin: int) -> Track:
    """Time, best lag and match over runs of five windows."""
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

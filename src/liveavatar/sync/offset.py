"""When the sound comes after the lips: offset, drift and how sure both are, from two tracks on one clock.

The lips' opening and what the sound lets expect of it are freed from slow changes and correlated. The line
`lag(t) = offset + drift · t` is chosen along which the correlation is largest: first a coarse one that grows from
a short stretch to the whole video, then a fine one from windows of a second. These windows are drawn again and
again with replacement (a block bootstrap; Künsch 1989), which tells how far to trust the line.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Track = NDArray[np.float64]

RATE = 100
"""Steps a second of every track."""

REACH = 1.0
"""Seconds by which lips and sound may be apart where the search begins."""

STEEPEST = 0.06
"""Largest drift that is looked for, seconds a second."""

_FIRST = 40.0  # seconds of the stretch in which a drift is looked for first
_WIDTH = 0.06  # seconds: half the width of a correlation's peak
_NEAR = 0.3  # seconds around the coarse line that are searched finely
_MOST_WINDOWS = 600
_DRAWS = 400
_SLOPES = 81
_SHEAR = 0.25  # seconds: what the steepest fine slope makes of the whole length
_SHORTEST = 15.0  # seconds from which on a drift can be told from chance
_DRIFT_GAIN = 1.3
"""How much better a coarse line with drift must match than one without: it has more ways to match by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`lag(t) = at_zero + slope · t` in seconds: how much later than the lips the sound comes."""

    at_zero: float
    slope: float

    def at(self, time: Track) -> Track:
        """Lags at times in seconds."""
        return self.at_zero + self.slope * time

    def moved(self, pivot: float, lag: float, slope: float) -> "Line":
        """A line that is `lag` later at time `pivot` and steeper by `slope`."""
        return Line(at_zero=self.at_zero + lag - slope * pivot, slope=self.slope + slope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
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

    line: Line
    middle: float
    offset: float
    offset_interval: Interval
    drift_interval: Interval
    match: float
    surprise: float
    windows: Track

    def freed(self, bias: float, start: float) -> "Alignment":
        """Later by `bias`, and with times that count from `start` seconds earlier on: both in seconds."""
        line = Line(at_zero=self.line.at_zero + bias - self.line.slope * start, slope=self.line.slope)
        interval = self.offset_interval
        return replace(
            self,
            line=line,
            middle=self.middle + start,
            offset=self.offset + bias,
            offset_interval=Interval(low=interval.low + bias, high=interval.high + bias),
            windows=self.windows + np.array([start, bias, 0.0]),
        )


def flatten(track: Track) -> Track:
    """A track without its mean over about a quarter second, and without trembling."""
    return smooth(track, 5) - smooth(track, 51)


def smooth(track: Track, width: int) -> Track:
    """A track blurred with a bell of `width` steps, odd."""
    bell = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(track, width // 2, mode="edge"), bell / bell.sum(), mode="valid")


def align(lips: Track, seen: NDArray[np.bool_], sound: Track) -> Alignment:
    """Find the line between two flattened tracks at `RATE`; lips count only where they were `seen`."""
    lips = np.where(seen, lips, 0.0)
    return _fine(lips, int(seen.sum()), sound, _coarse(lips, sound))


def _coarse(lips: Track, sound: Track) -> Line:
    """The best line without drift, or one with drift if that is clearly better."""
    level = Line(at_zero=0.0, slope=0.0)
    still, still_match = _search(lips, sound, level, np.zeros(1), REACH)
    active = np.flatnonzero(lips)
    if len(active) < _SHORTEST * RATE:
        return still
    begin, end = int(active[0]), int(active[-1]) + 1
    last = min(end, begin + round(_FIRST * RATE))
    steps = np.arange(-STEEPEST, STEEPEST, _WIDTH * RATE / (2 * (last - begin)))
    moving, match = _search(_only(lips, begin, last), sound, level, steps, REACH)
    while last < end:
        known = last - begin
        last = min(end, begin + 2 * known)
        steps = np.linspace(-2, 2, 17) * _WIDTH * RATE / known
        moving, match = _search(_only(lips, begin, last), sound, moving, steps, _NEAR)
    return moving if match > _DRIFT_GAIN * still_match else still


def _only(lips: Track, begin: int, end: int) -> Track:
    part = np.zeros(end)
    part[begin:end] = lips[begin:end]
    return part


def _search(lips: Track, sound: Track, around: Line, slopes: Track, reach: float) -> tuple[Line, float]:
    """The best of the lines that are steeper by one of `slopes` and off by up to `reach`, and its match."""
    active = np.flatnonzero(lips)
    if not len(active):
        return around, 0.0
    begin, end = int(active[0]), int(active[-1]) + 1
    pivot, part = begin / RATE, lips[begin:end]
    best, highest = around, -1.0
    for slope in slopes.tolist():
        line = around.moved(pivot, 0.0, slope)
        heard = _along(sound, line, begin, end, round(reach * RATE))
        curve = np.correlate(heard, part, mode="valid")
        top = int(curve.argmax())
        power = float((part**2).sum() * (heard[top : top + len(part)] ** 2).sum())
        match = float(curve[top]) / max(np.sqrt(power), 1e-12)
        if match > highest:
            best, highest = line.moved(pivot, top / RATE - reach, 0.0), match
    return best, highest


def _along(sound: Track, line: Line, begin: int, end: int, margin: int) -> Track:
    """The sound as it lies under steps [begin - margin, end + margin) when read along `line`; silence outside."""
    time = np.arange(begin - margin, end + margin) / RATE
    return np.interp((time + line.at(time)) * RATE, np.arange(len(sound)), sound, left=0.0, right=0.0)


def _fine(lips: Track, seen: int, sound: Track, line: Line) -> Alignment:
    size = max(RATE, -(-len(lips) // _MOST_WINDOWS))
    margin = round(_NEAR * RATE)
    starts = range(0, max(1, len(lips) - size // 2), size)
    heard = _along(sound, line, 0, len(lips), margin)
    curves = np.array([_curve(lips[s : s + size], heard[s : s + size + 2 * margin], margin) for s in starts])
    power = np.array([(lips[s : s + size] ** 2).sum() for s in starts])
    times = (np.array(starts) + size / 2) / RATE
    middle = float((power * times).sum() / max(power.sum(), 1e-12))
    length = len(lips) / RATE
    slopes = np.linspace(-_SHEAR, _SHEAR, _SLOPES) / length if length >= _SHORTEST else np.zeros(3)
    sheared = np.array([_shear(curves, slope * (times - middle) * RATE) for slope in slopes.tolist()])
    lag, slope = _peaks(sheared.sum(axis=1)[None], slopes, margin)
    drawn = _bootstrap(sheared, slopes, margin)
    best = line.moved(middle, float(lag[0]), float(slope[0]))
    offset = float(best.at(np.array(middle)))
    match, surprise = _judge(lips, seen, sound, best)
    return Alignment(
        line=best,
        middle=middle,
        offset=offset,
        offset_interval=_interval(offset - lag[0] + drawn[0]),
        drift_interval=_interval(line.slope + drawn[1]),
        match=match,
        surprise=surprise,
        windows=_windows(curves, power, times, line, margin),
    )


def _curve(lips: Track, heard: Track, margin: int) -> Track:
    if len(heard) < 2 * margin + len(lips) or not len(lips):
        return np.zeros(2 * margin + 1)
    return np.correlate(heard, lips, mode="valid")[: 2 * margin + 1]


def _shear(curves: Track, shifts: Track) -> Track:
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


def _bootstrap(sheared: Track, slopes: Track, margin: int) -> tuple[Track, Track]:
    """Lags and slopes that win when the windows of `sheared` [slopes, windows, lags] are drawn anew."""
    windows = sheared.shape[1]
    draws = np.random.default_rng(0).multinomial(windows, np.full(windows, 1 / windows), size=_DRAWS)
    flat = np.swapaxes(sheared, 0, 1).reshape(windows, -1)
    found = [_peaks((part @ flat).reshape(len(part), *sheared.shape[::2]), slopes, margin)
             for part in np.array_split(draws.astype(np.float64), 8)]  # fmt: skip
    return np.concatenate([lag for lag, _ in found]), np.concatenate([slope for _, slope in found])


def _peaks(totals: Track, slopes: Track, margin: int) -> tuple[Track, Track]:
    """Lag in seconds and slope at the top of each of `totals` [n, slopes, lags], between the steps too."""
    count, _, lags = totals.shape
    top = totals.reshape(count, -1).argmax(axis=1)
    row, column = np.clip(top // lags, 1, len(slopes) - 2), np.clip(top % lags, 1, lags - 2)
    n = np.arange(count)
    near = _vertex(totals[n, row, column - 1], totals[n, row, column], totals[n, row, column + 1])
    steep = _vertex(totals[n, row - 1, column], totals[n, row, column], totals[n, row + 1, column])
    return (column + near - margin) / RATE, slopes[row] + steep * (slopes[1] - slopes[0])


def _vertex(left: Track, top: Track, right: Track) -> Track:
    """Where the parabola through three neighbours is highest, in steps from the middle one."""
    bend = 2 * top - left - right
    return np.clip(np.where(bend > 0, (right - left) / (2 * np.maximum(bend, 1e-12)), 0.0), -1, 1)


def _interval(values: Track) -> Interval:
    low, high = np.percentile(values, (2.5, 97.5))
    return Interval(low=float(low), high=float(high))


def _judge(lips: Track, seen: int, sound: Track, line: Line) -> tuple[float, float]:
    """Match along the line, and by how many standard deviations it is above chance (Bartlett 1935)."""
    heard = _along(sound, line, 0, len(lips), 0)
    mask = lips != 0
    power = float((lips**2).sum() * (heard[mask] ** 2).sum())
    match = float((lips * heard).sum()) / max(np.sqrt(power), 1e-12)
    spread = np.sqrt(max((_echo(lips) * _echo(heard)).sum(), 1.0) / max(seen, 1))
    return match, match / float(spread)


def _echo(track: Track) -> Track:
    """Autocorrelation for lags up to a second each way."""
    reach = min(RATE, len(track) - 1)
    power = max(float((track**2).sum()), 1e-12)
    half = np.array([(track[k:] * track[: len(track) - k]).sum() / power for k in range(reach + 1)])
    return np.concatenate([half[:0:-1], half])


def _windows(curves: Track, power: Track, times: Track, line: Line, margin: int) -> Track:
    """Time, best lag and match over runs of five windows."""
    rows = []
    for first in range(0, max(1, len(curves) - 2), 5):
        run = slice(first, first + 5)
        total, weight = curves[run].sum(axis=0), float(power[run].sum())
        if weight <= 0 or total.max() <= 0:
            continue
        lag, _ = _peaks(np.repeat(total[None, None], 3, axis=1), np.zeros(3), margin)
        time = float((power[run] * times[run]).sum() / weight)
        rows.append((time, float(line.at(np.array(time)) + lag[0]), float(total.max() / weight)))
    return np.array(rows).reshape(-1, 3)

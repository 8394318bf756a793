"""How well an offset is known: what the frame rate and the match leave open, besides the scatter of the windows."""

import math

from liveavatar.sync.offset import Alignment, ConfidenceInterval

REFERENCE_FRAME_SECONDS = 1 / 25
"""Of the videos by which the tolerances and the bias of the features were set."""

_BAND_HERTZ = (2.0, 10.0)
"""Band of the tracks after `band_pass_track`."""
_NORMAL_QUANTILE = 1.96
"""Half width of a 95 % interval of a normal distribution, in standard deviations."""
_MAX_COHERENCE = 0.99


def compute_frame_tolerance(frame_seconds: float) -> float:
    """Seconds by which the offset of slow pictures is uncertain, more than that of pictures at 25 a second.

    A picture shows the lips of one instant. Which instant of the time that it is shown is unknown, so the offset is
    uncertain by half of that time.
    """
    return max(0.0, (frame_seconds - REFERENCE_FRAME_SECONDS) / 2)


def compute_match_loss(frame_seconds: float) -> float:
    """Factor, at most 1, by which slow pictures lower the match of lips with their own speech.

    Pictures show movements up to half of their rate. Of power that is spread evenly they show a share proportional to
    the rate, and the correlation goes with its root.
    """
    return math.sqrt(min(1.0, REFERENCE_FRAME_SECONDS / frame_seconds))


def compute_delay_deviation(match: float, seconds: float, frame_seconds: float) -> float:
    """Least standard deviation in seconds of a delay that is estimated from tracks with this correlation.

    The Cramér-Rao bound (Knapp and Carter 1976) for a flat coherence `match`² in the tracks' band, which
    ends at half the frame rate: `(2T ∫ (2πf)² γ²/(1-γ²) df)^-½`.
    """
    low, high = _BAND_HERTZ
    high = max(min(high, 1 / (2 * frame_seconds)), low + 1.0)
    coherence = min(max(match, 0.0) ** 2, _MAX_COHERENCE)
    power = 8 / 3 * math.pi**2 * (high**3 - low**3) * seconds * coherence / (1 - coherence)
    return math.inf if power <= 0 else power**-0.5


def widen_interval(found: Alignment, seconds: float, frame_seconds: float) -> ConfidenceInterval:
    """The interval of the offset, with what the match and the frame rate leave open. All in seconds."""
    least = _NORMAL_QUANTILE * compute_delay_deviation(found.match, seconds, frame_seconds)
    frame = compute_frame_tolerance(frame_seconds)
    interval = found.offset_interval
    if math.isinf(least):
        return interval
    return ConfidenceInterval(
        low=min(interval.low, found.offset - least) - frame,
        high=max(interval.high, found.offset + least) + frame,
    )

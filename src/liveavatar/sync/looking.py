"""What the pictures show of the lips: one opening for every frame, with the time it stands for."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from liveavatar.sync.face_track import FaceTrack
from liveavatar.sync.mouth import mouth_opening
from liveavatar.video.reader import VideoReader

_WHOLE = 600
"""Seconds up to which every frame is looked at; of longer videos, stretches spread over all of it."""
_STRETCHES, _STRETCH = 20, 30
_GAP = 0.3
"""Seconds between two looks over which the lips are not guessed."""

Span = tuple[Fraction | None, Fraction | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`times` [m] are the middles of the times in which frames are shown, seconds of the file's clock; `openings`
    [m] how far the lips are apart in them, centimetres, NaN without a face; `frame` is how long one is shown."""

    times: NDArray[np.float64]
    openings: NDArray[np.float64]
    frame: float

    @property
    def present(self) -> NDArray[np.bool_]:
        """In which frames there is a face."""
        return ~np.isnan(self.openings)

    def at(self, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Openings at any times, between frames linearly, and whether there was a face close by."""
        known = self.times[self.present]
        if len(known) < 2:
            return np.zeros(len(times)), np.zeros(len(times), np.bool_)
        after = np.clip(np.searchsorted(known, times), 1, len(known) - 1)
        near = (known[after] - known[after - 1] < _GAP) & (times > known[0]) & (times < known[-1])
        return np.interp(times, known, self.openings[self.present]), near


def look(video: VideoReader, tell: Callable[[float], None] = lambda _seconds: None) -> Seen:
    """Follow the face through `video`; `tell` is called with the seconds done."""
    times, openings = [], []
    durations: list[float] = []
    for start, end in spans(video.duration):
        track = FaceTrack()
        last: float | None = None
        for shown in video.between(start, end):
            landmarks = track.see(shown.rgb)
            openings.append(np.nan if landmarks is None else mouth_opening(landmarks))
            times.append(float(shown.time))
            if last is not None:
                durations.append(times[-1] - last)
            last = times[-1]
            tell(last)
    frame = float(np.median(durations)) if durations else 0.04
    starts = np.array(times)
    shown_for = np.diff(starts, append=starts[-1:] + frame)
    shown_for[shown_for > _GAP] = frame  # the last of a stretch
    return Seen(times=starts + shown_for / 2, openings=np.array(openings), frame=frame)


def spans(duration: Fraction | None) -> list[Span]:
    """The parts of a video to look at."""
    if duration is None or duration <= _WHOLE:
        return [(None, None)]
    starts = [(duration - _STRETCH) * k / (_STRETCHES - 1) for k in range(_STRETCHES)]
    return [(start, start + _STRETCH) for start in starts]

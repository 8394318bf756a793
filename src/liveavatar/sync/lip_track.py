"""What the pictures show of the lips: one opening for every frame, with the time it stands for."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from liveavatar.sync.face_tracker import FaceTracker
from liveavatar.sync.mouth_opening import measure_mouth_opening
from liveavatar.video.reader import VideoReader

_FULL_SCAN_SECONDS = 600
"""Seconds up to which every frame is looked at; of longer videos, stretches spread over all of it."""
_STRETCH_COUNT, _STRETCH_SECONDS = 20, 30
_MAX_GAP_SECONDS = 0.3
"""Seconds between two looks over which the lips are not guessed."""

Span = tuple[Fraction | None, Fraction | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LipTrack:
    """`times` [m] are the middles of the times in which frames are shown, seconds of the file's clock; `openings`
    [m] how far the lips are apart in them, centimetres, NaN without a face; `frame` is how long one is shown."""

    times: NDArray[np.float64]
    openings: NDArray[np.float64]
    frame_seconds: float

    @property
    def face_mask(self) -> NDArray[np.bool_]:
        """In which frames there is a face."""
        return ~np.isnan(self.openings)

    def sample_openings(self, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Openings at any times, between frames linearly, and whether there was a face close by."""
        known = self.times[self.face_mask]
        if len(known) < 2:
            return np.zeros(len(times)), np.zeros(len(times), np.bool_)
        after = np.clip(np.searchsorted(known, times), 1, len(known) - 1)
        near = (known[after] - known[after - 1] < _MAX_GAP_SECONDS) & (times > known[0]) & (times < known[-1])
        return np.interp(times, known, self.openings[self.face_mask]), near


def extract_lip_track(
    video: VideoReader, on_progress: Callable[[float], None] = lambda _seconds: None
) -> LipTrack:
    """Follow the face through `video`; `tell` is called with the seconds done."""
    times, openings = [], []
    durations: list[float] = []
    for start, end in choose_spans(video.duration):
        track = FaceTracker()
        last: float | None = None
        for shown in video.read_between(start, end):
            landmarks = track.track_landmarks(shown.rgb)
            openings.append(np.nan if landmarks is None else measure_mouth_opening(landmarks))
            times.append(float(shown.time))
            if last is not None:
                durations.append(times[-1] - last)
            last = times[-1]
            on_progress(last)
    frame = float(np.median(durations)) if durations else 0.04
    starts = np.array(times)
    shown_for = np.diff(starts, append=starts[-1:] + frame)
    shown_for[shown_for > _MAX_GAP_SECONDS] = frame  # the last of a stretch
    return LipTrack(times=starts + shown_for / 2, openings=np.array(openings), frame_seconds=frame)


def choose_spans(duration: Fraction | None) -> list[Span]:
    """The parts of a video to look at."""
    if duration is None or duration <= _FULL_SCAN_SECONDS:
        return [(None, None)]
    starts = [(duration - _STRETCH_SECONDS) * k / (_STRETCH_COUNT - 1) for k in range(_STRETCH_COUNT)]
    return [(start, start + _STRETCH_SECONDS) for start in starts]

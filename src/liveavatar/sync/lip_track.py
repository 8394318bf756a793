"""The opening of the lips in every frame of a video, with the time at which the frame is shown."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from liveavatar.sync.face_tracker import FaceTracker
from liveavatar.sync.mouth_opening import measure_mouth_opening
from liveavatar.video.reader import VideoReader

_FULL_SCAN_SECONDS = 600
"""Every frame of a video is analysed up to this duration; of longer ones, evenly spread stretches."""
_STRETCH_COUNT, _STRETCH_SECONDS = 20, 30
_MAX_GAP_SECONDS = 0.3
"""Openings are not interpolated over longer gaps between two frames with a face."""
_DEFAULT_FRAME_SECONDS = 0.04  # of a video with a single frame

Span = tuple[Fraction | None, Fraction | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LipTrack:
    """Openings of the lips in m frames.

    `times` [m] are the middles of the times in which frames are shown, seconds of the file's clock. `openings` [m] are
    the distances of the lips in centimetres, NaN without a face. `frame_seconds` is how long a frame is shown.
    """

    times: NDArray[np.float64]
    openings: NDArray[np.float64]
    frame_seconds: float

    @property
    def face_mask(self) -> NDArray[np.bool_]:
        """Which frames have a face, [m]."""
        return ~np.isnan(self.openings)

    def sample_openings(self, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Linearly interpolated openings at `times`, and whether frames with a face are near them."""
        known = self.times[self.face_mask]
        if len(known) < 2:
            return np.zeros(len(times)), np.zeros(len(times), np.bool_)
        after = np.clip(np.searchsorted(known, times), 1, len(known) - 1)
        near = (known[after] - known[after - 1] < _MAX_GAP_SECONDS) & (times > known[0]) & (times < known[-1])
        return np.interp(times, known, self.openings[self.face_mask]), near


def extract_lip_track(
    video: VideoReader, on_progress: Callable[[float], None] = lambda _seconds: None
) -> LipTrack:
    """Track the face through `video`; `on_progress` gets the seconds that are done."""
    times: list[float] = []
    openings: list[float] = []
    durations: list[float] = []
    for start, end in choose_spans(video.duration):
        tracker = FaceTracker()
        previous: float | None = None
        for frame in video.read_between(start, end):
            landmarks = tracker.track_landmarks(frame.rgb)
            openings.append(math.nan if landmarks is None else measure_mouth_opening(landmarks))
            times.append(float(frame.time))
            if previous is not None:
                durations.append(times[-1] - previous)
            previous = times[-1]
            on_progress(previous)
    frame_seconds = float(np.median(durations)) if durations else _DEFAULT_FRAME_SECONDS
    starts = np.array(times)
    shown_for = np.diff(starts, append=starts[-1:] + frame_seconds)
    shown_for[shown_for > _MAX_GAP_SECONDS] = frame_seconds  # the last frame of a stretch
    return LipTrack(times=starts + shown_for / 2, openings=np.array(openings), frame_seconds=frame_seconds)


def choose_spans(duration: Fraction | None) -> list[Span]:
    """Start and end of the parts of a video that are analysed, seconds; None is its start or end."""
    if duration is None or duration <= _FULL_SCAN_SECONDS:
        return [(None, None)]
    starts = [(duration - _STRETCH_SECONDS) * k / (_STRETCH_COUNT - 1) for k in range(_STRETCH_COUNT)]
    return [(start, start + _STRETCH_SECONDS) for start in starts]

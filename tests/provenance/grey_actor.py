"""An engine for tests of marks: grey frames as soon as their sound is there."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from liveavatar.errors import EngineError
from liveavatar.frames import Samples, VideoFrame
from liveavatar.report import Finding
from liveavatar.timeline import Timeline


class GreySession:
    """Frames of one grey. It fails at frame `fail_at`."""

    lookahead = 0

    def __init__(self, size: tuple[int, int], fps: Fraction, fail_at: int | None) -> None:
        self._size, self._timeline, self._fail_at = size, Timeline(fps=fps), fail_at
        self._sample_count, self._next_frame, self._is_flushed = 0, 0, False

    def push(self, samples: Samples) -> None:
        self._sample_count += len(samples)

    def flush(self) -> None:
        self._is_flushed = True

    def interrupt(self) -> None:
        self._sample_count = self._timeline.frame_start(self._next_frame)

    def frames(self) -> Iterator[VideoFrame]:
        count: Callable[[int], int] = (
            self._timeline.frame_count if self._is_flushed else self._timeline.frames_within
        )
        while self._next_frame < count(self._sample_count):
            if self._next_frame == self._fail_at:
                raise EngineError("the GPU was lost", "look at it")
            width, height = self._size
            rgb = np.full((height, width, 3), 128, np.uint8)
            rgb.flags.writeable = False  # an engine may show the same picture again
            self._next_frame += 1
            yield VideoFrame(rgb=rgb, pts=self._next_frame - 1, fps=self._timeline.fps)


class GreyActor:
    """Opens grey sessions."""

    findings: tuple[Finding, ...] = ()

    def __init__(self, size: tuple[int, int] = (64, 64), fail_at: int | None = None) -> None:
        self.size, self._fail_at = size, fail_at

    def session(self, fps: Fraction, seed: int) -> GreySession:
        return GreySession(self.size, fps, self._fail_at)

"""The time at which frames are due, by a clock that tests replace."""

import time
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from typing import Protocol


class Clock(Protocol):
    """A clock that never goes back."""

    def read_time(self) -> float:
        """Seconds since some moment."""
        ...

    def wait_until(self, moment: float, wake: Event) -> None:
        """Return at `moment`, or as soon as `wake` is set."""
        ...


class SystemClock:
    """The clock of the machine."""

    def read_time(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def wait_until(self, moment: float, wake: Event) -> None:
        """Return at `moment`, or as soon as `wake` is set."""
        delay = moment - self.read_time()
        if delay > 0:
            wake.wait(delay)


@dataclass(slots=True)
class FrameSchedule:
    """When each frame of a stream is due. `origin` is the time of frame 0 on the clock.

    A stream that is late by more than a frame is postponed as a whole: sound and pictures stay together, and it does
    not hurry to catch up.
    """

    fps: Fraction
    origin: float
    postponed_seconds: float = 0.0

    def find_due_time(self, frame: int) -> float:
        """The time on the clock at which `frame` is due."""
        return self.origin + float(frame / self.fps)

    def postpone_if_late(self, frame: int, now: float) -> float:
        """Make `frame` due at `now` if it is late by more than a frame; returns by how many seconds."""
        delay = now - self.find_due_time(frame)
        if delay <= 1 / self.fps:
            return 0.0
        self.origin += delay
        self.postponed_seconds += delay
        return delay

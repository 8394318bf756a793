"""What of each segment has been heard, and the two events that every segment has."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from liveavatar.live.messages import LiveEvent, SegmentFinished, SegmentStarted
from liveavatar.timeline import SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedSpeech:
    """Speech that went out: `count` samples at 16 kHz, heard from `start` on, a time on the clock."""

    segment: int
    start: float
    count: int
    is_last: bool

    def count_heard(self, now: float) -> int:
        """Samples of it that are heard by `now`."""
        return min(max(0, round((now - self.start) * SAMPLE_RATE)), self.count)

    def is_over(self, now: float) -> bool:
        """Whether all of it has been heard."""
        return now >= self.start + self.count / SAMPLE_RATE


class PlayoutLog:
    """Follows speech from going out to being heard, `delay` seconds later.

    Every segment has exactly one `SegmentStarted` and, later, one `SegmentFinished`. Times are of the clock.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self._played: deque[PlayedSpeech] = deque()
        self._heard: dict[int, int] = {}  # samples by segment, of those that have started and not finished

    def record_speech(self, speech: PlayedSpeech, time: Fraction) -> list[LiveEvent]:
        """Note speech that goes out at `time` of the timeline; returns the event of its start, if it is one."""
        self._played.append(speech)
        return self._start_segment(speech.segment, time)

    def finish_heard(self, now: float) -> list[LiveEvent]:
        """The events of the segments that have been heard to their end."""
        events: list[LiveEvent] = []
        while self._played and self._played[0].is_over(now - self.delay):
            speech = self._played.popleft()
            self._heard[speech.segment] += speech.count
            if speech.is_last:
                events.append(self._finish_segment(speech.segment, interrupted=False))
        return events

    def interrupt_speech(self, now: float, waiting: Iterable[int], time: Fraction) -> list[LiveEvent]:
        """End all segments that have begun, and those that are `waiting`, with what was heard of them by `now`."""
        events = self.finish_heard(now)
        for speech in self._played:
            self._heard[speech.segment] += speech.count_heard(now - self.delay)
        self._played.clear()
        for segment in sorted({*self._heard, *waiting}):
            events += self._start_segment(segment, time)
            events.append(self._finish_segment(segment, interrupted=True))
        return events

    def _start_segment(self, segment: int, time: Fraction) -> list[LiveEvent]:
        if segment in self._heard:
            return []
        self._heard[segment] = 0
        return [SegmentStarted(segment=segment, time=time)]

    def _finish_segment(self, segment: int, interrupted: bool) -> SegmentFinished:
        heard = Fraction(self._heard.pop(segment), SAMPLE_RATE)
        return SegmentFinished(segment=segment, heard=heard, interrupted=interrupted)

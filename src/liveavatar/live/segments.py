"""Segments of speech that wait to be spoken, as they come: in chunks of any size, rate and pace.

A chunk is converted when it is needed, a tenth of a second at a time, so that a long one does not delay a frame.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.front_end import StreamFrontEnd
from liveavatar.audio.io.live_chunk import LiveChunk, check_live_rate, convert_live_chunk
from liveavatar.errors import SessionClosed, SpeechQueueFull
from liveavatar.frames import Samples
from liveavatar.live.messages import PLAYBACK_RATE
from liveavatar.timeline import SAMPLE_RATE

PLAYBACK_RATIO = PLAYBACK_RATE // SAMPLE_RATE
"""Samples that are heard, to one that the engine hears."""

_PIECES_PER_SECOND = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechBlock:
    """The next sound of a segment: what the engine hears, [n] at 16 kHz, and what people hear, [3 n] at 48 kHz.

    `speech_count` samples at 16 kHz are speech, the rest is silence; `is_last` says that the segment ends with it.
    """

    segment: int
    hearing: Samples
    playback: Samples
    speech_count: int
    is_last: bool
    pushed_at: float | None = None
    """When the first chunk was pushed, in the first block of a segment that did not wait for another one."""

    @property
    def playback_count(self) -> int:
        """Samples at 48 kHz that are speech."""
        return self.speech_count * PLAYBACK_RATIO


class SampleBuffer:
    """Samples in a row, float32 [n]."""

    def __init__(self) -> None:
        self._samples: Samples = np.empty(0, np.float32)

    def __len__(self) -> int:
        return len(self._samples)

    def append(self, samples: Samples) -> None:
        """Add samples at the end."""
        self._samples = np.concatenate([self._samples, samples])

    def take_padded(self, length: int) -> Samples:
        """Take `length` samples from the front; silence makes up for what is missing."""
        taken, self._samples = self._samples[:length], self._samples[length:]
        return np.pad(taken, (0, length - len(taken)))


class SpeechConverter:
    """Converts chunks of one segment for the engine and for people, when they are needed."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[NDArray[np.float32], int]] = deque()
        self._hearing_front_end = StreamFrontEnd()
        self._playback_front_end = StreamFrontEnd(adjust_gain=False, rate=PLAYBACK_RATE)
        self._hearing, self._playback = SampleBuffer(), SampleBuffer()
        self._is_flushed = False
        self._waiting_seconds = 0.0

    @property
    def queued_seconds(self) -> float:
        """Sound that has not been taken."""
        return self._waiting_seconds + len(self._hearing) / SAMPLE_RATE

    @property
    def ready_count(self) -> int:
        """Samples at 16 kHz that are converted."""
        if self._is_flushed:
            return len(self._hearing)
        return min(len(self._hearing), len(self._playback) // PLAYBACK_RATIO)

    @property
    def is_empty(self) -> bool:
        """Whether everything was converted, to the end, and taken."""
        return self._is_flushed and not len(self._hearing)

    def append(self, samples: NDArray[np.float32], rate: int) -> None:
        """Add a chunk, [n, channels]."""
        length = max(1, rate // _PIECES_PER_SECOND)
        self._pieces.extend(
            (samples[start : start + length], rate) for start in range(0, len(samples), length)
        )
        self._waiting_seconds += len(samples) / rate

    def convert_until(self, length: int, is_ended: bool) -> None:
        """Convert pieces until `length` samples at 16 kHz are ready, or there is no more."""
        while self.ready_count < length and self._pieces:
            samples, rate = self._pieces.popleft()
            self._waiting_seconds -= len(samples) / rate
            self._hearing.append(self._hearing_front_end.push(samples, rate))
            self._playback.append(self._playback_front_end.push(samples, rate))
        if is_ended and not self._pieces and not self._is_flushed:
            self._is_flushed = True
            self._waiting_seconds = 0.0
            self._hearing.append(self._hearing_front_end.flush())
            self._playback.append(self._playback_front_end.flush())

    def take_sound(self, length: int) -> tuple[Samples, Samples]:
        """The next `length` samples at 16 kHz and those at 48 kHz."""
        return self._hearing.take_padded(length), self._playback.take_padded(length * PLAYBACK_RATIO)


class SpeechSegment:
    """A piece of speech, spoken as a whole: an answer, a sentence. It may be pushed to from any thread."""

    def __init__(self, number: int, queue: "SegmentQueue", read_time: Callable[[], float | None]) -> None:
        self.number = number
        self._queue, self._read_time = queue, read_time
        self._converter = SpeechConverter()
        self._is_ended = self._is_dropped = False
        self._pushed_at: float | None = None

    def push(self, chunk: LiveChunk, rate: float) -> bool:
        """Add sound: float32 from -1 to 1, or int16, [samples] or [samples, channels], at `rate` Hz.

        Returns False if the segment was interrupted, or the session closed: the sound is dropped.

        Raises:
            AudioError: the rate, type or shape is not supported.
            SpeechQueueFull: so much sound is waiting that this chunk has no place. Nothing was added.
            SessionClosed: after `end`.
        """
        checked_rate, samples = check_live_rate(rate), convert_live_chunk(chunk)
        with self._queue.lock:
            if self._is_dropped:
                return False
            if self._is_ended:
                raise SessionClosed(f"segment {self.number} has ended", "open another one")
            self._queue.require_room(len(samples) / checked_rate)
            if self._pushed_at is None:
                self._pushed_at = self._read_time()
            self._converter.append(samples, checked_rate)
        return True

    def end(self) -> None:
        """No sound follows. Further calls do nothing."""
        with self._queue.lock:
            self._is_ended = True

    @property
    def queued_seconds(self) -> float:
        """Sound that has not been taken."""
        return self._converter.queued_seconds

    def drop(self) -> None:
        """Forget all sound; what is pushed from now on is dropped."""
        self._is_dropped = True
        self._converter = SpeechConverter()

    def take_block(self, length: int) -> SpeechBlock | None:
        """The next `length` samples at 16 kHz, or None while they are not there; the last block is padded."""
        self._converter.convert_until(length, self._is_ended)
        ready = min(self._converter.ready_count, length)
        if ready < length and not self._is_ended:
            return None
        hearing, playback = self._converter.take_sound(length)
        pushed_at, self._pushed_at = self._pushed_at, None
        return SpeechBlock(
            segment=self.number,
            hearing=hearing,
            playback=playback,
            speech_count=ready,
            is_last=self._converter.is_empty,
            pushed_at=pushed_at,
        )


class SegmentQueue:
    """Segments in the order in which they are spoken. At most `max_seconds` of sound wait."""

    def __init__(self, max_seconds: float, lock: RLock) -> None:
        self.lock = lock
        self._max_seconds = max_seconds
        self._numbers = count(1)
        self._segments: deque[SpeechSegment] = deque()

    @property
    def queued_seconds(self) -> float:
        """Sound that waits to be spoken."""
        with self.lock:
            return sum(segment.queued_seconds for segment in self._segments)

    def require_room(self, seconds: float) -> None:
        """Refuse `seconds` of sound that would exceed the limit.

        Raises:
            SpeechQueueFull: they would.
        """
        queued = self.queued_seconds
        if queued + seconds > self._max_seconds:
            raise SpeechQueueFull(
                f"{queued:.1f} s of speech are waiting, and {seconds:.1f} s more have no place",
                f"send it in pieces, and while it is spoken; {self._max_seconds:g} s may wait",
            )

    def open_segment(self, read_time: Callable[[], float]) -> SpeechSegment:
        """Open a segment behind the others; the one before gets no more sound.

        `read_time` gives the time of a first chunk that has none before it: only then is waiting a latency.
        """
        with self.lock:
            if self._segments:
                self._segments[-1].end()
            segment = SpeechSegment(
                next(self._numbers), self, (lambda: None) if self._segments else read_time
            )
            self._segments.append(segment)
            return segment

    def take_block(self, length: int) -> SpeechBlock | None:
        """The next `length` samples of the first segment, or None if nothing is to be said now."""
        if not self._segments:
            return None
        block = self._segments[0].take_block(length)
        if block is not None and block.is_last:
            self._segments.popleft()
        return block

    def drop_all(self) -> list[int]:
        """Drop all segments; returns the numbers of those that were not taken to their end."""
        dropped = [segment.number for segment in self._segments]
        while self._segments:
            self._segments.popleft().drop()
        return dropped

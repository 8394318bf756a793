"""A clock that tests advance, engines whose pictures say what they heard, and a player that listens."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event

import numpy as np

from liveavatar.errors import EngineError
from liveavatar.frames import Samples, VideoFrame
from liveavatar.live.messages import (
    PLAYBACK_RATE,
    LiveFrame,
    LiveMessage,
    MediaPacket,
    SegmentFinished,
    SegmentStarted,
    SpeechCleared,
)
from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.live.viewers import Viewer
from liveavatar.provenance.policy import MarkPolicy
from liveavatar.report import Finding
from liveavatar.timeline import Timeline

EDGE_SAMPLES = 100
"""At 16 kHz, within which filters ring."""

NO_MARKS = MarkPolicy(label="none", watermark=False)


class SimulatedClock:
    """Time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def read_time(self) -> float:
        return self.now

    def wait_until(self, moment: float, wake: Event) -> None:
        self.now = max(self.now, moment)


class HearingSession:
    """A frame's picture holds the loudness of the sound in its span, less the edges, as a float32 in its bytes."""

    def __init__(self, fps: Fraction, lookahead: int, block_frames: int) -> None:
        self.lookahead, self._block_frames = lookahead, block_frames
        self._timeline = Timeline(fps=fps)
        self._sound: Samples = np.zeros(0, np.float32)
        self._sound_start = self._sound_end = self._next_frame = 0
        self._before_frame: Callable[[int], None] = lambda _number: None

    def push(self, samples: Samples) -> None:
        self._sound = np.concatenate([self._sound, samples])
        self._sound_end += len(samples)

    def flush(self) -> None:
        raise AssertionError("a live session never ends its sound")

    def interrupt(self) -> None:
        self._sound = self._sound[:0]
        self._sound_start = self._sound_end = self._timeline.frame_start(self._next_frame)

    def frames(self) -> Iterator[VideoFrame]:
        while self._is_ready(self._next_frame):
            number = self._next_frame
            self._before_frame(number)
            start, end = (sample - self._sound_start for sample in self._timeline.frame_span(number))
            middle = self._sound[max(start + EDGE_SAMPLES, 0) : end - EDGE_SAMPLES]
            loudness = np.abs(middle).max(initial=0)
            self._sound, self._sound_start = self._sound[end:], self._sound_start + end
            self._next_frame += 1
            yield VideoFrame(rgb=paint_number(float(loudness)), pts=number, fps=self._timeline.fps)

    def _is_ready(self, number: int) -> bool:
        last_of_block = (number // self._block_frames + 1) * self._block_frames - 1
        return self._timeline.frame_start(last_of_block + 1) + self.lookahead <= self._sound_end


class HearingBlockSession(HearingSession):
    """Draws several frames at a time, as `block_frames` tells."""

    @property
    def block_frames(self) -> int:
        return self._block_frames


def paint_number(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture of 2x2 pixels that holds a float32."""
    pixels = np.zeros(12, np.uint8)
    pixels[:4] = np.frombuffer(np.float32(value).tobytes(), np.uint8)
    return pixels.reshape(2, 2, 3)


def read_number(frame: VideoFrame) -> float:
    """The float32 that a picture holds."""
    return float(np.frombuffer(frame.rgb.tobytes()[:4], np.float32)[0])


@dataclass(slots=True)
class HearingActor:
    """Opens hearing sessions. `before_frame` is called before each frame is drawn, in the thread that draws."""

    lookahead: int = 1680
    block_frames: int = 1
    size: tuple[int, int] = (2, 2)
    findings: tuple[Finding, ...] = ()
    before_frame: Callable[[int], None] = field(default=lambda _number: None)

    def session(self, fps: Fraction, seed: int) -> HearingSession:
        kind = HearingBlockSession if self.block_frames > 1 else HearingSession
        session = kind(fps, self.lookahead, self.block_frames)
        session._before_frame = self.before_frame
        return session


def fail_at(frame: int) -> Callable[[int], None]:
    """Fail at a frame as an engine does."""

    def fail(number: int) -> None:
        if number == frame:
            raise EngineError("the card was lost", "look at it")

    return fail


class NoEncoder:
    """Must not be used."""

    def __init__(self, size: tuple[int, int], fps: Fraction) -> None:
        pass

    def encode_frame(self, live: LiveFrame, is_key: bool) -> list[MediaPacket]:
        raise AssertionError("nobody takes packets")


@dataclass(slots=True)
class Stage:
    """A session on a simulated clock, with a viewer of its frames."""

    actor: HearingActor = field(default_factory=HearingActor)
    fps: Fraction = Fraction(25)
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    viewer: Viewer = field(default_factory=lambda: Viewer(wants_frames=True))
    session: LiveSession = field(init=False)

    def __post_init__(self) -> None:
        options = LiveOptions(fps=self.fps, marks=NO_MARKS)
        self.session = LiveSession(self.actor, options, clock=self.clock, make_encoder=NoEncoder)
        self.session.add_viewer(self.viewer)

    def run_for(self, seconds: float) -> list[LiveMessage]:
        """Let time pass; returns what the viewer got."""
        end = self.clock.now + seconds
        messages = self.viewer.take_messages()
        while self.session.next_due_time <= end:
            self.clock.now = max(self.clock.now, self.session.next_due_time)
            self.session.advance()
            messages += self.viewer.take_messages()
        self.clock.now = end
        return messages

    def speak(self, sound: Samples, rate: int = PLAYBACK_RATE) -> None:
        """Push a whole segment."""
        segment = self.session.open_segment()
        segment.push(sound, rate)
        segment.end()


def take_frames(messages: list[LiveMessage]) -> list[LiveFrame]:
    """The frames among messages."""
    return [message for message in messages if isinstance(message, LiveFrame)]


def join_sound(messages: list[LiveMessage]) -> Samples:
    """All sound of the frames, at 48 kHz."""
    return np.concatenate([np.zeros(0, np.float32), *(live.sound for live in take_frames(messages))])


@dataclass(slots=True)
class Listener:
    """A player at some delay: it plays what it gets when it is due, and stops at `SpeechCleared`.

    A segment is known by its amplitude: `number / 100`.
    """

    delay: float
    started: list[int] = field(default_factory=list)
    finished: dict[int, SegmentFinished] = field(default_factory=dict)
    heard: dict[int, float] = field(default_factory=dict)
    generation: int = 0
    _playing: list[tuple[float, Samples]] = field(default_factory=list)

    def take(self, messages: list[LiveMessage], origin: float, now: float) -> None:
        """Take messages that came up to `now`; frame 0 was due at `origin`."""
        for message in messages:
            if isinstance(message, LiveFrame):
                assert message.generation == self.generation
                self._playing.append((origin + float(message.time) + self.delay, message.sound))
            elif isinstance(message, SpeechCleared):
                assert message.generation == self.generation + 1
                self.generation = message.generation
                self.play_until(now)
                self._playing.clear()
            elif isinstance(message, SegmentStarted):
                assert message.segment not in self.started
                self.started.append(message.segment)
            elif isinstance(message, SegmentFinished):
                assert message.segment in self.started
                assert message.segment not in self.finished
                self.finished[message.segment] = message

    def play_until(self, now: float) -> None:
        """Count what is heard of each segment by `now`."""
        rest = []
        for start, sound in self._playing:
            count = min(max(0, round((now - start) * PLAYBACK_RATE)), len(sound))
            for value in np.unique(np.rint(sound[:count] * 100)):
                if value:
                    number = int(value)
                    seconds = np.count_nonzero(np.abs(sound[:count] * 100 - number) < 0.01) / PLAYBACK_RATE
                    self.heard[number] = self.heard.get(number, 0) + seconds
            if count < len(sound):
                rest.append((start + count / PLAYBACK_RATE, sound[count:]))
        self._playing = rest

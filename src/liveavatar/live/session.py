"""A face that is alive while it waits, speaks what it is given, and stops when it is told to.

```
segment = session.open_segment()        any thread
segment.push(chunk, rate); segment.end()
session.interrupt()                     any thread
session.advance()                       one thread: makes the frame that is due, with its sound, and publishes it
viewer.take_messages()                  any thread
```

Sound is decided `lead` frames before it is heard: speech if there is some, silence otherwise. The engine hears it then,
and draws; when the frame is due, the sound of its span goes out with it. So sound and picture cannot drift apart, and
speech and idling are one stream for the engine.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from threading import RLock
from typing import Protocol

from liveavatar.engine import Actor, BlockSession, check_seed
from liveavatar.errors import OptionError, SessionClosed
from liveavatar.frames import VideoFrame
from liveavatar.live.budget import LatencyBudget, LatencyStage
from liveavatar.live.clock import Clock, FrameSchedule, SystemClock
from liveavatar.live.drawing import FrameDrawer
from liveavatar.live.encoder.stream import LiveStreamEncoder
from liveavatar.live.messages import LiveFrame, LiveMessage, MediaPacket, SessionEnded, SpeechCleared
from liveavatar.live.playout import PlayedSpeech, PlayoutLog
from liveavatar.live.segments import SegmentQueue, SpeechSegment
from liveavatar.live.sound_track import FrameSound, SoundTrack
from liveavatar.live.viewers import Viewer, ViewerGroup
from liveavatar.provenance.frame_marker import FrameMarker, MarkedSession
from liveavatar.provenance.policy import MarkPolicy
from liveavatar.timeline import SAMPLE_RATE, Timeline, parse_fps

MAX_LOOKAHEAD_SECONDS = 10
"""No conversation has more."""


class FrameEncoder(Protocol):
    """Encodes frames and their sound."""

    def encode_frame(self, live: LiveFrame, is_key: bool) -> list[MediaPacket]:
        """The packets of the next frame."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """How a session is run. Checked when it is built."""

    fps: Fraction = Fraction(25)
    seed: int = 0
    marks: MarkPolicy = field(default_factory=MarkPolicy)
    max_queued_seconds: float = 60.0
    """Sound that may wait to be spoken."""

    def __post_init__(self) -> None:
        parse_fps(self.fps)
        check_seed(self.seed)
        if not self.max_queued_seconds > 0:
            raise OptionError(
                f"{self.max_queued_seconds} s of waiting speech are not possible", "use a positive number"
            )


class LiveSession:
    """One face, one timeline, any number of viewers. Its engine, portrait and models are shared with other sessions.

    Raises:
        OptionError: the engine draws only whole recordings, or the label does not fit into the frames.
    """

    draws_elsewhere = False
    """Whether another thread calls `drawer.draw_frame`; see `live.runner`."""

    def __init__(
        self,
        actor: Actor,
        options: LiveOptions,
        *,
        clock: Clock | None = None,
        make_encoder: Callable[[tuple[int, int], Fraction], FrameEncoder] = LiveStreamEncoder,
    ) -> None:
        self.clock = clock or SystemClock()
        self.budget = LatencyBudget(self.clock)
        self._options, self._size = options, actor.size
        self._make_encoder = make_encoder
        engine_session = actor.session(options.fps, options.seed)
        self.block_frames = engine_session.block_frames if isinstance(engine_session, BlockSession) else 1
        marker = FrameMarker(actor.size, options.fps, options.marks)
        self.drawer = FrameDrawer(MarkedSession(engine_session, marker), self.block_frames > 1)
        self._lead = count_lead_frames(engine_session.lookahead, self.block_frames, options.fps)
        self._lock = RLock()
        self._queue = SegmentQueue(options.max_queued_seconds, self._lock)
        self._track = SoundTrack(options.fps, self._queue)
        self._playout = PlayoutLog()
        self._viewers = ViewerGroup()
        self._encoder: FrameEncoder | None = None
        self._schedule = FrameSchedule(options.fps, self.clock.read_time())
        self._next_frame = self._generation = 0
        self._pushed_at: dict[int, float] = {}  # first chunks, by the frame in which they are heard
        self._is_closed = False

    # What any thread may call.

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    @property
    def next_due_time(self) -> float:
        """The time on the clock at which `advance` has something to do."""
        return self._schedule.find_due_time(self._next_frame)

    @property
    def lead_seconds(self) -> Fraction:
        """From the moment when sound is decided to the one when its frame is due."""
        return self._lead / self._options.fps

    @property
    def postponed_seconds(self) -> float:
        """By how much the stream was postponed in all, since frames were not drawn in time."""
        return self._schedule.postponed_seconds

    @property
    def queued_seconds(self) -> float:
        """Speech that waits."""
        return self._queue.queued_seconds

    def open_segment(self) -> SpeechSegment:
        """Open a segment of speech behind those that wait; the one before it ends.

        Raises:
            SessionClosed: after `close`.
        """
        with self._lock:
            if self._is_closed:
                raise SessionClosed("the live session has ended", "start another one")
            return self._queue.open_segment(self.clock.read_time)

    def interrupt(self) -> None:
        """Stop speaking: all speech that was not heard is dropped, and the mouth shuts with the next frame."""
        with self._lock:
            if self._is_closed:
                return
            self._generation += 1
            self._viewers.drop_stale_media(self._generation)
            time = Fraction(self._next_frame) / self._options.fps
            events = self._drop_speech()
            self.drawer.restart_at(self._next_frame)
            cleared = SpeechCleared(generation=self._generation, time=time)
            self._viewers.publish_messages([cleared, *events])

    def set_emotion(self, emotion: str) -> None:
        """Glide within half a second to `emotion`, as in `liveavatar.open`, from the sound on that is decided next.

        Raises:
            OptionError: the engine takes no emotions, or there is no such emotion.
        """
        self.drawer.set_emotion(emotion)

    def set_playout_delay(self, seconds: float) -> None:
        """Say how long after it is due sound is heard, as the player measures it. It tells what was really heard."""
        with self._lock:
            self._playout.delay = min(max(0.0, seconds), 5.0)

    def add_viewer(self, viewer: Viewer) -> None:
        """Show the session to a viewer, from the next frame on, which becomes a key frame."""
        with self._lock:
            self._viewers.add_viewer(viewer)

    def remove_viewer(self, viewer: Viewer) -> None:
        """Forget a viewer. Further calls do nothing."""
        with self._lock:
            self._viewers.remove_viewer(viewer)

    def close(self, reason: str = "") -> None:
        """End the session: segments get their last events, viewers a `SessionEnded`. Further calls do nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._generation += 1
            self.drawer.restart_at(self._next_frame)
            self._viewers.publish_messages([*self._drop_speech(), SessionEnded(reason=reason)])

    # What the thread that keeps the clock calls.

    def advance(self) -> bool:
        """Make the next frame if it is due; False if it is not due, or not drawn yet."""
        if self._is_closed or self.clock.read_time() < self.next_due_time:
            return False
        generation = self._commit_sound()
        with self.budget.measure_stage(LatencyStage.DRAW):
            frame = self._take_frame()
        if frame is None:
            return False
        live = self._compose_frame(frame, generation)
        if live is None:
            return True
        with self.budget.measure_stage(LatencyStage.ENCODE):
            packets = self._encode_frame(live[0])
        with self.budget.measure_stage(LatencyStage.PUBLISH):
            self._publish_frame(*live, packets)
        return True

    def _commit_sound(self) -> int:
        """Decide the sound up to `lead` frames after the next one; returns the generation."""
        with self._lock:
            now = self.clock.read_time()
            self._viewers.publish_messages(self._playout.finish_heard(now))
            while self._track.next_frame <= self._next_frame + self._lead:
                number = self._track.next_frame
                hearing, speech = self._track.commit_sound()
                self.drawer.push(hearing)
                if speech is not None and speech.pushed_at is not None:
                    self._pushed_at[number] = speech.pushed_at
                    self.budget.add_duration(LatencyStage.QUEUE, now - speech.pushed_at)
                    self.budget.add_duration(LatencyStage.LOOKAHEAD, float(self.lead_seconds))
            return self._generation

    def _take_frame(self) -> VideoFrame | None:
        frame = self.drawer.take_frame()
        while frame is None and not self.draws_elsewhere and self.drawer.draw_frame():
            frame = self.drawer.take_frame()
        return frame

    def _compose_frame(self, frame: VideoFrame, generation: int) -> tuple[LiveFrame, FrameSound] | None:
        """The frame with its sound, or None if it was interrupted."""
        with self._lock:
            if generation != self._generation:
                return None
            late = self._schedule.postpone_if_late(self._next_frame, self.clock.read_time())
            self.budget.add_duration(LatencyStage.LATE, late)
            self._next_frame += 1
            sound = self._track.take_sound()
            live = LiveFrame(
                frame=frame,
                sound=sound.playback,
                generation=generation,
                speech_count=0 if sound.speech is None else sound.speech.playback_count,
            )
            return live, sound

    def _encode_frame(self, live: LiveFrame) -> list[MediaPacket]:
        if not self._viewers.wants_packets:
            self._encoder = None
            return []
        is_key = self._viewers.take_key_frame_request(self.clock.read_time())
        if self._encoder is None:
            self._encoder = self._make_encoder(self._size, self._options.fps)
        return self._encoder.encode_frame(live, is_key)

    def _publish_frame(self, live: LiveFrame, sound: FrameSound, packets: list[MediaPacket]) -> None:
        with self._lock:
            if live.generation != self._generation:
                self._viewers.restart_at_key_frame()
                return
            messages: list[LiveMessage] = []
            if sound.speech is not None:
                played = PlayedSpeech(
                    segment=sound.speech.segment,
                    start=self._schedule.find_due_time(live.frame.pts),
                    count=sound.speech.speech_count,
                    is_last=sound.speech.is_last,
                )
                messages += self._playout.record_speech(played, live.time)
            self._viewers.publish_messages([*messages, live, *packets])
            pushed_at = self._pushed_at.pop(live.frame.pts, None)
            if pushed_at is not None:
                self.budget.add_duration(LatencyStage.TOTAL, self.clock.read_time() - pushed_at)

    def _drop_speech(self) -> list[LiveMessage]:
        """Drop the speech that has not gone out; returns the last events of all segments."""
        waiting = self._track.restart_at(self._next_frame) + self._queue.drop_all()
        self._pushed_at.clear()
        time = Fraction(self._next_frame) / self._options.fps
        return [*self._playout.interrupt_speech(self.clock.read_time(), waiting, time)]


def count_lead_frames(lookahead: int, block_frames: int, fps: Fraction) -> int:
    """Frames by which sound is ahead of the frame that is due.

    It covers the engine's look-ahead of `lookahead` samples, one more, since spans of frames differ by one sample after
    an interruption, and for an engine that draws `block_frames` at a time the time to draw them, which is at most the
    time in which they are shown.

    Raises:
        OptionError: the look-ahead exceeds `MAX_LOOKAHEAD_SECONDS`.
    """
    timeline = Timeline(fps=fps)
    if lookahead > MAX_LOOKAHEAD_SECONDS * SAMPLE_RATE:
        raise OptionError("this engine draws only whole recordings", "open it without --parity")
    return timeline.frame_count(lookahead + 1) + (block_frames if block_frames > 1 else 0)

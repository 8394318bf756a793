"""Viewers of a session: each has a bounded queue, and a slow one loses frames but never sync.

All viewers get the same messages in the same order. A viewer that falls behind loses the media that waits for it, and
continues with the next key frame. Events are never lost.
"""

from collections import deque
from collections.abc import Callable, Iterable
from fractions import Fraction
from threading import Condition, Lock

from liveavatar.live.messages import LiveFrame, LiveMessage, MediaKind, MediaPacket, SessionEnded

MAX_WAITING_SECONDS = Fraction(1)
"""Media that may wait for a viewer: a longer delay is no conversation."""

KEY_FRAME_INTERVAL = 1.0
"""Seconds between key frames for viewers that were slow: a key frame is large, and all viewers get it."""


class Viewer:
    """One queue of messages. `on_ready` is called by the session's threads when messages wait; it must return at once.

    `wants_frames` gives `LiveFrame`s in place of packets.
    """

    def __init__(self, *, wants_frames: bool = False, on_ready: Callable[[], None] = lambda: None) -> None:
        self.wants_frames = wants_frames
        self._on_ready = on_ready
        self._changed = Condition()
        self._messages: deque[LiveMessage] = deque()
        self._needs_key_frame = not wants_frames
        self._is_ended = False
        self.lost_count = 0
        """Frames and packets that it did not get since it was slow."""

    @property
    def needs_key_frame(self) -> bool:
        """Whether it gets no pictures before the next key frame."""
        return self._needs_key_frame

    @property
    def is_ended(self) -> bool:
        """Whether the session has ended, and every message was taken."""
        with self._changed:
            return self._is_ended and not self._messages

    def take_messages(self, seconds: float = 0.0) -> list[LiveMessage]:
        """All messages that wait, oldest first; waits up to `seconds` for the first one. Any thread may call it."""
        with self._changed:
            if not self._messages and not self._is_ended and seconds > 0:
                self._changed.wait(seconds)
            messages = list(self._messages)
            self._messages.clear()
            return messages

    def add_message(self, message: LiveMessage) -> None:
        """Put a message at the end of the queue; called by the session."""
        with self._changed:
            if not self._accepts(message):
                return
            self._messages.append(message)
            self._is_ended |= isinstance(message, SessionEnded)
            self._drop_if_slow(message)
            self._changed.notify_all()
        self._on_ready()

    def drop_stale_media(self, generation: int) -> None:
        """Drop media of a generation before `generation`; called by the session."""
        with self._changed:
            kept = [
                message
                for message in self._messages
                if not isinstance(message, LiveFrame | MediaPacket) or message.generation >= generation
            ]
            self._needs_key_frame |= not self.wants_frames and len(kept) < len(self._messages)
            self._messages = deque(kept)

    def restart_at_key_frame(self) -> None:
        """Give no pictures before the next key frame; called by the session when it has dropped one."""
        with self._changed:
            self._needs_key_frame = not self.wants_frames

    def _accepts(self, message: LiveMessage) -> bool:
        if isinstance(message, LiveFrame):
            return self.wants_frames
        if not isinstance(message, MediaPacket):
            return True
        if self.wants_frames:
            return False
        if message.kind is MediaKind.VIDEO:
            if self._needs_key_frame and not message.is_key:
                return False
            self._needs_key_frame = False
        return True

    def _drop_if_slow(self, newest: LiveMessage) -> None:
        if not isinstance(newest, LiveFrame | MediaPacket):
            return
        oldest = next(message for message in self._messages if isinstance(message, LiveFrame | MediaPacket))
        if newest.time - oldest.time <= MAX_WAITING_SECONDS:
            return
        events = [message for message in self._messages if not isinstance(message, LiveFrame | MediaPacket)]
        self.lost_count += len(self._messages) - len(events)
        self._messages = deque(events)
        self._needs_key_frame = not self.wants_frames


class EventViewer(Viewer):
    """Gets events alone, and costs neither frames nor packets."""

    def __init__(self) -> None:
        super().__init__(wants_frames=True)

    def _accepts(self, message: LiveMessage) -> bool:
        return not isinstance(message, LiveFrame | MediaPacket)


class ViewerGroup:
    """The viewers of one session."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._viewers: list[Viewer] = []
        self._has_newcomer = False
        self._key_frame_time = float("-inf")

    def __len__(self) -> int:
        return len(self._viewers)

    def add_viewer(self, viewer: Viewer) -> None:
        """Show the session to another viewer, from the next key frame on."""
        with self._lock:
            self._viewers = [*self._viewers, viewer]
            self._has_newcomer = True

    def remove_viewer(self, viewer: Viewer) -> None:
        """Forget a viewer. Further calls do nothing."""
        with self._lock:
            self._viewers = [other for other in self._viewers if other is not viewer]

    @property
    def wants_frames(self) -> bool:
        """Whether any viewer takes frames."""
        return any(viewer.wants_frames for viewer in self._viewers)

    @property
    def wants_packets(self) -> bool:
        """Whether any viewer takes packets."""
        return any(not viewer.wants_frames for viewer in self._viewers)

    def publish_messages(self, messages: Iterable[LiveMessage]) -> None:
        """Give messages to all viewers."""
        viewers = self._viewers
        for message in messages:
            for viewer in viewers:
                viewer.add_message(message)

    def drop_stale_media(self, generation: int) -> None:
        """Drop what waits for any viewer and has an older generation."""
        for viewer in self._viewers:
            viewer.drop_stale_media(generation)
        self._has_newcomer = True

    def restart_at_key_frame(self) -> None:
        """A picture was dropped for all: they continue with a key frame."""
        for viewer in self._viewers:
            viewer.restart_at_key_frame()
        self._has_newcomer = True

    def take_key_frame_request(self, now: float) -> bool:
        """Whether the next picture must be a key frame: for a newcomer at once, for slow viewers now and then."""
        if not any(viewer.needs_key_frame for viewer in self._viewers):
            return False
        if not self._has_newcomer and now < self._key_frame_time + KEY_FRAME_INTERVAL:
            return False
        self._has_newcomer = False
        self._key_frame_time = now
        return True

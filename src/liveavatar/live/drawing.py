"""Takes frames from an engine's session and numbers them by the live timeline, whatever was interrupted."""

from collections import deque
from dataclasses import replace
from threading import Condition

from liveavatar.engine import Session, change_emotion, check_emotion
from liveavatar.frames import Samples, VideoFrame


class FrameDrawer:
    """Feeds a session and holds the frames that it has drawn ahead.

    `draw_frame` belongs to one thread. The other methods may be called by any thread, also while a frame is drawn; the
    session is then told at once of an interruption if `interrupts_drawing`, and else before the next frame.
    """

    def __init__(self, session: Session, interrupts_drawing: bool) -> None:
        self._session = session
        self._interrupts_drawing = interrupts_drawing
        self._changed = Condition()
        self._sound: deque[Samples] = deque()
        self._frames: deque[VideoFrame] = deque()
        self._interruptions = self._handled_interruptions = 0
        self._next_number = 0
        self._emotion: str | None = None  # that the session has not been told

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz."""
        with self._changed:
            self._sound.append(samples)
            self._changed.notify_all()

    def restart_at(self, number: int) -> None:
        """Drop all sound that has not become a frame, and all frames not taken; the next one gets `number`."""
        with self._changed:
            self._sound.clear()
            self._frames.clear()
            self._interruptions += 1
            self._next_number = number
            if self._interrupts_drawing:
                self._session.interrupt()

    def set_emotion(self, emotion: str) -> None:
        """Glide to `emotion` from the sound on that the session gets next.

        Raises:
            OptionError: the engine takes no emotions, or there is no such emotion.
        """
        check_emotion(self._session, emotion)
        with self._changed:
            self._emotion = emotion

    def take_frame(self) -> VideoFrame | None:
        """The next frame, if it has been drawn."""
        with self._changed:
            return self._frames.popleft() if self._frames else None

    def wait_for_sound(self, seconds: float) -> None:
        """Return when there is new sound, or after `seconds`."""
        with self._changed:
            if not self._sound:
                self._changed.wait(seconds)

    def wait_for_frame(self, seconds: float) -> None:
        """Return when a frame has been drawn, or after `seconds`."""
        with self._changed:
            if not self._frames:
                self._changed.wait(seconds)

    def draw_frame(self) -> bool:
        """Draw the next frame if the sound allows; a frame that is interrupted is dropped.

        No sound reaches the session between an interruption and the end of the frame that is being drawn, so that a
        frame drawn before it is never taken for one drawn after it.
        """
        with self._changed:
            self._pass_changes()
        frame = next(iter(self._session.frames()), None)
        with self._changed:
            if self._interruptions != self._handled_interruptions:
                return True
            if frame is None:
                return False
            self._frames.append(replace(frame, pts=self._next_number))
            self._next_number += 1
            self._changed.notify_all()
            return True

    def _pass_changes(self) -> None:
        if self._interruptions != self._handled_interruptions and not self._interrupts_drawing:
            self._session.interrupt()
        self._handled_interruptions = self._interruptions
        if self._emotion is not None:
            change_emotion(self._session, self._emotion)
            self._emotion = None
        while self._sound:
            self._session.push(self._sound.popleft())

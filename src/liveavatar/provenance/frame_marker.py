"""Puts the visible label and the watermark into the frames of a session, live or not."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from liveavatar.engine import Session, change_emotion, check_emotion
from liveavatar.frames import Samples, VideoFrame
from liveavatar.provenance.label.visible_label import VisibleLabel, choose_label_text
from liveavatar.provenance.policy import MarkPolicy
from liveavatar.provenance.speech_breaks import SpeechBreakTracker
from liveavatar.provenance.watermark import WatermarkEmbedder
from liveavatar.timeline import Timeline

LABEL_SECONDS = 2
"""How long the label is fully there: at the beginning, and again when speech goes on after a break."""

_FADE_SECONDS = 0.4


class LabelSchedule:
    """How opaque the label is in each frame. It depends on the sound up to the frame's end, and on nothing later."""

    def __init__(self, fps: Fraction) -> None:
        self._timeline = Timeline(fps=fps)
        self._breaks = SpeechBreakTracker()
        self._events: deque[Samples | None] = deque()  # None is an interruption
        self._shown_from = 0

    def push(self, samples: Samples) -> None:
        """Take sound, float32 mono at 16 kHz; it is copied."""
        self._events.append(np.array(samples, np.float32))

    def interrupt(self) -> None:
        """The sound that has not become a frame is dropped."""
        self._events.append(None)

    def find_opacity(self, frame: int) -> float:
        """Opacity in a frame, 0…1. Frames are asked for in order."""
        self._handle_events(frame)
        if self._breaks.listen_until(self._timeline.frame_start(frame + 1)):
            self._shown_from = frame
        age = self._timeline.frame_time(frame - self._shown_from) - LABEL_SECONDS
        return 1.0 if age < 0 else max(0.0, 1 - float(age) / _FADE_SECONDS)

    def _handle_events(self, next_frame: int) -> None:
        while self._events:
            samples = self._events.popleft()
            if samples is None:
                self._breaks.restart_at(self._timeline.frame_start(next_frame))
            else:
                self._breaks.push(samples)


class FrameMarker:
    """Marks the frames of one stream. It hears the same sound as the session that makes them.

    Raises:
        OptionError: the label cannot be drawn, or is too long for frames of `size` (width, height).
    """

    def __init__(self, size: tuple[int, int], fps: Fraction, policy: MarkPolicy) -> None:
        text = choose_label_text(policy.label)
        self._label = None if text is None else VisibleLabel(text, size)
        self._schedule = LabelSchedule(fps)
        self._watermark = WatermarkEmbedder(size) if policy.watermark else None

    def push(self, samples: Samples) -> None:
        """Take sound, float32 mono at 16 kHz."""
        if self._label is not None:
            self._schedule.push(samples)

    def interrupt(self) -> None:
        """The sound that has not become a frame is dropped."""
        if self._label is not None:
            self._schedule.interrupt()

    def mark_frame(self, frame: VideoFrame) -> VideoFrame:
        """The next frame with its marks; without any, the frame itself. Its picture is never changed in place."""
        rgb = frame.rgb if self._watermark is None else self._watermark.embed(frame.rgb)
        if self._label is not None and (opacity := self._schedule.find_opacity(frame.pts)):
            if frame.opacity is not None:
                rgb, shown = self._label.draw_over_transparency(rgb, frame.opacity, opacity)
                return replace(frame, rgb=rgb, opacity=shown)
            rgb = self._label.draw(rgb, opacity)
        return frame if rgb is frame.rgb else replace(frame, rgb=rgb)


class MarkedSession:
    """A session of an engine whose frames are marked. It is used like the session itself."""

    def __init__(self, session: Session, marker: FrameMarker) -> None:
        self._session, self._marker = session, marker

    @property
    def lookahead(self) -> int:
        """That of the engine's session."""
        return self._session.lookahead

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz."""
        self._session.push(samples)
        self._marker.push(samples)

    def set_emotion(self, emotion: str, delay: int = 0) -> None:
        """Glide to `emotion`, if the engine's session can; see `change_emotion`."""
        change_emotion(self._session, emotion, delay)

    def check_emotion(self, emotion: str) -> None:
        """Refuse an emotion that the engine's session does not have."""
        check_emotion(self._session, emotion)

    def flush(self) -> None:
        """The sound is over."""
        self._session.flush()

    def interrupt(self) -> None:
        """Drop sound that has not become a frame yet."""
        self._session.interrupt()
        self._marker.interrupt()

    def frames(self) -> Iterator[VideoFrame]:
        """The engine's frames with their marks, as they are taken."""
        return map(self._marker.mark_frame, self._session.frames())

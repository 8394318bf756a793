"""The one timeline of sound: speech when there is some, silence in between, cut into the spans of frames."""

from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from liveavatar.frames import Samples
from liveavatar.live.messages import PLAYBACK_RATE
from liveavatar.live.segments import PLAYBACK_RATIO, SegmentQueue, SpeechBlock
from liveavatar.timeline import Timeline

SEAM_SECONDS = 0.005
"""Within which sound that breaks off falls to silence, and sound that goes on rises from it: no clicks."""

SEAM_SAMPLES = round(SEAM_SECONDS * PLAYBACK_RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSound:
    """The sound of one frame: `playback`, [samples] at 48 kHz, and the speech in it, if any."""

    playback: Samples
    speech: SpeechBlock | None


class SoundTrack:
    """Commits sound frame by frame to the engine, and gives it back when the frame is shown."""

    def __init__(self, fps: Fraction, queue: SegmentQueue) -> None:
        self._timeline = Timeline(fps=fps)
        self._queue = queue
        self._waiting: deque[FrameSound] = deque()
        self._seams = SeamSmoother()
        self.next_frame = 0
        """The next one whose sound is committed."""

    def commit_sound(self) -> tuple[Samples, SpeechBlock | None]:
        """Decide what is heard during the next frame: the sound for the engine, [n] at 16 kHz, and the speech in it."""
        start, end = self._timeline.frame_span(self.next_frame)
        self.next_frame += 1
        speech = self._queue.take_block(end - start)
        if speech is None:
            silence = np.zeros((end - start) * PLAYBACK_RATIO, np.float32)
            self._waiting.append(FrameSound(playback=silence, speech=None))
            return silence[: end - start], None
        self._waiting.append(FrameSound(playback=speech.playback, speech=speech))
        return speech.hearing, speech

    def take_sound(self) -> FrameSound:
        """The sound of the frame that is shown next."""
        return self._seams.smooth_sound(self._waiting.popleft())

    def restart_at(self, frame: int) -> list[int]:
        """Drop the sound from `frame` on; returns the segments that were in it."""
        segments = [sound.speech.segment for sound in self._waiting if sound.speech is not None]
        self._waiting.clear()
        self.next_frame = frame
        return segments


class SeamSmoother:
    """Smooths the places where sound does not go on as it was recorded."""

    def __init__(self) -> None:
        self._segment: int | None = None  # that is being heard
        self._is_paused = False  # it has not come in time
        self._last_sample = np.float32(0)

    def smooth_sound(self, sound: FrameSound) -> FrameSound:
        """The next sound. Sound that follows the last one in its segment, and a segment's first, are not changed."""
        playback = sound.playback
        segment = None if sound.speech is None else sound.speech.segment
        if segment is None:
            playback = self._break_off(playback)
            self._is_paused = self._segment is not None
        elif segment != self._segment:
            playback = self._break_off(playback)
        elif self._is_paused:
            playback = playback * np.minimum(np.arange(len(playback), dtype=np.float32) / SEAM_SAMPLES, 1)
        if sound.speech is not None:
            self._is_paused = False
            self._segment = None if sound.speech.is_last else segment
        self._last_sample = playback[-1] if len(playback) else np.float32(0)
        return replace(sound, playback=playback)

    def _break_off(self, playback: Samples) -> Samples:
        """Let the last sample fall to zero under the sound that follows."""
        if not self._last_sample:
            return playback
        fall = np.maximum(1 - np.arange(1, len(playback) + 1, dtype=np.float32) / SEAM_SAMPLES, 0)
        return np.asarray(playback + self._last_sample * fall, np.float32)

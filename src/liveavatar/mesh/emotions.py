"""Emotions: the words that users write, what each does to a face, and how a face glides from one to the next.

Which parts of a face take part is that of Ekman and Friesen, Facial Action Coding System, 1978: a smile raises cheeks
and corners of the mouth, sorrow the inner ends of the brows. Amounts were chosen by eye on the portraits listed in
`docs/mesh.md`.
"""

import math
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

from liveavatar.errors import OptionError
from liveavatar.mesh.motion.signals import ease_in_out
from liveavatar.timeline import Timeline

EmotionWeights = Mapping[str, float]
"""Weights of the face's shapes by their names; a shape that is not there has none."""

NEUTRAL: EmotionWeights = MappingProxyType({})

EMOTIONS: Mapping[str, EmotionWeights] = MappingProxyType(
    {
        "neutral": NEUTRAL,
        "warm": {"smile": 0.4, "cheek": 0.25, "brow": 0.15},
        "happy": {"smile": 0.9, "cheek": 0.7, "squint": 0.35, "brow": 0.2},
        "serious": {"frown": 0.3, "brow_down": 1.0, "squint": 0.4},
        "sad": {"frown": 0.7, "brow_inner": 1.0, "squint": 0.1},
        "surprised": {"brow": 1.2, "wide": 1.0},
    }
)
"""What each emotion adds to the face at amount 1."""

GLIDE_SECONDS = 0.5
"""Time from one emotion to the next."""


def parse_emotion(text: str) -> EmotionWeights:
    """The weights of an emotion written as a word of EMOTIONS, or as the word, a colon and an amount from 0 to 1.

    Raises:
        OptionError: there is no such emotion or amount.
    """
    name, colon, amount_text = text.partition(":")
    if name not in EMOTIONS:
        raise OptionError(f"there is no emotion {name!r}", f"choose {', '.join(EMOTIONS)}")
    amount = _parse_amount(amount_text) if colon else 1.0
    if not 0 <= amount <= 1:
        raise OptionError(f"emotion {text!r} has no amount within 0…1", f"write {name}:0.5, say")
    return {shape: amount * weight for shape, weight in EMOTIONS[name].items()}


def _parse_amount(text: str) -> float:
    """A number, or nan."""
    try:
        return float(text)
    except ValueError:
        return math.nan


class EmotionTrack:
    """The emotion of each frame of a session. Changes begin at a frame and take GLIDE_SECONDS."""

    def __init__(self, timeline: Timeline, emotion: EmotionWeights) -> None:
        self._glide_frames = float(timeline.frames_in(GLIDE_SECONDS))
        self._start = self._target = emotion
        self._first_frame = 0
        self._changes: deque[tuple[int, EmotionWeights]] = deque()

    def change_emotion(self, frame: int, emotion: EmotionWeights) -> None:
        """Glide to `emotion` from `frame` on, or from where the last change begins. At frame 0 it is there at once."""
        last = self._changes[-1][0] if self._changes else self._first_frame
        self._changes.append((max(frame, last), emotion))

    def move_changes(self, frame: int) -> None:
        """Let what lies behind `frame` begin there: the sound up to it has been dropped."""
        self._changes = deque((min(first, frame), emotion) for first, emotion in self._changes)

    def read_frame(self, frame: int) -> EmotionWeights:
        """The weights at `frame`; frames are read in order."""
        while self._changes and self._changes[0][0] <= frame:
            first, emotion = self._changes.popleft()
            self._start = self._blend_at(first) if first > 0 else emotion
            self._first_frame, self._target = first, emotion
        return self._blend_at(frame)

    def _blend_at(self, frame: int) -> EmotionWeights:
        share = ease_in_out((frame - self._first_frame) / self._glide_frames)
        names = {*self._start, *self._target}
        return {
            name: (1 - share) * self._start.get(name, 0.0) + share * self._target.get(name, 0.0)
            for name in sorted(names)
        }

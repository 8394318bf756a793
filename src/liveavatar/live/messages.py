"""What a session tells its viewers: pictures with their sound, packets, and events. All in one order.

`time` is in seconds of the session's timeline, which starts with frame 0 and has no gap. `generation` counts the
interruptions before: what has an older one than the last `SpeechCleared` is stale.
"""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from liveavatar.frames import Samples, VideoFrame

PLAYBACK_RATE = 48_000
"""Hz, mono: the sound that people hear."""


class MediaKind(Enum):
    """What a packet holds."""

    VIDEO = "video"
    SOUND = "sound"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFrame:
    """A picture and the sound that is heard while it is shown, float32 [samples] at 48 kHz."""

    frame: VideoFrame
    sound: Samples
    generation: int
    speech_count: int = 0
    """Samples at the front of `sound` that are speech; the rest is silence, and how speech dies away."""

    @property
    def time(self) -> Fraction:
        """When it is shown."""
        return self.frame.time


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPacket:
    """Encoded media. A decoder may start with a packet with `is_key`; every packet of sound has it."""

    kind: MediaKind
    data: bytes
    time: Fraction
    is_key: bool
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStarted:
    """The first sound of a segment goes out at `time`."""

    segment: int
    time: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFinished:
    """Of a segment, `heard` seconds were heard. `interrupted` says that there was more."""

    segment: int
    heard: Fraction
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechCleared:
    """Speech was interrupted: players drop what they hold of an older `generation`."""

    generation: int
    time: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """Nothing follows. `reason` is what went wrong, empty if nothing did."""

    reason: str


LiveEvent = SegmentStarted | SegmentFinished | SpeechCleared | SessionEnded
LiveMessage = LiveFrame | MediaPacket | LiveEvent

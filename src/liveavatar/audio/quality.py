"""What a recording is like: measured in one pass, in constant memory."""

from dataclasses import dataclass
from fractions import Fraction

from liveavatar.audio.decode import AudioInfo
from liveavatar.report import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioReport:
    """What was measured on a recording, and what to say about it."""

    info: AudioInfo
    samples: int
    duration: Fraction
    findings: tuple[Finding, ...]

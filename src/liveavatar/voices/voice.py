"""What a voice is: it turns a text into a stream of spoken clauses."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from liveavatar.frames import Samples
from liveavatar.voices.clauses import Clause

LEAD_SECONDS = 0.1
"""Silence before the first sound."""

_MAX_PEAK = 0.95
_MARGIN_SECONDS = 0.03
_FADE_SECONDS = 0.005
_SILENCE_SHARE = 0.02
"""Of the peak: what is softer at both ends of a clause is cut, since models differ in how long they stay silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenClause:
    """Sound of one clause with the silence after it: float32 mono [n] at `rate` Hz.

    `start` is the place of its first sample in the stream; it is heard until sample `start + voiced_count`.
    """

    text: str
    samples: Samples
    rate: int
    start: int
    voiced_count: int

    @property
    def start_seconds(self) -> float:
        """When it begins, from the beginning of the stream."""
        return self.start / self.rate

    @property
    def end_seconds(self) -> float:
        """When its last sound ends."""
        return (self.start + self.voiced_count) / self.rate


class Voice(Protocol):
    """A voice. The same text gives the same sound."""

    def speak(self, text: str) -> Iterator[SpokenClause]:
        """Speak a text clause by clause; each is there as soon as it is made.

        Raises:
            VoiceError: the text cannot be spoken, before the first clause.
        """
        ...


def assemble_clauses(
    clauses: Iterable[Clause], synthesise: Callable[[str], Samples], rate: int
) -> Iterator[SpokenClause]:
    """Make each clause when it is asked for, trim it, and add its pause. Clauses without any sound are left out."""
    position = 0
    for clause in clauses:
        voiced = _trim_silence(synthesise(clause.text), rate)
        if not len(voiced):
            continue
        lead = np.zeros(0 if position else round(LEAD_SECONDS * rate), np.float32)
        pause = np.zeros(round(clause.pause_seconds * rate), np.float32)
        yield SpokenClause(
            text=clause.text,
            samples=np.concatenate([lead, voiced, pause]),
            rate=rate,
            start=position,
            voiced_count=len(lead) + len(voiced),
        )
        position += len(lead) + len(voiced) + len(pause)


def scale_sound(sound: Samples, gain: float) -> Samples:
    """The sound times `gain`, or less where a peak would be clipped."""
    return np.asarray(sound * min(gain, _MAX_PEAK / np.abs(sound).max(initial=1e-3)), np.float32)


def _trim_silence(samples: Samples, rate: int) -> Samples:
    """The sound with short margins that fade from and to silence."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE_SHARE * np.abs(samples).max(initial=1e-3))
    if not len(loud):
        return samples[:0]
    margin = round(_MARGIN_SECONDS * rate)
    sound = samples[max(0, loud[0] - margin) : loud[-1] + margin].astype(np.float32)
    ramp = np.minimum(1.0, np.arange(1, len(sound) + 1) / (_FADE_SECONDS * rate)).astype(np.float32)
    return sound * ramp * ramp[::-1]

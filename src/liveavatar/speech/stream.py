"""Sound in, `Speech` out: the one object a session needs to listen."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import OptionError, SessionClosed
from liveavatar.frames import Samples
from liveavatar.speech import features, prosody
from liveavatar.speech.articulation import ArticulationStream
from liveavatar.speech.track import CONTROLS, STEP, VISEMES, Speech

AT_ONCE = 128
"""Steps that are worked on together at most; more sound than that is taken in turns."""

HANGOVER = 0.08
"""How much `speaking` falls in a step at most: a stop's silence is not a pause."""


class Ear(Protocol):
    """What tells mouth shapes from sound, `hop` steps at a time, `delay` steps late."""

    @property
    def hop(self) -> int:
        """Steps heard, and said, at a time."""
        ...

    @property
    def delay(self) -> int:
        """Steps beyond those that are heard before they are said."""
        ...

    def push(
        self, seen: NDArray[np.float32], sound: NDArray[np.float32], /
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Relative log-mel [n, 48] and sound [n, 160] of n steps, a multiple of `hop`, to visemes [n, 15] and controls
        [n, 6] of the steps `delay` earlier."""
        ...


def _whisper() -> Ear:
    from liveavatar.speech.whisper import WhisperEar

    return WhisperEar()


EARS: dict[str, Callable[[], Ear]] = {"small": ArticulationStream, "whisper": _whisper}
"""By name: the small network of ours, and whisper's encoder with a reader of ours (an extra)."""


def check_ear(name: str) -> None:
    """Refuse an ear that is not there.

    Raises:
        OptionError: there is none of that name.
    """
    if name not in EARS:
        raise OptionError(f"there is no --speech {name}", f"use one of: {', '.join(EARS)}")


class SpeechStream:
    """Listens to one stream of 16 kHz mono sound, by the ear called `ear`. Streams share weights and nothing else.

    A step is emitted as soon as `lookahead` samples after its last one have been heard. How the sound is cut
    into chunks does not change a single bit of the result.

    Raises:
        OptionError: there is no such ear.
        EngineError: the ear needs a library that is not installed.
        WeightsError: its weights could not be fetched.
    """

    def __init__(self, ear: str = "small") -> None:
        check_ear(ear)
        self._make_ear = EARS[ear]
        self.reset()

    @property
    def lookahead(self) -> int:
        """Samples at 16 kHz that must follow a step before it is emitted."""
        return features.BEFORE + (self._ear.delay + self._ear.hop - 1) * STEP

    def reset(self) -> None:
        """Forget everything: the next sample is the first one of a new stream."""
        self._sound = np.zeros(prosody.WINDOW, np.float32)
        self._heard = 0
        self._done = (
            -1
        )  # pairs of steps end with even ones: sound that comes in multiples of 40 ms ends with a pair
        self._ended = False
        self._speaking = 0.0
        self._levels = np.zeros((0, 2), np.float32)
        self._reference = features.LevelReference()
        self._ear = self._make_ear()
        self._prosody = prosody.ProsodyTracker()

    def push(self, samples: Samples) -> Speech:
        """Hear more sound, float32 [samples], any length; the steps that are now certain, possibly none.

        Raises:
            SessionClosed: after `flush()` and before `reset()`.
        """
        if self._ended:
            raise SessionClosed("this stream of speech has ended", "start a new one, or call reset()")
        return self._hear(samples)

    def flush(self) -> Speech:
        """The sound is over: the steps still missing, as if silence followed; ceil(samples / 160) in all."""
        steps = -(-self._heard // STEP)
        speech = self.push(np.zeros(self.lookahead + STEP - 1, np.float32))
        self._ended = True
        return speech.slice(0, steps - speech.start)

    def _hear(self, samples: Samples) -> Speech:
        self._heard += len(samples)
        self._sound = np.concatenate([self._sound, np.asarray(samples, np.float32)])
        ready = (self._heard - features.BEFORE) // STEP
        runs: list[Speech] = []
        while ready - self._done >= self._ear.hop:
            count = min(ready - self._done, AT_ONCE) // self._ear.hop * self._ear.hop
            runs.append(self._listen(self._done, self._done + count))
            self._done += count
        self._forget()
        return Speech.join(runs) if len(runs) > 1 else runs[0] if runs else self._empty()

    def _forget(self) -> None:
        """Drop the sound that no window of the steps still to come reaches back to."""
        needed = max(0, self._done - self._ear.delay) * STEP - prosody.WINDOW
        self._sound = self._sound[max(0, needed - (self._heard - len(self._sound))) :]

    def _empty(self) -> Speech:
        nothing = np.zeros(0, np.float32)
        return Speech(
            start=max(0, self._done - self._ear.delay),
            visemes=np.zeros((0, len(VISEMES)), np.float32),
            controls=np.zeros((0, len(CONTROLS)), np.float32),
            energy=nothing, pitch=nothing, emphasis=nothing, speaking=nothing,
        )  # fmt: skip

    def _listen(self, first: int, last: int) -> Speech:
        """Hear steps [first, last), whole hops; emit the steps `delay` earlier that are not negative."""
        sound = self._windows(max(first, 0), last - max(first, 0), STEP)
        mel = features.log_mel(self._windows(max(first, 0), last - max(first, 0), features.WINDOW))
        level = features.loudness(mel)
        reference = self._reference.follow(level)
        self._levels = np.concatenate([self._levels, np.array((level, reference)).T])
        seen = features.relative(mel, reference)
        if first < 0:  # the step before the first one was like it
            seen = np.concatenate([seen[:1], seen])
            sound = np.concatenate([np.zeros((1, STEP), np.float32), sound])
        visemes, controls = self._ear.push(seen, sound)
        delay = self._ear.delay
        early = max(0, min(delay - first, last - first))
        return self._describe(max(0, first - delay + early), visemes[early:], controls[early:])

    def _describe(self, start: int, visemes: NDArray[np.float32], controls: NDArray[np.float32]) -> Speech:
        count = len(visemes)
        hertz = prosody.find_pitch(self._windows(start, count, prosody.WINDOW))
        levels, self._levels = self._levels[:count], self._levels[count:]
        sung = self._prosody.follow(hertz, levels[:, 0], levels[:, 1])
        return Speech(
            start=start,
            visemes=visemes,
            controls=controls,
            energy=sung.energy,
            pitch=sung.pitch,
            emphasis=sung.emphasis,
            speaking=self._hang(1.0 - visemes[:, 0]),
        )

    def _hang(self, voice: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.empty_like(voice)
        for i, value in enumerate(voice.tolist()):
            self._speaking = max(value, self._speaking - HANGOVER)
            out[i] = self._speaking
        return out

    def _windows(self, step: int, count: int, size: int) -> NDArray[np.float32]:
        """Windows of `size` samples centred on `count` steps from `step` on; sound not heard yet is zero."""
        first = step * STEP + (STEP - size) // 2 - (self._heard - len(self._sound))
        missing = first + max(0, count - 1) * STEP + size - len(self._sound)
        sound = np.pad(self._sound, (0, missing)) if missing > 0 else self._sound
        # a view by hand: numpy's sliding windows take ten times as long to make
        bytes_each = sound.itemsize
        return np.ndarray(
            (count, size), np.float32, sound, first * bytes_each, (STEP * bytes_each, bytes_each)
        )

"""Sound in, `Speech` out: the one object a session needs to listen."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.errors import SessionClosed
from liveavatar.frames import Samples
from liveavatar.speech import features, prosody
from liveavatar.speech.articulation import BLOCK, DELAY, ArticulationStream
from liveavatar.speech.track import CONTROLS, STEP, VISEMES, Speech

HISTORY = prosody.WINDOW + (DELAY + BLOCK) * STEP
"""Samples kept from the past: what the windows of the steps still to come can reach back to."""

HANGOVER = 0.08
"""How much `speaking` falls in a step at most: a stop's silence is not a pause."""


def place_of(step: int) -> int:
    """Where in its block a step is computed. Sound that comes in multiples of 40 ms then ends with its blocks."""
    return (step + 1) % BLOCK


class SpeechStream:
    """Listens to one stream of 16 kHz mono sound. Streams share the network's weights and nothing else.

    A step is emitted as soon as `lookahead` samples after its last one have been heard. How the sound is cut
    into chunks does not change a single bit of the result.
    """

    lookahead = features.BEFORE + DELAY * STEP
    """Samples at 16 kHz that must follow a step before it is emitted."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first one of a new stream."""
        self._sound = np.zeros(HISTORY, np.float32)
        self._heard = 0
        self._done = 0
        self._ended = False
        self._speaking = 0.0
        self._levels = np.zeros((0, 2), np.float32)
        self._reference = features.LevelReference()
        self._articulation = ArticulationStream()
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
        speech = self.push(np.zeros(self.lookahead + STEP - 1, np.float32))
        self._ended = True
        return speech

    def _hear(self, samples: Samples) -> Speech:
        self._heard += len(samples)
        self._sound = np.concatenate([self._sound, np.asarray(samples, np.float32)])
        ready = max(0, (self._heard - features.BEFORE) // STEP)
        runs = [self._empty()]
        while self._done < ready:
            last = min(ready, self._done - place_of(self._done) + BLOCK)
            runs.append(self._listen(self._done, last))
            self._done = last
        excess = len(self._sound) - (self._heard - self._done * STEP) - HISTORY
        self._sound = self._sound[max(0, excess) :]
        return Speech.join(runs)

    def _empty(self) -> Speech:
        nothing = np.zeros(0, np.float32)
        return Speech(
            start=max(0, self._done - DELAY),
            visemes=np.zeros((0, len(VISEMES)), np.float32),
            controls=np.zeros((0, len(CONTROLS)), np.float32),
            energy=nothing, pitch=nothing, emphasis=nothing, speaking=nothing,
        )  # fmt: skip

    def _listen(self, first: int, last: int) -> Speech:
        """Hear steps [first, last), all of one block; emit the steps DELAY earlier that are not negative."""
        place = place_of(first)
        rows = slice(place, place + last - first)
        mel = features.log_mel(self._windows(first - place, BLOCK, features.WINDOW))[rows]
        level = features.loudness(mel)
        reference = self._reference.follow(level)
        self._levels = np.concatenate([self._levels, np.stack([level, reference], axis=1)])
        visemes, controls = self._articulation.push(features.relative(mel, reference), place)
        early = max(0, min(DELAY - first, last - first))
        return self._describe(first - DELAY + early, visemes[early:], controls[early:])

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
        origin = self._heard - len(self._sound)
        first = step * STEP + (STEP - size) // 2 - origin
        padded = np.zeros(max(0, count - 1) * STEP + size, np.float32)
        span = self._sound[first : first + len(padded)]
        padded[: len(span)] = span
        return sliding_window_view(padded, size)[::STEP][:count]

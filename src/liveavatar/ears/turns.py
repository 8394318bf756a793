"""Finds the turns of a speaker in live sound."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

START_WINDOWS = 3
"""Windows of speech in a row that begin a turn: 96 ms. Clicks are shorter."""

CHECK_WINDOWS = 7
"""Windows of silence after which the model is asked whether the turn is complete: 0.22 s."""

LONGEST_PAUSE_WINDOWS = 47
"""Windows of silence that end a turn whatever the model says: 1.5 s."""

MAX_TURN_WINDOWS = 60 * SAMPLE_RATE // VAD_WINDOW_SAMPLES
"""A turn of one minute ends even if its speaker goes on, which bounds memory."""

COMPLETE_PROBABILITY = 0.5
_MARGIN_WINDOWS = 10  # 0.32 s before the first window of speech belong to a turn


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """Somebody began to speak at the sample `start` of the stream."""

    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """Somebody spoke in the samples [start, end) of the stream and has finished.

    `samples` is the sound of the turn, float32 mono at 16 kHz, with 0.3 s before it.
    """

    start: int
    end: int
    samples: Samples


TurnEvent = SpeechStarted | TurnEnded


class TurnDetector:
    """Turns of one stream of 16 kHz mono sound. Any chunking gives the same events.

    `predict_end` gives the probability that a turn with the silence after it is complete, as `EndOfTurn.predict` does.
    It is asked once a pause.
    """

    def __init__(self, predict_end: Callable[[Samples], float]) -> None:
        self._predict_end = predict_end
        self._detector = VoiceActivityDetector()
        self._framer = StreamFramer(VAD_WINDOW_SAMPLES, VAD_WINDOW_SAMPLES)
        self.clear()

    def clear(self) -> None:
        """Drop all state, for another stream."""
        self._detector.flush()
        self._framer.clear()
        self._position = self._speech_run = self._silence_run = 0
        self._kept: list[Samples] = []
        self._turn_start: int | None = None

    def push(self, samples: Samples) -> list[TurnEvent]:
        """Hear float32 [n]; returns what happened in it."""
        return [event for window in self._framer.push(samples) for event in self._hear_window(window)]

    def flush(self) -> list[TurnEvent]:
        """End the stream: a turn that is not over ends here. Another stream may follow."""
        events = [event for window in self._framer.flush() for event in self._hear_window(window)]
        if self._turn_start is not None:
            events.append(self._end_turn(self._turn_start))
        self.clear()
        return events

    def _hear_window(self, window: Samples) -> list[TurnEvent]:
        is_speech = bool(self._detector.push(window)[0] > SPEECH_THRESHOLD)
        self._speech_run = self._speech_run + 1 if is_speech else 0
        self._silence_run = 0 if is_speech else self._silence_run + 1
        self._kept.append(window)
        self._position += 1
        if self._turn_start is None:
            return self._wait_for_speech()
        return [self._end_turn(self._turn_start)] if self._is_complete() else []

    def _wait_for_speech(self) -> list[TurnEvent]:
        if self._speech_run < START_WINDOWS:
            self._kept = self._kept[-(_MARGIN_WINDOWS + START_WINDOWS) :]
            return []
        self._turn_start = self._position - START_WINDOWS
        return [SpeechStarted(start=self._turn_start * VAD_WINDOW_SAMPLES)]

    def _is_complete(self) -> bool:
        if self._silence_run >= LONGEST_PAUSE_WINDOWS or len(self._kept) >= MAX_TURN_WINDOWS:
            return True
        is_asked = self._silence_run == CHECK_WINDOWS
        return is_asked and self._predict_end(np.concatenate(self._kept)) > COMPLETE_PROBABILITY

    def _end_turn(self, start: int) -> TurnEnded:
        ended = TurnEnded(
            start=start * VAD_WINDOW_SAMPLES,
            end=(self._position - self._silence_run) * VAD_WINDOW_SAMPLES,
            samples=np.concatenate(self._kept),
        )
        self._turn_start, self._kept, self._speech_run = None, [], 0
        return ended

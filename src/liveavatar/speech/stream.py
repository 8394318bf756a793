"""Sound in, `Speech` out: the one object a session needs to listen."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.windows import slice_windows
from liveavatar.errors import OptionError, SessionClosed
from liveavatar.frames import Samples
from liveavatar.speech import features, prosody
from liveavatar.speech.models.articulation import SmallArticulationModel
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES, SpeechTrack

MAX_BATCH_STEPS = 128
"""Steps that are worked on together at most; more sound than that is taken in turns."""

HANGOVER_DECAY = 0.08
"""How much `speaking` falls in a step at most: a stop's silence is not a pause."""


class ArticulationModel(Protocol):
    """What tells mouth shapes from sound, `hop` steps at a time, `delay` steps late."""

    @property
    def hop_steps(self) -> int:
        """Steps heard, and said, at a time."""
        ...

    @property
    def delay_steps(self) -> int:
        """Steps beyond those that are heard before they are said."""
        ...

    def push(
        self, relative_mel: NDArray[np.float32], sound: NDArray[np.float32], /
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Relative log-mel [n, 48] and sound [n, 160] of n steps, a multiple of `hop`, to visemes [n, 15] and controls
        [n, 6] of the steps `delay` earlier."""
        ...


def _load_whisper_model() -> ArticulationModel:
    from liveavatar.speech.models.whisper import WhisperArticulationModel

    return WhisperArticulationModel()


ARTICULATION_MODELS: dict[str, Callable[[], ArticulationModel]] = {
    "small": SmallArticulationModel,
    "whisper": _load_whisper_model,
}
"""By name: the small network of ours, and whisper's encoder with a reader of ours (an extra)."""


def check_articulation_model(name: str) -> None:
    """Refuse an ear that is not there.

    Raises:
        OptionError: there is none of that name.
    """
    if name not in ARTICULATION_MODELS:
        raise OptionError(f"there is no --speech {name}", f"use one of: {', '.join(ARTICULATION_MODELS)}")


class SpeechStream:
    """Listens to one stream of 16 kHz mono sound, by the ear called `ear`. Streams share weights and nothing else.

    A step is emitted as soon as `lookahead` samples after its last one have been heard. How the sound is cut
    into chunks does not change a single bit of the result.

    Raises:
        OptionError: there is no such ear.
        EngineError: the ear needs a library that is not installed.
        WeightsError: its weights could not be fetched.
    """

    def __init__(self, model: str = "small") -> None:
        check_articulation_model(model)
        self._create_model = ARTICULATION_MODELS[model]
        self.reset()

    @property
    def lookahead(self) -> int:
        """Samples at 16 kHz that must follow a step before it is emitted."""
        return (
            features.WINDOW_MARGIN_SAMPLES
            + (self._model.delay_steps + self._model.hop_steps - 1) * STEP_SAMPLES
        )

    def reset(self) -> None:
        """Forget everything: the next sample is the first one of a new stream."""
        self._sound = np.zeros(prosody.PITCH_WINDOW_SAMPLES, np.float32)
        self._sample_count = 0
        self._next_step = (
            -1
        )  # pairs of steps end with even ones: sound that comes in multiples of 40 ms ends with a pair
        self._ended = False
        self._speaking = 0.0
        self._levels = np.zeros((0, 2), np.float32)
        self._reference = features.LevelReference()
        self._model = self._create_model()
        self._prosody = prosody.ProsodyTracker()

    def push(self, samples: Samples) -> SpeechTrack:
        """Hear more sound, float32 [samples], any length; the steps that are now certain, possibly none.

        Raises:
            SessionClosed: after `flush()` and before `reset()`.
        """
        if self._ended:
            raise SessionClosed("this stream of speech has ended", "start a new one, or call reset()")
        return self._process_samples(samples)

    def flush(self) -> SpeechTrack:
        """The sound is over: the steps still missing, as if silence followed; ceil(samples / 160) in all."""
        steps = -(-self._sample_count // STEP_SAMPLES)
        speech = self.push(np.zeros(self.lookahead + STEP_SAMPLES - 1, np.float32))
        self._ended = True
        return speech.slice_steps(0, steps - speech.start)

    def _process_samples(self, samples: Samples) -> SpeechTrack:
        self._sample_count += len(samples)
        self._sound = np.concatenate([self._sound, np.asarray(samples, np.float32)])
        ready = (self._sample_count - features.WINDOW_MARGIN_SAMPLES) // STEP_SAMPLES
        runs: list[SpeechTrack] = []
        while ready - self._next_step >= self._model.hop_steps:
            count = (
                min(ready - self._next_step, MAX_BATCH_STEPS) // self._model.hop_steps * self._model.hop_steps
            )
            runs.append(self._process_steps(self._next_step, self._next_step + count))
            self._next_step += count
        self._drop_old_sound()
        return SpeechTrack.join_runs(runs) if len(runs) > 1 else runs[0] if runs else self._make_empty_track()

    def _drop_old_sound(self) -> None:
        """Drop the sound that no window of the steps still to come reaches back to."""
        needed = (
            max(0, self._next_step - self._model.delay_steps) * STEP_SAMPLES - prosody.PITCH_WINDOW_SAMPLES
        )
        self._sound = self._sound[max(0, needed - (self._sample_count - len(self._sound))) :]

    def _make_empty_track(self) -> SpeechTrack:
        nothing = np.zeros(0, np.float32)
        return SpeechTrack(
            start=max(0, self._next_step - self._model.delay_steps),
            visemes=np.zeros((0, len(VISEMES)), np.float32),
            controls=np.zeros((0, len(CONTROLS)), np.float32),
            energy=nothing, pitch=nothing, emphasis=nothing, speaking=nothing,
        )  # fmt: skip

    def _process_steps(self, first: int, last: int) -> SpeechTrack:
        """Hear steps [first, last), whole hops; emit the steps `delay` earlier that are not negative."""
        sound = self._extract_windows(max(first, 0), last - max(first, 0), STEP_SAMPLES)
        mel = features.compute_log_mel(
            self._extract_windows(max(first, 0), last - max(first, 0), features.WINDOW_SAMPLES)
        )
        level = features.mel_to_loudness(mel)
        reference = self._reference.track_levels(level)
        self._levels = np.concatenate([self._levels, np.array((level, reference)).T])
        seen = features.to_relative_mel(mel, reference)
        if first < 0:  # the step before the first one was like it
            seen = np.concatenate([seen[:1], seen])
            sound = np.concatenate([np.zeros((1, STEP_SAMPLES), np.float32), sound])
        visemes, controls = self._model.push(seen, sound)
        delay = self._model.delay_steps
        early = max(0, min(delay - first, last - first))
        return self._build_track(max(0, first - delay + early), visemes[early:], controls[early:])

    def _build_track(
        self, start: int, visemes: NDArray[np.float32], controls: NDArray[np.float32]
    ) -> SpeechTrack:
        count = len(visemes)
        hertz = prosody.find_pitch(self._extract_windows(start, count, prosody.PITCH_WINDOW_SAMPLES))
        levels, self._levels = self._levels[:count], self._levels[count:]
        sung = self._prosody.track_prosody(hertz, levels[:, 0], levels[:, 1])
        return SpeechTrack(
            start=start,
            visemes=visemes,
            controls=controls,
            energy=sung.energy,
            pitch=sung.pitch,
            emphasis=sung.emphasis,
            speaking=self._apply_hangover(1.0 - visemes[:, 0]),
        )

    def _apply_hangover(self, voice: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.empty_like(voice)
        for i, value in enumerate(voice.tolist()):
            self._speaking = max(value, self._speaking - HANGOVER_DECAY)
            out[i] = self._speaking
        return out

    def _extract_windows(self, step: int, count: int, size: int) -> NDArray[np.float32]:
        """Windows of `size` samples centred on `count` steps from `step` on; sound not heard yet is zero."""
        first = step * STEP_SAMPLES + (STEP_SAMPLES - size) // 2 - (self._sample_count - len(self._sound))
        missing = first + max(0, count - 1) * STEP_SAMPLES + size - len(self._sound)
        sound = np.pad(self._sound, (0, missing)) if missing > 0 else self._sound
        return slice_windows(sound[first:], size, STEP_SAMPLES, count)

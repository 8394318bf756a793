"""A stream of sound in, a `SpeechTrack` out."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.spectral.framing import slice_windows
from liveavatar.errors import OptionError, SessionClosed
from liveavatar.frames import Samples
from liveavatar.speech import features, prosody
from liveavatar.speech.models.articulation import SmallArticulationModel
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES, SpeechTrack
from liveavatar.speech.voice_gate import VoiceGate

MAX_BATCH_STEPS = 128
"""Steps computed together; longer input is split."""

HANGOVER_DECAY = 0.08
"""Largest fall of `speaking` in a step, so that the silence of a stop is not a pause."""


class ArticulationModel(Protocol):
    """Predicts mouth shapes from one stream, `hop_steps` at a time and `delay_steps` late."""

    @property
    def hop_steps(self) -> int:
        """Number of steps of which the length of an input is a multiple."""
        ...

    @property
    def delay_steps(self) -> int:
        """Steps of look-ahead after the last step of a hop."""
        ...

    def push(
        self, relative_mel: NDArray[np.float32], sound: NDArray[np.float32], /
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Relative log-mel [n, 48] and sound [n, 160], n a multiple of `hop_steps`, to visemes [n, 15] and controls
        [n, 6] of the steps `delay_steps` earlier."""
        ...


def _load_whisper_model() -> ArticulationModel:
    from liveavatar.speech.models.whisper import WhisperArticulationModel

    return WhisperArticulationModel()


ARTICULATION_MODELS: dict[str, Callable[[], ArticulationModel]] = {
    "small": SmallArticulationModel,
    "whisper": _load_whisper_model,
}
"""Models by name: our small network, and whisper's encoder with a reader of ours (extra "whisper")."""


def check_articulation_model(name: str) -> None:
    """Check the name of a model.

    Raises:
        OptionError: there is no model of that name.
    """
    if name not in ARTICULATION_MODELS:
        raise OptionError(f"there is no --speech {name}", f"use one of: {', '.join(ARTICULATION_MODELS)}")


class SpeechStream:
    """Features of one stream of 16 kHz mono sound, by the model of that name. Streams share weights and nothing else.

    The mouth is shut while there is sound and no voice (`voice_gate`). A step is emitted at the latest `lookahead`
    samples after its last one. The result does not depend on the lengths of the chunks, to the bit.

    Raises:
        OptionError: there is no such model.
        EngineError: the model needs a library that is not installed.
        WeightsError: its weights cannot be fetched.
    """

    def __init__(self, model: str = "small") -> None:
        check_articulation_model(model)
        self._create_model = ARTICULATION_MODELS[model]
        self.reset()

    @property
    def lookahead(self) -> int:
        """Samples at 16 kHz that must follow a step before it is emitted."""
        steps = self._model.delay_steps + self._model.hop_steps - 1
        return features.WINDOW_MARGIN_SAMPLES + steps * STEP_SAMPLES

    def reset(self) -> None:
        """Start a new stream; all state is dropped."""
        self._sound = np.zeros(prosody.PITCH_WINDOW_SAMPLES, np.float32)
        self._sample_count = 0
        self._next_step = (
            -1
        )  # a pair ends with an even step, so that sound in multiples of 40 ms ends with a pair
        self._ended = False
        self._speaking = 0.0
        self._levels = np.zeros((0, 2), np.float32)
        self._reference = features.LevelReference()
        self._model = self._create_model()
        self._prosody = prosody.ProsodyTracker()
        self._gate = VoiceGate(features.WINDOW_MARGIN_SAMPLES + self._model.delay_steps * STEP_SAMPLES)

    def push(self, samples: Samples) -> SpeechTrack:
        """Add sound, float32 [samples] of any length; returns the steps that are certain now, possibly none.

        Raises:
            SessionClosed: after `flush()` and before `reset()`.
        """
        if self._ended:
            raise SessionClosed("this stream of speech has ended", "start a new one, or call reset()")
        return self._process_samples(samples)

    def flush(self) -> SpeechTrack:
        """End the stream; returns the remaining steps, as if silence followed, ceil(samples / 160) in all.

        Raises:
            SessionClosed: the stream has ended before.
        """
        steps = -(-self._sample_count // STEP_SAMPLES)
        speech = self.push(np.zeros(self.lookahead + STEP_SAMPLES - 1, np.float32))
        self._ended = True
        return speech.slice_steps(0, steps - speech.start)

    def _process_samples(self, samples: Samples) -> SpeechTrack:
        samples = np.asarray(samples, np.float32)
        self._sample_count += len(samples)
        self._sound = np.concatenate([self._sound, samples])
        self._gate.push(samples)
        ready = (self._sample_count - features.WINDOW_MARGIN_SAMPLES) // STEP_SAMPLES
        runs: list[SpeechTrack] = []
        while ready - self._next_step >= self._model.hop_steps:
            hops = min(ready - self._next_step, MAX_BATCH_STEPS) // self._model.hop_steps
            last = self._next_step + hops * self._model.hop_steps
            runs.append(self._process_steps(self._next_step, last))
            self._next_step = last
        self._drop_old_sound()
        return SpeechTrack.join_runs(runs) if len(runs) > 1 else runs[0] if runs else self._make_empty_track()

    def _drop_old_sound(self) -> None:
        """Drop the sound that no later window needs."""
        next_output = max(0, self._next_step - self._model.delay_steps)
        needed = next_output * STEP_SAMPLES - prosody.PITCH_WINDOW_SAMPLES
        self._sound = self._sound[max(0, needed - (self._sample_count - len(self._sound))) :]

    def _make_empty_track(self) -> SpeechTrack:
        empty = np.zeros(0, np.float32)
        return SpeechTrack(
            start=max(0, self._next_step - self._model.delay_steps),
            visemes=np.zeros((0, len(VISEMES)), np.float32),
            controls=np.zeros((0, len(CONTROLS)), np.float32),
            energy=empty, pitch=empty, emphasis=empty, speaking=empty,
        )  # fmt: skip

    def _process_steps(self, first: int, last: int) -> SpeechTrack:
        """Process steps [first, last), complete hops; returns the steps `delay_steps` earlier that are not negative."""
        start, count = max(first, 0), last - max(first, 0)
        sound = self._extract_windows(start, count, STEP_SAMPLES)
        mel = features.compute_log_mel(self._extract_windows(start, count, features.WINDOW_SAMPLES))
        level = features.mel_to_loudness(mel)
        reference = self._reference.track_levels(level)
        self._levels = np.concatenate([self._levels, np.array((level, reference)).T])
        relative_mel = features.to_relative_mel(mel, reference)
        if first < 0:  # step -1 is a copy of step 0
            relative_mel = np.concatenate([relative_mel[:1], relative_mel])
            sound = np.concatenate([np.zeros((1, STEP_SAMPLES), np.float32), sound])
        visemes, controls = self._model.push(relative_mel, sound)
        delay = self._model.delay_steps
        skipped = max(0, min(delay - first, last - first))
        return self._build_track(max(0, first - delay + skipped), visemes[skipped:], controls[skipped:])

    def _build_track(
        self, start: int, visemes: NDArray[np.float32], controls: NDArray[np.float32]
    ) -> SpeechTrack:
        count = len(visemes)
        hertz = prosody.find_pitch(self._extract_windows(start, count, prosody.PITCH_WINDOW_SAMPLES))
        levels, self._levels = self._levels[:count], self._levels[count:]
        melody = self._prosody.track_prosody(hertz, levels[:, 0], levels[:, 1])
        opening = self._gate.track_opening(start, levels[:, 0], levels[:, 1])
        visemes = _blend_with_silence(visemes, opening)
        return SpeechTrack(
            start=start,
            visemes=visemes,
            controls=controls * opening[:, None],
            energy=melody.energy,
            pitch=melody.pitch,
            emphasis=melody.emphasis * opening,
            speaking=self._apply_hangover(1.0 - visemes[:, 0]),
        )

    def _apply_hangover(self, voice: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.empty_like(voice)
        for i, value in enumerate(voice.tolist()):
            self._speaking = max(value, self._speaking - HANGOVER_DECAY)
            out[i] = self._speaking
        return out

    def _extract_windows(self, step: int, count: int, size: int) -> NDArray[np.float32]:
        """Windows of `size` samples centred on `count` steps from `step` on; later sound is zero."""
        first = step * STEP_SAMPLES + (STEP_SAMPLES - size) // 2 - (self._sample_count - len(self._sound))
        missing = first + max(0, count - 1) * STEP_SAMPLES + size - len(self._sound)
        sound = np.pad(self._sound, (0, missing)) if missing > 0 else self._sound
        return slice_windows(sound[first:], size, STEP_SAMPLES, count)


def _blend_with_silence(visemes: NDArray[np.float32], opening: NDArray[np.float32]) -> NDArray[np.float32]:
    """Visemes [n, 15] where the gate is open, silence where it is shut; `opening` is [n], 0…1."""
    blended = visemes * opening[:, None]
    blended[:, 0] += 1.0 - opening
    return blended

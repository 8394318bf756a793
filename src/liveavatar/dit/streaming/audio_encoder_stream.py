# ruff: noqa: N806  (names carry their shape, by the legend below)
"""The audio encoder on a stream: a sliding window, and a running speech level.

Legend: L layers, T steps, C channels, as in `codecs.audio_encoder`.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from liveavatar.dit.codecs.audio_encoder import AudioEncoder, SpeechLevel
from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK
from liveavatar.errors import OptionError, SessionClosed
from liveavatar.frames import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderWindow:
    """Steps of 20 ms in one pass of the encoder: `left` of the past, `hop` new ones, and `ahead` after them."""

    left: int = 500
    hop: int = 24
    ahead: int = 10

    def __post_init__(self) -> None:
        if self.left < 0 or self.hop < 1 or self.ahead < 0:
            raise OptionError(f"{self} is no window", "use hop of at least 1, left and ahead of at least 0")

    @property
    def lookahead(self) -> int:
        """Samples that must follow the samples of a hop before it is computed."""
        return WAV2VEC2_CLOCK.step_start(self.ahead)


LIVE_WINDOW = EncoderWindow()
"""For a conversation. A long past costs little; look-ahead delays every picture. `benchmarks/dit/audio_window.py`
measures the distance to the encoder over the whole recording; so far with random weights only."""

RECORDING_WINDOW = EncoderWindow(left=500, hop=500, ahead=250)
"""For a recording: 25 s a pass, so that memory does not grow with its length."""

INITIAL_LEVEL = SpeechLevel(0.0, 0.05**2, 16_000)
"""Speech at -26 dBFS, with the weight of one second: noise before the first word is not normalised up to speech."""


class StreamingAudioEncoder:
    """Encodes speech as it comes, with a window that slides by `hop` steps; the cuts between pushes have no effect.

    The level for normalisation is that of all sound so far, and approaches the whole recording's.
    """

    def __init__(self, encoder: AudioEncoder, window: EncoderWindow = LIVE_WINDOW) -> None:
        self._encoder = encoder
        self._window = window
        self._level = INITIAL_LEVEL
        self.restart()

    def restart(self) -> None:
        """Drop the sound, as after an interruption; the speaker's level stays."""
        self._sound = np.zeros(0, np.float32)
        self._sound_start = 0  # number of the first sample in `_sound`
        self._measured_samples = 0  # samples that count in the level
        self._emitted_steps = 0
        self._closed = False

    def push(self, samples: Samples) -> list[Tensor]:
        """The next steps, [L, hop, C] each, as far as the sound so far allows. Push long recordings in pieces.

        Raises:
            SessionClosed: after `flush()`.
        """
        if self._closed:
            raise SessionClosed("the sound was ended by flush()", "call restart() first")
        self._sound = np.concatenate([self._sound, np.asarray(samples, np.float32)])
        hops = []
        while self._sound_end >= self._samples_needed(self._emitted_steps + self._window.hop):
            hops.append(self._encode_until(self._emitted_steps + self._window.hop))
        return hops

    def flush(self) -> list[Tensor]:
        """The sound is over: the remaining steps, with nothing after the last one."""
        self._closed = True
        last, hops = WAV2VEC2_CLOCK.steps_within(self._sound_end), []
        while self._emitted_steps < last:
            hops.append(self._encode_until(min(last, self._emitted_steps + self._window.hop)))
        return hops

    @property
    def hop(self) -> int:
        """Steps that come together."""
        return self._window.hop

    @property
    def lookahead(self) -> int:
        """Samples that must follow a hop's own before it is computed: the window's, and the last step's overlap."""
        return self._window.lookahead + WAV2VEC2_CLOCK.field - WAV2VEC2_CLOCK.stride

    @property
    def _sound_end(self) -> int:
        return self._sound_start + len(self._sound)

    def _samples_needed(self, steps: int) -> int:
        """Samples that the first `steps` steps and their look-ahead are computed from."""
        return WAV2VEC2_CLOCK.samples_needed(steps + self._window.ahead)

    def _encode_until(self, until: int) -> Tensor:
        """Steps from the last one emitted to `until`, exclusive."""
        first = max(0, self._emitted_steps - self._window.left)
        end = min(self._sound_end, self._samples_needed(until))
        wave = self._slice_sound(WAV2VEC2_CLOCK.step_start(first), end)
        states_LTC = self._encoder.encode_normalised(self._normalise_level(wave, end))
        new_LTC = states_LTC[:, self._emitted_steps - first : until - first]
        self._emitted_steps = until
        self._drop_before(WAV2VEC2_CLOCK.step_start(max(0, until - self._window.left)))
        return new_LTC

    def _normalise_level(self, wave: Samples, end: int) -> Samples:
        if not self._encoder.needs_normalisation:
            return wave
        self._level = self._level.with_samples(self._slice_sound(self._measured_samples, end))
        self._measured_samples = max(self._measured_samples, end)
        return self._level.normalise_samples(wave)

    def _slice_sound(self, start: int, end: int) -> Samples:
        return self._sound[max(0, start - self._sound_start) : max(0, end - self._sound_start)]

    def _drop_before(self, sample: int) -> None:
        self._sound = self._sound[sample - self._sound_start :].copy()
        self._sound_start = sample

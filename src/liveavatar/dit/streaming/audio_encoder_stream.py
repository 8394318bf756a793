# ruff: noqa: N806  (names carry their shape, by the legend below)
"""Speech heard while it is spoken: the audio encoder over a window that slides, and a level that is learnt.

Legend: L layers, T steps, C channels, as in `audio_encoder`.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from liveavatar.dit.codecs import clock
from liveavatar.dit.codecs.audio_encoder import AudioEncoder, SpeechLevel
from liveavatar.errors import OptionError, SessionClosed
from liveavatar.frames import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderWindow:
    """What a stream hears at a time, in steps of 20 ms: `left` of the past, `hop` new ones, and `ahead` after them."""

    left: int = 500
    hop: int = 24
    ahead: int = 10

    def __post_init__(self) -> None:
        if self.left < 0 or self.hop < 1 or self.ahead < 0:
            raise OptionError(f"{self} is no window", "use hop of at least 1, left and ahead of at least 0")

    @property
    def lookahead(self) -> int:
        """Samples that must follow the last step's own before it is given."""
        return self.ahead * clock.STEP_SAMPLES


LIVE_WINDOW = EncoderWindow()
"""For a conversation: the past is cheap and may be long; what is heard ahead delays every picture."""

RECORDING_WINDOW = EncoderWindow(left=500, hop=500, ahead=250)
"""For a recording, of which everything is there: 25 s at a time, in constant memory."""

INITIAL_LEVEL = SpeechLevel(0.0, 0.05**2, 16_000)
"""Speech at -26 dBFS, as heavy as one second of it: keeps the noise before the first word from counting as speech."""


class StreamingAudioEncoder:
    """Hears speech as it comes, through a window that slides by `hop` steps; pieces of any length give the same.

    The level is that of all that was heard so far, so that it comes ever closer to the whole recording's.
    """

    def __init__(self, encoder: AudioEncoder, window: EncoderWindow = LIVE_WINDOW) -> None:
        self._encoder = encoder
        self._window = window
        self._level = INITIAL_LEVEL
        self.restart()

    def restart(self) -> None:
        """Forget the sound, as after an interruption; the speaker's level is kept."""
        self._sound = np.zeros(0, np.float32)
        self._sound_start = 0  # the sample at which `_kept` begins
        self._measured_samples = 0  # samples that count in the level
        self._emitted_steps = 0  # steps
        self._closed = False

    def push(self, samples: Samples) -> list[Tensor]:
        """The next steps, [L, hop, C] a hop, as far as the sound so far allows; push long recordings in pieces.

        Raises:
            SessionClosed: after `flush()`.
        """
        if self._closed:
            raise SessionClosed("the sound was ended by flush()", "call restart() first")
        self._sound = np.concatenate([self._sound, np.asarray(samples, np.float32)])
        hops = []
        while self._sound_end >= clock.count_samples_needed(
            self._emitted_steps + self._window.hop + self._window.ahead
        ):
            hops.append(self._encode_until(self._emitted_steps + self._window.hop))
        return hops

    def flush(self) -> list[Tensor]:
        """The sound is over: the remaining steps, with nothing after the last one."""
        self._closed = True
        last, hops = clock.count_steps_within(self._sound_end), []
        while self._emitted_steps < last:
            hops.append(self._encode_until(min(last, self._emitted_steps + self._window.hop)))
        return hops

    @property
    def _sound_end(self) -> int:
        return self._sound_start + len(self._sound)

    def _encode_until(self, until: int) -> Tensor:
        """Steps from the last one given to `until`, which is not included."""
        first = max(0, self._emitted_steps - self._window.left)
        end = min(self._sound_end, clock.count_samples_needed(until + self._window.ahead))
        wave = self._slice_sound(first * clock.STEP_SAMPLES, end)
        states_LTC = self._encoder.encode_normalised(self._normalise_level(wave, end))
        heard_LTC = states_LTC[:, self._emitted_steps - first : until - first]
        self._emitted_steps = until
        self._drop_before(max(0, until - self._window.left) * clock.STEP_SAMPLES)
        return heard_LTC

    def _normalise_level(self, wave: Samples, end: int) -> Samples:
        if not self._encoder.needs_normalisation:
            return wave
        self._level = self._level.with_samples(self._slice_sound(self._measured_samples, end))
        self._measured_samples = max(self._measured_samples, end)
        return self._level.normalise_samples(wave)

    def _slice_sound(self, start: int, end: int) -> Samples:
        return self._sound[max(0, start - self._sound_start) : max(0, end - self._sound_start)]

    def _drop_before(self, before: int) -> None:
        self._sound = self._sound[before - self._sound_start :].copy()
        self._sound_start = before

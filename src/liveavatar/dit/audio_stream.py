# ruff: noqa: N806  (names carry their shape, by the legend below)
"""Speech heard while it is spoken: the audio encoder over a window that slides, and a level that is learnt.

Legend: L layers, T steps, C channels, as in `audio_encoder`.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from liveavatar.dit import steps
from liveavatar.dit.audio_encoder import AudioEncoder, Level
from liveavatar.errors import OptionError, SessionClosed
from liveavatar.frames import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
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
        return self.ahead * steps.STRIDE


LIVE = Window()
"""For a conversation: the past is cheap and may be long; what is heard ahead delays every picture."""

FILE = Window(left=500, hop=500, ahead=250)
"""For a recording, of which everything is there: 25 s at a time, in constant memory."""

FIRST_GUESS = Level(0.0, 0.05**2, 16_000)
"""Speech at -26 dBFS, as heavy as one second of it: keeps the noise before the first word from counting as speech."""


class StreamingAudioEncoder:
    """Hears speech as it comes, through a window that slides by `hop` steps; pieces of any length give the same.

    The level is that of all that was heard so far, so that it comes ever closer to the whole recording's.
    """

    def __init__(self, encoder: AudioEncoder, window: Window = LIVE) -> None:
        self._encoder = encoder
        self._window = window
        self._level = FIRST_GUESS
        self.restart()

    def restart(self) -> None:
        """Forget the sound, as after an interruption; the speaker's level is kept."""
        self._kept = np.zeros(0, np.float32)
        self._start = 0  # the sample at which `_kept` begins
        self._measured = 0  # samples that count in the level
        self._given = 0  # steps
        self._closed = False

    def push(self, samples: Samples) -> list[Tensor]:
        """The next steps, [L, hop, C] a hop, as far as the sound so far allows; push long recordings in pieces.

        Raises:
            SessionClosed: after `flush()`.
        """
        if self._closed:
            raise SessionClosed("the sound was ended by flush()", "call restart() first")
        self._kept = np.concatenate([self._kept, np.asarray(samples, np.float32)])
        hops = []
        while self._end >= steps.samples_for(self._given + self._window.hop + self._window.ahead):
            hops.append(self._hear(self._given + self._window.hop))
        return hops

    def flush(self) -> list[Tensor]:
        """The sound is over: the remaining steps, with nothing after the last one."""
        self._closed = True
        last, hops = steps.steps_within(self._end), []
        while self._given < last:
            hops.append(self._hear(min(last, self._given + self._window.hop)))
        return hops

    @property
    def _end(self) -> int:
        return self._start + len(self._kept)

    def _hear(self, until: int) -> Tensor:
        """Steps from the last one given to `until`, which is not included."""
        first = max(0, self._given - self._window.left)
        end = min(self._end, steps.samples_for(until + self._window.ahead))
        wave = self._between(first * steps.STRIDE, end)
        states_LTC = self._encoder.states(self._normalised(wave, end))
        heard_LTC = states_LTC[:, self._given - first : until - first]
        self._given = until
        self._forget(max(0, until - self._window.left) * steps.STRIDE)
        return heard_LTC

    def _normalised(self, wave: Samples, end: int) -> Samples:
        if not self._encoder.normalises:
            return wave
        self._level = self._level.joined(self._between(self._measured, end))
        self._measured = max(self._measured, end)
        return self._level.applied(wave)

    def _between(self, start: int, end: int) -> Samples:
        return self._kept[max(0, start - self._start) : max(0, end - self._start)]

    def _forget(self, before: int) -> None:
        self._kept = self._kept[before - self._start :].copy()
        self._start = before

"""Repairs of a recording that is played at its own rate: what spoils the lips spoils the sound of the video too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.downmix import Downmixer


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackRepair:
    """Changes of the samples, in this order.

    Attributes:
        channel_offsets: constant offset of each channel that is removed; empty for none.
        gain: factor, at most 1, that keeps peaks under full scale.
        channel: index of the only channel with sound, which is played alone; None for all.
        is_mixed: whether channels that cancel each other are mixed to one.
    """

    channel_offsets: tuple[float, ...] = ()
    gain: float = 1.0
    channel: int | None = None
    is_mixed: bool = False

    @property
    def is_mono(self) -> bool:
        """Whether one channel is left."""
        return self.is_mixed or self.channel is not None

    def apply(
        self, chunks: Iterable[NDArray[np.float32]], rate: int, layout: tuple[str, ...]
    ) -> Iterator[NDArray[np.float32]]:
        """Repair one stream of float32 [n, channels]; of the same length, with one channel if `is_mono`."""
        offsets = np.array(self.channel_offsets or [0.0], np.float32)
        mixer = Downmixer(rate, layout) if self.is_mixed else None
        for chunk in chunks:
            samples = (chunk - offsets) * np.float32(self.gain)
            if mixer is not None:
                yield mixer.push(samples)[:, None]
            else:
                yield samples if self.channel is None else samples[:, [self.channel]]
        if mixer is not None:
            yield mixer.flush()[:, None]


NO_REPAIR = PlaybackRepair()
"""The recording as it is."""

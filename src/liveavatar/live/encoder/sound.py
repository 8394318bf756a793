"""Opus for live viewers, in packets of 20 ms."""

from fractions import Fraction

import av
import numpy as np

from liveavatar.frames import Samples
from liveavatar.live.messages import PLAYBACK_RATE, MediaKind, MediaPacket

PACKET_SAMPLES = PLAYBACK_RATE // 50
_BIT_RATE = 48_000
_TIME_BASE = Fraction(1, PLAYBACK_RATE)


class LiveSoundEncoder:
    """Encodes one stream of mono sound at 48 kHz that begins with sample `start` of the timeline.

    The time of a packet says when its first decoded sample is heard: the encoder's own delay of 2.5 ms is in it.
    """

    def __init__(self, start: int) -> None:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate = PLAYBACK_RATE
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = _BIT_RATE
        context.options = {"application": "lowdelay", "frame_duration": "20"}
        self._context = context
        self._next_sample = start
        self._generation = 0
        self._pending: Samples = np.empty(0, np.float32)

    def encode_sound(self, sound: Samples, generation: int) -> list[MediaPacket]:
        """Add float32 [samples]; returns the packets that are complete.

        What an older generation left over, under 20 ms, becomes silence: it was interrupted.
        """
        if generation != self._generation:
            self._generation = generation
            self._pending = np.zeros_like(self._pending)
        self._pending = np.concatenate([self._pending, sound])
        packets: list[MediaPacket] = []
        while len(self._pending) >= PACKET_SAMPLES:
            block, self._pending = self._pending[:PACKET_SAMPLES], self._pending[PACKET_SAMPLES:]
            packets += self._encode_block(block, generation)
        return packets

    def _encode_block(self, block: Samples, generation: int) -> list[MediaPacket]:
        samples = np.clip(np.rint(block * 32767), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = PLAYBACK_RATE, self._next_sample, _TIME_BASE
        self._next_sample += PACKET_SAMPLES
        return [
            MediaPacket(
                kind=MediaKind.SOUND,
                data=bytes(packet),
                time=(packet.pts or 0) * _TIME_BASE,
                is_key=True,
                generation=generation,
            )
            for packet in self._context.encode(frame)
        ]

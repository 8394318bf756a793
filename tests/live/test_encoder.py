"""Packets decode to what went in, at their times."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.live.encoder.stream import LiveStreamEncoder
from liveavatar.live.messages import LiveFrame, MediaKind, MediaPacket

SIZE = (64, 48)


def grey(level: int) -> Picture:
    return np.full((SIZE[1], SIZE[0], 3), level, np.uint8)


def live_frame(number: int, sound: Samples, fps: Fraction = Fraction(25), generation: int = 0) -> LiveFrame:
    frame = VideoFrame(rgb=grey(40 + 15 * (number % 10)), pts=number, fps=fps)
    return LiveFrame(frame=frame, sound=sound, generation=generation)


def decode_video(packets: list[MediaPacket]) -> list[Picture]:
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    pictures: list[Picture] = []
    for packet in [*packets, None]:
        data = av.Packet(packet.data) if packet is not None else None
        pictures += [
            np.asarray(picture.to_ndarray(format="rgb24"), np.uint8) for picture in decoder.decode(data)
        ]
    return pictures


def decode_sound(packets: list[MediaPacket]) -> tuple[float, Samples]:
    """The time of the first sample, and all of them."""
    decoder = av.CodecContext.create("opus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    blocks = [
        block.to_ndarray().reshape(-1)
        for packet in packets
        for block in decoder.decode(av.Packet(packet.data))
    ]
    return float(packets[0].time), np.concatenate(blocks).astype(np.float32)


def encode(frames: list[LiveFrame], keys: set[int] = frozenset()) -> list[MediaPacket]:  # type: ignore[assignment]
    encoder = LiveStreamEncoder(SIZE, frames[0].frame.fps)
    return [packet for live in frames for packet in encoder.encode_frame(live, live.frame.pts in keys)]


def test_every_frame_is_a_packet_at_once_and_decodes() -> None:
    silence = np.zeros(1920, np.float32)
    encoder = LiveStreamEncoder(SIZE, Fraction(25))
    packets: list[MediaPacket] = []
    for number in range(10):
        new = encoder.encode_frame(live_frame(number, silence), is_key=number == 6)
        assert [packet.kind for packet in new] == [MediaKind.SOUND, MediaKind.SOUND, MediaKind.VIDEO]
        packets.append(new[-1])
    assert [number for number, packet in enumerate(packets) if packet.is_key] == [0, 6]
    assert [packet.time for packet in packets] == [Fraction(number, 25) for number in range(10)]
    for first in (0, 6):  # a decoder may start at either
        pictures = decode_video(packets[first:])
        assert len(pictures) == 10 - first
        for number, shown in enumerate(pictures, first):
            assert abs(int(shown.mean()) - (40 + 15 * number)) <= 3


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30_000, 1001)])
@pytest.mark.parametrize("first", [0, 50])
def test_sound_is_heard_at_its_time(fps: Fraction, first: int) -> None:
    """A click at a known time of the timeline, in packets that may start late."""
    starts = [round(number * 48_000 / fps) for number in range(first, first + 20)]
    sound = np.zeros(starts[-1] - starts[0], np.float32)
    sound[9600] = 1.0
    frames = [
        live_frame(first + index, sound[start - starts[0] : end - starts[0]], fps)
        for index, (start, end) in enumerate(pairwise(starts))
    ]
    packets = [packet for packet in encode(frames) if packet.kind is MediaKind.SOUND]
    time, heard = decode_sound(packets)
    click = time + int(np.abs(heard).argmax()) / 48_000
    assert abs(click - (starts[0] + 9600) / 48_000) < 0.001
    steps = {after.time - before.time for before, after in pairwise(packets)}
    assert steps == {Fraction(1, 50)}


def test_interrupted_sound_that_waits_for_its_packet_is_silenced() -> None:
    loud = np.asarray(0.5 * np.sin(np.arange(1602) * 0.2), np.float32)
    quiet = np.zeros(1602, np.float32)
    fps = Fraction(30_000, 1001)
    frames = [live_frame(0, loud, fps), live_frame(1, quiet, fps, 1), live_frame(2, quiet, fps, 1)]
    _, heard = decode_sound([packet for packet in encode(frames) if packet.kind is MediaKind.SOUND])
    assert np.abs(heard[400:900]).max() > 0.3
    assert np.abs(heard[960 + 480 :]).max() < 0.1

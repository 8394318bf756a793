"""Videos as other programs write them: any container, pictures stored in another order, clocks that start late."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

SIZE = (64, 48)
FPS = 25
RATE = 48_000
CLICK_SECONDS = (1.0, 2.0)
_BLOCK = 1152  # samples that every encoder here takes


def write_clip(
    path: Path,
    container: str,
    *,
    codec: str = "libx264",
    count: int = 75,
    start: float = 0.0,
    layout: str = "stereo",
    sound: str | None = "aac",
) -> Path:
    """A clip whose picture i is grey 3·i and has B-frames; clicks at 1 and 2 s; both clocks begin at `start`."""
    with av.open(str(path), "w", format=container) as target:
        video = target.add_stream(codec, rate=FPS, options={"bf": "3", "g": "25"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.codec_context.max_b_frames = 3
        audio = target.add_stream(sound, rate=RATE, layout=layout) if sound else None
        for index in range(count):
            grey = np.full((SIZE[1], SIZE[0], 3), 3 * index, np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
            picture.pts, picture.time_base = index + round(start * FPS), Fraction(1, FPS)
            target.mux(video.encode(picture))
        target.mux(video.encode(None))
        if isinstance(audio, AudioStream):
            _write_clicks(target, audio, count / FPS, round(start * RATE))
    return path


def _write_clicks(target: OutputContainer, audio: AudioStream, seconds: float, start: int) -> None:
    samples = np.tile(make_clicks(seconds), (audio.layout.nb_channels, 1))
    for first in range(0, samples.shape[1] - _BLOCK, _BLOCK):
        block = np.ascontiguousarray(samples[:, first : first + _BLOCK])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=audio.layout.name)
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first + start
        target.mux(audio.encode(frame))
    target.mux(audio.encode(None))


def make_clicks(seconds: float) -> NDArray[np.float32]:
    """A click of a millisecond at each of `CLICK_SECONDS`, over faint noise."""
    samples = np.random.default_rng(0).normal(0, 0.002, round(seconds * RATE)).astype(np.float32)
    for at in CLICK_SECONDS:
        samples[round(at * RATE) - 24 : round(at * RATE) + 24] = 0.8
    return samples


def count_packets(path: Path) -> int:
    """Packets of the pictures."""
    with av.open(str(path)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))

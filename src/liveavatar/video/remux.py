"""Moves the sound of a video under its picture, which is copied untouched."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soxr  # type: ignore[import-untyped]
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from liveavatar.audio.io.decode import open_audio, open_container
from liveavatar.errors import OptionError, OutputError, VideoError
from liveavatar.files import atomic_write
from liveavatar.video.reader import find_sound_start

_CONTAINER_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_AAC_BIT_RATE = 192_000
_AAC_RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
_CHANNEL_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
_PIECE_SAMPLES = 1024

Samples2D = NDArray[np.float32]


def shift_sound(source: str | Path, output: str | Path, lag: float, slope: float = 0.0) -> None:
    """Write `source` with its sound moved: what was heard at `t + lag + slope·t` is heard at t, in seconds.

    The picture's packets are copied bit by bit. The sound is resampled where there is a slope, and encoded anew as
    AAC at 192 kbit/s with its own channels; it keeps its rate where AAC has it. Other streams are left out. The
    file appears whole or not at all.

    Raises:
        OptionError: the output has an unknown ending, or is the source.
        VideoError, AudioError: the source cannot be read.
        OutputError: the output cannot be written, or its format cannot hold the picture.
    """
    source, output = Path(source), Path(output)
    form = check_remux_output(source, output)
    begin = find_sound_start(source)
    if begin is None:
        raise VideoError(f"{source.name} has no sound", "choose a video with a sound track")
    with _write_atomically(output) as part, ExitStack() as files:
        pictures = files.enter_context(open_container(source))
        target = files.enter_context(av.open(f"file:{part}", "w", format=form))
        sound = _ShiftedSound(source, target, float(begin), lag, slope)
        files.callback(sound.close)
        _copy_streams(pictures, target, sound)


def check_remux_output(source: Path, output: Path) -> str:
    """FFmpeg's name of the output's format; refuses what `remux` would, before any work is done."""
    form = _CONTAINER_FORMATS.get(output.suffix.lower())
    if form is None:
        raise OptionError(f"a video cannot end in {output.suffix!r}", "name it .mp4, .mov or .mkv")
    if output.exists() and source.exists() and output.samefile(source):
        raise OptionError(f"{output} is the video itself", "choose another name")
    return form


@contextmanager
def _write_atomically(path: Path) -> Iterator[Path]:
    """A name to write under, as in `files.atomic_write`; what FFmpeg says becomes an OutputError too."""
    try:
        with atomic_write(path) as part:
            yield part
    except av.error.FFmpegError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}", "choose another folder") from error


def _copy_streams(pictures: InputContainer, target: OutputContainer, sound: "_ShiftedSound") -> None:
    source = next((s for s in pictures.streams.video if not s.disposition & s.disposition.attached_pic), None)
    if source is None:
        raise VideoError("there are no pictures in the file", "choose a video of a talking face")
    copy = _add_copied_stream(target, source)
    tick = source.time_base or Fraction(1, 1000)
    for packet in pictures.demux(source):
        if packet.dts is None:
            continue
        now = float((packet.pts if packet.pts is not None else packet.dts) * tick)
        packet.stream = copy
        target.mux(packet)
        for heard in sound.encode_until(now):
            target.mux(heard)
    for heard in sound.encode_rest():
        target.mux(heard)


def _add_copied_stream(target: OutputContainer, source: VideoStream) -> VideoStream:
    try:
        return target.add_stream_from_template(source)
    except (ValueError, av.error.FFmpegError) as error:
        problem = f"{target.format.name} cannot hold pictures in {source.codec_context.name}"
        raise OutputError(problem, "name the output .mkv") from error


class _ShiftedSound:
    """The sound of a file, moved and stretched, as AAC packets from time 0 on."""

    def __init__(self, source: Path, target: OutputContainer, begin: float, lag: float, slope: float) -> None:
        self._input = open_audio(source, silence_invalid=True)
        info = self._input.info
        rate = info.rate if info.rate in _AAC_RATES else 48_000
        self._channels = info.channels if info.channels in _CHANNEL_LAYOUTS else 1
        self._layout = _CHANNEL_LAYOUTS[self._channels]
        self._stream: AvAudioStream = target.add_stream("aac", rate=rate, layout=self._layout)
        self._stream.bit_rate = _AAC_BIT_RATE
        self._rate = rate
        self._resampler = soxr.ResampleStream(
            info.rate * (1 + slope), rate, self._channels, dtype="float32", quality="VHQ"
        )
        self._pieces = self._shift_pieces(round((begin - lag) / (1 + slope) * rate))
        self._encoded_samples = 0

    def close(self) -> None:
        """Close the input."""
        self._input.close()

    def encode_until(self, now: float) -> "Iterator[Packet[AvAudioStream]]":
        """Packets up to time `now` in seconds, each once."""
        while self._encoded_samples < now * self._rate:
            piece = next(self._pieces, None)
            if piece is None:
                return
            yield from self._stream.encode(self._build_frame(piece))

    def encode_rest(self) -> "Iterator[Packet[AvAudioStream]]":
        """All packets that are left."""
        for piece in self._pieces:
            yield from self._stream.encode(self._build_frame(piece))
        yield from self._stream.encode(None)

    def _shift_pieces(self, shift: int) -> Iterator[Samples2D]:
        """Pieces of the sound with `shift` samples of silence before it, or so many cut off when negative."""
        for first in range(0, shift, _PIECE_SAMPLES):
            yield np.zeros((min(_PIECE_SAMPLES, shift - first), self._channels), np.float32)
        cut = max(0, -shift)
        for samples in self._resample_input():
            kept = samples[cut:]
            cut = max(0, cut - len(samples))
            for first in range(0, len(kept), _PIECE_SAMPLES):
                yield kept[first : first + _PIECE_SAMPLES]

    def _resample_input(self) -> Iterator[Samples2D]:
        for chunk in self._input:
            yield self._resampler.resample_chunk(self._mix_channels(chunk.samples))
        yield self._resampler.resample_chunk(np.empty((0, self._channels), np.float32), last=True)

    def _mix_channels(self, samples: Samples2D) -> Samples2D:
        if samples.shape[1] == self._channels:
            return np.ascontiguousarray(samples)
        return np.ascontiguousarray(samples.mean(axis=1, keepdims=True), np.float32)

    def _build_frame(self, samples: Samples2D) -> av.AudioFrame:
        planes = np.ascontiguousarray(samples.T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._encoded_samples
        self._encoded_samples += len(samples)
        return frame

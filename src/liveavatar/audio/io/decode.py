"""Any sound file FFmpeg reads, as a stream of float32 chunks on an exact clock."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from liveavatar.audio.dsp.downmix import default_layout, polarity_step_samples
from liveavatar.audio.dsp.invalid_samples import silence_invalid_samples
from liveavatar.audio.io import pcm, riff
from liveavatar.audio.io.timestamps import Splicer, TimestampRepairs
from liveavatar.errors import AudioError
from liveavatar.frames import AudioChunk
from liveavatar.timeline import round_half_up

CHUNK_SAMPLES = 1 << 18
"""Samples a chunk of up to two channels holds at least, but for the last: large enough that Python costs little."""

SUPPORTED_RATES = range(1_000, 768_001)
"""Sample rates in Hz that are taken for sound."""

_MAX_READ_FAILURES = 100  # times in a row the reader may fail before the rest is given up
_MAX_PADDING_SAMPLES = 4096  # samples a codec may pad a sound with at its end: two frames of the longest
_DEMUXER_OPTIONS = {"protocol_whitelist": "file"}
_MAX_PACKET_BYTES = 1 << 22  # bytes, of WAV
_PROTECTED_CODEC_TAGS = ("drms", "drmi", "enca", "encv", "aavd")
_CONVERT_REMEDY = "convert it to WAV or MP3 with another program"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a file says of its sound. `promised` is the duration in seconds that the container names.

    `rate` is what the samples are taken for; it differs from the `declared` one where the header was overruled.
    """

    container: str
    codec: str
    rate: int
    declared_rate: int
    channels: int
    layout: tuple[str, ...]
    container_duration: Fraction | None
    track_count: int

    @property
    def channels_text(self) -> str:
        """The number of channels, in words."""
        return "1 channel" if self.channels == 1 else f"{self.channels} channels"


@dataclass(slots=True, kw_only=True)
class StreamDamage:
    """What was wrong with a stream, counted while it is read."""

    invalid_samples: int = 0
    corrupt_packets: int = 0
    repairs: TimestampRepairs = field(default_factory=TimestampRepairs)


class AudioStream:
    """An open sound file: iterate it once for `AudioChunk`s of `info.rate` Hz and `info.channels` channels.

    Time 0 is the first sample that should be heard: encoder delay and padding are cut where the file
    declares them, gaps between time stamps become silence and overlaps are dropped. `damage` and `samples`
    are complete when the iteration ends.
    """

    def __init__(self, path: Path, silence_invalid: bool, true_rate: int | None) -> None:
        self._path = path
        self._silence_invalid = silence_invalid
        self.damage = StreamDamage()
        self.sample_count = 0
        self._container = open_container(path)
        with ExitStack() as on_error:
            on_error.callback(self._container.close)
            self._stream = _pick_stream(self._container, path)
            self._frames = self._decode_frames()
            self._first_frame = next(self._frames, None)
            if self._first_frame is None:
                raise self._no_samples_error()
            self.info = _override_rate(self._read_info(self._first_frame), true_rate)
            if self.info.rate not in SUPPORTED_RATES:
                problem = f"{path.name} runs at {self.info.rate} Hz, which is no rate of sound"
                raise AudioError(problem, "export it again at 16000 Hz or more, or say --true-rate HZ")
            on_error.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[AudioChunk]:
        pieces: list[NDArray[np.float32]] = []
        held, enough = 0, 2 * CHUNK_SAMPLES // max(self.info.channels, 2)
        for piece in self._read_pieces():
            pieces.append(piece)
            held += len(piece)
            if held >= enough:
                yield self._build_chunk(pieces)
                pieces, held = [], 0
        if held:
            yield self._build_chunk(pieces)
        if not self.sample_count:
            raise self._no_samples_error()

    def _decode_frames(self) -> Iterator[AudioFrame]:
        """Every frame that can be decoded; a broken packet is counted and leaves a gap in the stamps."""
        for packet in self._demux_packets():
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.damage.corrupt_packets += 1
                continue
            yield from (frame for frame in frames if frame.samples)

    def _demux_packets(self) -> "Iterator[Packet[AvAudioStream]]":
        """Every packet that can be read; the reader goes on behind a damaged place."""
        failures = 0
        while failures <= _MAX_READ_FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    yield packet
                    failures = 0
                return
            except IndexError:  # PyAV, at the end of a file in which a further track turned up on the way
                return
            except av.error.FFmpegError:
                self.damage.corrupt_packets += 1
                failures += 1

    def _no_samples_error(self) -> AudioError:
        if self.damage.corrupt_packets:
            return AudioError(f"the sound of {self._path.name} cannot be decoded", _CONVERT_REMEDY)
        return AudioError(f"{self._path.name} holds no samples", "record or export it again")

    def _read_info(self, frame: AudioFrame) -> AudioInfo:
        stream, container = self._stream, self._container
        promised: Fraction | None = None
        pictures = [v for v in container.streams.video if not v.disposition & v.disposition.attached_pic]
        if stream.duration and stream.time_base:
            promised = stream.duration * stream.time_base
        elif container.duration and not pictures:
            promised = Fraction(container.duration, av.time_base)
        if container.format.name == "wav":
            promised = riff.read_wave_duration(self._path) or promised
        return AudioInfo(
            container=_container_name(container, self._path),
            codec=stream.codec_context.codec.canonical_name,
            rate=self._frame_sample_rate(frame),
            declared_rate=self._frame_sample_rate(frame),
            channels=len(frame.layout.channels),
            layout=_channel_names(frame),
            container_duration=promised,
            track_count=len(container.streams.audio),
        )

    def _read_pieces(self) -> Iterator[NDArray[np.float32]]:
        """The track: of 16-bit WAV, which has no stamps, without packets."""
        if (self._container.format.name, self.info.codec, self.info.track_count) == ("wav", "pcm_s16le", 1):
            found, place = riff.read_wave_format(self._path), riff.find_wave_data(self._path)
            if found and place and found.block_bytes == 2 * self.info.channels:
                return pcm.read_pcm16(
                    self._path, place, self.info.channels, _round_chunk_to_steps(found.rate)
                )
        return self._trim_codec_padding(self._decode_track())

    def _decode_track(self) -> Iterator[NDArray[np.float32]]:
        info = self.info
        tick = self._stream.time_base or Fraction(1, info.declared_rate)
        promised = info.container_duration and info.container_duration * info.rate / info.declared_rate
        splicer = Splicer(info.declared_rate, info.channels, tick, promised)
        self.damage.repairs = splicer.repairs
        frame = self._first_frame
        while frame is not None:
            yield from splicer.push(self._to_valid_samples(frame), self._frame_sample_rate(frame), frame.pts)
            frame = next(self._frames, None)
        yield splicer.flush()

    def _frame_sample_rate(self, frame: AudioFrame) -> int:
        """FFmpeg's mp3 decoder labels the first frame of a new rate with the old one; its context knows."""
        context = self._stream.codec_context
        return context.sample_rate if context.name.startswith("mp3") else frame.sample_rate

    def _to_valid_samples(self, frame: AudioFrame) -> NDArray[np.float32]:
        samples = _frame_to_float(frame)
        if frame.format.name[:3] not in ("flt", "dbl"):
            return samples
        samples, invalid_count = silence_invalid_samples(samples)
        if invalid_count and not self._silence_invalid:
            problem = f"{self._path.name} has samples that are not numbers"
            raise AudioError(problem, "use --audio-policy fix to silence them")
        self.damage.invalid_samples += invalid_count
        return samples

    def _trim_codec_padding(self, track: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Cut what an mp4 decodes beyond its own duration when that is no more than a codec's padding."""
        if "mp4" not in self._container.format.name or self.info.container_duration is None:
            yield from track
            return
        room, spare = round_half_up(self.info.container_duration * self.info.rate), []
        for piece in track:
            head, rest = piece[:room], piece[room:]
            room -= len(head)
            if len(head):
                yield head
            spare += [rest] if len(rest) else []
            if sum(map(len, spare)) > _MAX_PADDING_SAMPLES:
                yield from spare
                room, spare = sys.maxsize, []

    def _build_chunk(self, pieces: list[NDArray[np.float32]]) -> AudioChunk:
        samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        chunk = AudioChunk(samples=samples, rate=self.info.rate, pts=self.sample_count)
        self.sample_count += len(samples)
        return chunk


def _override_rate(info: AudioInfo, true_rate: int | None) -> AudioInfo:
    if true_rate is None:
        return info
    promised = info.container_duration and info.container_duration * info.declared_rate / true_rate
    return replace(info, rate=true_rate, container_duration=promised)


def open_audio(path: str | Path, silence_invalid: bool = False, true_rate: int | None = None) -> AudioStream:
    """Open the sound of a file: `with open_audio(path) as stream: for chunk in stream: ...`.

    `mend=True` silences samples that are not numbers, and counts them, where otherwise they are an error.
    `true_rate` is what the samples were taken at in Hz, where the header tells something else.

    Raises:
        AudioError: no such file, a folder, empty, not a sound file, no sound track, protected, undecodable;
            while iterating: no samples, or samples that are not numbers.
    """
    _raise_mmap_threshold()
    return AudioStream(Path(path), silence_invalid, true_rate)


def _raise_mmap_threshold() -> None:
    """Let go of 16 MiB: from then on glibc keeps what arrays of that size leave, for the next ones.

    Without, it gives every one over 128 KiB back to the system and has it cleared again, which takes as long as the
    arithmetic. (malloc(3) calls this the dynamic mmap threshold.)
    """
    np.empty(1 << 24, np.uint8)


def open_container(path: Path) -> InputContainer:
    """Open a local file, and nothing else, with FFmpeg.

    Raises:
        AudioError: no such file, a folder, empty, or not a format FFmpeg knows.
    """
    _check_file(path)
    try:
        return av.open(
            f"file:{path}",
            "r",
            options=_DEMUXER_OPTIONS | _choose_packet_options(path),
            metadata_errors="ignore",
        )
    except av.error.FFmpegError as error:
        raise AudioError(f"{path.name} is damaged, or not a sound file", _CONVERT_REMEDY) from error


def _choose_packet_options(path: Path) -> dict[str, str]:
    """For WAV: large packets, which cost less than many; whole steps of the mix, so that it has nothing to join.

    One of them tells whether it hides something else, like DTS.
    """
    form = riff.read_wave_format(path)
    if form is None or form.format_code not in riff.PLAIN_FORMAT_CODES:
        return {}
    size = min(max(_round_chunk_to_steps(form.rate) * form.block_bytes, CHUNK_SAMPLES), _MAX_PACKET_BYTES)
    return {"max_size": str(size), "max_probe_packets": "1"}


def _round_chunk_to_steps(rate: int) -> int:
    """A chunk's worth of samples, in whole steps of the mix."""
    step = polarity_step_samples(rate)
    return -(-CHUNK_SAMPLES // step) * step


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise AudioError(f"{path} is a folder, not a sound file", "name one file in it")
    if not path.exists():
        raise AudioError(f"there is no file {path}", "check the path")
    if not path.is_file():
        raise AudioError(f"{path} is not a regular file", "save the sound to a file first")
    if not os.access(path, os.R_OK):
        raise AudioError(f"{path} may not be read", "change its permissions")
    if path.stat().st_size == 0:
        raise AudioError(f"{path.name} is empty", "record or export it again")


def _pick_stream(container: InputContainer, path: Path) -> AvAudioStream:
    """The sound track flagged as default, else the first."""
    tracks = container.streams.audio
    if not tracks:
        raise AudioError(f"{path.name} has no sound", "choose a file with a sound track")
    stream = next((track for track in tracks if track.disposition & track.disposition.default), tracks[0])
    context = stream.codec_context
    if context is None:
        raise AudioError(f"the sound of {path.name} is in an unknown format", _CONVERT_REMEDY)
    if _read_codec_tag(context) in _PROTECTED_CODEC_TAGS:
        raise AudioError(f"{path.name} is copy-protected", "use a copy without protection")
    return stream


def _read_codec_tag(context: AudioCodecContext) -> str:
    """Four letters by which a container calls its codec; "" where a damaged one has others."""
    try:
        return context.codec_tag
    except UnicodeDecodeError:
        return ""


def _container_name(container: InputContainer, path: Path) -> str:
    names = container.format.name.split(",")
    suffix = path.suffix.lower().removeprefix(".")
    return suffix if suffix in names else names[0]


def _channel_names(frame: AudioFrame) -> tuple[str, ...]:
    names = tuple(channel.name for channel in frame.layout.channels)
    return default_layout(len(names)) if "NONE" in names else names


def _frame_to_float(frame: AudioFrame) -> NDArray[np.float32]:
    """Samples of a frame as float32 [samples, channels], full scale 1."""
    name = frame.format.name.removesuffix("p")
    if name not in pcm.SAMPLE_FORMATS:
        raise AudioError(f"samples of kind {name} are not supported", _CONVERT_REMEDY)
    channels = frame.layout.nb_channels  # beyond 8 of them, PyAV takes what follows in memory for more planes
    planes = [memoryview(plane) for plane in frame.planes[:channels]]
    return pcm.pcm_to_float(planes, name, frame.samples, channels)

"""Decodes any sound file that FFmpeg reads to a stream of float32 chunks with exact times."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
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
from liveavatar.audio.io.announced import find_stream_duration, has_film, read_announced_duration
from liveavatar.audio.io.container import build_timeout_error, open_media_file
from liveavatar.audio.io.full_scale import FullScaleMeter
from liveavatar.audio.io.joined import find_joined_files
from liveavatar.audio.io.timestamps import Splicer, TimestampRepairs, is_slow_clock
from liveavatar.audio.io.track import choose_sound_track, number_sound_track
from liveavatar.errors import AudioError
from liveavatar.files import describe_path, require_regular_file
from liveavatar.frames import AudioChunk
from liveavatar.timeline import round_half_up

CHUNK_SAMPLES = 1 << 18
"""Least samples of a chunk of up to two channels, except the last: 2 MiB, where Python's share of the time is small."""

SUPPORTED_RATES = range(1_000, 768_001)
"""Sample rates in Hz that are accepted."""

_MAX_READ_FAILURES = 100  # in a row, after which the rest of a damaged file is not read
_MAX_PADDING_SAMPLES = 4096  # at the end, by a codec: two frames of 2048 samples, the longest (HE-AAC)
_FORMATS_WITHOUT_STAMPS = (
    "avi",
)  # FFmpeg derives the times from bytes or packets, wrongly for a variable bit rate
_PROBED_FRAMES = 25  # half a second of Opus
_MAX_PROBED_SAMPLES = 8192  # of a frame: twice the longest of a codec
_MAX_PACKET_BYTES = 1 << 22  # of WAV
_PROTECTED_CODEC_TAGS = ("drms", "drmi", "enca", "encv", "aavd")  # FairPlay, ISO common encryption, Audible
_FREE_SCALE_CODECS = ("pcm_f", "wavpack")  # floats, of which some programs write integers
_CONVERT_REMEDY = "convert it to WAV or MP3 with another program"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """Format of the sound in a file.

    Attributes:
        container: FFmpeg's name of the file format.
        codec: FFmpeg's name of the codec.
        rate: sample rate in Hz at which the samples are read: `true_rate` if given, else the declared one.
        declared_rate: sample rate in Hz in the header.
        channels: their number.
        layout: their names, as FFmpeg's.
        container_duration: duration in seconds in the header, scaled to `rate`; None if it has none.
        picture_duration: duration in seconds of the film beside the sound; None if there is none.
        track_count: sound tracks in the file.
        track: number of the one that is read, from 1.
        is_track_given: whether the user has named it.
    """

    container: str
    codec: str
    rate: int
    declared_rate: int
    channels: int
    layout: tuple[str, ...]
    container_duration: Fraction | None
    track_count: int
    track: int
    is_track_given: bool = False
    picture_duration: Fraction | None = None

    @property
    def channels_text(self) -> str:
        """The number of channels, in words."""
        return "1 channel" if self.channels == 1 else f"{self.channels} channels"


@dataclass(slots=True, kw_only=True)
class StreamDamage:
    """Damage of a stream, counted while it is read; samples are counted once for all their channels.

    `joined_files` is the number of files joined in this one. `full_scale` is that of float samples; they are divided by
    it, see `FullScaleMeter`.
    """

    invalid_samples: int = 0
    corrupt_packets: int = 0
    joined_files: int = 1
    full_scale: float = 1.0
    repairs: TimestampRepairs = field(default_factory=TimestampRepairs)


class AudioStream:
    """An open sound file: iterate once for `AudioChunk`s of `info.rate` Hz and `info.channels` channels.

    Time 0 is the first sample of the recording: encoder delay and padding are cut if the file declares them. Gaps
    between time stamps become silence, overlaps are dropped. `damage` and `sample_count` are complete when the
    iteration ends.
    """

    def __init__(
        self, path: Path, silence_invalid: bool, true_rate: int | None, track: int | None = None
    ) -> None:
        self._path = path
        self._silence_invalid = silence_invalid
        self.damage = StreamDamage()
        self.sample_count = 0
        self._track = track
        self._container = open_container(path)
        with ExitStack() as on_error:
            on_error.callback(self.close)
            self._parts = find_joined_files(
                path, "" if has_film(self._container) else self._container.format.name
            )
            self.damage.joined_files = len(self._parts)
            self._open_part(0)
            self._frames = self._decode_frames()
            self._first_frame = next(self._frames, None)
            if self._first_frame is None:
                raise self._no_samples_error()
            self.damage.full_scale = self._measure_full_scale()
            self.info = _override_rate(self._read_info(self._first_frame), true_rate)
            if self.info.rate not in SUPPORTED_RATES:
                problem = f"{describe_path(path.name)} runs at {self.info.rate} Hz, which is not a sample rate of sound"
                raise AudioError(problem, "export it again at 16000 Hz or more, or give --true-rate HZ")
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
        count, chunk_samples = 0, 2 * CHUNK_SAMPLES // max(self.info.channels, 2)
        for piece in self._read_pieces():
            pieces.append(piece)
            count += len(piece)
            if count >= chunk_samples:
                yield self._build_chunk(pieces)
                pieces, count = [], 0
        if count:
            yield self._build_chunk(pieces)
        if not self.sample_count:
            raise self._no_samples_error()

    def _measure_full_scale(self) -> float:
        """Full scale of float samples, read from the file once more; 1 for codecs whose full scale is defined."""
        if not self._stream.codec_context.name.startswith(_FREE_SCALE_CODECS):
            return 1.0
        meter = FullScaleMeter()
        with open_container(self._path, self._parts[0] if len(self._parts) > 1 else None) as container:
            stream = choose_sound_track(container, self._path, self._track)
            with suppress(av.error.FFmpegError):  # what cannot be read is counted where the stream is read
                for frame in container.decode(stream):
                    meter.push(_frame_to_float(frame))
                    if meter.is_certain:
                        break
        return meter.finish()

    def _open_part(self, number: int) -> None:
        """Open one of the files that are joined in this one, which mostly is a single one."""
        if len(self._parts) > 1:
            self.close()
            self._container = open_container(self._path, self._parts[number])
        self._stream = choose_sound_track(self._container, self._path, self._track)
        _refuse_protected_track(self._stream, self._path)

    def _decode_frames(self) -> Iterator[AudioFrame]:
        """Every frame of all files that are joined in this one; those of later ones have no time stamps."""
        yield from self._decode_part()
        for number in range(1, len(self._parts)):
            try:
                self._open_part(number)
            except AudioError:
                self.damage.corrupt_packets += 1
                continue
            for frame in self._decode_part():
                frame.pts = None
                yield frame

    def _decode_part(self) -> Iterator[AudioFrame]:
        """Every frame that can be decoded; a corrupt packet is counted and leaves a gap between time stamps."""
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
        """Every packet that can be read; after damage, reading continues."""
        failures = 0
        while failures <= _MAX_READ_FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    yield packet
                    failures = 0
                return
            except IndexError:  # raised by PyAV at the end, when a further track started within the file
                return
            except av.error.ExitError as error:
                raise build_timeout_error(self._path, AudioError) from error
            except av.error.FFmpegError:
                self.damage.corrupt_packets += 1
                failures += 1

    def _no_samples_error(self) -> AudioError:
        if self.damage.corrupt_packets:
            return AudioError(
                f"the sound of {describe_path(self._path.name)} cannot be decoded", _CONVERT_REMEDY
            )
        return AudioError(f"{describe_path(self._path.name)} holds no samples", "record or export it again")

    def _read_info(self, frame: AudioFrame) -> AudioInfo:
        """Format of the track, of which `frame` is the first."""
        container = self._container
        return AudioInfo(
            container=_container_name(container, self._path),
            codec=self._stream.codec_context.codec.canonical_name,
            rate=self._frame_sample_rate(frame),
            declared_rate=self._frame_sample_rate(frame),
            channels=len(frame.layout.channels),
            layout=_channel_names(frame),
            container_duration=read_announced_duration(container, self._stream, self._path, self._parts),
            track_count=len(container.streams.audio),
            track=number_sound_track(container, self._stream),
            is_track_given=self._track is not None,
            picture_duration=_read_picture_duration(container),
        )

    def _read_pieces(self) -> Iterator[NDArray[np.float32]]:
        """The track in pieces of any length; 16-bit WAV, which has no time stamps, without FFmpeg."""
        ranges = self._find_plain_samples()
        if not ranges:
            return self._trim_codec_padding(self._decode_track())
        block_samples = _round_chunk_to_steps(self.info.declared_rate)
        return chain.from_iterable(
            pcm.read_pcm16(self._path, byte_range, self.info.channels, block_samples) for byte_range in ranges
        )

    def _find_plain_samples(self) -> list[range]:
        """Where the samples of a 16-bit WAV are, or of several that are joined and have one format; else nothing."""
        if (self._container.format.name, self.info.codec, self.info.track_count) != ("wav", "pcm_s16le", 1):
            return []
        forms = {riff.read_wave_format(self._path, part) for part in self._parts}
        ranges = [riff.find_wave_data(self._path, part) for part in self._parts]
        block_bytes = [form.block_bytes if form else 0 for form in forms]
        is_plain = block_bytes == [2 * self.info.channels] and None not in ranges
        return [byte_range for byte_range in ranges if byte_range is not None] if is_plain else []

    def _decode_track(self) -> Iterator[NDArray[np.float32]]:
        """Decode every frame and place it by its time stamp."""
        info = self.info
        time_base = self._stream.time_base or Fraction(1, info.declared_rate)
        duration = find_stream_duration(self._container, self._stream)
        splicer = Splicer(info.declared_rate, info.channels, time_base, duration)
        self.damage.repairs = splicer.repairs
        rated = ((frame, self._frame_sample_rate(frame)) for frame in self._take_frames())
        head = _take_head(rated)
        has_stamps = self._container.format.name not in _FORMATS_WITHOUT_STAMPS
        if has_stamps and is_slow_clock([_place_frame(frame, rate, time_base) for frame, rate in head]):
            splicer.repairs.has_slow_clock, has_stamps = True, False
        last_pts = None
        for frame, rate in chain(head, rated):
            is_new = frame.pts != last_pts  # a stamp that stands still says nothing
            yield from splicer.push(
                self._to_valid_samples(frame), rate, frame.pts if has_stamps and is_new else None
            )
            last_pts = frame.pts
        yield splicer.flush()

    def _take_frames(self) -> Iterator[AudioFrame]:
        """All frames, once; the first was decoded when the file was opened."""
        if self._first_frame is not None:
            yield self._first_frame
        yield from self._frames

    def _frame_sample_rate(self, frame: AudioFrame) -> int:
        """Rate of a frame in Hz, for mp3 that of the context: the first frame after a change still has the old rate."""
        context = self._stream.codec_context
        return context.sample_rate if context.name.startswith("mp3") else frame.sample_rate

    def _to_valid_samples(self, frame: AudioFrame) -> NDArray[np.float32]:
        """Samples of a frame, float32 [n, channels]; invalid floats are silenced and counted, or an error."""
        samples = _frame_to_float(frame)
        if frame.format.name[:3] not in ("flt", "dbl"):
            return samples
        if self.damage.full_scale != 1:
            samples = samples * np.float32(1 / self.damage.full_scale)
        samples, invalid_count = silence_invalid_samples(samples)
        if invalid_count and not self._silence_invalid:
            problem = f"{describe_path(self._path.name)} has samples that are not numbers"
            raise AudioError(problem, "use --audio-policy fix to silence them")
        self.damage.invalid_samples += invalid_count
        return samples

    def _trim_codec_padding(self, track: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Cut what an mp4 decodes to beyond its own duration, if it is no longer than a codec's padding."""
        if "mp4" not in self._container.format.name or self.info.container_duration is None:
            yield from track
            return
        remaining, surplus = round_half_up(self.info.container_duration * self.info.rate), []
        for piece in track:
            head, rest = piece[:remaining], piece[remaining:]
            remaining -= len(head)
            if len(head):
                yield head
            surplus += [rest] if len(rest) else []
            if sum(map(len, surplus)) > _MAX_PADDING_SAMPLES:
                yield from surplus
                remaining, surplus = sys.maxsize, []

    def _build_chunk(self, pieces: list[NDArray[np.float32]]) -> AudioChunk:
        samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        chunk = AudioChunk(samples=samples, rate=self.info.rate, pts=self.sample_count)
        self.sample_count += len(samples)
        return chunk


def _take_head(frames: Iterator[tuple[AudioFrame, int]]) -> list[tuple[AudioFrame, int]]:
    """The frames with which a clock is judged; a long one, as of WAV, is only counted, and ends them."""
    head = []
    for frame, rate in frames:
        head.append((frame, rate))
        if len(head) == _PROBED_FRAMES or frame.samples > _MAX_PROBED_SAMPLES:
            break
    return head


def _place_frame(frame: AudioFrame, rate: int, time_base: Fraction) -> tuple[Fraction | None, Fraction]:
    """Time stamp and duration of a frame, in seconds."""
    time = None if frame.pts is None else frame.pts * time_base
    return time, Fraction(frame.samples, rate)


def _read_picture_duration(container: InputContainer) -> Fraction | None:
    """Duration in seconds of the first film that declares one; covers of albums are none."""
    for stream in container.streams.video:
        is_cover = stream.disposition & stream.disposition.attached_pic
        if not is_cover and stream.duration and stream.time_base:
            return stream.duration * stream.time_base
    return None


def _override_rate(info: AudioInfo, true_rate: int | None) -> AudioInfo:
    if true_rate is None:
        return info
    duration = info.container_duration and info.container_duration * info.declared_rate / true_rate
    return replace(info, rate=true_rate, container_duration=duration)


def open_audio(
    path: str | Path, silence_invalid: bool = False, true_rate: int | None = None, track: int | None = None
) -> AudioStream:
    """Open the sound of a file: `with open_audio(path) as stream: for chunk in stream: ...`.

    `silence_invalid` sets samples that are not numbers to zero and counts them; otherwise they are an error.
    `true_rate` in Hz overrides the sample rate in the header. `track` is the number of the sound track, from 1; None is
    the one that players play (see `choose_sound_track`).

    Raises:
        AudioError: no such file, a folder, empty, not a sound file, no sound track, protected, undecodable, or a rate
            outside `SUPPORTED_RATES`; while iterating: no samples, or samples that are not numbers.
    """
    _raise_mmap_threshold()
    return AudioStream(
        require_regular_file(path, AudioError, "sound file"), silence_invalid, true_rate, track
    )


def _raise_mmap_threshold() -> None:
    """Allocate and free 16 MiB, after which glibc reuses the memory of arrays up to that size.

    Otherwise it returns every array over 128 KiB to the system and gets cleared pages for the next one, which takes as
    long as the arithmetic (mallopt(3), M_MMAP_THRESHOLD: the threshold is dynamic).
    """
    np.empty(1 << 24, np.uint8)


def open_container(path: Path, part: range | None = None) -> InputContainer:
    """Open the sound of a local file with FFmpeg, or a range of its bytes; see `open_media_file`.

    Raises:
        AudioError: no such file, a folder, empty, too slow, or not a format that holds sound.
    """
    require_regular_file(path, AudioError, "sound file")
    return open_media_file(path, AudioError, _choose_packet_options(path, part), part)


def _choose_packet_options(path: Path, part: range | None) -> dict[str, str]:
    """Options for WAV: large packets, which cost less than many small ones, in complete steps of the downmix.

    One packet is probed for another codec in the WAV, like DTS.
    """
    form = riff.read_wave_format(path, part)
    if form is None or form.format_code not in riff.PLAIN_FORMAT_CODES:
        return {}
    size = min(max(_round_chunk_to_steps(form.rate) * form.block_bytes, CHUNK_SAMPLES), _MAX_PACKET_BYTES)
    return {"max_size": str(size), "max_probe_packets": "1"}


def _round_chunk_to_steps(rate: int) -> int:
    """`CHUNK_SAMPLES` rounded up to complete steps of the downmix, which then has no samples to carry over."""
    step = polarity_step_samples(rate)
    return -(-CHUNK_SAMPLES // step) * step


def _refuse_protected_track(stream: AvAudioStream, path: Path) -> None:
    if _read_codec_tag(stream.codec_context) in _PROTECTED_CODEC_TAGS:
        raise AudioError(f"{describe_path(path.name)} is copy-protected", "use a copy without protection")


def _read_codec_tag(context: AudioCodecContext) -> str:
    """The container's four-letter code of the codec; "" if damage made it no text."""
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
    channels = frame.layout.nb_channels  # with over 8, PyAV lists planes beyond the last one
    planes = [memoryview(plane) for plane in frame.planes[:channels]]
    return pcm.pcm_to_float(planes, name, frame.samples, channels)

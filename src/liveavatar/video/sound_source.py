"""The sound stream of a video: AAC packets copied from the source file, or its sound encoded."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeAlias, cast

import av
import numpy as np
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from liveavatar.audio.dsp.playback_repair import NO_REPAIR, PlaybackRepair
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.io.decode import open_audio, open_container
from liveavatar.audio.io.track import choose_sound_track
from liveavatar.video.sound_codecs import AAC, AAC_RATES, SoundCodec

_CHANNEL_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1"}
"""FFmpeg's name of the layout by the number of channels. More channels become mono."""
_MAX_FRAME_SAMPLES = 1 << 16  # samples given to the encoder at a time
_SLOPE_SCALE = 1000  # the resampler takes integer rates: a speed is exact to 1e-3 Hz of the source's rate

AudioPackets: TypeAlias = "Iterator[Packet[AvAudioStream]]"
Samples2D: TypeAlias = "NDArray[np.float32]"
"""Samples [samples, channels]."""


class SoundSource(Protocol):
    """A source of packets for one sound stream of the output. Time 0 is the first audible sample."""

    @property
    def rate(self) -> int:
        """Sample rate of the output in Hz."""
        ...

    def attach_to_output(self, output: OutputContainer) -> None:
        """Add a stream for this sound to `output`; call once, before any packets."""
        ...

    def read_packets(self, until: Fraction) -> AudioPackets:
        """Packets of the sound up to `until` seconds, each once."""
        ...

    def read_remaining(self, end: Fraction) -> AudioPackets:
        """The remaining packets; sound after `end` seconds is dropped."""
        ...

    def close(self) -> None:
        """Close the input."""
        ...


def open_sound_source(
    path: Path,
    track: int | None = None,
    repair: PlaybackRepair = NO_REPAIR,
    codec: SoundCodec = AAC,
) -> SoundSource:
    """Open the sound of `path`: copied where it is AAC and can be, else repaired and encoded.

    `track` is as in `open_audio`, here and below.

    Raises:
        AudioError: the sound cannot be read.
    """
    if codec is AAC and repair == NO_REPAIR and is_copyable_sound(path, track):
        return CopiedSound(path, track)
    return EncodedSound(path, track=track, repair=repair, codec=codec)


class EncodedSound:
    """A file's sound encoded, with its own rate and channels where the codec has them.

    Other rates become 48 kHz, other channel counts mono. The encoder's delay is in the edit list of the output file,
    so the first sample plays at time 0.

    `start` is the time in seconds at which the first sample plays; samples before time 0 are cut. The sound plays
    `1 + slope` times as fast. `repair` is applied to its samples.
    """

    def __init__(
        self,
        path: Path,
        start: float = 0.0,
        slope: float = 0.0,
        track: int | None = None,
        repair: PlaybackRepair = NO_REPAIR,
        codec: SoundCodec = AAC,
    ) -> None:
        self._codec = codec
        self._input = open_audio(path, silence_invalid=True, track=track)
        info = self._input.info
        self.rate = codec.choose_rate(info.rate)
        self._repair = repair
        self._channels = info.channels if info.channels in _CHANNEL_LAYOUTS and not repair.is_mono else 1
        self._pieces = filter(len, self._read_pieces(round(start * self.rate), slope))
        self._pending_samples = np.empty((0, self._channels), np.float32)
        self._encoded_samples = 0

    def attach_to_output(self, output: OutputContainer) -> None:
        """Add a stream for this sound to `output`; call once, before any packets."""
        layout = _CHANNEL_LAYOUTS[self._channels]
        stream = output.add_stream(self._codec.encoder, rate=self.rate, layout=layout)
        self._stream = cast(AvAudioStream, stream)
        self._stream.format = self._codec.sample_format
        if self._codec.bit_rate:
            self._stream.bit_rate = self._codec.bit_rate

    def read_packets(self, until: Fraction) -> AudioPackets:
        """Packets of the sound up to `until` seconds, each once."""
        return self._encode_samples(int(until * self.rate) - self._encoded_samples)

    def read_remaining(self, end: Fraction | None) -> AudioPackets:
        """The remaining packets; sound after `end` seconds is dropped, None drops nothing."""
        yield from self._encode_samples(math.inf) if end is None else self.read_packets(end)
        yield from self._stream.encode(None)

    def close(self) -> None:
        """Close the input."""
        self._input.close()

    def _encode_samples(self, count: float) -> AudioPackets:
        while count > 0:
            if not len(self._pending_samples):
                self._pending_samples = next(self._pieces, self._pending_samples)
            size = int(min(count, len(self._pending_samples), _MAX_FRAME_SAMPLES))
            if not size:
                return
            piece, self._pending_samples = self._pending_samples[:size], self._pending_samples[size:]
            count -= size
            yield from self._stream.encode(self._build_frame(piece))

    def _read_pieces(self, shift: int, slope: float) -> Iterator[Samples2D]:
        """The output's samples: `shift` samples of silence before the sound, or as many cut from it when negative."""
        for first in range(0, shift, _MAX_FRAME_SAMPLES):
            yield np.zeros((min(_MAX_FRAME_SAMPLES, shift - first), self._channels), np.float32)
        cut = max(0, -shift)
        for samples in self._resample_input(slope):
            yield samples[cut:]
            cut = max(0, cut - len(samples))

    def _resample_input(self, slope: float) -> Iterator[Samples2D]:
        scale = _SLOPE_SCALE if slope else 1
        from_rate = round(self._input.info.rate * (1 + slope) * scale)
        resampler = Resampler(from_rate, self.rate * scale, self._channels)
        chunks = (chunk.samples for chunk in self._input)
        for samples in self._repair.apply(chunks, self._input.info.rate, self._input.info.layout):
            if samples.shape[1] != self._channels:
                yield resampler.resample_chunk(samples.mean(axis=1, keepdims=True))
            else:
                yield resampler.resample_chunk(samples)
        yield resampler.resample_chunk(np.empty((0, self._channels), np.float32), last=True)

    def _build_frame(self, samples: Samples2D) -> av.AudioFrame:
        kind, layout = self._codec.sample_format, _CHANNEL_LAYOUTS[self._channels]
        frame = av.AudioFrame.from_ndarray(_arrange_samples(samples, kind), format=kind, layout=layout)
        frame.sample_rate = self.rate
        frame.time_base = Fraction(1, self.rate)
        frame.pts = self._encoded_samples
        self._encoded_samples += len(samples)
        return frame


def _arrange_samples(samples: Samples2D, sample_format: str) -> NDArray[np.float32] | NDArray[np.int16]:
    """Samples [samples, channels] as FFmpeg wants them: by channel, or interleaved in one row."""
    if sample_format.endswith("p"):
        return np.ascontiguousarray(samples.T)
    row = np.ascontiguousarray(samples).reshape(1, -1)
    if sample_format == "s16":
        return np.asarray(np.clip(np.rint(row * 32_768), -32_768, 32_767), np.int16)
    return row


class CopiedSound:
    """The AAC packets of an mp4 or m4a, copied unchanged."""

    def __init__(self, path: Path, track: int | None = None) -> None:
        self._input = open_container(path)
        self._source = source = choose_sound_track(self._input, path, track)
        self.rate = source.rate
        self._time_base = source.time_base or Fraction(1, source.rate)
        self._start_pts = _find_first_pts(path, track)
        self._packets = self._input.demux(source)
        self._next_packet: Packet[AvAudioStream] | None = None

    def attach_to_output(self, output: OutputContainer) -> None:
        """Add a stream for this sound to `output`; call once, before any packets."""
        self._stream = output.add_stream_from_template(self._source)

    def read_packets(self, until: Fraction) -> AudioPackets:
        """Packets of the sound up to `until` seconds, each once."""
        while (packet := self._peek_packet()) is not None and (packet.pts or 0) * self._time_base < until:
            self._next_packet = None
            packet.stream = self._stream
            yield packet

    def read_remaining(self, end: Fraction) -> AudioPackets:
        """The remaining packets; sound after `end` seconds is dropped."""
        yield from self.read_packets(end)

    def close(self) -> None:
        """Close the input."""
        self._input.close()

    def _peek_packet(self) -> "Packet[AvAudioStream] | None":
        while self._next_packet is None:
            packet = next(self._packets, None)
            if packet is None or packet.pts is None:
                return None
            packet.pts -= self._start_pts
            packet.dts = packet.pts
            self._next_packet = packet
        return self._next_packet


def is_copyable_sound(path: Path, track: int | None = None) -> bool:
    """Whether the sound is AAC in an mp4 or m4a, without a gap between packets and without an edit."""
    with open_audio(path, silence_invalid=True, track=track) as stream:
        if stream.info.codec != "aac" or stream.info.rate not in AAC_RATES or stream.damage.joined_files > 1:
            return False
    with open_container(path) as container:
        source = choose_sound_track(container, path, track)
        return "mp4" in container.format.name and _is_continuous(container, source)


def _is_continuous(container: InputContainer, source: AvAudioStream) -> bool:
    """Whether all packets have the same duration (the last may be shorter) and only priming packets are discarded."""
    next_pts: int | None = None
    length = 0
    for packet in container.demux(source):
        if packet.pts is None:
            break
        length = length or packet.duration or 0
        follows = next_pts is None or packet.pts == next_pts
        if not follows or not 0 < (packet.duration or 0) <= length or (packet.is_discard and packet.pts > 0):
            return False
        next_pts = packet.pts + length
    return next_pts is not None


def _find_first_pts(path: Path, track: int | None) -> int:
    with open_container(path) as container:
        frame = next(container.decode(choose_sound_track(container, path, track)))
        return frame.pts or 0

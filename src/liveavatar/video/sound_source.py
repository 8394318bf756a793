"""The user's own sound on its way into an mp4: copied when it is AAC already, else encoded."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.io.decode import open_audio, open_container

AAC_BIT_RATE = 192_000
AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
_CHANNEL_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}

AudioPackets: TypeAlias = "Iterator[Packet[AvAudioStream]]"


class SoundSource(Protocol):
    """A source of packets for one sound stream of the output. Time 0 is the first sample one should hear."""

    @property
    def rate(self) -> int:
        """Samples a second in the output."""
        ...

    def attach_to_output(self, output: OutputContainer) -> None:
        """Add a stream for this sound to `output`; once, before any packets."""
        ...

    def read_packets(self, until: Fraction) -> AudioPackets:
        """Packets of the sound up to time `until` in seconds, each once."""
        ...

    def read_remaining(self, end: Fraction) -> AudioPackets:
        """The rest of the packets; sound after `end` is left out."""
        ...

    def close(self) -> None:
        """Close the input."""
        ...


def open_sound_source(path: Path) -> SoundSource:
    """The sound of `path`, ready to be attached to an output.

    Raises:
        AudioError: the sound cannot be read.
    """
    return CopiedSound(path) if is_copyable_sound(path) else EncodedSound(path)


class EncodedSound:
    """Any sound as AAC at 192 kbit/s, with its own rate and channels where AAC has them.

    Other rates become 48 kHz, other numbers of channels mono. The encoder's delay goes into the edit list of
    the file, so the first sample is heard with frame 0.
    """

    def __init__(self, path: Path) -> None:
        self._input = open_audio(path, silence_invalid=True)
        info = self._input.info
        self.rate = info.rate if info.rate in AAC_RATES else 48_000
        self._channels = info.channels if info.channels in _CHANNEL_LAYOUTS else 1
        self._resampled = self._resample_input()
        self._pending_samples = np.empty((0, self._channels), np.float32)
        self._encoded_samples = 0

    def attach_to_output(self, output: OutputContainer) -> None:
        """Add a stream for this sound to `output`; once, before any packets."""
        self._stream = output.add_stream("aac", rate=self.rate, layout=_CHANNEL_LAYOUTS[self._channels])
        self._stream.bit_rate = AAC_BIT_RATE

    def read_packets(self, until: Fraction) -> AudioPackets:
        """Packets of the sound up to time `until` in seconds, each once."""
        need = int(until * self.rate) - self._encoded_samples
        while need > 0:
            if not len(self._pending_samples):
                self._pending_samples = next(self._resampled, self._pending_samples)
            piece, self._pending_samples = self._pending_samples[:need], self._pending_samples[need:]
            if not len(piece):
                return
            need -= len(piece)
            yield from self._stream.encode(self._build_frame(piece))

    def read_remaining(self, end: Fraction) -> AudioPackets:
        """The rest of the packets; sound after `end` is left out."""
        yield from self.read_packets(end)
        yield from self._stream.encode(None)

    def close(self) -> None:
        """Close the input."""
        self._input.close()

    def _resample_input(self) -> Iterator[NDArray[np.float32]]:
        resampler = Resampler(self._input.info.rate, self.rate, self._channels)
        for chunk in self._input:
            samples = chunk.samples
            if samples.shape[1] != self._channels:
                samples = samples.mean(axis=1, keepdims=True)
            yield resampler.resample_chunk(samples)
        yield resampler.resample_chunk(np.empty((0, self._channels), np.float32), last=True)

    def _build_frame(self, samples: NDArray[np.float32]) -> av.AudioFrame:
        planes = np.ascontiguousarray(samples.T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=_CHANNEL_LAYOUTS[self._channels])
        frame.sample_rate = self.rate
        frame.time_base = Fraction(1, self.rate)
        frame.pts = self._encoded_samples
        self._encoded_samples += len(samples)
        return frame


class CopiedSound:
    """The AAC packets of an mp4 or m4a, untouched."""

    def __init__(self, path: Path) -> None:
        self._input = open_container(path)
        source = self._input.streams.audio[0]
        self.rate = source.rate
        self._time_base = source.time_base or Fraction(1, source.rate)
        self._start_pts = _find_first_pts(path)
        self._packets = self._input.demux(source)
        self._next_packet: Packet[AvAudioStream] | None = None

    def attach_to_output(self, output: OutputContainer) -> None:
        """Add a stream for this sound to `output`; once, before any packets."""
        self._stream = output.add_stream_from_template(self._input.streams.audio[0])

    def read_packets(self, until: Fraction) -> AudioPackets:
        """Packets of the sound up to time `until` in seconds, each once."""
        while (packet := self._peek_packet()) is not None and (packet.pts or 0) * self._time_base < until:
            self._next_packet = None
            packet.stream = self._stream
            yield packet

    def read_remaining(self, end: Fraction) -> AudioPackets:
        """The rest of the packets; sound after `end` is left out."""
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


def is_copyable_sound(path: Path) -> bool:
    """Whether the sound is AAC in an mp4 whose packets follow each other without a gap or a cut."""
    with open_audio(path, silence_invalid=True) as stream:
        if stream.info.codec != "aac" or stream.info.rate not in AAC_RATES or stream.info.track_count != 1:
            return False
    with open_container(path) as container:
        return "mp4" in container.format.name and _is_continuous(container)


def _is_continuous(container: InputContainer) -> bool:
    """Whether all packets last equally long, the last maybe less, and none is cut away but the priming."""
    due: int | None = None
    length = 0
    for packet in container.demux(container.streams.audio[0]):
        if packet.pts is None:
            break
        length = length or packet.duration or 0
        follows = due is None or packet.pts == due
        if not follows or not 0 < (packet.duration or 0) <= length or (packet.is_discard and packet.pts > 0):
            return False
        due = packet.pts + length
    return due is not None


def _find_first_pts(path: Path) -> int:
    with open_container(path) as container:
        frame = next(container.decode(audio=0))
        return frame.pts or 0

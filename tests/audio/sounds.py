"""Synthetic sounds for tests, and files of them in any format."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 16: "hexadecagonal", 24: "22.2"}


def pulse(rate: int, seconds: float = 1.0, at: float = 0.5, channels: int = 1) -> NDArray[np.float32]:
    """Silence with one short burst of 800 Hz whose middle is at `at` seconds, [samples, channels]."""
    time = np.arange(round(rate * seconds)) / rate - at
    burst = 0.8 * np.exp(-((time / 0.001) ** 2)) * np.cos(2 * np.pi * 800 * time)
    return np.repeat(burst[:, None].astype(np.float32), channels, axis=1)


def noise(
    rate: int, seconds: float, channels: int = 1, seed: int = 0, level: float = 0.1
) -> NDArray[np.float32]:
    """White noise, [samples, channels]."""
    generator = np.random.default_rng(seed)
    return (level * generator.standard_normal((round(rate * seconds), channels))).astype(np.float32)


def sine(rate: int, seconds: float, pitch: float, level: float = 1.0) -> NDArray[np.float32]:
    """A tone, mono, [samples, 1]."""
    phase = 2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate
    return (level * np.sin(phase)).astype(np.float32)[:, None]


def babble(rate: int, seconds: float, level: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
    """A buzz of 120 Hz with the rhythm of speech: syllables and pauses, [samples, 1]."""
    time = np.arange(round(rate * seconds)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * time + k * k) / k for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * time), 0, 1) * (np.sin(2 * np.pi * 0.4 * time + seed) > -0.6)
    sound = np.asarray(buzz * syllables)
    louder = level * sound / float(np.sqrt(np.mean(np.square(sound))))
    return louder.astype(np.float32)[:, None]


def burst_time(samples: NDArray[np.float32], rate: int) -> float:
    """Time of the middle of the loudest burst, in seconds; mono or several channels."""
    mono = np.abs(samples.reshape(len(samples), -1)).max(axis=1).astype(np.float64)
    middle = int(mono.argmax())
    span = slice(max(0, middle - rate // 200), middle + rate // 200 + 1)
    power = mono[span] ** 2
    return float((np.arange(len(mono))[span] * power).sum() / power.sum() / rate)


def write_wav(path: Path, samples: NDArray[np.float32], rate: int) -> Path:
    """A plain 16-bit WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes())
    return path


def encode(
    path: Path,
    samples: NDArray[np.float32],
    rate: int,
    codec: str,
    kind: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A file of `samples` [n, channels] in any codec; the suffix decides the container."""
    layout = LAYOUTS[samples.shape[1]]
    with av.open(str(path), "w", options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        if kind is not None:
            stream.format = kind
        converter = av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in [*converter.resample(frame), *converter.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return path


def stamped(path: Path, pieces: list[tuple[float, NDArray[np.float32]]], rate: int) -> Path:
    """Uncompressed mono pieces in a Matroska file, each with its time stamp in seconds."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=rate, layout="mono")
        for time, samples in pieces:
            packet = av.Packet(np.round(samples * 32767).astype("<i2").tobytes())
            packet.stream = stream
            packet.time_base = Fraction(1, rate)
            packet.pts = packet.dts = round(time * rate)
            packet.duration = len(samples)
            output.mux(packet)
    return path


def video_without_sound(path: Path) -> Path:
    """Two black pictures in an mp4."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(2):
            output.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24"))
            )
        output.mux(stream.encode(None))
    return path

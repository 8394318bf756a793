"""Resampling to 16 kHz: quality and speed of this program, sox, ffmpeg, librosa and torchaudio, side by side.

    python -m benchmarks.audio.resampling --machine "2-core AMD EPYC" [--minutes 60]

Needs `apt install sox ffmpeg` and `pip install librosa torchaudio soundfile`; the table names what is missing.
Every program runs on one core and goes from file to file: 44.1 kHz stereo WAV in, 16 kHz mono 16-bit WAV out. Quality
is measured on mono 44.1 kHz 16-bit files. torchaudio 2.11 has a C++ library for CUDA, which fails to load with a torch
for CPUs; resampling does not need it, so remove `torchaudio/lib/_torchaudio.abi3.so` from the environment.
Writes `benchmarks/results/MACHINE/audio/resampling.md`.
"""

import argparse
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray

RESULTS = results_path(__file__)
SOURCE, TARGET = 44_100, 16_000
REPEATS = 3
Signal = NDArray[np.float64]

OURS = """
import sys
from liveavatar.audio.dsp.speech_downmix import SpeechDownmixer
from liveavatar.audio.io.decode import open_audio
from liveavatar.audio.io.wav import write_wav
from liveavatar.timeline import rescale_count
from pathlib import Path
def sound(stream):
    downmixer = SpeechDownmixer(stream.info.rate, stream.info.layout)
    for chunk in stream:
        yield downmixer.push(chunk.samples)
    yield downmixer.flush()
with open_audio(sys.argv[1]) as stream:
    samples = round(stream.info.container_duration * stream.info.rate)
    write_wav(Path(sys.argv[2]), sound(stream), rescale_count(samples, stream.info.rate, 16000))
"""
LOOP = """
import sys, numpy as np, soundfile, soxr
with soundfile.SoundFile(sys.argv[1]) as f, soundfile.SoundFile(sys.argv[2], "w", 16000, 1, "PCM_16") as out:
    s = soxr.ResampleStream(f.samplerate, 16000, 1, quality="VHQ")
    while len(x := f.read(1 << 16, dtype="float32", always_2d=True)):
        out.write(s.resample_chunk(np.ascontiguousarray(x.mean(axis=1))))
    out.write(s.resample_chunk(np.zeros(0, np.float32), last=True))
"""
TUNED = """
import sys, numpy as np, soxr, wave
with wave.open(sys.argv[1]) as f, wave.open(sys.argv[2], "wb") as out:
    out.setparams((1, 2, 16000, 0, "NONE", ""))
    s = soxr.ResampleStream(f.getframerate(), 16000, 1, quality="VHQ")
    def put(y):
        out.writeframes(np.clip(np.rint(y * 32767), -32768, 32767).astype("<i2").tobytes())
    while data := f.readframes(1 << 16):
        x = np.frombuffer(data, "<i2") * np.float32(1 / 32768 / f.getnchannels())
        put(s.resample_chunk(x[::2] + x[1::2] if f.getnchannels() == 2 else x))
    put(s.resample_chunk(np.zeros(0, np.float32), last=True))
"""
LIBROSA = """
import sys, librosa, soundfile
x, rate = librosa.load(sys.argv[1], sr=16000, mono=True, res_type="soxr_vhq")
soundfile.write(sys.argv[2], x, 16000, "PCM_16")
"""
TORCHAUDIO = """
import sys, torch, torchaudio, soundfile
torch.set_num_threads(1)
x, rate = soundfile.read(sys.argv[1], dtype="float32", always_2d=True)
x = torch.from_numpy(x).mean(dim=1)
y = torchaudio.functional.resample(x, rate, 16000, lowpass_filter_width=64, rolloff=0.9475937167399596,
                                   resampling_method="sinc_interp_kaiser", beta=14.769656459379492)
soundfile.write(sys.argv[2], y.numpy(), 16000, "PCM_16")
"""
LAUNCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, code)
"""
NOTES = """
Median CPU time of 3 runs in which all programs take turns, start included; the file is in memory before each. Ours
decodes, downmixes with a decision about polarity every 20 ms, resamples, adds TPDF dither and writes: what
`audio prepare` does after it has measured the loudness, which no other program here does. The others average the
channels and resample; of them only sox dithers. librosa and torchaudio read the whole file into memory.
`docs/audio.md` says where our time is spent.
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SPLIT = "aresample=16000:resampler=%s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One program: its command for a source and a target, and the program or modules it needs."""

    name: str
    command: Callable[[str, str], list[str]]
    program: str = ""
    modules: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """The program or modules that are not installed, in words."""
        if self.program and not shutil.which(self.program):
            return self.program
        return ", ".join(name for name in self.modules if importlib.util.find_spec(name) is None)


def script(text: str) -> Callable[[str, str], list[str]]:
    """A command that runs Python code."""
    return lambda source, target: [sys.executable, "-c", text, source, target]


def ffmpeg(options: str) -> Callable[[str, str], list[str]]:
    """A command that runs ffmpeg with one of its resamplers."""
    return lambda source, target: [
        "ffmpeg", "-v", "error", "-y", "-threads", "1", "-i", source, "-ac", "1", "-af", SPLIT % options,
        "-c:a", "pcm_s16le", target,
    ]  # fmt: skip


PEERS = [
    Peer(name="liveavatar", command=script(OURS)),
    Peer(name="loop over python-soxr VHQ", command=script(LOOP), modules=("soxr", "soundfile")),
    Peer(name="loop over python-soxr VHQ, tuned by hand", command=script(TUNED), modules=("soxr",)),
    Peer(
        name="sox rate -v",
        command=lambda source, target: [
            "sox",
            source,
            "-b",
            "16",
            target,
            "channels",
            "1",
            "rate",
            "-v",
            "16000",
        ],
        program="sox",
    ),
    Peer(name="ffmpeg swresample", command=ffmpeg("swr"), program="ffmpeg"),
    Peer(name="ffmpeg soxr, precision 28", command=ffmpeg("soxr:precision=28"), program="ffmpeg"),
    Peer(name="librosa soxr_vhq", command=script(LIBROSA), modules=("librosa", "soundfile")),
    Peer(name="torchaudio kaiser, width 64", command=script(TORCHAUDIO), modules=("torchaudio", "soundfile")),
]


def write(path: Path, samples: Signal, rate: int) -> None:
    """Write [samples] or [samples, channels] as 16-bit WAV, with seeded dither as in a recording."""
    shape = samples.shape if samples.ndim == 2 else (len(samples), 1)
    noise = np.random.default_rng(0).triangular(-1, 0, 1, shape)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples.reshape(shape) * 32767 + noise).astype("<i2").tobytes())


def read(path: Path) -> Signal:
    """Read a mono 16-bit WAV."""
    with wave.open(str(path), "rb") as file:
        data = np.frombuffer(file.readframes(1 << 30), "<i2")
    return data / 32767


def convert(peer: Peer, samples: Signal, folder: Path) -> Signal:
    """Resample a signal at 44.1 kHz with a program."""
    write(folder / "in.wav", samples, SOURCE)
    done = run(peer, folder / "in.wav", folder / "out.wav")
    done.check_returncode()
    return read(folder / "out.wav")


def run(peer: Peer, source: Path, target: Path) -> "subprocess.CompletedProcess[bytes]":
    """Run a program on one core, without its messages."""
    command = command_of(peer, source, target)
    return subprocess.run(command, check=False, env=os.environ | ONE_THREAD, stderr=subprocess.DEVNULL)


def command_of(peer: Peer, source: Path, target: Path) -> list[str]:
    """The command, bound to one core."""
    return ["taskset", "-c", str(min(os.sched_getaffinity(0))), *peer.command(str(source), str(target))]


def tone(pitch: float, level: float, seconds: float = 2.0) -> Signal:
    """A sine at 44.1 kHz."""
    return level * np.sin(2 * np.pi * pitch * np.arange(round(SOURCE * seconds)) / SOURCE)


def amplitude(samples: Signal, pitch: float) -> tuple[float, Signal]:
    """Amplitude of a tone in the middle of a signal at 16 kHz by least squares, and the residual."""
    middle = samples[len(samples) // 8 : -len(samples) // 8]
    phase = 2 * np.pi * pitch * np.arange(len(middle)) / TARGET
    basis = np.stack([np.sin(phase), np.cos(phase), np.ones(len(middle))], axis=1)
    weights = np.linalg.lstsq(basis, middle, rcond=None)[0]
    return float(np.hypot(weights[0], weights[1])), middle - basis @ weights


def decibels(ratio: float) -> float:
    """An amplitude ratio in dB."""
    return float(20 * np.log10(max(ratio, 1e-9)))


def quality(peer: Peer, folder: Path) -> dict[str, str]:
    """Ripple, rejection, distortion, delay and length of one program."""
    write(folder / "in.wav", tone(1_000, 0.5), SOURCE)
    if run(peer, folder / "in.wav", folder / "out.wav").returncode:
        return {"failed": "fails on this machine"}
    passed = np.array([100, 1_000, 3_000, 5_000, 6_500, 7_200, 7_400, 7_600])
    gains, noises = [], []
    for pitch in passed:
        level, residual = amplitude(convert(peer, tone(pitch, 0.5), folder), pitch)
        gains.append(decibels(level / 0.5))
        noises.append(decibels(float(np.sqrt(np.square(residual).mean())) / (level / np.sqrt(2))))
    images = []
    for pitch in (8_400, 9_000, 10_000, 12_000, 15_000, 20_000):
        output = convert(peer, tone(pitch, 0.5), folder)
        images.append(decibels(image(output, pitch) / 0.5))
    impulse = np.zeros(2 * SOURCE)
    impulse[SOURCE] = 0.9
    out = convert(peer, impulse, folder)
    odd = convert(peer, 0.1 * np.random.default_rng(0).standard_normal(100_003), folder)
    return {
        "ripple to 7.2 kHz": f"{np.ptp(gains[:-2]):.3f} dB",
        "at 7.6 kHz": f"{gains[-1] - gains[0]:.2f} dB",
        "images": f"{max(images):.0f} dB",
        "THD+N": f"{max(noises):.1f} dB",
        "impulse": f"{1e6 * (centre(out) / TARGET - 1):+.1f} µs",
        "length": f"{len(odd) - round(100_003 * TARGET / SOURCE):+d}",
    }


def image(samples: Signal, pitch: float) -> float:
    """Amplitude of the alias below 8 kHz of a pitch above it."""
    folded = abs((pitch + TARGET / 2) % TARGET - TARGET / 2)
    return amplitude(samples, folded)[0]


def centre(samples: Signal) -> float:
    """Position of the highest point of an impulse in samples, by 64-fold spectral interpolation."""
    top = int(np.abs(samples).argmax())
    fine = np.fft.irfft(np.fft.rfft(samples[top - 512 : top + 512]), 1024 * 64)
    peak = int(np.abs(fine).argmax())
    return top - 512 + peak / 64


def once(peer: Peer, source: Path, folder: Path) -> tuple[float, int] | None:
    """CPU seconds and peak kilobytes of memory of one run; None if it fails."""
    with source.open("rb") as file:  # otherwise the first program would pay for reading the disk
        while file.read(1 << 24):
            pass
    command = [sys.executable, "-S", "-c", LAUNCH, *command_of(peer, source, folder / "speed.wav")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD)
    cpu, kilobytes, code = done.stdout.split()[-3:]
    return None if int(code) else (float(cpu), int(kilobytes))


def speeds(source: Path, folder: Path, seconds: float) -> dict[str, dict[str, str]]:
    """Medians of all programs, which take turns, so that other load affects all alike."""
    runs: dict[str, list[tuple[float, int] | None]] = {peer.name: [] for peer in PEERS}
    for _ in range(REPEATS):
        for peer in PEERS:
            failed = peer.missing or None in runs[peer.name]
            runs[peer.name].append(None if failed else once(peer, source, folder))
    ours = _median(runs[PEERS[0].name]) or 0.0
    return {peer.name: _row(peer, runs[peer.name], seconds, ours) for peer in PEERS}


def _median(runs: list[tuple[float, int] | None]) -> float | None:
    times = [run[0] for run in runs if run is not None]
    return statistics.median(times) if len(times) == len(runs) else None


def _row(peer: Peer, runs: list[tuple[float, int] | None], seconds: float, ours: float) -> dict[str, str]:
    middle = _median(runs)
    if middle is None:
        return {"failed": f"not installed: {peer.missing}" if peer.missing else "fails on this machine"}
    return {
        "CPU": f"{middle:.2f} s",
        "real time": f"{seconds / middle:.0f}x",
        "ours takes": f"{ours / middle:.2f} of it",
        "memory": f"{max(run[1] for run in runs if run is not None) / 1024:.0f} MiB",
    }


def long_file(path: Path, seconds: int) -> Path:
    """Write stereo noise with the spectrum and pauses of speech, one minute repeated."""
    random = np.random.default_rng(0)
    time = np.arange(60 * SOURCE) / SOURCE
    voice = np.cumsum(random.standard_normal(len(time)))
    voice = (voice - np.convolve(voice, np.ones(200) / 200, "same")) * (np.sin(2 * np.pi * 2 * time) > -0.3)
    left = 0.3 * voice / np.abs(voice).max()
    minute = np.rint(np.stack([left, 0.8 * np.roll(left, 20)], axis=1) * 32767).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SOURCE)
        for _ in range(seconds // 60):
            file.writeframes(minute)
    return path


def table(rows: dict[str, dict[str, str]]) -> list[str]:
    """Markdown."""
    names = list(next(row for row in rows.values() if len(row) > 1))
    head = ["| | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    return head + [f"| {peer} | " + " | ".join(row.get(name, next(iter(row.values()))) for name in names) + " |"
                   for peer, row in rows.items()]  # fmt: skip


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default=describe_machine(), help="the name of this machine in the table")
    parser.add_argument("--minutes", type=int, default=60, help="length of the file for speed")
    options = parser.parse_args()
    good: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), 60 * options.minutes
        source = long_file(folder / "long.wav", seconds)
        for peer in PEERS:
            missing = {"missing": f"not installed: {peer.missing}"} if peer.missing else None
            good[peer.name] = missing or quality(peer, folder)
            print(peer.name, good[peer.name], flush=True)
        fast = speeds(source, folder, seconds)
    lines = ["# Resampling to 16 kHz", "", f"Machine: {options.machine}. Script: `benchmarks/audio/resampling.py`.", "",
             "## Quality, from 44.1 kHz, 16-bit files", "", *table(good), "",
             f"## Speed: {options.minutes} min of 44.1 kHz stereo to 16 kHz mono, file to file, one core", "",
             NOTES.strip(), "", *table(fast)]  # fmt: skip
    write_results(RESULTS, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

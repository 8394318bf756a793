"""Loudness and true peak: this package's meters against FFmpeg's `ebur128` filter through PyAV, in one run.

    python -m benchmarks.audio.loudness --machine "2-core AMD EPYC" [--minutes 10]

Accuracy is measured on speech (the package's English recording) and on signals with a known answer; the reference for
the true peak is the spectrum interpolated sixteen-fold. CPU time is that of the process, the two meters take turns.
Writes `benchmarks/results/MACHINE/audio/loudness.md`.
"""

import argparse
import math
import os
import time
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources

import av
import numpy as np
import soxr  # type: ignore[import-untyped]
from av.filter import Graph
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray

from liveavatar.audio.dsp.loudness import LoudnessMeter
from liveavatar.audio.dsp.true_peak import TruePeakMeter
from liveavatar.audio.front_end import read_speech
from liveavatar.audio.io.decode import CHUNK_SAMPLES

RESULTS = results_path(__file__)
LAYOUTS = {
    "mono": ("FC",),
    "stereo": ("FL", "FR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
}
REPEATS = 3
Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Integrated loudness in LUFS and true peak in dBTP."""

    loudness: float
    true_peak: float


def to_decibels(amplitude: float) -> float:
    """An amplitude in dB of full scale."""
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def read_meters(sound: Sound, rate: int, layout: str, chunk: int = CHUNK_SAMPLES) -> Reading:
    """Measure float32 [samples, channels] with the package's meters."""
    loudness, peak = LoudnessMeter(rate, LAYOUTS[layout]), TruePeakMeter(rate, sound.shape[1])
    for start in range(0, len(sound), chunk):
        planes = np.ascontiguousarray(sound[start : start + chunk].T)
        loudness.push(planes)
        peak.push(planes)
    return Reading(loudness=loudness.finish(), true_peak=to_decibels(peak.finish()))


def open_graph(rate: int, layout: str) -> Graph:
    """A filter graph that measures and passes sound on; readings are metadata of its frames."""
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout=layout, time_base=Fraction(1, rate))
    meter = graph.add("ebur128", "peak=true:metadata=1:framelog=quiet")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    return graph


def read_ffmpeg(sound: Sound, rate: int, layout: str, chunk: int = CHUNK_SAMPLES) -> Reading:
    """Measure float32 [samples, channels] with `ebur128`: the readings of its last frame."""
    graph, last = open_graph(rate, layout), dict[str, str]()
    for start in range(0, len(sound), chunk):
        piece = np.ascontiguousarray(sound[start : start + chunk]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        graph.push(frame)
        last = pull_metadata(graph) or last
    graph.push(None)
    last = pull_metadata(graph) or last
    loudness = float(last.get("lavfi.r128.I", "nan"))
    return Reading(loudness=loudness, true_peak=to_decibels(float(last.get("lavfi.r128.true_peak", "nan"))))


def pull_metadata(graph: Graph) -> dict[str, str]:
    """Take every frame that is ready; the metadata of the last."""
    metadata: dict[str, str] = {}
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return metadata
        metadata = dict(frame.metadata) or metadata


def interpolate_peak(sound: Sound) -> float:
    """True peak in dBTP by zero-padding the spectrum of the whole signal sixteen-fold."""
    padded = np.pad(sound.astype(np.float64), ((512, 512), (0, 0)))
    spectrum = np.fft.rfft(padded, axis=0)
    return to_decibels(float(np.abs(np.fft.irfft(spectrum, 16 * len(padded), axis=0)).max() * 16))


def load_speech() -> Sound:
    """The package's English speech, 16 kHz mono."""
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        return np.concatenate(list(read_speech(path)[1]))


def tone(rate: int, seconds: float, amplitude: float, pitch: float = 997.0) -> Sound:
    """A sine, [samples, 1]."""
    phase = 2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate
    return (amplitude * np.sin(phase)).astype(np.float32)[:, None]


def signals() -> dict[str, tuple[Sound, int, str]]:
    """Name of a case: sound, rate, layout."""
    speech = load_speech()
    cases: dict[str, tuple[Sound, int, str]] = {}
    for rate in (8_000, 16_000, 44_100, 48_000, 96_000, 192_000):
        cases[f"speech, {rate} Hz"] = (soxr.resample(speech, 16_000, rate)[:, None], rate, "mono")
    stereo = np.repeat(soxr.resample(speech, 16_000, 44_100)[:, None], 2, axis=1)
    cases["speech, 44100 Hz stereo"] = (stereo, 44_100, "stereo")
    cases["speech at -40 dB, 48000 Hz"] = (0.01 * cases["speech, 48000 Hz"][0], 48_000, "mono")
    cases["speech scaled to 32768, 48000 Hz"] = (32768 * cases["speech, 48000 Hz"][0], 48_000, "mono")
    for seconds in (0.1, 0.3, 0.45, 0.95):
        start = round(1.5 * 48_000)
        piece = cases["speech, 48000 Hz"][0][start : start + round(seconds * 48_000)]
        cases[f"{seconds} s of speech, 48000 Hz"] = (piece, 48_000, "mono")
    gated = np.concatenate([tone(48_000, s, 10 ** (db / 20)) for s, db in ((10, -72), (10, -36), (60, -23))])
    cases["EBU 3341, cases 3 and 4"] = (np.repeat(gated, 2, axis=1), 48_000, "stereo")
    surround = np.hstack([tone(48_000, 5, 10 ** (db / 20)) for db in (-28, -28, -24, -1, -30, -30)])
    cases["EBU 3341, case 6, with LFE"] = (surround, 48_000, "5.1")
    phase = np.pi / 2 * np.arange(48_000) + np.pi / 4
    offset = (np.sin(phase) * np.hanning(48_000)).astype(np.float32)[:, None]
    cases["12 kHz, peak between samples"] = (offset, 48_000, "mono")
    cases["silence"] = (np.zeros((48_000, 1), np.float32), 48_000, "mono")
    minute = np.tile(cases["speech, 16000 Hz"][0], (7, 1))[: 60 * 16_000]
    rise = [gain * minute for gain in np.geomspace(0.1, 1, 30).astype(np.float32)]
    cases["30 min of speech that rises by 20 dB, 16000 Hz"] = (np.concatenate(rise), 16_000, "mono")
    return cases


def accuracy_rows() -> list[str]:
    """Both meters on every case."""
    rows = []
    for name, (sound, rate, layout) in signals().items():
        ours, theirs = read_meters(sound, rate, layout), read_ffmpeg(sound, rate, layout)
        same = read_ffmpeg(sound, rate, layout, chunk=4_801) == theirs or math.isnan(theirs.loudness)
        reference = interpolate_peak(sound) if len(sound) < 2_000_000 else math.nan
        values = (ours.loudness, theirs.loudness, ours.true_peak, theirs.true_peak, reference)
        numbers = " | ".join("" if math.isnan(value) else f"{value:.2f}" for value in values)
        rows.append(f"| {name} | {numbers} | {'yes' if same else 'no'} |")
        print(rows[-1], flush=True)
    return rows


def cpu_rows(minutes: int) -> list[str]:
    """CPU seconds of both on stereo speech, the lower of `REPEATS` runs each, in turns."""
    rows, speech = [], load_speech()
    for rate in (16_000, 44_100, 48_000):
        piece = np.repeat(soxr.resample(speech, 16_000, rate)[:, None], 2, axis=1)
        sound = np.tile(piece, (-(-60 * minutes * rate // len(piece)), 1))[: 60 * minutes * rate]
        times: dict[str, float] = {}
        for _ in range(REPEATS):
            for name, read in (("ours", read_meters), ("ebur128", read_ffmpeg)):
                started = time.process_time()
                read(sound, rate, "stereo")
                times[name] = min(times.get(name, math.inf), time.process_time() - started)
        rows.append(f"| {rate} Hz | {times['ours']:.2f} s | {times['ebur128']:.2f} s |")
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default=describe_machine(), help="the name of this machine in the table")
    parser.add_argument("--minutes", type=int, default=10, help="length of the sound for speed")
    options = parser.parse_args()
    lines = [
        "# Loudness and true peak: ours against FFmpeg's `ebur128`",
        "",
        f"Machine: {options.machine}, {os.cpu_count()} cores; PyAV {av.__version__}. "
        "Script: `benchmarks/audio/loudness.py`.",
        "",
        "| signal | LUFS, ours | LUFS, ebur128 | dBTP, ours | dBTP, ebur128 | dBTP, interpolated | chunk-invariant |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        *accuracy_rows(),
        "",
        f"CPU time for loudness and true peak of {options.minutes} min of stereo speech, start excluded:",
        "",
        "| rate | ours | ebur128 |",
        "| --- | ---: | ---: |",
        *cpu_rows(options.minutes),
    ]
    write_results(RESULTS, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Effect of sample rate, codec, noise and other conditions of the sound on the lips.

    python -m benchmarks.audio.sample_rates --speech SOUND…
    python -m benchmarks.audio.sample_rates --engine dit --size 384 640 -o OUT.md

Each recording is damaged or encoded again, a portrait speaks it, and the lips are compared with the clean recording.
Rows "as is" skip the front end: the engine takes every sample value for 16 kHz sound.
"""

import argparse
import platform
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import matplotlib as mpl
import numpy as np
import soxr  # type: ignore[import-untyped]
from benchmarks.machine import describe_machine, results_path

import liveavatar
from liveavatar.audio.dsp.denoise import Denoiser
from liveavatar.audio.front_end import read_speech
from liveavatar.engine import Actor
from liveavatar.engines import open_engine
from liveavatar.errors import LiveAvatarError
from liveavatar.face.portrait import load_portrait
from liveavatar.frames import Samples
from liveavatar.generate import stream_frames
from liveavatar.plotting import BLUE, GREEN, GRID, RED, add_axes, create_figure, save_figure, write_text
from liveavatar.sync.audio_track import stream_mono_audio
from liveavatar.sync.measure import measure_sync
from liveavatar.sync.report import SyncReport, build_sync_report
from liveavatar.timeline import Timeline
from liveavatar.video.writer import VideoWriter

FPS = Fraction(25)
BASE = 48_000
"""Rate in Hz at which recordings are damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`make` writes a file of 48 kHz sound, `read` reads it for the engine; `mos` is the mean score of listeners."""

    name: str
    make: Callable[[Samples, Path], Path]
    read: Callable[[Path], Iterable[Samples]]
    mos: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The result of one recording under one condition; None if that is not possible."""

    condition: Condition
    report: SyncReport | None


def save(sound: Samples, rate: int, path: Path, codec: str = "pcm_s16le", bits: int | None = None) -> Path:
    """Write mono or stereo sound with FFmpeg."""
    columns = sound if sound.ndim == 2 else sound[:, None]
    layout = "stereo" if columns.shape[1] == 2 else "mono"
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream(codec, rate=rate, layout=layout)
        if bits:
            stream.bit_rate = bits
        pcm = np.round(np.clip(columns, -1, 1) * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate)
        for piece in resampler.resample(frame):
            for part in _frames(piece, stream.codec_context.frame_size):
                file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


def _frames(frame: av.AudioFrame, size: int) -> Iterable[av.AudioFrame]:
    fifo = av.AudioFifo()
    fifo.write(frame)
    while (piece := fifo.read(size or 4096, partial=True)) is not None:
        yield piece


def at(
    rate: int, codec: str = "pcm_s16le", suffix: str = "wav", bits: int | None = None
) -> Callable[[Samples, Path], Path]:
    """A file at another rate."""
    return lambda sound, folder: save(
        soxr.resample(sound, BASE, rate, quality="VHQ"), rate, folder / f"in.{suffix}", codec, bits
    )


def upsampled(sound: Samples, folder: Path) -> Path:
    """A 16 kHz file of sound taken at 8 kHz."""
    low = soxr.resample(sound, BASE, 8_000, quality="VHQ")
    return save(soxr.resample(low, 8_000, 16_000, quality="VHQ"), 16_000, folder / "in.wav")


def stereo(sound: Samples, folder: Path) -> Path:
    """48 kHz, two channels, one 3 dB weaker."""
    return save(np.stack([sound, 0.7 * sound], axis=1), BASE, folder / "in.wav")


def mislabelled(sound: Samples, folder: Path) -> Path:
    """44.1 kHz samples under a header that declares 16 kHz."""
    return save(soxr.resample(sound, BASE, 44_100, quality="VHQ"), 16_000, folder / "in.wav")


def noisy(decibels: float) -> Callable[[Samples, Path], Path]:
    """White noise `decibels` below the speech."""

    def make(sound: Samples, folder: Path) -> Path:
        noise = np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
        level = float(np.sqrt(np.mean(sound**2))) * 10 ** (-decibels / 20)
        return save((0.5 * (sound + level * noise)).astype(np.float32), BASE, folder / "in.wav")

    return make


def clipped(sound: Samples, folder: Path) -> Path:
    """Clipped by 12 dB."""
    return save(np.clip(4 * sound / np.abs(sound).max(), -1, 1).astype(np.float32), BASE, folder / "in.wav")


def far(sound: Samples, folder: Path) -> Path:
    """In a room: a reverberation time of 0.5 s, 3 dB over the direct sound, which keeps its time."""
    time = np.arange(BASE // 2) / BASE
    tail = np.random.default_rng(1).standard_normal(len(time)) * 10 ** (-3 * time / 0.5) * (time > 0.004)
    tail *= 1.4 / np.sqrt((tail**2).sum())
    size = len(sound) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]
    return save(0.4 * (sound + wet).astype(np.float32), BASE, folder / "in.wav")


def music(sound: Samples, folder: Path) -> Path:
    """Chords that change every second, 10 dB below the speech."""
    time = np.arange(len(sound)) / BASE
    roots = np.array([220.0, 174.6, 261.6, 196.0])[time.astype(int) % 4]
    phase = 2 * np.pi * np.cumsum(roots) / BASE
    chord = sum(np.sin(phase * k) / k for k in (1, 1.25, 1.5, 2, 3))
    level = float(np.sqrt(np.mean(sound**2)) / np.sqrt(np.mean(chord**2))) * 10 ** (-10 / 20)
    return save(0.5 * (sound + level * chord).astype(np.float32), BASE, folder / "in.wav")


def front_end(path: Path) -> Iterable[Samples]:
    """The sound as `liveavatar generate` reads it."""
    return read_speech(path)[1]


def front_end_at(rate: int) -> Callable[[Path], Iterable[Samples]]:
    """The front end with the true rate."""
    return lambda path: read_speech(path, "fix", rate)[1]


def denoised(path: Path) -> Iterable[Samples]:
    """The front end, then the denoiser."""
    return Denoiser()(front_end(path))


def as_is(path: Path) -> Iterable[Samples]:
    """Every sample of the first channel, taken for 16 kHz sound."""
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            channels = len(frame.layout.channels)
            yield frame.to_ndarray().reshape(-1, channels)[:, 0].astype(np.float32) / np.float32(32768)


CONDITIONS = (
    Condition(name="16 kHz", make=at(16_000), read=front_end, mos=4.6),
    Condition(name="8 kHz upsampled", make=upsampled, read=front_end, mos=3.2),
    Condition(name="44.1 kHz fed as is", make=at(44_100), read=as_is, mos=2.1),
    Condition(name="44.1 kHz, front end", make=at(44_100), read=front_end, mos=4.5),
    Condition(name="48 kHz stereo fed as is", make=stereo, read=as_is),
    Condition(name="48 kHz stereo, front end", make=stereo, read=front_end),
    Condition(name="22.05 kHz fed as is", make=at(22_050), read=as_is),
    Condition(name="22.05 kHz, front end", make=at(22_050), read=front_end),
    Condition(name="mp3 64k", make=at(44_100, "mp3", "mp3", 64_000), read=front_end),
    Condition(name="opus 24k", make=at(48_000, "libopus", "ogg", 24_000), read=front_end),
    Condition(name="telephone, 8 kHz G.711", make=at(8_000, "pcm_alaw"), read=front_end),
    Condition(name="44.1 kHz labelled 16, as is", make=mislabelled, read=as_is),
    Condition(name="44.1 kHz labelled 16, front end", make=mislabelled, read=front_end),
    Condition(name="44.1 kHz labelled 16, told the rate", make=mislabelled, read=front_end_at(44_100)),
    Condition(name="noise 10 dB", make=noisy(10), read=front_end),
    Condition(name="noise 10 dB, denoised", make=noisy(10), read=denoised),
    Condition(name="noise 0 dB", make=noisy(0), read=front_end),
    Condition(name="noise 0 dB, denoised", make=noisy(0), read=denoised),
    Condition(name="clipped by 12 dB", make=clipped, read=front_end),
    Condition(name="far away in a room", make=far, read=front_end),
    Condition(name="music under it", make=music, read=front_end),
)


def measure_condition(actor: Actor, clean: Samples, condition: Condition, folder: Path) -> SyncReport | None:
    """Speak a recording under one condition and compare with the clean one; None where a codec or extra is missing."""
    truth = save(clean, BASE, folder / "clean.wav")
    count = Timeline(fps=FPS, rate=BASE).frame_count(len(clean))
    output = folder / "out.mp4"
    try:
        with VideoWriter(output, FPS, actor.size, truth) as writer:
            for frame in stream_frames(actor.session(FPS, 0), condition.read(condition.make(clean, folder))):
                if frame.pts >= count:
                    break
                writer.write(frame.rgb)
        return build_sync_report(measure_sync(output))
    except LiveAvatarError as error:
        print(f"  {condition.name}: {error}")
        return None


def line(condition: Condition, rows: list[SyncReport]) -> str:
    """A row of the table: means over the recordings."""
    verdicts = ", ".join(
        f"{sum(r.verdict == v for r in rows)} {v}" for v in dict.fromkeys(r.verdict for r in rows)
    )
    mos = "" if condition.mos is None else f"{condition.mos}"
    if not rows:
        return f"| {condition.name} | {mos} | not possible here | | | | | |"
    same = [r for r in rows if r.verdict != "not the same speech"]
    offset = f"{np.mean([r.offset for r in same]):+.0f} ms" if same else "none"
    drift = f"{np.mean([r.drift for r in same]):+.0f}" if same else "none"
    closures = sum(r.closures_met for r in rows) / max(1, sum(r.closures_heard for r in rows))
    chance = np.mean([r.closures_by_chance for r in rows])
    match, energy = (np.mean([getattr(r, name) for r in rows]) for name in ("match", "energy_correlation"))
    return (
        f"| {condition.name} | {mos} | {verdicts} | {offset} | {drift} | {closures:.0%} ({chance:.0%}) | {match:.2f} | "
        f"{energy:.2f} |"
    )


def write(results: list[Row], recordings: list[Path], engine: str) -> str:
    """The table."""
    head = [
        "# Effect of the sound on the lips", "",
        f"Made by `benchmarks/audio/sample_rates.py` on a {describe_machine()}, Python {platform.python_version()}, "
        f"with {', '.join(path.stem for path in recordings)}; {engine} engine, 25 fps. "
        "MOS: mean opinion scores of listeners.", "",
        "| sound | MOS | verdict | offset | drift, ms/min | closures met (by chance) | match | energy correlation |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    grouped = [
        (condition, [row.report for row in results if row.condition is condition and row.report])
        for condition in CONDITIONS
    ]
    return "\n".join([*head, *(line(condition, rows) for condition, rows in grouped)]) + "\n"


def plot(results: list[Row], output: Path) -> None:
    """Bars of the match of every condition, and the ratings where there are any."""
    figure = create_figure(1000, 30 * len(CONDITIONS) + 80)
    axes = add_axes(figure, 330, 40, 640, 30 * len(CONDITIONS))
    for number, condition in enumerate(CONDITIONS):
        reports = [row.report for row in results if row.condition is condition and row.report]
        match = float(np.mean([report.match for report in reports])) if reports else 0.0
        in_step = bool(reports) and all(report.verdict == "in step" for report in reports)
        axes.barh(number, max(match, 0.0), 0.65, color=GREEN if in_step else RED)
        if condition.mos is not None:
            axes.plot(condition.mos / 5, number, "o", color=BLUE)
    axes.set(xlim=(0, 1), ylim=(len(CONDITIONS) - 0.5, -0.5))
    axes.set_yticks(range(len(CONDITIONS)), [condition.name for condition in CONDITIONS])
    axes.grid(axis="x", color=GRID)
    write_text(figure, "match of lips and clean sound (bar, green: in step), MOS / 5 (dot)", 330, 26)
    save_figure(figure, output)


def main() -> None:
    """Measure every condition on every recording."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", nargs="*", type=Path, default=[], help="further recordings")
    parser.add_argument("--seconds", type=float, default=20, help="of each recording")
    parser.add_argument("--engine", default="mesh", help="mesh, or dit with its checkpoint and a GPU")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 224), metavar=("W", "H"))
    parser.add_argument("-o", "--output", type=Path, default=results_path(__file__))
    options = parser.parse_args()
    assets = Path(liveavatar.__file__).parent / "assets"
    recordings = [assets / "demo_en.ogg", assets / "demo_zh.ogg", *options.speech]
    portrait = load_portrait(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    actor = open_engine(options.engine).open(portrait, tuple(options.size))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for recording in recordings:
            speech = np.concatenate(list(stream_mono_audio(recording)))[: round(options.seconds * 16_000)]
            clean = soxr.resample(speech, 16_000, BASE, quality="VHQ")
            for condition in CONDITIONS:
                report = measure_condition(actor, clean, condition, Path(folder))
                text = (
                    f"{report.verdict}, {report.offset:+.0f} ms, match {report.match:.2f}"
                    if report
                    else "not possible"
                )
                print(f"{recording.stem}, {condition.name}: {text}", flush=True)
                results.append(Row(condition=condition, report=report))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    plot(results, options.output.with_suffix(".png"))
    table = write(results, recordings, options.engine)
    options.output.write_text(f"{table}\n![]({options.output.stem}.png)\n", encoding="utf-8")


if __name__ == "__main__":
    main()

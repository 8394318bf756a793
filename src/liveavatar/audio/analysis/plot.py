"""A plot of a recording: waveform with clipped parts, speech, and spectrogram with the edge of its band."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.clipping import count_clipped_samples
from liveavatar.audio.dsp.downmix import Downmixer
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.audio.io.decode import open_audio
from liveavatar.plotting import (
    BLUE,
    GREEN,
    GRID,
    INK,
    LEVEL_COLOURS,
    MEDIUM,
    MUTED,
    PAPER,
    RED,
    add_axes,
    check_plot_path,
    create_figure,
    save_figure,
    write_text,
    write_title,
)
from liveavatar.report import find_worst_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Layout in pixels.
_LEFT_MARGIN, _RIGHT_MARGIN = 70, 90
_COLUMN_COUNT = 1250  # width of the axes: one column a pixel
_PLOT_WIDTH = _LEFT_MARGIN + _COLUMN_COUNT + _RIGHT_MARGIN
_HEADER_HEIGHT, _WAVEFORM_HEIGHT, _SPEECH_HEIGHT, _SPECTROGRAM_HEIGHT, _FOOTER_HEIGHT = 66, 220, 34, 320, 40
_CLIPPED_HEIGHT = 6  # of the marks above the waveform
_STRIP_PADDING = 10  # above and below the strip of speech
_COLOUR_BAR_WIDTH = 14

_BIN_COUNT = 1024  # of a spectrum
_MAX_COLUMNS_PER_SECOND = 50  # a column of the waveform covers at least 20 ms
_MAX_SPEECH_SAMPLES = 10 * VAD_WINDOW_SAMPLES  # at 16 kHz: part of a long column in which speech is detected
_NEAR_PEAK_SHARE = 0.5  # of the highest peak: flat tops lower than that are chance
_SPECTROGRAM_RANGE_DB = 90.0  # below the loudest bin
_MINUTES_FROM_SECONDS = 180.0  # durations from which the time axis is in minutes


class _FrameCutter:
    """Cuts one stream into overlapping or distant frames of `size`, one every `hop` samples."""

    def __init__(self, size: int, hop: int, channels: int = 1) -> None:
        self._size, self._hop = size, hop
        self._waiting = np.empty((0, channels), np.float32)
        self._skip_count = 0

    def push(self, samples: NDArray[np.float32], last: bool = False) -> Iterator[NDArray[np.float32]]:
        """Take float32 [n, channels]; gives [size, channels], the last one filled with silence."""
        taken = samples[self._skip_count :]
        self._skip_count -= len(samples) - len(taken)
        self._waiting = np.concatenate([self._waiting, taken])
        if last and len(self._waiting):
            filling = max(0, self._size - len(self._waiting))
            self._waiting = np.pad(self._waiting, ((0, filling), (0, 0)))
        while len(self._waiting) >= self._size:
            yield self._waiting[: self._size]
            self._skip_count = max(0, self._hop - len(self._waiting))
            self._waiting = self._waiting[self._hop :]


class _PlotData:
    """Hears one recording and keeps what is drawn of it."""

    def __init__(self, report: AudioReport) -> None:
        rate, layout = report.info.rate, report.info.layout
        column = max(rate // _MAX_COLUMNS_PER_SECOND, math.ceil(report.sample_count / _COLUMN_COUNT))
        hop = max(VAD_WINDOW_SAMPLES, math.ceil(report.speech_sample_count / _COLUMN_COUNT))
        self._downmix, self._resampler, self._voice_detector = (
            Downmixer(rate, layout),
            Resampler(rate),
            VoiceActivityDetector(),
        )
        self._waveform_cutter = _FrameCutter(column, column, len(layout))
        self._spectrum_cutter = _FrameCutter(2 * _BIN_COUNT, max(_BIN_COUNT // 2, column))
        self._speech_cutter = _FrameCutter(min(hop, _MAX_SPEECH_SAMPLES), hop)
        self._window = np.hanning(2 * _BIN_COUNT)[:, None]
        self.waveform: list[tuple[float, float, bool]] = []
        self.speech_probabilities: list[float] = []
        self.spectra: list[NDArray[np.float64]] = []

    def add_samples(self, samples: NDArray[np.float32], last: bool = False) -> None:
        """Take float32 [n, channels]."""
        mono = self._downmix.flush() if last else self._downmix.push(samples)
        speech = self._resampler.resample_chunk(mono, last)
        for frame in self._waveform_cutter.push(samples, last):
            tops = any(count_clipped_samples(np.ascontiguousarray(channel)) for channel in frame.T)
            self.waveform.append((float(frame.min()), float(frame.max()), tops))
        for frame in self._spectrum_cutter.push(mono[:, None], last):
            power = np.square(np.abs(np.fft.rfft(frame * self._window, axis=0)))[:_BIN_COUNT, 0]
            self.spectra.append(10 * np.log10(power / np.square(self._window.sum() / 2) + 1e-14))
        for frame in self._speech_cutter.push(speech[:, None], last):
            self.speech_probabilities.append(float(self._voice_detector.push(frame[:, 0]).mean()))

    @property
    def peak(self) -> float:
        """The highest amplitude."""
        return max(max(-low, high) for low, high, _ in self.waveform)

    @property
    def clipped_columns(self) -> list[bool]:
        """Which columns of the waveform have flat tops that matter."""
        least = _NEAR_PEAK_SHARE * self.peak
        return [tops and max(-low, high) >= least for low, high, tops in self.waveform]


def plot_recording(report: AudioReport, output: Path) -> None:
    """Write a PNG of a checked recording. Memory does not grow with the duration.

    Raises:
        OptionError: the name does not end in .png, or matplotlib is not installed.
        AudioError: the recording cannot be read any more.
        OutputError: the file cannot be written.
    """
    check_plot_path(output)
    data = _read_plot_data(report)
    bottom = _HEADER_HEIGHT + _WAVEFORM_HEIGHT + _SPEECH_HEIGHT + _SPECTROGRAM_HEIGHT
    figure = create_figure(_PLOT_WIDTH, bottom + _FOOTER_HEIGHT)
    _draw_header(figure, report)
    _draw_waveform(figure, data)
    _draw_speech(figure, data)
    _draw_spectrogram(figure, data, report)
    save_figure(figure, output)


def _read_plot_data(report: AudioReport) -> _PlotData:
    data = _PlotData(report)
    with open_audio(report.path, True, report.info.rate) as stream:
        for chunk in stream:
            data.add_samples(chunk.samples)
    data.add_samples(np.empty((0, report.info.channels), np.float32), last=True)
    return data


def _draw_header(figure: "Figure", report: AudioReport) -> None:
    level, info = find_worst_level(report.findings), report.info
    write_title(figure, f"{report.path.name}: {level}", _LEFT_MARGIN, 28, LEVEL_COLOURS[level])
    findings = ", ".join(finding.name for finding in report.findings if finding.level != "ok")
    facts = f"{info.codec} {info.rate} Hz, {info.channels_text}, {float(report.duration):.2f} s"
    loudness = f"{report.mono_level.loudness:.1f} LUFS"
    write_text(figure, f"{facts}; {loudness}; {findings or 'nothing to fix'}", _LEFT_MARGIN, 50, MUTED)


def _draw_waveform(figure: "Figure", data: _PlotData) -> None:
    top, width = _HEADER_HEIGHT, _COLUMN_COUNT
    axes = add_axes(figure, _LEFT_MARGIN, top, width, _WAVEFORM_HEIGHT)
    reach = max(1.0, data.peak)
    edges = np.linspace(0, 1, len(data.waveform) + 1)
    low, high = (np.append(values, values[-1:]) for values in list(zip(*data.waveform, strict=True))[:2])
    axes.fill_between(edges, low, high, step="post", color=BLUE, linewidth=0.6)
    axes.set(xlim=(0, 1), ylim=(-1.08 * reach, 1.08 * reach), xticks=[], yticks=[-1.0, 0.0, 1.0])
    axes.grid(axis="y", color=GRID)
    if any(data.clipped_columns):
        marks = add_axes(figure, _LEFT_MARGIN, top, width, _CLIPPED_HEIGHT)
        _draw_mask(marks, data.clipped_columns, PAPER, RED)
        write_text(figure, "clipped", _LEFT_MARGIN + width + 8, top + 10, RED)


def _draw_speech(figure: "Figure", data: _PlotData) -> None:
    """A strip that is green where there is speech."""
    top = _HEADER_HEIGHT + _WAVEFORM_HEIGHT + _STRIP_PADDING
    height = _SPEECH_HEIGHT - 2 * _STRIP_PADDING
    axes = add_axes(figure, _LEFT_MARGIN, top, _COLUMN_COUNT, height)
    _draw_mask(axes, [share > SPEECH_THRESHOLD for share in data.speech_probabilities], GRID, GREEN)
    write_text(figure, "speech", _LEFT_MARGIN + _COLUMN_COUNT + 8, top + height - 2, GREEN)


def _draw_mask(axes: "Axes", mask: list[bool], colour: str, true_colour: str) -> None:
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([colour, true_colour])
    axes.imshow([mask], cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def _draw_spectrogram(figure: "Figure", data: _PlotData, report: AudioReport) -> None:
    top, width = _HEADER_HEIGHT + _WAVEFORM_HEIGHT + _SPEECH_HEIGHT, _COLUMN_COUNT
    axes = add_axes(figure, _LEFT_MARGIN, top, width, _SPECTROGRAM_HEIGHT)
    duration, limit = float(report.duration), report.info.rate / 2000
    unit, seconds = ("min", 60) if duration >= _MINUTES_FROM_SECONDS else ("s", 1)
    levels = np.array(data.spectra).T
    image = axes.imshow(
        levels - levels.max(),
        cmap="magma",
        vmin=-_SPECTROGRAM_RANGE_DB,
        vmax=0,
        origin="lower",
        aspect="auto",
        extent=(0, duration / seconds, 0, limit),
        interpolation_stage="data",
    )
    axes.xaxis.set_major_formatter(f"{{x:g}} {unit}")
    axes.yaxis.set_major_formatter("{x:g} kHz")
    scale = add_axes(figure, _LEFT_MARGIN + width + 12, top, _COLOUR_BAR_WIDTH, _SPECTROGRAM_HEIGHT)
    figure.colorbar(image, cax=scale, format="{x:g} dB", ticks=(0, -30, -60, -90))
    if report.band_limit is not None:
        _draw_band_edge(axes, report.band_limit.edge_hz / 1000, limit)


def _draw_band_edge(axes: "Axes", edge: float, limit: float) -> None:
    axes.axhline(edge, color=PAPER, linewidth=1, linestyle=(0, (6, 4)))
    below = edge > 0.9 * limit  # there is no room for the label above the line
    axes.annotate(
        f"sound up to {edge:.1f} kHz",
        (0.99, edge),
        (0, -5 if below else 5),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        color=PAPER,
        fontsize=MEDIUM,
        ha="right",
        va="top" if below else "bottom",
        bbox={"facecolor": INK, "alpha": 0.6, "pad": 2, "linewidth": 0},
    )

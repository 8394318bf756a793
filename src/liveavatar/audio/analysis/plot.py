"""A plot of a recording: waveform with clipped parts, speech, and spectrogram with the edge of its band."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.clipping import count_clipped_samples
from liveavatar.audio.dsp.downmix import Downmixer
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.audio.io.decode import open_audio
from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.audio.spectral.spectrum import power_to_decibels
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
_POWER_FLOOR = 1e-14  # -140 dB
_SPECTROGRAM_RANGE_DB = 90.0  # below the loudest bin
_MIN_LOUDEST_DB = -50.0  # of full scale: the loudest bin counts as at least this, so silence is dark
_MINUTES_FROM_SECONDS = 180.0  # durations from which the time axis is in minutes


class _PlotData:
    """Reduces one recording to the columns that are drawn."""

    def __init__(self, report: AudioReport) -> None:
        rate, layout = report.info.rate, report.info.layout
        column = max(rate // _MAX_COLUMNS_PER_SECOND, math.ceil(report.sample_count / _COLUMN_COUNT))
        hop = max(VAD_WINDOW_SAMPLES, math.ceil(report.speech_sample_count / _COLUMN_COUNT))
        self._downmixer, self._resampler = Downmixer(rate, layout), Resampler(rate)
        self._detector = VoiceActivityDetector()
        self._waveform_framer = StreamFramer(column, column, len(layout))
        self._spectrum_framer = StreamFramer(2 * _BIN_COUNT, max(_BIN_COUNT // 2, column))
        self._speech_framer = StreamFramer(min(hop, _MAX_SPEECH_SAMPLES), hop)
        self._window = np.hanning(2 * _BIN_COUNT)
        self.waveform: list[tuple[float, float, bool]] = []  # lowest, highest, whether tops are flat
        self.speech_probabilities: list[float] = []
        self.spectra: list[NDArray[np.floating[Any]]] = []  # dB

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take the next float32 [n, channels]."""
        mono = self._downmixer.push(samples)
        self._add_waveform(self._waveform_framer.push(samples.T))
        self._add_spectra(self._spectrum_framer.push(mono))
        self._add_speech(self._speech_framer.push(self._resampler.resample_chunk(mono)))

    def flush(self) -> None:
        """End the stream."""
        mono = self._downmixer.flush()
        self._add_waveform(self._waveform_framer.flush())
        for frames in (self._spectrum_framer.push(mono), self._spectrum_framer.flush()):
            self._add_spectra(frames)
        speech = self._resampler.resample_chunk(mono, last=True)
        for frames in (self._speech_framer.push(speech), self._speech_framer.flush()):
            self._add_speech(frames)

    def _add_waveform(self, frames: NDArray[np.float32]) -> None:
        for frame in frames:
            tops = any(count_clipped_samples(channel) for channel in frame)
            self.waveform.append((float(frame.min()), float(frame.max()), tops))

    def _add_spectra(self, frames: NDArray[np.float32]) -> None:
        for frame in frames:
            power = np.square(np.abs(np.fft.rfft(frame * self._window)))[:_BIN_COUNT]
            self.spectra.append(power_to_decibels(power / np.square(self._window.sum() / 2), _POWER_FLOOR))

    def _add_speech(self, frames: NDArray[np.float32]) -> None:
        for frame in frames:
            self.speech_probabilities.append(float(self._detector.push(frame).mean()))

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
    with open_audio(report.path, True, report.info.rate, report.info.track) as stream:
        for chunk in stream:
            data.push(chunk.samples)
    data.flush()
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
        levels - max(levels.max(), _MIN_LOUDEST_DB),
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

"""A picture of a recording: waveform with clipping, where somebody speaks, and spectrogram with its band."""

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.clipping import count_clipped_samples
from liveavatar.audio.dsp.downmix import Downmixer
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import OptionError
from liveavatar.files import atomic_write
from liveavatar.report import find_worst_level

_PLOT_WIDTH, _LEFT_MARGIN, _RIGHT_MARGIN = 1400, 70, 20
_HEADER_HEIGHT, _WAVEFORM_HEIGHT, _SPEECH_HEIGHT, _SPECTROGRAM_HEIGHT, _FOOTER_HEIGHT = 66, 220, 34, 320, 40
_COLUMN_COUNT = _PLOT_WIDTH - _LEFT_MARGIN - _RIGHT_MARGIN
_BIN_COUNT = 1024
_MAX_COLUMNS_PER_SECOND = 50  # parts of a second that a column of the waveform covers at least
_MAX_SPEECH_SAMPLES = 10 * VAD_WINDOW_SAMPLES  # samples at 16 kHz of a long column in which speech is sought
_NEAR_PEAK_SHARE = 0.5  # of the highest peak: flat tops lower than that are chance
_SPECTROGRAM_RANGE_DB = 90.0  # dB of the spectrogram
_DARK_GREY, _GREY, _LIGHT_GREY = (40, 40, 40), (140, 140, 140), (225, 225, 225)
_BLUE, _RED, _GREEN, _WHITE = (200, 110, 40), (40, 40, 220), (90, 160, 60), (255, 255, 255)

_LEVEL_COLOURS = {"ok": _GREEN, "warn": (0, 150, 220), "bad": _RED}

Canvas = NDArray[np.uint8]


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


def plot_recording(report: AudioReport, output: Path) -> None:
    """Write a PNG of a recording that was checked.

    Raises:
        OptionError: the name does not end in .png.
        AudioError: the recording cannot be read any more.
        OutputError: the file cannot be written.
    """
    if output.suffix.lower() != ".png":
        raise OptionError(f"{output} does not end in .png", f"name it {output.with_suffix('.png')}")
    picture = cv2.imencode(".png", _render_plot(report))[1].tobytes()
    with atomic_write(output) as part:
        part.write_bytes(picture)


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


def _render_plot(report: AudioReport) -> Canvas:
    ink = _PlotData(report)
    with open_audio(report.path, True, report.info.rate) as stream:
        for chunk in stream:
            ink.add_samples(chunk.samples)
    ink.add_samples(np.empty((0, report.info.channels), np.float32), last=True)
    canvas = np.full(
        (
            _HEADER_HEIGHT + _WAVEFORM_HEIGHT + _SPEECH_HEIGHT + _SPECTROGRAM_HEIGHT + _FOOTER_HEIGHT,
            _PLOT_WIDTH,
            3,
        ),
        255,
        np.uint8,
    )
    top, inner = _HEADER_HEIGHT, slice(_LEFT_MARGIN, _LEFT_MARGIN + _COLUMN_COUNT)
    _draw_header(canvas, report)
    _draw_waveform(canvas[top : top + _WAVEFORM_HEIGHT], ink)
    canvas[top + _WAVEFORM_HEIGHT + 8 : top + _WAVEFORM_HEIGHT + _SPEECH_HEIGHT - 8, inner] = (
        _render_speech_strip(ink)
    )
    canvas[top + _WAVEFORM_HEIGHT + _SPEECH_HEIGHT : -_FOOTER_HEIGHT, inner] = _render_spectrogram(ink)
    _draw_text(canvas, "speech", (8, top + _WAVEFORM_HEIGHT + 21), _GREEN)
    if any(ink.clipped_columns):
        _draw_text(canvas, "clipped", (_PLOT_WIDTH - 90, 50), _RED)
    _draw_axes(canvas, report)
    return canvas


def _draw_header(canvas: Canvas, report: AudioReport) -> None:
    level, info = find_worst_level(report.findings), report.info
    name = report.path.name.encode("utf-8", "replace").decode()
    cv2.putText(
        canvas, f"{name}: {level}", (_LEFT_MARGIN, 26), _LEVEL_COLOURS[level], cv2.FontFace("uni"), 20, 400
    )
    wrong = ", ".join(finding.name for finding in report.findings if finding.level != "ok")
    facts = f"{info.codec} {info.rate} Hz, {info.channels_text}, {float(report.duration):.2f} s"
    _draw_text(
        canvas,
        f"{facts}; {report.mono_level.loudness:.1f} LUFS; {wrong or 'nothing to mend'}",
        (_LEFT_MARGIN, 50),
    )


def _draw_waveform(part: Canvas, plot_data: _PlotData) -> None:
    middle, scale = _WAVEFORM_HEIGHT // 2, _WAVEFORM_HEIGHT / 2 - 6
    reach = max(1.0, plot_data.peak)
    for level in (-1.0, 0.0, 1.0):
        y = round(middle - level / reach * scale)
        cv2.line(part, (_LEFT_MARGIN, y), (_LEFT_MARGIN + _COLUMN_COUNT, y), _LIGHT_GREY, 1)
        _draw_text(part, f"{level:g}", (36, y + 5), _GREY)
    for index, ((low, high, _), tops) in enumerate(
        zip(plot_data.waveform, plot_data.clipped_columns, strict=True)
    ):
        left, right = (
            _LEFT_MARGIN + place * _COLUMN_COUNT // len(plot_data.waveform) for place in (index, index + 1)
        )
        upper, lower = (round(middle - level / reach * scale) for level in (high, low))
        cv2.rectangle(part, (left, upper), (max(left, right - 1), lower), _BLUE, -1)
        if tops:
            cv2.rectangle(part, (left, 0), (max(left, right - 1), 5), _RED, -1)


def _render_speech_strip(plot_data: _PlotData) -> Canvas:
    """A strip that is green where somebody speaks, [height, columns, 3]."""
    share = np.array([speech > SPEECH_THRESHOLD for speech in plot_data.speech_probabilities], np.float32)[
        None
    ]
    strip = cv2.resize(share, (_COLUMN_COUNT, _SPEECH_HEIGHT - 16), interpolation=cv2.INTER_NEAREST)[
        ..., None
    ]
    return (np.array(_LIGHT_GREY) * (1 - strip) + np.array(_GREEN) * strip).astype(np.uint8)


def _render_spectrogram(plot_data: _PlotData) -> Canvas:
    """Dark is silent, bright is loud, over a range of 90 dB; high pitch is up; [height, columns, 3]."""
    levels = np.array(plot_data.spectra).T[::-1]
    grey = np.clip((levels - levels.max()) / _SPECTROGRAM_RANGE_DB + 1, 0, 1) * 255
    sized = cv2.resize(
        grey.astype(np.float32), (_COLUMN_COUNT, _SPECTROGRAM_HEIGHT), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.applyColorMap(sized.astype(np.uint8), cv2.COLORMAP_INFERNO), np.uint8)


def _draw_axes(canvas: Canvas, report: AudioReport) -> None:
    top, bottom = _HEADER_HEIGHT + _WAVEFORM_HEIGHT + _SPEECH_HEIGHT, len(canvas) - _FOOTER_HEIGHT
    limit, length = report.info.rate / 2, float(report.duration)
    for pitch in _round_ticks(limit, 5):
        y = round(bottom - pitch / limit * _SPECTROGRAM_HEIGHT)
        _draw_text(canvas, f"{pitch / 1000:g} kHz", (8, max(y + 5, top + 10)), _GREY)
    for second in _round_ticks(length, 12):
        x = round(_LEFT_MARGIN + second / length * _COLUMN_COUNT)
        cv2.line(canvas, (x, bottom), (x, bottom + 5), _GREY, 1)
        _draw_text(canvas, f"{second:g} s", (x - 8, bottom + 22), _GREY)
    if report.band_limit is not None:
        y = round(bottom - report.band_limit.edge_hz / limit * _SPECTROGRAM_HEIGHT)
        cv2.line(canvas, (_LEFT_MARGIN, y), (_LEFT_MARGIN + _COLUMN_COUNT, y), _WHITE, 1)
        _draw_text(
            canvas,
            f"sound up to {report.band_limit.edge_hz / 1000:.1f} kHz",
            (_PLOT_WIDTH - 220, max(y - 6, top + 16)),
            _WHITE,
        )


def _round_ticks(length: float, count: int) -> list[float]:
    """About `count` round numbers from 0 to `length`."""
    rough = length / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [index * step for index in range(int(length / step) + 1)]


def _draw_text(
    canvas: Canvas,
    text: str,
    at: tuple[int, int],
    colour: tuple[int, int, int] = _DARK_GREY,
    size: float = 0.45,
) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)

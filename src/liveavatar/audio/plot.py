"""A picture of a recording: waveform with clipping, where somebody speaks, and spectrogram with its band."""

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.clipping import clipped
from liveavatar.audio.decode import open_audio
from liveavatar.audio.downmix import Downmix
from liveavatar.audio.quality import AudioReport
from liveavatar.audio.resample import Resampler
from liveavatar.audio.vad import SPEECH, WINDOW, VoiceActivity
from liveavatar.errors import OptionError
from liveavatar.files import whole
from liveavatar.report import worst

_WIDTH, _LEFT, _RIGHT = 1400, 70, 20
_HEAD, _WAVE, _VOICE, _SPECTRUM, _FOOT = 66, 220, 34, 320, 40
_COLUMNS = _WIDTH - _LEFT - _RIGHT
_BINS = 1024
_SHORTEST = 50  # parts of a second that a column of the waveform covers at least
_HEARD = 10 * WINDOW  # samples at 16 kHz of a long column in which speech is sought
_NEAR_PEAK = 0.5  # of the highest peak: flat tops lower than that are chance
_RANGE = 90.0  # dB of the spectrogram
_INK, _PALE, _GRID = (40, 40, 40), (140, 140, 140), (225, 225, 225)
_BLUE, _RED, _GREEN, _WHITE = (200, 110, 40), (40, 40, 220), (90, 160, 60), (255, 255, 255)

_COLOURS = {"ok": _GREEN, "warn": (0, 150, 220), "bad": _RED}

Canvas = NDArray[np.uint8]


class _Cutter:
    """Cuts one stream into overlapping or distant frames of `size`, one every `hop` samples."""

    def __init__(self, size: int, hop: int, channels: int = 1) -> None:
        self._size, self._hop = size, hop
        self._waiting = np.empty((0, channels), np.float32)
        self._skip = 0

    def push(self, samples: NDArray[np.float32], last: bool = False) -> Iterator[NDArray[np.float32]]:
        """Take float32 [n, channels]; gives [size, channels], the last one filled with silence."""
        taken = samples[self._skip :]
        self._skip -= len(samples) - len(taken)
        self._waiting = np.concatenate([self._waiting, taken])
        if last and len(self._waiting):
            filling = max(0, self._size - len(self._waiting))
            self._waiting = np.pad(self._waiting, ((0, filling), (0, 0)))
        while len(self._waiting) >= self._size:
            yield self._waiting[: self._size]
            self._skip = max(0, self._hop - len(self._waiting))
            self._waiting = self._waiting[self._hop :]


def draw(report: AudioReport, output: Path) -> None:
    """Write a PNG of a recording that was checked.

    Raises:
        OptionError: the name does not end in .png.
        AudioError: the recording cannot be read any more.
        OutputError: the file cannot be written.
    """
    if output.suffix.lower() != ".png":
        raise OptionError(f"{output} does not end in .png", f"name it {output.with_suffix('.png')}")
    picture = cv2.imencode(".png", _picture(report))[1].tobytes()
    with whole(output) as part:
        part.write_bytes(picture)


class _Ink:
    """Hears one recording and keeps what is drawn of it."""

    def __init__(self, report: AudioReport) -> None:
        rate, layout = report.info.rate, report.info.layout
        column = max(rate // _SHORTEST, math.ceil(report.samples / _COLUMNS))
        hop = max(WINDOW, math.ceil(report.speech_samples / _COLUMNS))
        self._downmix, self._resampler, self._voice = Downmix(rate, layout), Resampler(rate), VoiceActivity()
        self._waves = _Cutter(column, column, len(layout))
        self._spectra = _Cutter(2 * _BINS, max(_BINS // 2, column))
        self._voices = _Cutter(min(hop, _HEARD), hop)
        self._window = np.hanning(2 * _BINS)[:, None]
        self.wave: list[tuple[float, float, bool]] = []
        self.speech: list[float] = []
        self.spectrum: list[NDArray[np.float64]] = []

    def hear(self, samples: NDArray[np.float32], last: bool = False) -> None:
        """Take float32 [n, channels]."""
        mono = self._downmix.flush() if last else self._downmix.push(samples)
        speech = self._resampler.resample_chunk(mono, last)
        for frame in self._waves.push(samples, last):
            tops = any(clipped(np.ascontiguousarray(channel)) for channel in frame.T)
            self.wave.append((float(frame.min()), float(frame.max()), tops))
        for frame in self._spectra.push(mono[:, None], last):
            power = np.square(np.abs(np.fft.rfft(frame * self._window, axis=0)))[:_BINS, 0]
            self.spectrum.append(10 * np.log10(power / np.square(self._window.sum() / 2) + 1e-14))
        for frame in self._voices.push(speech[:, None], last):
            self.speech.append(float(self._voice.push(frame[:, 0]).mean()))

    @property
    def peak(self) -> float:
        """The highest amplitude."""
        return max(max(-low, high) for low, high, _ in self.wave)

    @property
    def clipped(self) -> list[bool]:
        """Which columns of the waveform have flat tops that matter."""
        least = _NEAR_PEAK * self.peak
        return [tops and max(-low, high) >= least for low, high, tops in self.wave]


def _picture(report: AudioReport) -> Canvas:
    ink = _Ink(report)
    with open_audio(report.path, True, report.info.rate) as stream:
        for chunk in stream:
            ink.hear(chunk.samples)
    ink.hear(np.empty((0, report.info.channels), np.float32), last=True)
    canvas = np.full((_HEAD + _WAVE + _VOICE + _SPECTRUM + _FOOT, _WIDTH, 3), 255, np.uint8)
    top, inner = _HEAD, slice(_LEFT, _LEFT + _COLUMNS)
    _head(canvas, report)
    _wave(canvas[top : top + _WAVE], ink)
    canvas[top + _WAVE + 8 : top + _WAVE + _VOICE - 8, inner] = _voice(ink)
    canvas[top + _WAVE + _VOICE : -_FOOT, inner] = _spectrogram(ink)
    _write(canvas, "speech", (8, top + _WAVE + 21), _GREEN)
    if any(ink.clipped):
        _write(canvas, "clipped", (_WIDTH - 90, 50), _RED)
    _axes(canvas, report)
    return canvas


def _head(canvas: Canvas, report: AudioReport) -> None:
    level, info = worst(report.findings), report.info
    name = report.path.name.encode("utf-8", "replace").decode()
    cv2.putText(canvas, f"{name}: {level}", (_LEFT, 26), _COLOURS[level], cv2.FontFace("uni"), 20, 400)
    wrong = ", ".join(finding.name for finding in report.findings if finding.level != "ok")
    facts = f"{info.codec} {info.rate} Hz, {info.width}, {float(report.duration):.2f} s"
    _write(canvas, f"{facts}; {report.mono.loudness:.1f} LUFS; {wrong or 'nothing to mend'}", (_LEFT, 50))


def _wave(part: Canvas, ink: _Ink) -> None:
    middle, scale = _WAVE // 2, _WAVE / 2 - 6
    reach = max(1.0, ink.peak)
    for level in (-1.0, 0.0, 1.0):
        y = round(middle - level / reach * scale)
        cv2.line(part, (_LEFT, y), (_LEFT + _COLUMNS, y), _GRID, 1)
        _write(part, f"{level:g}", (36, y + 5), _PALE)
    for index, ((low, high, _), tops) in enumerate(zip(ink.wave, ink.clipped, strict=True)):
        left, right = (_LEFT + place * _COLUMNS // len(ink.wave) for place in (index, index + 1))
        upper, lower = (round(middle - level / reach * scale) for level in (high, low))
        cv2.rectangle(part, (left, upper), (max(left, right - 1), lower), _BLUE, -1)
        if tops:
            cv2.rectangle(part, (left, 0), (max(left, right - 1), 5), _RED, -1)


def _voice(ink: _Ink) -> Canvas:
    """A strip that is green where somebody speaks, [height, columns, 3]."""
    share = np.array([speech > SPEECH for speech in ink.speech], np.float32)[None]
    strip = cv2.resize(share, (_COLUMNS, _VOICE - 16), interpolation=cv2.INTER_NEAREST)[..., None]
    return (np.array(_GRID) * (1 - strip) + np.array(_GREEN) * strip).astype(np.uint8)


def _spectrogram(ink: _Ink) -> Canvas:
    """Dark is silent, bright is loud, over a range of 90 dB; high pitch is up; [height, columns, 3]."""
    levels = np.array(ink.spectrum).T[::-1]
    grey = np.clip((levels - levels.max()) / _RANGE + 1, 0, 1) * 255
    sized = cv2.resize(grey.astype(np.float32), (_COLUMNS, _SPECTRUM), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.applyColorMap(sized.astype(np.uint8), cv2.COLORMAP_INFERNO), np.uint8)


def _axes(canvas: Canvas, report: AudioReport) -> None:
    top, bottom = _HEAD + _WAVE + _VOICE, len(canvas) - _FOOT
    limit, length = report.info.rate / 2, float(report.duration)
    for pitch in _round_steps(limit, 5):
        y = round(bottom - pitch / limit * _SPECTRUM)
        _write(canvas, f"{pitch / 1000:g} kHz", (8, max(y + 5, top + 10)), _PALE)
    for second in _round_steps(length, 12):
        x = round(_LEFT + second / length * _COLUMNS)
        cv2.line(canvas, (x, bottom), (x, bottom + 5), _PALE, 1)
        _write(canvas, f"{second:g} s", (x - 8, bottom + 22), _PALE)
    if report.band is not None:
        y = round(bottom - report.band.edge / limit * _SPECTRUM)
        cv2.line(canvas, (_LEFT, y), (_LEFT + _COLUMNS, y), _WHITE, 1)
        _write(
            canvas,
            f"sound up to {report.band.edge / 1000:.1f} kHz",
            (_WIDTH - 220, max(y - 6, top + 16)),
            _WHITE,
        )


def _round_steps(length: float, count: int) -> list[float]:
    """About `count` round numbers from 0 to `length`."""
    rough = length / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [index * step for index in range(int(length / step) + 1)]


def _write(
    canvas: Canvas, text: str, at: tuple[int, int], colour: tuple[int, int, int] = _INK, size: float = 0.45
) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)

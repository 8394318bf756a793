"""The plot shows clipping, speech, pitch and the file name in their places."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from audio.sounds import noise, write_wav
from liveavatar import plotting
from liveavatar.audio.analysis import plot
from liveavatar.audio.front_end import check_recording
from liveavatar.errors import OptionError, OutputError
from liveavatar.frames import Samples


def draw_plot(sound: NDArray[np.float32], rate: int, folder: Path, name: str = "a") -> NDArray[np.uint8]:
    """The plot of a recording, BGR [height, width, 3]."""
    plot.plot_recording(check_recording(write_wav(folder / f"{name}.wav", sound, rate)), folder / "a.png")
    drawn = cv2.imread(str(folder / "a.png"))
    assert drawn is not None
    return np.asarray(drawn, np.uint8)


def find_columns(part: NDArray[np.uint8], colour: str) -> NDArray[np.bool_]:
    """The columns that contain a colour, "#rrggbb"."""
    return np.asarray((part == list(bytes.fromhex(colour[1:])[::-1])).all(axis=2).any(axis=0))


@pytest.mark.slow
def test_speech_clipping_and_silence_are_drawn_at_their_times(tmp_path: Path, speech: Samples) -> None:
    silent = np.zeros(len(speech), np.float32)
    clipped = np.clip(6 * speech, -0.5, 0.5)
    drawn = draw_plot(np.concatenate([speech, silent, clipped])[:, None], 16_000, tmp_path)
    inner = drawn[:, plot._LEFT_MARGIN : plot._LEFT_MARGIN + plot._COLUMN_COUNT]
    red = find_columns(inner[plot._HEADER_HEIGHT : plot._HEADER_HEIGHT + 6], plotting.RED)
    voice = plot._HEADER_HEIGHT + plot._WAVEFORM_HEIGHT
    green = find_columns(inner[voice : voice + plot._SPEECH_HEIGHT], plotting.GREEN)
    third = plot._COLUMN_COUNT // 3
    assert not red[: 2 * third - 5].any()
    assert red[2 * third + 5 :].mean() > 0.2
    assert green[:third].mean() > 0.6
    assert green[third + 20 : 2 * third - 5].mean() < 0.05


def test_a_tone_is_drawn_at_its_pitch(tmp_path: Path) -> None:
    time = np.arange(32_000) / 16_000
    tone = (0.3 * np.sin(2 * np.pi * 2_000 * time)).astype(np.float32)
    drawn = draw_plot(tone[:, None], 16_000, tmp_path)
    spectrum = drawn[
        plot._HEADER_HEIGHT + plot._WAVEFORM_HEIGHT + plot._SPEECH_HEIGHT : -plot._FOOTER_HEIGHT,
        plot._LEFT_MARGIN + 100,
    ].sum(axis=1)
    assert (
        abs(int(spectrum.argmax()) - plot._SPECTROGRAM_HEIGHT * 3 // 4) <= 8
    )  # the line at the edge of the band is brighter still


@pytest.mark.parametrize(
    ("count", "rate", "channels"), [(1, 16_000, 1), (100, 384_000, 2), (1_000, 3_000, 64)]
)
def test_unusual_recordings_can_be_drawn(tmp_path: Path, count: int, rate: int, channels: int) -> None:
    assert draw_plot(noise(rate, count / rate, channels), rate, tmp_path).shape[1] == plot._PLOT_WIDTH


def test_silence_is_dark(tmp_path: Path) -> None:
    drawn = draw_plot(np.zeros((16_000, 1), np.float32), 16_000, tmp_path)
    assert drawn[-plot._FOOTER_HEIGHT - 20, plot._LEFT_MARGIN + 100].max() < 20


@pytest.mark.slow
def test_file_names_in_any_script_are_drawn(tmp_path: Path) -> None:
    titles = []
    for name in ("声音", "录音", "録音"):
        titles.append(draw_plot(noise(16_000, 0.1), 16_000, tmp_path, name)[:30])
    assert not np.array_equal(titles[0], titles[1])
    assert not np.array_equal(titles[1], titles[2])


def test_unusable_output_paths_are_refused(tmp_path: Path) -> None:
    report = check_recording(write_wav(tmp_path / "a.wav", noise(16_000, 0.1), 16_000))
    with pytest.raises(OptionError, match=r"does not end in \.png"):
        plot.plot_recording(report, tmp_path / "a.jpg")
    with pytest.raises(OutputError, match=r"there is no folder .*none; create it first"):
        plot.plot_recording(report, tmp_path / "none" / "a.png")

"""16-bit files: the same dither every time; complete or not at all."""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.sounds import noise, sine
from liveavatar.audio.io.wav import Ditherer, write_wav
from liveavatar.errors import AudioError, OutputError
from liveavatar.frames import Samples


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    path, sound = tmp_path / "new" / "a.wav", noise(16_000, 1)[:, 0]
    write_wav(path, np.split(sound, [100, 5_000]), len(sound))
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        samples = np.frombuffer(file.readframes(20_000), "<i2")
    assert np.abs(samples / 32768 - sound).max() <= 1.5 / 32768
    assert [found.name for found in path.parent.iterdir()] == ["a.wav"]


@given(cuts=st.lists(st.integers(0, 5_000), max_size=6))
def test_dither_does_not_depend_on_chunks(cuts: list[int]) -> None:
    sound, dither = noise(16_000, 5_000 / 16_000)[:, 0], Ditherer()
    pieces = [dither(piece) for piece in np.split(sound, sorted(cuts))]
    assert np.array_equal(np.concatenate(pieces), Ditherer()(sound))


def test_dither_turns_distortion_into_noise() -> None:
    """A tone below one step is lost by rounding; dither preserves it without harmonics."""
    tone = sine(16_000, 4, 500, 0.4 / 32768)[:, 0]
    spectrum = np.abs(np.fft.rfft(Ditherer()(tone) / 32768)) / len(tone) * 2 * 32768
    assert not np.rint(tone * 32768).any()
    assert abs(spectrum[4 * 500] - 0.4) < 0.05
    assert spectrum[4 * 1_500] < 0.03


def test_the_error_of_dither_does_not_follow_the_sound() -> None:
    """TPDF over two steps: the error has mean 0 and variance 1/4 for any value between two steps."""
    for part in (0.0, 0.25, 0.5):
        error = Ditherer()(np.full(200_000, part / 32768, np.float32)) - part
        assert abs(error.mean()) < 0.01
        assert abs(error.var() - 0.25) < 0.01


def test_too_loud_samples_are_clipped_and_do_not_wrap() -> None:
    assert Ditherer()(np.array([2.0, -2.0], np.float32)).tolist() == [32767, -32768]


def failing() -> Iterator[Samples]:
    yield np.zeros(10, np.float32)
    raise AudioError("it broke", "mend it")


def test_a_failure_leaves_the_old_file_and_no_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("old")
    with pytest.raises(AudioError):
        write_wav(path, failing(), 100)
    with pytest.raises(OutputError, match="changed while it was read"):
        write_wav(path, [np.zeros(10, np.float32)], 100)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be created: .*; choose another folder"):
        write_wav(tmp_path / "file" / "a.wav", [np.zeros(1, np.float32)], 1)

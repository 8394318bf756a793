from pathlib import Path

import numpy as np
import pytest

from audio.sounds import write_wav
from liveavatar.frames import Samples
from liveavatar.sync.audio_track import extract_audio_track, stream_mono_audio


@pytest.fixture
def spoken(tmp_path: Path, babble: Samples) -> Path:
    return write_wav(tmp_path / "babble.wav", babble[:, None], 16_000)


def test_has_a_value_for_every_ten_milliseconds(spoken: Path) -> None:
    found = extract_audio_track(spoken)
    assert len(found) == 200
    assert {len(track) for track in (found.jaw, found.closure, found.voice, found.expected_opening)} == {200}


def test_loudness_follows_the_voice_without_delay(tmp_path: Path) -> None:
    time = np.arange(32_000) / 16_000
    buzz = np.asarray([np.sin(2 * np.pi * 120 * k * time) for k in range(2, 12)]).sum(axis=0)
    bursts = (0.06 * buzz * (np.sin(2 * np.pi * 2.5 * time) > 0) * (time < 1.6)).astype(np.float32)
    found = extract_audio_track(write_wav(tmp_path / "bursts.wav", bursts[:, None], 16_000))
    rms = np.sqrt((bursts.reshape(200, 160) ** 2).mean(axis=1))
    speaking = rms > 0.05
    assert found.loudness[speaking].min() > 0.7
    assert np.median(found.loudness[~speaking]) < 0.05
    edges = np.flatnonzero(np.diff((found.loudness > 0.5).astype(int)))
    assert np.abs(edges - np.flatnonzero(np.diff(speaking.astype(int)))).max() <= 1


def test_reports_progress(spoken: Path) -> None:
    progress: list[float] = []
    extract_audio_track(spoken, progress.append)
    assert progress[-1] == pytest.approx(2.0)


def test_reads_any_rate_at_16_khz(tmp_path: Path, babble: Samples) -> None:
    path = write_wav(tmp_path / "low.wav", np.repeat(babble[::2, None], 2, axis=1), 8_000)
    assert sum(map(len, stream_mono_audio(path))) == 32_000

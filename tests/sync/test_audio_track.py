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


def test_loudness_follows_the_voice_without_delay(spoken: Path, babble: Samples) -> None:
    found = extract_audio_track(spoken)
    rms = np.sqrt((babble.reshape(200, 160) ** 2).mean(axis=1))
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

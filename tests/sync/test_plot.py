from pathlib import Path

import cv2
import numpy as np
import pytest

from liveavatar.sync import measure
from liveavatar.sync.audio_track import AudioTrack
from liveavatar.sync.lip_track import LipTrack
from liveavatar.sync.plot import draw_sync_plot
from liveavatar.sync.report import build_sync_report


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "rows"), [(5, 1), (25, 3), (400, 12)])
def test_a_row_for_ten_seconds_and_twelve_rows_at_most(
    seconds: int, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "has_pocketsphinx", lambda: False)
    times = np.arange(0.02, seconds, 0.04)
    openings = np.where(times % 7 < 1, np.nan, np.abs(np.sin(9 * times)))
    steps = np.abs(np.sin(9 * np.arange(0.005, seconds, 0.01))).astype(np.float32)
    sound = AudioTrack(loudness=steps, jaw=steps, closure=(steps < 0.2).astype(np.float32), voice=steps)
    lips = LipTrack(times=times, openings=openings, frame_seconds=0.04)
    found = measure.compare_tracks(tmp_path / "唇.mp4", lips, sound, 0.0)
    draw_sync_plot(found, build_sync_report(found), tmp_path / "plot.png")
    picture = cv2.imread(str(tmp_path / "plot.png"))
    assert picture is not None
    assert picture.shape == (338 + 148 * rows, 1500, 3)

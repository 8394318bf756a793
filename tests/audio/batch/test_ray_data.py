"""Tasks on a local Ray."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from audio.sounds import babble, write_wav
from liveavatar.audio.batch import ray_data, runner
from liveavatar.audio.batch.prepare import PreparationOptions
from liveavatar.errors import OptionError

MISSING = find_spec("ray") is None


@pytest.mark.skipif(not MISSING, reason="Ray is installed")
def test_without_ray_the_error_names_the_extra() -> None:
    with pytest.raises(OptionError, match=r"Ray is not installed; run: pip install 'liveavatar\[ray\]'"):
        ray_data.import_ray_data()


@pytest.mark.skipif(MISSING, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore")
def test_ray_gives_the_same_outcomes_as_processes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "abc":
        write_wav(tmp_path / "in" / f"{name}.wav", babble(44_100, 0.5), 44_100)
    (tmp_path / "in" / "bad.mp3").write_text("no sound")
    outcomes = list(
        runner.prepare_batch([tmp_path / "in"], tmp_path / "out", PreparationOptions(), ray_data.run_on_ray)
    )
    assert sorted(outcome.state for outcome in outcomes) == ["done", "done", "done", "failed"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.wav")) == ["a.wav", "b.wav", "c.wav"]

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liveavatar.cli.commands.weights import app
from liveavatar.errors import WeightsError
from liveavatar.weights import WEIGHT_FILES, ensure_weight_file

NAMES = [file.name for file in WEIGHT_FILES]
NEEDED_NAMES = [file.name for file in WEIGHT_FILES if not file.only_when_named]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with copies of the files that every installation needs."""
    real = [ensure_weight_file(name) for name in NEEDED_NAMES]
    for path in real:
        shutil.copy(path, tmp_path)
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def rows(result: Result) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(result.stdout)["files"]}


def damage(cache: Path, name: str) -> None:
    path = cache / next(file.filename for file in WEIGHT_FILES if file.name == name)
    path.write_bytes(path.read_bytes()[:-1])


def test_the_list_has_licence_and_state(cache: Path) -> None:
    damage(cache, "selfie_segmentation")
    (cache / "face_landmarker.task").unlink()
    listed = rows(run("list", "--json"))
    assert list(listed) == NAMES
    assert listed["face_landmarker"]["state"] == "missing"
    assert listed["selfie_segmentation"]["state"].startswith("damaged: it has 249,504 bytes")
    assert listed["face_landmarker"]["licence"] == "Apache-2.0"
    assert listed["face_landmarker"]["size"] == 3_758_596


def test_the_list_is_a_table(cache: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    for name in NAMES:
        assert name in result.stdout


def test_intact_files_verify(cache: Path) -> None:
    result = run("verify", "--json")
    assert result.exit_code == 0
    assert {row["state"] for row in rows(result).values()} == {"intact"}
    assert Path(rows(result)["face_landmarker"]["path"]) == cache / "face_landmarker.task"


def test_a_damaged_file_does_not_verify(cache: Path) -> None:
    damage(cache, "face_landmarker")
    result = run("verify")
    assert result.exit_code == 2
    assert "face_landmarker: damaged" in result.stdout
    assert "selfie_segmentation: intact" in result.stdout
    assert run("verify", "selfie_segmentation").exit_code == 0


def test_fetching_intact_files_changes_nothing(cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    result = run("fetch", "--json")
    assert result.exit_code == 0
    assert {row["state"] for row in rows(result).values()} == {"intact"}
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == before


@pytest.mark.slow
def test_a_missing_file_is_fetched(cache: Path) -> None:
    (cache / "face_landmarker.task").unlink()
    result = run("fetch", "face_landmarker")
    assert result.exit_code == 0
    assert "face_landmarker: intact" in result.stdout
    assert run("verify").exit_code == 0


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_an_unknown_name_is_an_error(cache: Path, command: str) -> None:
    assert isinstance(run(command, "nonsense").exception, WeightsError)

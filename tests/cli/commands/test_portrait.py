import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from typer.testing import CliRunner, Result

from liveavatar.cli.commands.portrait import app

GOOD = str(get_sample_data("grace_hopper.jpg", asfileobj=False))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("pictures") / "night.png"
    cv2.imwrite(str(path), np.asarray(cv2.imread(GOOD)) // 8)
    return str(path)


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "notes.jpg"
    path.write_text("no picture")
    return str(path)


def pictures(result: Result) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(result.stdout)["pictures"]
    return rows


def test_a_good_picture_is_ready() -> None:
    result = run(GOOD)
    assert result.exit_code == 0
    assert "ready" in result.stdout
    assert "202 pixels" in result.stdout
    assert "→" not in result.stdout


def test_a_dark_picture_needs_work_and_the_remedy_is_printed(dark: str) -> None:
    result = run(dark)
    assert result.exit_code == 1
    assert "needs work" in result.stdout
    assert "too dark" in result.stdout
    assert "→ correct brightness" in result.stdout


def test_an_unreadable_file_sets_the_exit_code_and_stops_nothing(text: str, dark: str) -> None:
    result = run(text, dark, GOOD)
    assert result.exit_code == 2
    assert "not a picture" in result.stdout
    assert "too dark" in result.stdout
    assert "ready" in result.stdout


def test_json_is_one_object(text: str, dark: str) -> None:
    result = run(text, dark, GOOD, "--json")
    assert result.exit_code == 2
    bad, poor, good = pictures(result)
    assert set(bad) == {"file", "error", "remedy"}
    assert (poor["level"], good["level"]) == ("bad", "ok")
    assert good["file"] == GOOD
    assert {finding["level"] for finding in good["findings"]} == {"ok"}
    assert set(good["findings"][0]) == {"name", "level", "sentence", "remedy"}
    assert good["measured"]["pose"]["yaw"] == pytest.approx(0, abs=5)
    assert good["measured"]["room"]["above"] == pytest.approx(0.65, abs=0.1)


def test_a_face_can_be_chosen() -> None:
    assert run(GOOD, "--face", "1").exit_code == 0
    result = run(GOOD, "--face", "2", "--json")
    assert result.exit_code == 2
    assert "there is no face 2" in pictures(result)[0]["error"]


@pytest.mark.parametrize("arguments", [(), (GOOD, "--face", "0"), (GOOD, "--face", "x"), (GOOD, "--loud")])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("name", ["[red] [bold].png", "folder [/red].png", "肖像.png", "a" * 120 + ".png"])
def test_any_file_name_is_printed_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(Path(GOOD).read_bytes())
    result = run(str(tmp_path / name))
    assert result.exit_code == 0
    assert str(tmp_path / name) in result.stdout

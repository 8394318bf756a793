"""`liveavatar verify`: what is printed, exit codes, and the marks of `generate` by its options."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audio.sounds import write_wav
from cli.commands.test_generate import check_refusal, run
from liveavatar.avatar import Avatar
from liveavatar.provenance import inspection
from liveavatar.video.writer import VideoWriter
from provenance.certificates import write_certificate
from provenance.findings import NOT_FOUND
from provenance.grey_actor import GreyActor


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marked")
    audio = write_wav(folder / "a.wav", np.zeros((8_000, 1), np.float32), 16_000)
    return Avatar(GreyActor()).render(audio, folder / "有标识.mp4", audio_policy="as-is").output


@pytest.fixture(autouse=True)
def no_watermark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "detect_watermark", lambda _path: NOT_FOUND)


@pytest.fixture
def unmarked(tmp_path: Path) -> Path:
    with VideoWriter(tmp_path / "plain.mp4", Fraction(25), (64, 64)) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    return tmp_path / "plain.mp4"


def test_a_marked_video_exits_with_0(marked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", marked) == 0
    out = capsys.readouterr().out
    assert f"{marked}  marked by liveavatar" in out
    assert "untrusted self-made" in out


def test_a_video_without_marks_exits_with_1(
    marked: Path, unmarked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", marked, unmarked) == 1
    assert f"{unmarked}  no mark found" in capsys.readouterr().out


def test_what_cannot_be_read_exits_with_2_and_the_others_are_still_checked(
    marked: Path, unmarked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.mp4").write_text("no video " * 100)
    assert (
        run("verify", tmp_path / "text.mp4", tmp_path / "none.mp4", tmp_path, unmarked, marked, "--json") == 2
    )
    videos = json.loads(capsys.readouterr().out)["videos"]
    assert ["error" in video for video in videos] == [True, True, True, False, False]
    assert [video["verdict"] for video in videos[3:]] == ["no mark found", "marked by liveavatar"]
    assert [video["file"] for video in videos[3:]] == [str(unmarked), str(marked)]
    assert videos[4]["credentials"]["state"] == "valid"
    assert videos[4]["watermark"]["is_found"] is False
    assert videos[4]["aigc"]["label"] == "1"


@pytest.mark.parametrize("case", ["no key", "expired", "label", "two lines", "producer"])
def test_unusable_marks_are_refused_before_the_portrait_is_read(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    good, old = (
        write_certificate(tmp_path / "in"),
        write_certificate(tmp_path / "in", "Old", first_day=-3, last_day=-2),
    )
    options: dict[str, list[str | Path]] = {
        "no key": ["--certificate", good.certificate],
        "expired": ["--certificate", old.certificate, "--certificate-key", old.key],
        "label": ["--label", "x" * 100],
        "two lines": ["--label", "a\nb"],
        "producer": ["--producer", ""],
    }
    missing = tmp_path / "in" / "missing"
    code = run("generate", "-i", missing, "-a", missing, "-o", tmp_path / "out" / "a.mp4", *options[case])
    printed = capfd.readouterr()
    check_refusal(code, printed, tmp_path / "out")
    assert "missing" not in printed.err


def test_the_help_names_the_law(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    for command in ("generate", "demo"):
        assert run(command, "--help") == 0
        text = capsys.readouterr().out
        assert "GB 45438-2025" in text
        assert "AI Act, Article 50" in text

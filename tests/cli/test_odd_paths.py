"""Every option that names an output, with values that nothing can be written to: one line, exit 2, no traceback.

Each is refused before any work, so the program runs in this process.
"""

import errno
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from audio.sounds import write_wav
from liveavatar import cli

COMMANDS = {
    "generate -o": ("generate", "-i", "face.jpg", "-a", "voice.wav", "-o"),
    "demo -o": ("demo", "-o"),
}
"""Commands whose last option is the path."""

VALUES = {
    "empty": "",
    "root": "/",
    "here": ".",
    "above": "..",
    "a folder": "folder",
    "a folder of that name": "folder.mp4",
    "a file as a folder": "voice.wav/out.mp4",
    "a loop": "loop.mp4",
    "below a loop": "loop.mp4/out.mp4",
    "a pipe": "pipe.mp4",
    "a device": "/dev/null",
    "a full device": "/dev/full",
    "too long": "a" * 300 + ".mp4",
    "too long in bytes": "語" * 90 + ".mp4",
    "a deep path": "/".join(["d" * 200] * 30) + "/out.mp4",
    "text": "out.txt",
    "avi": "out.avi",
    "markup": "[b]out[/b].avi",
    "two lines": "a\nb.avi",
    "no unicode": os.fsdecode(b"\xff\xfe.avi"),
    "a hyphen": "-",
    "an address": "http://127.0.0.1/out.avi",
    "the portrait": "face.jpg",
    "the recording": "voice.wav",
}


@pytest.fixture
def folder(tmp_path: Path, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with inputs and with things that are no files."""
    (tmp_path / "face.jpg").write_bytes(photograph.read_bytes())
    write_wav(tmp_path / "voice.wav", np.zeros((1_600, 1), np.float32), 16_000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_program(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    handlers = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    }
    monkeypatch.setattr(sys, "argv", ["liveavatar", *arguments])
    try:
        cli.main()
    except SystemExit as left:
        return int(left.code or 0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


def test_an_error_of_the_system_that_nobody_expects_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "face[/b].jpg")

    monkeypatch.setattr("liveavatar.cli.generate.parse_fps", refuse)
    assert run_program(monkeypatch, *COMMANDS["generate -o"], "out.mp4") == 2
    assert capfd.readouterr().err == "error: face[/b].jpg: permission denied; change the permissions\n"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("value", VALUES)
def test_what_cannot_be_written_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str, value: str
) -> None:
    if (command, value) == ("demo -o", "a deep path"):
        pytest.skip("the demo creates folders")
    before = {path.name: path.lstat() for path in folder.iterdir()}
    assert run_program(monkeypatch, *COMMANDS[command], VALUES[value]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert {path.name: path.lstat() for path in folder.iterdir()} == before

"""A short run of the table of options and odd values; it finds what it looks for."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli import odd_paths
from liveavatar import cli


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
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "face[/b].jpg")

    monkeypatch.setattr("liveavatar.cli.commands.generate.parse_fps", refuse)
    assert run_program(monkeypatch, "generate", "-i", "face.jpg", "-a", "voice.wav") == 2
    assert capfd.readouterr().err == "error: face[/b].jpg: permission denied; change the permissions\n"


@pytest.mark.slow
def test_values_that_cannot_be_used_are_refused_in_one_line() -> None:
    """In a program of its own, since its cells are parted from a process without threads."""
    script = Path(odd_paths.__file__)
    path = os.pathsep.join([str(script.parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  refused\n" in done.stdout


@pytest.mark.parametrize(
    ("printed", "faults"),
    [
        ("error: there is no file a; check the name\n", []),
        ("a  unreadable\n  it is empty; export it again\n", []),
        ("error: it failed\n", ["0 lines with a remedy"]),
        ("Traceback (most recent call last):\nOSError: [Errno 13]; no\n", ["Traceback", "Errno"]),
        ("error: \x1b[31mred; choose another\n", ["\x1b"]),
        ("a; b\nc; d\n", ["2 lines with a remedy"]),
    ],
)
def test_faults_of_a_refusal_are_found(printed: str, faults: list[str]) -> None:
    assert odd_paths.find_text_faults(printed, is_refused=True) == faults


def test_values_reach_every_role() -> None:
    """Each option gets at least twenty values that it must refuse, some of them only without the rights of root."""
    for name, option in odd_paths.OPTIONS.items():
        refused = [
            value for value in odd_paths.VALUES.values() if option.role in value.refused | value.usable
        ]
        assert len(refused) >= 20, name
        assert any(value.needs_rights for value in refused), name

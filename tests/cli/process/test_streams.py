"""Standard streams: full, closed, gone, or unable to show a character. Each command runs in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIVEAVATAR = [sys.executable, "-m", "liveavatar"]
PROBLEM = "the results cannot be written: the disk is full"


def run_in_shell(
    script: str, *arguments: str | Path, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a script of the shell, in which `"$@"` is the program with its arguments."""
    return subprocess.run(
        ["bash", "-c", script, "bash", *LIVEAVATAR, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["weights", "list", "--json"]], ids=str)
def test_a_full_disk_for_the_results_is_one_error(arguments: list[str]) -> None:
    done = run_in_shell('"$@" > /dev/full', *arguments)
    assert done.stderr == f"error: {PROBLEM}; write them to another place\n"
    assert done.returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
def test_a_full_disk_for_the_messages_changes_nothing(tmp_path: Path) -> None:
    done = run_in_shell('"$@" 2> /dev/full', "portrait", "check", tmp_path / "none.png")
    assert "there is no file" in done.stdout
    assert done.returncode == 2


def test_nobody_who_reads_the_results_is_no_verdict() -> None:
    done = run_in_shell('"$@" | true; exit ${PIPESTATUS[0]}', "--help", PYTHONUNBUFFERED="1")
    assert done.stderr == ""
    assert done.returncode in {0, 141}  # the pipe may still be open while it is written


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_failure(closing: str) -> None:
    done = run_in_shell(f'"$@" {closing}', "--version")
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_name_can_be_printed_on_any_terminal(tmp_path: Path, encoding: str) -> None:
    for name in ("語[/b]😀.png", "a\nb.png", os.fsdecode(b"\xff.png")):
        done = run_in_shell('"$@"', "portrait", "check", tmp_path / name, PYTHONIOENCODING=encoding)
        assert "there is no file" in done.stdout
        assert done.stdout.count("\n") == 2
        assert "Traceback" not in done.stderr
        assert done.returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    for name in ("語[/b]😀é.png", os.fsdecode(b"\xff.png")):
        done = subprocess.run(
            [*LIVEAVATAR, "portrait", "check", "--json", tmp_path / name],
            capture_output=True,
            env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
        (picture,) = json.loads(done.stdout.decode(encoding))["pictures"]
        assert picture["file"] == str(tmp_path / name)

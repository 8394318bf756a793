"""Signals at any moment, also inside of an import: the right exit code, one line, and nothing half written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from liveavatar.cli.process.signals import SignalExit

INTERRUPTED = "interrupted; nothing was left behind\n"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SIGNALS = sorted(CODES)

IMPORT = """
import signal, sys
from liveavatar.cli.process.signals import SignalExit
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "wave":
            try:
                signal.raise_signal({number})
            except BaseException as error:
                raise ImportError("as libraries in C do") from error
with SignalExit():
    sys.meta_path.insert(0, Finder())
    import wave
"""

TWICE = """
import signal
from liveavatar.cli.process.signals import SignalExit
with SignalExit():
    try:
        signal.raise_signal({number})
    finally:
        signal.raise_signal({number})
        print("cleaned up")
"""

DROPPED = """
import signal, time
from liveavatar.cli.process.signals import SignalExit
class Finalized:
    def __del__(self):
        signal.raise_signal({number})
        time.sleep(0)
with SignalExit():
    Finalized()
    for _ in range(600):
        time.sleep(0.1)
    print("went on")
"""

DROPPED_BY_LIBRARY = """
import signal, time
from liveavatar.cli.process.signals import SignalExit
class Finalized:
    def __del__(self):
        try:
            signal.raise_signal({number})
            time.sleep(0)
        except BaseException as error:
            raise AttributeError("as extension modules do") from error
with SignalExit():
    Finalized()
    for _ in range(600):
        time.sleep(0.1)
    print("went on")
"""

LATE = """
import signal
from liveavatar.cli.process.signals import SignalExit
with SignalExit():
    print("done")
signal.raise_signal({number})
"""

THRICE = """
import signal
from liveavatar.cli.process.signals import SignalExit
with SignalExit():
    try:
        signal.raise_signal({number})
    finally:
        signal.raise_signal({number})
        signal.raise_signal({number})
        print("cleaned up")
"""


def run_code(code: str, number: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code.format(number=int(number))],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_inside_of_an_import_is_no_import_error(number: signal.Signals) -> None:
    done = run_code(IMPORT, number)
    assert (done.returncode, done.stderr) == (CODES[number], INTERRUPTED)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("code", [DROPPED, DROPPED_BY_LIBRARY])
def test_a_signal_in_a_finalizer_is_not_lost(code: str, number: signal.Signals) -> None:
    done = run_code(code, number)
    assert (done.returncode, done.stdout, done.stderr) == (CODES[number], "", INTERRUPTED)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_does_not_disturb_the_cleaning(number: signal.Signals) -> None:
    done = run_code(TWICE, number)
    assert (done.returncode, done.stdout, done.stderr) == (CODES[number], "cleaned up\n", INTERRUPTED)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_third_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    done = run_code(THRICE, number)
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_after_the_work_changes_nothing(number: signal.Signals) -> None:
    done = run_code(LATE, number)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with SignalExit():
            signal.raise_signal(signal.SIGHUP)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_program_is_imported_leaves_one_line(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The program imports NumPy and OpenCV from a folder that sends the signal when they are looked for."""
    (tmp_path / "sitecustomize.py").write_text(
        f"""
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy.linalg":
            signal.raise_signal({int(number)})
sys.meta_path.insert(0, Finder())
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "liveavatar", "audio", "check", "none.wav"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (CODES[number], "", INTERRUPTED)

"""A task that kills its process does not stop the others."""

import errno
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from liveavatar.audio.batch.pool import run_in_processes
from liveavatar.audio.batch.worker_process import WorkerCrash
from liveavatar.errors import OptionError

Task = Callable[[], object]


def test_crashes_are_results_and_stop_no_other_task() -> None:
    tasks: list[Task] = [
        partial(pow, 2, 5),
        partial(signal.raise_signal, signal.SIGKILL),
        partial(pow, 3, 2),
        partial(os._exit, 7),
        partial(sys.exit, 0),
        partial(pow, 7, 2),
    ]
    results = {
        tasks.index(task): result for task, result in run_in_processes(operator.call, iter(tasks), jobs=2)
    }
    assert results == {0: 32, 1: WorkerCrash(-9), 2: 9, 3: WorkerCrash(7), 4: WorkerCrash(0), 5: 49}


def test_tasks_are_taken_as_processes_become_free() -> None:
    taken = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    results = run_in_processes(abs, endless(), jobs=1)
    assert [result for _, result in islice(results, 3)] == [0, 1, 2]
    assert len(taken) <= 4


def test_no_tasks_give_no_results() -> None:
    assert list(run_in_processes(abs, [], jobs=1)) == []


def test_leaving_early_stops_the_processes() -> None:
    tasks: list[Task] = [partial(pow, 2, 2), partial(time.sleep, 600), partial(time.sleep, 600)]
    results = run_in_processes(operator.call, iter(tasks), jobs=2)
    assert next(results)[1] == 4
    del results  # would wait ten minutes if the processes were left to end by themselves


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_of_the_terminal_are_left_to_the_parent(number: signal.Signals) -> None:
    tasks: list[Task] = [partial(signal.raise_signal, number), partial(pow, 3, 2)]
    assert [result for _, result in run_in_processes(operator.call, iter(tasks), jobs=1)] == [None, 9]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_process_that_still_imports_hears_no_signal_of_the_terminal(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import signal; signal.raise_signal({int(number)})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert [result for _, result in run_in_processes(abs, [-4], jobs=1)] == [4]
    assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_signal_waits_until_the_process_has_started(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    start, starting, raised = SpawnProcess.start, threading.Event(), threading.Event()

    def raise_in_other_thread() -> None:
        starting.wait()
        signal.raise_signal(number)
        raised.set()

    def interrupted_start(process: SpawnProcess) -> None:
        starting.set()
        raised.wait()  # the main thread handles what the other one got
        start(process)
        seen.append("started")

    monkeypatch.setattr(SpawnProcess, "start", interrupted_start)
    threading.Thread(target=raise_in_other_thread).start()  # blocks no signal
    before = signal.signal(number, lambda *_: seen.append("signal"))
    try:
        assert [result for _, result in run_in_processes(abs, [-4], jobs=1)] == [4]
    finally:
        signal.signal(number, before)
    assert seen == ["started", "signal"]


class TerminatedFinalizer:
    """Its finalizer gets SIGTERM."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0)


def finalize_and_wait() -> None:
    TerminatedFinalizer()
    time.sleep(60)


def test_a_process_that_is_terminated_in_a_finalizer_ends_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    (ended,) = (result for _, result in run_in_processes(operator.call, [finalize_and_wait], jobs=1))
    assert ended == WorkerCrash(0)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_machine_without_room_runs_fewer_processes(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[SpawnProcess] = []
    real = SpawnProcess.start

    def start(process: SpawnProcess) -> None:
        if len(started) == room:
            raise OSError(errno.EMFILE, "Too many open files")
        started.append(process)
        real(process)

    monkeypatch.setattr(SpawnProcess, "start", start)
    results = run_in_processes(abs, iter(range(-5, 0)), jobs=3)
    if room:
        assert sorted(result for _, result in results if isinstance(result, int)) == [1, 2, 3, 4, 5]
    else:
        with pytest.raises(
            OptionError, match="no process can be started: too many open files; raise the lim"
        ):
            list(results)


ORPHANS = """
import operator, os, signal, sys, time
from functools import partial
from liveavatar.audio.batch.pool import run_in_processes
tasks = [partial(os.getpid), partial(os.getpid), partial(time.sleep, 600), partial(time.sleep, 600)]
if __name__ == "__main__":
    results = run_in_processes(operator.call, iter(tasks), jobs=2)
    pids = [next(results)[1], next(results)[1]]
    print(*pids, flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_the_processes_end_with_a_parent_that_is_killed_even_in_a_task(tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
        assert parent.stdout.read() == "", "ends when the last process that could write to it has ended"
    assert workers
    for pid in workers:
        wait_until_ended(pid)


def wait_until_ended(pid: int) -> None:
    """Return when a process has ended; whoever adopts it may not have collected it yet."""
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.02)

"""Tasks run in several processes. A task that kills its process does not stop the others.

The processes end with the one that started them, however that ends.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from liveavatar.errors import OptionError

Task = TypeVar("Task")
Result = TypeVar("Result")

_SPAWN_CONTEXT = multiprocessing.get_context("spawn")
_GROUP_SIGNALS = frozenset({signal.SIGINT, signal.SIGHUP})
"""A terminal sends them to all processes of a run; the one that started the others decides."""
_STOP_SIGNALS = _GROUP_SIGNALS | {signal.SIGTERM}
_STOP_SECONDS = 5
"""How long a process that is asked to end may remove its partial files; in a codec it hears nothing."""
_RETRY_SECONDS = 0.001  # longer than the way out of a finalizer, shorter than anybody waits


@dataclass(frozen=True, slots=True)
class WorkerCrash:
    """Result of a task whose process ended: by signal `-exit_code` if that is below 0."""

    exit_code: int


def run_in_processes(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Iterator[tuple[Task, Result | WorkerCrash]]:
    """Run `work` on every task in `jobs` processes; yields each task with its result, in the order of completion.

    Tasks are taken from the iterable as processes become free, so there may be any number of them. `work` must be a
    function at the top level of a module and must not raise. Where the machine has no room for as many processes, there
    are fewer.

    Raises:
        OptionError: not even one process can be started.
    """
    waiting: Iterator[Task] = iter(tasks)
    idle: list[_Worker] = []
    busy: dict[Any, tuple[_Worker, Task]] = {}
    try:
        while True:
            for task in islice(waiting, jobs - len(busy)):
                try:
                    worker = idle.pop() if idle else _Worker(work)
                except OSError as error:
                    if not busy:
                        raise _build_start_error(error) from error
                    waiting, jobs = chain([task], waiting), len(busy)  # the machine has no room for more
                    break
                worker.pipe.send(task)
                busy[worker.pipe] = worker, task
            if not busy:
                return
            for pipe in wait(busy):
                worker, task = busy.pop(pipe)
                result = worker.receive_result()
                if not isinstance(result, WorkerCrash):
                    idle.append(worker)
                yield task, result
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.stop()


def _build_start_error(error: OSError) -> OptionError:
    reason = (error.strerror or "failed").lower()
    return OptionError(f"no process can be started: {reason}", "raise the limits (ulimit -n -u)")


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.pipe, other = _SPAWN_CONTEXT.Pipe()
        self._process: SpawnProcess = _SPAWN_CONTEXT.Process(
            target=_serve_tasks, args=(other, work), daemon=True
        )
        try:
            resource_tracker.ensure_running()  # its start would unblock SIGINT
            # the process starts with the same mask: it hears none of these while it imports
            with _defer_stop_signals(), _block_group_signals():
                self._process.start()
        except OSError:
            self.pipe.close()
            raise
        finally:
            other.close()

    def receive_result(self) -> Any:
        """The result of the task, or how the process ended."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            return WorkerCrash(self._process.exitcode or 0)

    def stop(self) -> None:
        """End the process at once, or after some seconds if it does not listen."""
        self._process.terminate()
        self._process.join(_STOP_SECONDS)
        self._process.kill()
        self._process.join()
        self.pipe.close()


@contextmanager
def _defer_stop_signals() -> Iterator[None]:
    """Handle signals after the block: a start that is cut off leaves a process that has read half of its task.

    Blocking them does not do, as Python's main thread handles what any other thread receives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    before = {number: signal.signal(number, lambda n, _: received.append(n)) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for signal_number in received:
            signal.raise_signal(signal_number)


@contextmanager
def _block_group_signals() -> Iterator[None]:
    """Within the block, these signals wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve_tasks(pipe: Connection, work: Callable[..., Any]) -> None:
    for number in _GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _GROUP_SIGNALS)
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: _exit_cleanly())
    sys.unraisablehook = _exit_after_finalizer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
            pipe.send(work(task))
        except (EOFError, ConnectionError):
            return


def _end_with_parent() -> None:
    """Wait until the process that started this one has ended, then end, in the middle of a task too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def _exit_cleanly() -> None:
    """Leave by an exception, so that partial files are removed."""
    raise SystemExit(0)


def _exit_after_finalizer(unraisable: "sys.UnraisableHookArgs") -> None:
    """Python drops what is raised in a finalizer or a callback of C: leave when that is over."""
    if unraisable.exc_type is SystemExit:
        signal.setitimer(signal.ITIMER_REAL, _RETRY_SECONDS)
    else:
        sys.__unraisablehook__(unraisable)

"""Processes that do work for this one, and end with it, however it ends.

A terminal sends its signals to all processes of a run; the one that started the others decides what they mean.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Progress:
    """What a task reports before its result."""

    value: Any


Report = Callable[[Any], None]
"""Called by a task with its progress."""


class WorkerProcess:
    """One process and the pipe to it. It does one task at a time.

    `work` is a function at the top level of a module, or a `functools.partial` of one. It is called in the process with
    a task and what reports progress, and must not raise.

    Raises:
        OSError: the machine has no room for another process.
    """

    def __init__(self, work: Callable[[Any, Report], Any]) -> None:
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

    def send_task(self, task: Any) -> None:
        """Start a task. The process must be idle; one that has ended is noticed by `receive_message`."""
        with suppress(ConnectionError):
            self.pipe.send(task)

    def receive_message(self) -> Any:
        """Wait for the next `Progress` of the task, its result, or how the process ended."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            return WorkerCrash(self._process.exitcode or 0)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def ask_to_end(self) -> None:
        """Let the process remove its partial files and end. Any thread may call this, also while another one waits."""
        self._process.terminate()

    def kill(self) -> None:
        """End the process wherever it is. Any thread may call this."""
        self._process.kill()

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


def _serve_tasks(pipe: Connection, work: Callable[[Any, Report], Any]) -> None:
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
            pipe.send(work(task, lambda value: pipe.send(Progress(value))))
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

"""Work spread over processes that may die of it: whatever one task does, the others go on."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Crash:
    """What a task gives whose process died: killed by signal `-code`, or left with `code`."""

    code: int


def spread(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Iterator[tuple[Task, Result | Crash]]:
    """Do `work` on every task in `jobs` processes; gives each task with its result, as they are done.

    Tasks are taken from the iterable as processes become free, so there may be any number of them. `work` must
    be a function of a module, and raise nothing.
    """
    waiting = iter(tasks)
    idle: list[_Worker] = []
    busy: dict[Any, tuple[_Worker, Task]] = {}
    try:
        while True:
            for task in islice(waiting, jobs - len(busy)):
                worker = idle.pop() if idle else _Worker(work)
                worker.pipe.send(task)
                busy[worker.pipe] = worker, task
            if not busy:
                return
            for pipe in wait(busy):
                worker, task = busy.pop(pipe)
                result = worker.result()
                if not isinstance(result, Crash):
                    idle.append(worker)
                yield task, result
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.stop()


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.pipe, other = _CONTEXT.Pipe()
        self._process: SpawnProcess = _CONTEXT.Process(target=_serve, args=(other, work), daemon=True)
        self._process.start()
        other.close()

    def result(self) -> Any:
        """What came of the task, or how the process ended."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            return Crash(self._process.exitcode or 0)

    def stop(self) -> None:
        """End the process, at once."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _serve(pipe: Connection, work: Callable[..., Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: _unwind())
    while True:
        try:
            task = pipe.recv()
        except (EOFError, ConnectionError):
            return
        pipe.send(work(task))


def _unwind() -> None:
    """Unwind, so that nothing half-written stays."""
    raise SystemExit(0)

"""Tasks run in several processes. A task that kills its process does not stop the others."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import Any, TypeVar

from liveavatar.audio.batch.worker_process import Report, WorkerCrash, WorkerProcess
from liveavatar.errors import OptionError

Task = TypeVar("Task")
Result = TypeVar("Result")


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
    idle: list[WorkerProcess] = []
    busy: dict[Any, tuple[WorkerProcess, Task]] = {}
    try:
        while True:
            for task in islice(waiting, jobs - len(busy)):
                try:
                    worker = idle.pop() if idle else WorkerProcess(partial(_run_task, work))
                except OSError as error:
                    if not busy:
                        raise _build_start_error(error) from error
                    waiting, jobs = chain([task], waiting), len(busy)  # the machine has no room for more
                    break
                worker.send_task(task)
                busy[worker.pipe] = worker, task
            if not busy:
                return
            for pipe in wait(busy):
                worker, task = busy.pop(pipe)
                result = worker.receive_message()
                if not isinstance(result, WorkerCrash):
                    idle.append(worker)
                yield task, result
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.stop()


def _build_start_error(error: OSError) -> OptionError:
    reason = (error.strerror or "failed").lower()
    return OptionError(f"no process can be started: {reason}", "raise the limits (ulimit -n -u)")


def _run_task(work: Callable[[Task], Result], task: Task, _report: Report) -> Result:
    return work(task)

"""Tasks run on a cluster by Ray Data (extra "ray"). Its machines must share the folders."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from liveavatar.errors import OptionError

Task = TypeVar("Task")
Result = TypeVar("Result")


def import_ray_data() -> ModuleType:
    """The module `ray.data`.

    Raises:
        OptionError: it is not installed.
    """
    try:
        return import_module("ray.data")
    except ImportError as error:
        raise OptionError("Ray is not installed", "run: pip install 'liveavatar[ray]'") from error


def run_on_ray(work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
    """Run `work` on every task, one per core, on the connected cluster or else on this machine.

    `work` must be a function of a module that every machine has, and must not raise. Tasks and results are pickled
    here, so that Ray needs not know their types.

    Raises:
        OptionError: Ray is not installed.
    """
    data = import_ray_data()
    rows = [{"task": pickle.dumps(task)} for task in tasks]

    def run_row(row: dict[str, Any]) -> dict[str, Any]:
        task = pickle.loads(row["task"])  # noqa: S301  (pickled by this run)
        return {"task": row["task"], "result": pickle.dumps(work(task))}

    if not rows:
        return
    for row in data.from_items(rows, override_num_blocks=len(rows)).map(run_row).iter_rows():
        yield pickle.loads(row["task"]), pickle.loads(row["result"])  # noqa: S301

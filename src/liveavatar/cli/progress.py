"""What a long job shows while it runs, on stderr."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from liveavatar.generate import ProgressCallback as Report
    from liveavatar.generate import Result

stderr_console = Console(stderr=True)


@contextmanager
def show_stage(sentence: str) -> Iterator[None]:
    """A spinner while something of unknown length is done."""
    with stderr_console.status(sentence):
        yield


@contextmanager
def show_frame_bar(fps: Fraction) -> "Iterator[Report]":
    """A bar with stage, share, ETA and real-time factor; yields what to call after each frame."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed}/{task.total} frames"),
        TextColumn("{task.fields[factor]}x real time"),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=stderr_console, transient=True, disable=not stderr_console.is_terminal
    ) as bar:
        task = bar.add_task("rendering", total=None, factor="-")
        started = time.perf_counter()

        def update_bar(done: int, total: int) -> None:
            factor = done / float(fps) / max(time.perf_counter() - started, 1e-6)
            bar.update(task, completed=done, total=total, factor=f"{factor:.1f}")

        yield update_bar


def format_result(result: "Result") -> str:
    """The one line at the end."""
    return (
        f"{result.output}: {result.frames} frames in {result.seconds:.1f} s, {result.speed:.0f} fps "
        f"({result.real_time_factor:.1f}x real time), first frame after {1000 * result.first_frame:.0f} ms, "
        f"peak memory {result.peak_memory / 1e6:.0f} MB"
    )

"""Progress of a long job, on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from liveavatar.cli.output import stderr_console
from liveavatar.files import describe_path

if TYPE_CHECKING:
    from liveavatar.generate import ProgressCallback, Result


@contextmanager
def show_stage(text: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner beside `text` while a step of unknown length runs; yields what changes the text."""
    with stderr_console.status(escape(describe_path(text))) as status:
        yield lambda text: status.update(escape(describe_path(text)))


@contextmanager
def show_frame_bar(fps: Fraction) -> "Iterator[ProgressCallback]":
    """Show a bar with frames, real-time factor and ETA; yields what to call after each frame."""
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
    """One line: the file, frames, speed, latency of the first frame, memory."""
    return (
        f"{describe_path(result.output)}: {result.frames} frames in {result.seconds:.1f} s, {result.speed:.0f} fps "
        f"({result.real_time_factor:.1f}x real time), first frame after {1000 * result.first_frame:.0f} ms, "
        f"peak memory {result.peak_memory / 1e6:.0f} MB"
    )

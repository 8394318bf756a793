"""Files that appear complete or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from liveavatar.errors import OutputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to. It is renamed to `path` at the end, or removed on any exception.

    An existing file at `path` is replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    partial = _choose_partial_path(path)
    try:
        try:
            yield partial
            publish_file(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise OutputError(f"{path} cannot be written: {reason}", "choose another folder") from error


def publish_file(partial: Path, path: Path) -> None:
    """Flush a complete file to disk and rename it to `path`; both are in the same folder.

    Raises:
        OSError: either fails.
    """
    with partial.open("r+b") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def remove_partial_file(path: Path) -> None:
    """Remove what a killed process left of `atomic_write(path)`."""
    _choose_partial_path(path).unlink(missing_ok=True)


def _choose_partial_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")

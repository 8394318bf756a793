"""Files that appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from liveavatar.errors import OutputError


def partial_path(path: Path) -> Path:
    """Where a file is written until it is whole: beside it, hidden."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A name beside `path` to write under; it becomes `path` when all went well, and vanishes otherwise.

    A file that is there already is replaced at the end.

    Raises:
        OutputError: it cannot be written.
    """
    part = partial_path(path)
    try:
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise OutputError(f"{path} cannot be written: {reason}", "choose another folder") from error

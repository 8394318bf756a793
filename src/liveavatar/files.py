"""Files that appear complete or not at all, and what a killed process leaves of them.

A file is written beside its final name under `.liveavatar-<16 random digits>.part`, which nobody can foresee, and then
renamed. The process that writes it holds a lock on it (flock), which the system drops when the process ends, however it
ends. So a file of this name without a lock was left by a dead process: the next one that writes into the folder removes
it. Process numbers would not do: they mean nothing in another container that shares the folder.
"""

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from liveavatar.errors import OutputError

MAX_NAME_BYTES = 255
"""Of a file name, on every file system in wide use."""

_PARTIAL_NAME = re.compile(r"\.liveavatar-[0-9a-f]{16}\.part")
_PARTIAL_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHECK_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FULL_REMEDY = "free some space or choose another folder"
_WRITE_FAILURES = {
    errno.ENOSPC: ("the disk is full", _FULL_REMEDY),
    errno.EDQUOT: ("the disk quota is used up", _FULL_REMEDY),
    errno.EFBIG: ("the file may not grow that large", "raise the limit (ulimit -f) or choose another folder"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open", "close other programs"),
    errno.EACCES: ("the folder may not be written", "choose another folder"),
    errno.EPERM: ("the folder may not be written", "choose another folder"),
    errno.EROFS: ("the folder may not be written", "choose another folder"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}


def describe_write_error(number: int | None, text: str | None) -> tuple[str, str]:
    """Why something cannot be written, and what to do, from an error's `errno` and `strerror`."""
    return _WRITE_FAILURES.get(number or 0, ((text or "failed").lower(), "choose another folder"))


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield an empty file in the same folder to write to. It is renamed to `path`, or removed on any exception.

    An existing file at `path` is replaced; a link is replaced by the file.

    Raises:
        OutputError: the file cannot be written, or `path` is something else than a file.
    """
    try:
        _require_file_or_nothing(path)
        _sweep_folder_once(path.parent.absolute())
        with _create_partial(path.parent, _create_locked_file) as partial:
            yield partial
            publish_file(partial, path)
    except OSError as error:
        reason, remedy = describe_write_error(error.errno, error.strerror)
        raise OutputError(f"{path} cannot be written: {reason}", remedy) from error


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder for temporary files; it is removed at the end, or by the next process after a kill.

    Raises:
        OutputError: there is no folder for temporary files (TMPDIR), or it cannot be written.
    """
    try:
        with scratch_folder_in(Path(tempfile.gettempdir())) as folder:
            yield folder
    except OSError as error:
        reason, _ = describe_write_error(error.errno, error.strerror)
        problem = f"temporary files cannot be written: {reason}"
        raise OutputError(problem, "set TMPDIR to a folder that can") from error


@contextmanager
def scratch_folder_in(parent: Path) -> Iterator[Path]:
    """As `scratch_folder`, in a folder of the caller's choice.

    Raises:
        OSError: it cannot be created.
    """
    _sweep_folder_once(parent.absolute())
    with _create_partial(parent, _create_locked_folder) as folder:
        yield folder


def publish_file(partial: Path, path: Path) -> None:
    """Flush a complete file to disk and rename it to `path`; both are in the same folder.

    Raises:
        OSError: either fails.
    """
    with partial.open("r+b") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def create_folder(folder: Path) -> None:
    """Create a folder and those above it, unless they exist.

    Raises:
        OutputError: one cannot be created, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason, remedy = describe_write_error(error.errno, error.strerror)
        raise OutputError(f"the folder {folder} cannot be created: {reason}", remedy) from error


def shorten_name(stem: str, ending: str) -> str:
    """The file name `stem` + `ending`, with `stem` cut at its end to what a file system accepts."""
    room = MAX_NAME_BYTES - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def remove_dead_partials(folder: Path) -> None:
    """Remove what processes that have ended left of `atomic_write` and `scratch_folder` in a folder, and only that."""
    with suppress(OSError):
        for path in folder.iterdir():
            if _PARTIAL_NAME.fullmatch(path.name):
                with suppress(OSError):  # it belongs to another user, or went away
                    _remove_unlocked(path)


@lru_cache(maxsize=4096)
def _sweep_folder_once(folder: Path) -> None:
    """`remove_dead_partials` at a process's first file in a folder: many files would list it many times."""
    remove_dead_partials(folder)


def _remove_unlocked(path: Path) -> None:
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR  # NFS locks only what may be written
    descriptor = os.open(path, access | _CHECK_FLAGS)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or not _lock_descriptor(descriptor):
            return
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path)
        elif stat.S_ISREG(status.st_mode):
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _require_file_or_nothing(path: Path) -> None:
    """Refuse to replace a folder or a device. A name that is too long is refused here, before any work is done."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except ValueError as error:  # a NUL, or a character that cannot be encoded
        raise OutputError(f"{str(path)!r} is not a file name", "choose another name") from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path} is a folder", "name a file in it")
    if not stat.S_ISREG(mode):
        raise OutputError(f"{path} is a device or a pipe", "name a file")


@contextmanager
def _create_partial(folder: Path, create_locked: Callable[[Path], int]) -> Iterator[Path]:
    """Yield a new locked path in `folder`, which is removed at the end, unless it was renamed."""
    partial, descriptor = _choose_partial(folder, create_locked)
    try:
        yield partial
    finally:
        if create_locked is _create_locked_folder:
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
        os.close(descriptor)


def _choose_partial(folder: Path, create_locked: Callable[[Path], int]) -> tuple[Path, int]:
    """A new path and the descriptor that holds its lock; another name if a sweep took the first before its lock."""
    while True:
        partial = folder / f".liveavatar-{secrets.token_hex(8)}.part"
        descriptor = create_locked(partial)
        with suppress(FileNotFoundError):
            if os.path.samestat(partial.lstat(), os.fstat(descriptor)):
                return partial, descriptor
        os.close(descriptor)


def _create_locked_file(path: Path) -> int:
    descriptor = os.open(path, _PARTIAL_FLAGS, 0o666)
    _wait_for_lock(descriptor)
    return descriptor


def _create_locked_folder(path: Path) -> int:
    path.mkdir(mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _CHECK_FLAGS)
    except FileNotFoundError:  # a sweep took it before it was locked
        return _create_locked_folder(path)
    _wait_for_lock(descriptor)
    return descriptor


def _wait_for_lock(descriptor: int) -> None:
    with suppress(OSError):  # without locks on this file system, nothing is ever swept there
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _lock_descriptor(descriptor: int) -> bool:
    """Whether nobody held the lock; the caller holds it now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

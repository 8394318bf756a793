"""Partial files and scratch folders, and what a killed process leaves of them.

Both are called `.liveavatar-<16 random digits>.part`, which nobody can foresee. The process that writes one has a lock
on it (flock), which the system drops when the process ends, however it ends. So one without a lock was left by a dead
process: the next one that writes into the folder removes it. Process numbers would not do: they mean nothing in another
container that shares the folder.
"""

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

_PARTIAL_NAME = re.compile(r"\.liveavatar-[0-9a-f]{16}\.part")
_PARTIAL_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHECK_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def partial_file(folder: Path) -> Iterator[Path]:
    """Yield a new, empty file in a folder; it is removed at the end, unless it was renamed.

    Raises:
        OSError: it cannot be created.
    """
    _sweep_folder_once(folder.absolute())
    with _create_partial(folder, _create_locked_file) as partial:
        yield partial


@contextmanager
def scratch_folder_in(parent: Path) -> Iterator[Path]:
    """Yield a new, empty folder in another; it is removed at the end, or by the next process after a kill.

    Raises:
        OSError: it cannot be created.
    """
    _sweep_folder_once(parent.absolute())
    with _create_partial(parent, _create_locked_folder) as folder:
        yield folder


def remove_dead_partials(folder: Path) -> None:
    """Remove what processes that have ended left of partial files and scratch folders in a folder, and only that."""
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

"""Files that appear complete or not at all, and what may be opened as a user's input."""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from liveavatar.errors import LiveAvatarError, OutputError

_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags of `os.open`: a pipe that took the place of a file after the first look is not waited for."""
_MAX_SHOWN_NAME = 60
"""Characters shown of a name that is too long for the file system."""


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


def require_regular_file(path: object, error: type[LiveAvatarError], kind: str = "file") -> Path:
    """The path of a user's input, which is a regular file that can be opened and is not empty.

    Folders, devices, pipes and sockets are refused without being opened. `kind` says what is wanted, such as
    "sound file".

    Raises:
        error: it is something else, or cannot be opened; the message is one line.
    """
    with open_regular_file(path, error, kind):
        return to_path(path, error, kind)


def open_regular_file(path: object, error: type[LiveAvatarError], kind: str = "file") -> BinaryIO:
    """Open a user's input for reading, under the conditions of `require_regular_file`.

    Raises:
        error: it is no regular file, empty, or cannot be opened; the message is one line.
    """
    place = to_path(path, error, kind)
    try:
        _refuse_special_file(place, place.stat(), error, kind)
        file = os.fdopen(os.open(place, os.O_RDONLY | _NO_WAIT), "rb")
        try:
            _refuse_special_file(place, os.fstat(file.fileno()), error, kind)
        except LiveAvatarError:
            file.close()
            raise
    except OSError as failure:
        raise _build_path_error(place, failure, error) from failure
    except ValueError as failure:  # NUL, or a character that the file system cannot spell
        raise error(f"{describe_path(place)!r} cannot be the name of a file", "check the name") from failure
    return file


def to_path(path: object, error: type[LiveAvatarError], kind: str = "file") -> Path:
    """`path` as a `Path`: a string, bytes in the file system's encoding, or a path object.

    Raises:
        error: it is something else, or empty.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise error(
            f"an object of type {type(path).__name__} is not the path of a {kind}",
            "give a string or a pathlib.Path",
        )
    name = os.fsdecode(path)
    if not name:
        raise error(f"the name of the {kind} is empty", "give its path")
    return Path(name)


def describe_path(path: Path | str) -> str:
    """A path for messages: control characters and bytes that are no UTF-8 are escaped, so it is one line of text."""
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"  # spaces of any width
        else character.encode("unicode_escape").decode("ascii")
        for character in str(path)
    )


def _refuse_special_file(path: Path, status: os.stat_result, error: type[LiveAvatarError], kind: str) -> None:
    name, mode = describe_path(path), status.st_mode
    if stat.S_ISDIR(mode):
        raise error(f"{name} is a folder", f"name one {kind}")
    if not stat.S_ISREG(mode):
        special = "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
        raise error(f"{name} is a {special}, not a regular file", f"save a {kind} first and name it")
    if status.st_size == 0:
        raise error(f"{name} is empty", "export or download it again")


def _build_path_error(path: Path, failure: OSError, error: type[LiveAvatarError]) -> LiveAvatarError:
    name = describe_path(path)
    if failure.errno in {errno.ENOENT, errno.ENOTDIR}:
        return error(f"there is no file {name}", "check the name and the folder")
    if failure.errno in {errno.EACCES, errno.EPERM}:
        return error(f"{name} may not be read", "change its permissions, or those of its folder")
    if failure.errno == errno.ENAMETOOLONG:
        return error(f"{name[:_MAX_SHOWN_NAME]}… is too long a name", "check the name")
    if failure.errno == errno.ELOOP:
        return error(f"{name} is a symbolic link that leads to itself", "name the file itself")
    reason = (failure.strerror or "failed").lower()
    return error(f"{name} cannot be read: {reason}", "copy it to another place and try again")

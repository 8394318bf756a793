"""Files that appear complete or not at all, and what may be opened as a user's input."""

import errno
import os
import shlex
import stat
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, TypeGuard

from liveavatar.errors import LiveAvatarError, OutputError
from liveavatar.partials import partial_file, scratch_folder_in

MAX_NAME_BYTES = 255
"""Of a file name, on every file system in wide use."""

NO_INPUTS: Mapping[str, Path] = MappingProxyType({})
"""No files to protect."""

_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags of `os.open`: a pipe that took the place of a file after the first look is not waited for."""
_MAX_SHOWN_NAME = 60
"""Characters shown of a name that is too long for the file system."""
_SCRATCH_REMEDY = "set TMPDIR to another folder"
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


def explain_system_error(error: OSError | MemoryError) -> LiveAvatarError:
    """An error of the system that no room expects: a limit of the process, or a disk that fails."""
    if isinstance(error, MemoryError):
        return LiveAvatarError("there is not enough memory", "close other programs")
    reason, remedy = describe_write_error(error.errno, error.strerror or str(error))
    if isinstance(error, PermissionError):  # to read as well as to write
        reason, remedy = (error.strerror or "permission denied").lower(), "change the permissions"
    place = f"{describe_path(str(error.filename))}: " if error.filename else ""
    return LiveAvatarError(f"{place}{reason}", remedy)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield an empty file in the same folder to write to. It is renamed to `path`, or removed on any exception.

    An existing file at `path` is replaced; a link is replaced by the file.

    Raises:
        OutputError: the file cannot be written, or `path` is something else than a file.
    """
    try:
        check_output_path(path)
        with partial_file(path.parent) as partial:
            yield partial
            publish_file(partial, path)
    except OSError as error:
        reason, remedy = describe_write_error(error.errno, error.strerror)
        raise OutputError(f"{describe_path(path)} cannot be written: {reason}", remedy) from error


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder for temporary files; it is removed at the end, or by the next process after a kill.

    Raises:
        OutputError: there is no folder for temporary files (TMPDIR), or it cannot be written.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder_in(Path(tempfile.gettempdir())))
        except OSError as error:
            reason, _ = describe_write_error(error.errno, error.strerror)
            problem = f"temporary files cannot be written: {reason}"
            raise OutputError(problem, _SCRATCH_REMEDY) from error
        try:
            yield folder
        except OutputError as error:  # of a file that the user has not named
            if str(folder) not in error.problem:
                raise
            reason = error.problem.rpartition(": ")[2]
            raise OutputError(f"temporary files cannot be written: {reason}", _SCRATCH_REMEDY) from error


def check_output_path(path: Path, inputs: Mapping[str, Path] = NO_INPUTS) -> None:
    """Refuse a file that cannot be written, or that is an input, before any work is done.

    `inputs` are files by what they are ("the recording"). A regular file that is none of them would be replaced.

    Raises:
        OutputError: it is an input, a folder, a device or a pipe; its name is impossible; or its folder is missing.
    """
    name, status = describe_path(path), _find_status(path)
    if status is None:
        _require_writable_folder(path.parent)
        return
    for label, other in inputs.items():
        if _is_same_file(status, other):
            raise OutputError(f"{name} is {label} itself", "choose another name")
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{name} is a folder", "name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{name} is a device or a pipe", "name a file")
    _require_writable_folder(path.parent)


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
        raise OutputError(
            f"the folder {describe_path(folder)} cannot be created: {reason}", remedy
        ) from error
    except ValueError as error:  # a NUL, or a character that cannot be encoded
        raise OutputError(
            f"the folder {describe_path(folder)} cannot be created: that is no name", "choose another name"
        ) from error


def shorten_name(stem: str, ending: str) -> str:
    """The file name `stem` + `ending`, with `stem` cut at its end to what a file system accepts."""
    room = MAX_NAME_BYTES - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def _require_writable_folder(folder: Path) -> None:
    """Refuse a folder in which no file can be created."""
    name, status = describe_path(folder), _find_status(folder)
    if status is None or not stat.S_ISDIR(status.st_mode):
        raise OutputError(f"there is no folder {name}", "create it first")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise OutputError(f"the folder {name} may not be written", "choose another folder")


def _find_status(path: Path) -> os.stat_result | None:
    """The status of what is at `path`, None if there is nothing."""
    name = describe_path(path)
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except ValueError as error:  # a NUL, or a character that cannot be encoded
        raise OutputError(f"{name!r} is not a file name", "choose another name") from error
    except OSError as error:
        reason, remedy = describe_write_error(error.errno, error.strerror)
        raise OutputError(f"{name} cannot be written: {reason}", remedy) from error


def _is_same_file(status: os.stat_result, path: Path) -> bool:
    """Whether `path` leads to the file with this status, by whatever name."""
    with suppress(OSError, ValueError):
        return os.path.samestat(status, path.stat())
    return False


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


def format_command(*words: str | Path) -> str:
    """A command for people to paste into a shell: quoted, and no path is taken for an option."""
    return " ".join(
        _quote_word(f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word))
        for word in words
    )


def _quote_word(word: str) -> str:
    """A word for a shell; one with control characters or bytes that are no UTF-8 as $'…' (POSIX.1-2024, 2.2.4)."""
    if describe_path(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(map(_escape_character, word)) + "'"


def _escape_character(character: str) -> str:
    if describe_path(character) == character:
        return f"\\{character}" if character in "'\\" else character
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def describe_path(path: Path | str) -> str:
    """A path for messages: control characters and bytes that are no UTF-8 are escaped, so it is one line of text."""
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"  # spaces of any width
        else character.encode("unicode_escape").decode("ascii")
        for character in str(path)
    )


def is_one_line(text: object) -> TypeGuard[str]:
    """Whether something is one line of text: not empty, no control characters; spaces of any width are allowed."""
    return isinstance(text, str) and bool(text.strip()) and describe_path(text) == text


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

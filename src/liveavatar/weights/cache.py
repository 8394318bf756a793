"""The folder of the model files, and the check of a file in it."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from liveavatar.errors import WeightsError


def cache_folder() -> Path:
    """Folder of the model files: `LIVEAVATAR_CACHE`, else `liveavatar` in the platform's cache folder.

    Raises:
        WeightsError: `LIVEAVATAR_CACHE` is in the home of a user who is not known.
    """
    if folder := os.environ.get("LIVEAVATAR_CACHE"):
        try:
            return Path(folder).expanduser()
        except RuntimeError as error:
            raise WeightsError(
                f"LIVEAVATAR_CACHE is {folder}, and there is no such user", "set it to the path of a folder"
            ) from error
    return platformdirs.user_cache_path("liveavatar", appauthor=False)


def find_damage(path: Path, size: int, digest: str) -> str | None:
    """What is wrong with a file, as the end of a sentence; None if it is intact.

    `size` is in bytes; `digest` is SHA-256 in hexadecimal, or 40 digits of Git's SHA-1 of the content.
    """
    if not path.is_file():
        return "is missing"
    if (actual_size := path.stat().st_size) != size:
        return f"has {actual_size:,} bytes instead of {size:,}"
    actual = _compute_sha256(path) if len(digest) == 64 else _compute_git_sha1(path)
    return None if actual == digest else f"has the digest {actual[:12]}… instead of {digest[:12]}…"


@contextmanager
def explain_cache_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the file system in `folder` into a WeightsError."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"cannot write model files to {folder}: {error.strerror or error}",
            "free some space, or set LIVEAVATAR_CACHE to a folder you may write to",
        ) from error


def _compute_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _compute_git_sha1(path: Path) -> str:
    """Git's name of a blob with this content (Git Internals, "Object Storage")."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

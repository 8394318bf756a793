"""A small database beside prepared files: which recording and options each was made from, by content hash."""

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from liveavatar.errors import OutputError

MANIFEST_NAME = ".liveavatar-prepared.sqlite3"
"""File name of the database, in the output folder."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS prepared (
    output TEXT PRIMARY KEY, source TEXT, source_hash TEXT, output_hash TEXT, options TEXT
) WITHOUT ROWID;
CREATE TEMP TABLE claimed (output TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One prepared file: the SHA-256 of the recording and of the file itself, and the options as text."""

    source: str
    source_hash: str
    output_hash: str
    options: str


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Manifest:
    """The prepared files of `folder`, which is created if it is missing.

    Raises:
        OutputError: the folder or the database cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(folder / MANIFEST_NAME)
            self._database.executescript(_SCHEMA)
        except OSError as error:
            reason = (error.strerror or "failed").lower()
            raise OutputError(f"{folder} cannot be used: {reason}", "choose another folder") from error
        except sqlite3.Error as error:
            raise OutputError(f"{folder / MANIFEST_NAME} cannot be used: {error}", "delete it") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def claim_output(self, output: str) -> bool:
        """Reserve an output name for this run; False if another recording has it."""
        return self._database.execute("INSERT OR IGNORE INTO claimed VALUES (?)", (output,)).rowcount == 1

    def find_entry(self, output: str) -> ManifestEntry | None:
        """The entry of a prepared file, if there is one."""
        row = self._database.execute(
            "SELECT source, source_hash, output_hash, options FROM prepared WHERE output = ?", (output,)
        ).fetchone()
        names = ("source", "source_hash", "output_hash", "options")
        return ManifestEntry(**dict(zip(names, row, strict=True))) if row else None

    def record_entry(self, output: str, entry: ManifestEntry) -> None:
        """Store the entry of a prepared file at once."""
        values = (output, entry.source, entry.source_hash, entry.output_hash, entry.options)
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO prepared VALUES (?, ?, ?, ?, ?)", values)

"""What was prepared before, by content: a small database beside the results, so that any number of files fits."""

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from liveavatar.errors import OutputError

MANIFEST_NAME = ".liveavatar-prepared.sqlite3"
"""The file in the folder of results."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS prepared (
    output TEXT PRIMARY KEY, source TEXT, source_hash TEXT, output_hash TEXT, options TEXT
) WITHOUT ROWID;
CREATE TEMP TABLE claimed (output TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One result: the SHA-256 of the recording and of the file made of it, and how it was made."""

    source: str
    source_hash: str
    output_hash: str
    options: str


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Manifest:
    """The results in `folder`, which is made if need be.

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
        """Reserve a name for this run; False when another recording has it."""
        return self._database.execute("INSERT OR IGNORE INTO claimed VALUES (?)", (output,)).rowcount == 1

    def find_entry(self, output: str) -> ManifestEntry | None:
        """What is known of a result."""
        found = self._database.execute(
            "SELECT source, source_hash, output_hash, options FROM prepared WHERE output = ?", (output,)
        ).fetchone()
        names = ("source", "source_hash", "output_hash", "options")
        return ManifestEntry(**dict(zip(names, found, strict=True))) if found else None

    def record_entry(self, output: str, entry: ManifestEntry) -> None:
        """Remember a result, at once and for good."""
        values = (output, entry.source, entry.source_hash, entry.output_hash, entry.options)
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO prepared VALUES (?, ?, ?, ?, ?)", values)

"""A small database beside prepared files: which recording and options each was made from, by content hash.

Several runs may use it at once. It also knows the hashes that a file had before, since a run that is killed has
recorded the new one and may not have replaced the file.
"""

import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from liveavatar.errors import OutputError
from liveavatar.files import create_folder, describe_path

MANIFEST_NAME = ".liveavatar-prepared.sqlite3"
"""File name of the database, in the output folder."""

_LOCK_SECONDS = 60
"""How long a run waits for another that writes, which takes milliseconds: beyond it, something is wrong."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS prepared (
        output TEXT PRIMARY KEY, source TEXT, source_hash TEXT, output_hash TEXT, options TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS written (output TEXT, hash TEXT, PRIMARY KEY (output, hash)) WITHOUT ROWID""",
    """CREATE INDEX IF NOT EXISTS prepared_source ON prepared (source)""",
)
_READ_ALL = "SELECT output, source, source_hash, output_hash, options FROM prepared"
_PROBES = (f"{_READ_ALL} LIMIT 1", "SELECT output, hash FROM written LIMIT 1")
"""Fail if the tables are those of another program."""

_FULL_REMEDY = "free some space or choose another folder"
_FAILURES = {
    sqlite3.SQLITE_FULL: ("the disk is full", _FULL_REMEDY),
    sqlite3.SQLITE_BUSY: ("another program has locked it", "wait until that ends, and start again"),
    sqlite3.SQLITE_READONLY: ("it may not be written", "choose another folder"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "choose another folder"),
    sqlite3.SQLITE_IOERR: ("the disk failed or is full", _FULL_REMEDY),
}
"""By primary result code. Everything else is damage."""


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


def read_entries(folder: Path) -> dict[str, ManifestEntry]:
    """The entries of a folder that is only read, by their names; none if it has no manifest that can be read."""
    path = folder / MANIFEST_NAME
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return {}
        with closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True)) as database:
            rows = database.execute(_READ_ALL).fetchall()
    except (OSError, sqlite3.Error):
        return {}
    return {_decode_text(name): _build_entry(tuple(values)) for name, *values in rows}


class Manifest:
    """The prepared files of `folder`, which is created if it is missing.

    Raises:
        OutputError: the folder or the database cannot be used; also by each method.
    """

    def __init__(self, folder: Path) -> None:
        create_folder(folder)
        self._path = folder / MANIFEST_NAME
        self._require_file()
        with self._translate_errors():
            self._database = sqlite3.connect(self._path, timeout=_LOCK_SECONDS, isolation_level=None)
        try:
            with self._translate_errors():
                self._open_tables()
        except OutputError:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def find_entry(self, name: str) -> ManifestEntry | None:
        """The entry of a prepared file, if there is one."""
        query = "SELECT source, source_hash, output_hash, options FROM prepared WHERE output = ?"
        rows = self._execute(query, name)
        return _build_entry(rows[0]) if rows else None

    def find_names(self, sources: tuple[str, str]) -> list[str]:
        """The prepared files made from one recording, whose path is given in two spellings."""
        return [
            _decode_text(row[0])
            for row in self._execute("SELECT output FROM prepared WHERE source IN (?, ?)", *sources)
        ]

    def is_known_hash(self, name: str, content_hash: str) -> bool:
        """Whether a prepared file of this name has, or once had, this content."""
        query = """SELECT 1 FROM prepared WHERE output = ?1 AND output_hash = ?2
                   UNION ALL SELECT 1 FROM written WHERE output = ?1 AND hash = ?2"""
        return bool(self._execute(query, name, content_hash))

    def record_entry(self, name: str, entry: ManifestEntry, old: ManifestEntry | None) -> bool:
        """Store the entry of a prepared file at once, in place of `old`; the hash that it had stays known.

        False if another run has changed the entry since `old` was read; then nothing is stored.
        """
        with self._open_transaction():
            if self.find_entry(name) != old:
                return False
            if old is not None:
                self._execute("INSERT OR IGNORE INTO written VALUES (?, ?)", name, old.output_hash)
            self._execute("INSERT OR REPLACE INTO prepared VALUES (?, ?, ?, ?, ?)", name, *astuple(entry))
        return True

    def forget_entry(self, name: str, old: ManifestEntry) -> None:
        """Remove an entry, unless another run has changed it since `old` was read."""
        with self._open_transaction():
            if self.find_entry(name) == old:
                self._execute("DELETE FROM prepared WHERE output = ?", name)

    def claim_name(self, folded_name: str, source: str) -> bool:
        """Reserve a name for a recording in this run; False if another recording has it."""
        self._execute("INSERT OR IGNORE INTO claimed VALUES (?, ?)", folded_name, source)
        return self.find_claimant(folded_name) == source

    def find_claimant(self, folded_name: str) -> str | None:
        """The recording that has reserved a name in this run."""
        rows = self._execute("SELECT source FROM claimed WHERE name = ?", folded_name)
        return _decode_text(rows[0][0]) if rows else None

    def _require_file(self) -> None:
        """Refuse a link, which could lead to another program's database, and what is no file."""
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._build_error((error.strerror or "failed").lower(), "choose another folder") from error
        if not stat.S_ISREG(mode):
            raise self._build_error("it is not a file", "delete it")

    def _open_tables(self) -> None:
        """Create the tables, and find damage before any work is done."""
        with self._open_transaction():
            for statement in _SCHEMA:
                self._database.execute(statement)
        self._database.execute("CREATE TEMP TABLE claimed (name TEXT PRIMARY KEY, source TEXT) WITHOUT ROWID")
        for probe in _PROBES:
            self._database.execute(probe).fetchall()
        if self._database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("it is damaged")

    @contextmanager
    def _open_transaction(self) -> Iterator[None]:
        """Wait until no other run writes, then keep others from writing."""
        with self._translate_errors():
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:
                yield

    def _execute(self, statement: str, *values: str) -> list[Any]:
        with self._translate_errors():
            return self._database.execute(statement, [_encode_text(value) for value in values]).fetchall()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            damage = str(error), "delete it: results that are still right are recognised by their content"
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            raise self._build_error(*_FAILURES.get(code, damage)) from error

    def _build_error(self, reason: str, remedy: str) -> OutputError:
        return OutputError(f"{describe_path(self._path)} cannot be used: {reason}", remedy)


def _build_entry(row: tuple[Any, ...]) -> ManifestEntry:
    source, source_hash, output_hash, options = map(_decode_text, row)
    return ManifestEntry(source=source, source_hash=source_hash, output_hash=output_hash, options=options)


def _encode_text(text: str) -> str | bytes:
    """Text for the database; a file name that is no UTF-8 becomes bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def _decode_text(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, str | bytes) else str(value)

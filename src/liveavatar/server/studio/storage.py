"""The folder of a server: uploads and jobs, each in a folder of its own that only this user may read.

```
server.lock   session.key
uploads/<id>/upload.json content picture.jpg
jobs/<id>/job.json portrait speech video.mp4 sync.png
```

Names of files come from this program, never from clients: an id is looked up, not opened.
"""

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from liveavatar.errors import OptionError
from liveavatar.files import atomic_write, create_folder, describe_path
from liveavatar.server.http.session_tokens import SessionTokens

UploadKind = Literal["portrait", "speech"]

CONTENT_NAME, PICTURE_NAME = "content", "picture.jpg"
_UPLOAD_RECORD = "upload.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A checked portrait or recording. `name` is what its owner calls it; `check` is what was found."""

    id: str
    kind: UploadKind
    owner: str
    name: str
    created: float
    size: int
    check: dict[str, Any] = field(default_factory=dict)


class Storage:
    """Uploads and folders of jobs. Only one server may use a folder at a time.

    Raises:
        OutputError: the folder cannot be created.
        OptionError: another server uses it.
    """

    def __init__(self, folder: Path) -> None:
        self._uploads_folder, self._jobs_folder = folder / "uploads", folder / "jobs"
        for path in (folder, self._uploads_folder, self._jobs_folder):
            create_folder(path)
            path.chmod(0o700)
        self._lock = _lock_folder(folder)
        self.session_tokens = SessionTokens(_read_session_key(folder / "session.key"))
        self._uploads = self._read_uploads()

    def close(self) -> None:
        """Let another server use the folder."""
        os.close(self._lock)

    @contextmanager
    def receive_upload(self) -> Iterator[Path]:
        """Yield a new folder for an upload; it is removed unless `keep_upload` was called with it."""
        folder = self._uploads_folder / create_id()
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            if folder.name not in self._uploads:
                shutil.rmtree(folder, ignore_errors=True)

    def keep_upload(
        self, folder: Path, kind: UploadKind, owner: str, name: str, check: dict[str, Any]
    ) -> Upload:
        """Record what is in the folder of `receive_upload`."""
        size = (folder / CONTENT_NAME).stat().st_size
        upload = Upload(
            id=folder.name, kind=kind, owner=owner, name=name, created=time.time(), size=size, check=check
        )
        write_record(folder / _UPLOAD_RECORD, asdict(upload))
        self._uploads[upload.id] = upload
        return upload

    def find_upload(self, upload_id: str, kind: UploadKind, owner: str) -> Upload | None:
        """The upload of that owner, None if there is none."""
        upload = self._uploads.get(upload_id)
        return upload if upload and (upload.kind, upload.owner) == (kind, owner) else None

    def locate_upload(self, upload: Upload) -> Path:
        """The folder of an upload."""
        return self._uploads_folder / upload.id

    def delete_upload(self, upload: Upload) -> None:
        """Remove an upload and all that was made of it."""
        if self._uploads.pop(upload.id, None):
            shutil.rmtree(self.locate_upload(upload), ignore_errors=True)

    def delete_old_uploads(self, before: float) -> None:
        """Remove the uploads created before that time."""
        for upload in [upload for upload in self._uploads.values() if upload.created < before]:
            self.delete_upload(upload)

    def locate_job(self, job_id: str) -> Path:
        """The folder of a job."""
        return self._jobs_folder / job_id

    def create_job_folder(self, job_id: str, portrait: Upload, speech: Upload) -> None:
        """A folder for a job, with its own links to its inputs, which outlive the uploads."""
        folder = self.locate_job(job_id)
        folder.mkdir(mode=0o700)
        for upload in (portrait, speech):
            os.link(self.locate_upload(upload) / CONTENT_NAME, folder / upload.kind)

    def delete_job_folder(self, job_id: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self.locate_job(job_id), ignore_errors=True)

    def read_job_records(self) -> list[dict[str, Any]]:
        """The records of all jobs; folders without one are removed."""
        return list(_read_records(self._jobs_folder, "job.json"))

    def measure_size(self) -> int:
        """Bytes of all files; files that are linked twice count once."""
        files: dict[int, int] = {}
        for folder in (self._uploads_folder, self._jobs_folder):
            for path in folder.glob("*/*"):
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                files[status.st_ino] = status.st_size
        return sum(files.values())

    def _read_uploads(self) -> dict[str, Upload]:
        records = _read_records(self._uploads_folder, _UPLOAD_RECORD)
        return {record["id"]: Upload(**record) for record in records}


def create_id() -> str:
    """A new id that nobody can guess."""
    return secrets.token_hex(16)


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write plain values as JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


def _read_records(parent: Path, name: str) -> Iterator[dict[str, Any]]:
    """The records in the folders of a folder; what has none was left by a process that died, and is removed."""
    for folder in parent.iterdir():
        if (folder / name).is_file():
            yield json.loads((folder / name).read_text(encoding="utf-8"))
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _lock_folder(folder: Path) -> int:
    descriptor = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        problem = f"another server uses {describe_path(folder)}"
        raise OptionError(problem, "stop it, or name another folder with --folder") from error
    return descriptor


def _read_session_key(path: Path) -> bytes:
    """The key that seals sessions; made at the first start."""
    if not path.exists():
        with atomic_write(path) as partial:
            partial.chmod(0o600)
            partial.write_bytes(SessionTokens.create_key())
    return path.read_bytes()

"""The folder of a server: private, used by one server at a time, and empty when it should be."""

import os
import time
from pathlib import Path

import pytest

from liveavatar.errors import OptionError
from liveavatar.server.studio.storage import CONTENT_NAME, Storage, Upload, UploadKind, create_id

OWNER, OTHER = "aa" * 16, "bb" * 16


def add_upload(storage: Storage, kind: UploadKind, content: bytes = b"content") -> Upload:
    with storage.receive_upload() as folder:
        (folder / CONTENT_NAME).write_bytes(content)
        return storage.keep_upload(folder, kind, OWNER, "名字.jpg", {"level": "ok"})


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir(mode=0o755)
    storage = Storage(folder)
    upload = add_upload(storage, "portrait")
    for path in (folder, folder / "uploads", folder / "jobs", storage.locate_upload(upload)):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (folder / "session.key").stat().st_mode & 0o777 == 0o600
    storage.close()


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with pytest.raises(OptionError, match="another server"):
        Storage(tmp_path)
    storage.close()
    Storage(tmp_path).close()


def test_uploads_survive_a_restart_and_sessions_too(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    upload, token = add_upload(storage, "speech"), storage.session_tokens.issue_token(OWNER)
    storage.close()
    again = Storage(tmp_path)
    assert again.find_upload(upload.id, "speech", OWNER) == upload
    session = again.session_tokens.read_token(token)
    assert session is not None
    assert session.owner == OWNER
    again.close()


def test_an_upload_is_found_by_its_owner_and_kind_alone(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    upload = add_upload(storage, "speech")
    assert storage.find_upload(upload.id, "speech", OTHER) is None
    assert storage.find_upload(upload.id, "portrait", OWNER) is None
    assert storage.find_upload("../" + upload.id, "speech", OWNER) is None
    storage.close()


def test_what_could_not_be_kept_leaves_nothing(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with storage.receive_upload() as folder:
        (folder / CONTENT_NAME).write_bytes(b"half")
    assert list((tmp_path / "uploads").iterdir()) == []
    storage.close()


def test_what_a_killed_server_left_of_an_upload_is_removed(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    half = tmp_path / "uploads" / create_id()
    half.mkdir()
    (half / CONTENT_NAME).write_bytes(b"half")
    Storage(tmp_path).close()
    assert not half.exists()


def test_a_job_keeps_its_inputs_when_the_uploads_are_deleted(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    portrait, speech = add_upload(storage, "portrait", b"face"), add_upload(storage, "speech", b"voice")
    before = storage.measure_size()
    storage.create_job_folder("job", portrait, speech)
    assert storage.measure_size() == before  # links
    storage.delete_old_uploads(time.time() + 1)
    assert list((tmp_path / "uploads").iterdir()) == []
    assert (storage.locate_job("job") / "speech").read_bytes() == b"voice"
    assert os.stat(storage.locate_job("job") / "portrait").st_nlink == 1  # noqa: PTH116
    storage.delete_job_folder("job")
    assert storage.measure_size() == 0
    storage.close()


def test_young_uploads_stay(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    upload = add_upload(storage, "portrait")
    storage.delete_old_uploads(upload.created)
    assert storage.find_upload(upload.id, "portrait", OWNER) == upload
    storage.close()

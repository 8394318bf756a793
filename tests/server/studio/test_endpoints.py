"""The studio over its programming interface: from two files to a video, and everything that may go wrong."""

import errno
import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import pytest
from starlette.testclient import TestClient

from liveavatar.server.http.authentication import LOCAL_OWNER
from liveavatar.server.settings import ServerLimits, ServerSettings
from liveavatar.server.studio.jobs import Job
from liveavatar.server.studio.storage import Storage, create_id, write_record
from server.conftest import open_client

pytestmark = pytest.mark.slow


def post_file(client: TestClient, path: str, content: bytes, name: str = "file") -> dict[str, Any]:
    answer = client.post(path, params={"name": name}, content=content)
    assert answer.status_code == 201, answer.text
    upload: dict[str, Any] = answer.json()
    return upload


@pytest.fixture(scope="module")
def inputs(client: TestClient, picture_bytes: bytes, speech_bytes: bytes) -> dict[str, Any]:
    """A portrait and a speech, ready to be ordered."""
    portrait = post_file(client, "/api/portraits", picture_bytes, "Grace.jpg")
    speech = post_file(client, "/api/speeches", speech_bytes, "hello.wav")
    return {"portrait": portrait["id"], "speech": speech["id"], "consent": True}


def wait_for_job(client: TestClient, job: dict[str, Any], *states: str) -> dict[str, Any]:
    while job["state"] not in states:
        time.sleep(0.1)
        job = client.get(f"/api/jobs/{job['id']}").json()
    return job


def count_files(client: TestClient, room: str) -> int:
    folder: Path = client.app.state.studio.settings.folder  # type: ignore[attr-defined]
    return sum(1 for _ in (folder / room).iterdir())


def test_from_two_files_to_a_video(client: TestClient, inputs: dict[str, Any], tmp_path: Path) -> None:
    answer = client.post("/api/jobs", json={**inputs, "options": {"motion": 1.5}, "language": "zh"})
    assert answer.status_code == 202
    job = wait_for_job(client, client.get(answer.headers["location"]).json(), "done", "failed")
    assert job["state"] == "done", job["error"]
    assert job["video"]["frames"] == 50
    assert job["video"]["lips"]["verdict"] is None  # too short
    assert job["names"]["video"] == "Grace - hello.mp4"
    video = client.get(f"/api/jobs/{job['id']}/video", params={"download": "1"})
    assert "attachment" in video.headers["content-disposition"]
    (tmp_path / "video.mp4").write_bytes(video.content)
    with av.open(str(tmp_path / "video.mp4")) as file:
        assert len(list(file.decode(video=0))) == 50
        assert len(file.streams.audio) == 1
    part = client.get(f"/api/jobs/{job['id']}/video", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert client.get(f"/api/jobs/{job['id']}/sync").status_code == 404
    folder = client.app.state.studio.storage.locate_job(job["id"])  # type: ignore[attr-defined]
    assert sorted(path.name for path in folder.iterdir()) == ["job.json", "video.mp4"]
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert not folder.exists()


def test_the_check_of_a_portrait_says_what_and_where(client: TestClient, picture_bytes: bytes) -> None:
    upload = post_file(client, "/api/portraits", picture_bytes, "../../etc/脸.jpg")
    check = upload["check"]
    assert upload["name"] == "脸.jpg"
    assert (check["width"], check["height"], check["faces"]) == (256, 300, 1)
    left, top, width, height = check["boxes"]["face"]
    assert 0 < left < left + width < 1
    assert 0 < top < top + height < 1
    assert check["boxes"]["mouth"][1] > check["boxes"]["eyes"][1]
    picture = client.get(f"/api/portraits/{upload['id']}/picture")
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content[:2] == b"\xff\xd8"
    assert client.delete(f"/api/portraits/{upload['id']}").status_code == 204
    assert client.get(f"/api/portraits/{upload['id']}/picture").status_code == 404


def test_the_check_of_a_speech_has_its_waveform(client: TestClient, speech_bytes: bytes) -> None:
    check = post_file(client, "/api/speeches", speech_bytes)["check"]
    assert check["seconds"] == 2
    assert 0 < len(check["columns"]) <= 600
    assert all(-1 <= low <= high <= 1 for low, high, _ in check["columns"])
    assert {voice for _, _, voice in check["columns"]} == {0, 1}


@pytest.mark.parametrize("path", ["/api/portraits", "/api/speeches"])
@pytest.mark.parametrize(
    "content",
    [b"#!/bin/sh", b"\x00" * 5000, b"RIFF\xff\xff\xff\xffWAVEfmt ", b"\x89PNG\r\n\x1a\n" + b"\xff" * 99],
)
def test_garbage_is_refused_in_words_and_leaves_nothing(
    client: TestClient, path: str, content: bytes
) -> None:
    before = count_files(client, "uploads")
    answer = client.post(path, params={"name": "garbage.bin"}, content=content)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["problem"]
    assert str(client.app.state.studio.settings.folder) not in answer.text  # type: ignore[attr-defined]
    assert "content" not in error["problem"]
    assert count_files(client, "uploads") == before


def test_a_playlist_opens_no_other_file(client: TestClient, tmp_path: Path, speech_bytes: bytes) -> None:
    (tmp_path / "secret.wav").write_bytes(speech_bytes)
    for text in (
        f"#EXTM3U\n#EXTINF:2,\nfile://{tmp_path}/secret.wav\n",
        f"ffconcat version 1.0\nfile {tmp_path}/secret.wav\n",
    ):
        assert client.post("/api/speeches", content=text.encode()).status_code == 422


@pytest.mark.network
def test_a_typed_text_is_spoken(client: TestClient) -> None:
    assert "hibari" in {voice["name"] for voice in client.get("/api/studio").json()["voices"]}
    answer = client.post("/api/speeches/text", json={"text": "Hello there, how are you?", "voice": "hibari"})
    assert answer.status_code == 201, answer.text
    speech = answer.json()
    assert speech["name"] == "Hello there, how are you?"
    assert 1 < speech["check"]["seconds"] < 5
    assert client.get(f"/api/speeches/{speech['id']}/sound").content[:4] == b"RIFF"


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, 400),
        ({"text": " "}, 400),
        ({"text": ["a"]}, 400),
        ({"text": "a" * 5001}, 413),
        ({"text": "a", "voice": "../x"}, 422),
    ],
)
def test_texts_that_cannot_be_spoken(client: TestClient, values: dict[str, Any], status: int) -> None:
    assert client.post("/api/speeches/text", json=values).status_code == status


def test_an_empty_upload_is_refused(client: TestClient) -> None:
    assert client.post("/api/portraits").json()["error"]["code"] == "empty"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"consent": False}, 400, "no-consent"),
        ({"consent": "true"}, 400, "no-consent"),
        ({"portrait": "0" * 32}, 404, "not-found"),
        ({"speech": "../../x"}, 404, "not-found"),
        ({"options": {"motion": 9}}, 400, "option"),
        ({"size": "1920x1200"}, 413, "too-large"),
        ({"webhook": "http://192.0.2.1"}, 400, "option"),
    ],
)
def test_orders_that_cannot_be_made(
    client: TestClient, inputs: dict[str, Any], change: dict[str, Any], status: int, code: str
) -> None:
    before = count_files(client, "jobs")
    answer = client.post("/api/jobs", json={**inputs, **change})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert count_files(client, "jobs") == before


def test_a_running_and_a_waiting_job_can_be_cancelled(
    client: TestClient, inputs: dict[str, Any], speech_bytes: bytes
) -> None:
    long_speech = speech_bytes[:44] + 60 * speech_bytes[44:]
    long = {**inputs, "speech": post_file(client, "/api/speeches", long_speech)["id"], "size": "720x720"}
    first, second = (client.post("/api/jobs", json=long).json() for _ in range(2))
    assert second["ahead"] == 1
    second = client.post(f"/api/jobs/{second['id']}/cancel").json()
    assert second["state"] == "cancelled"
    wait_for_job(client, first, "running")
    client.post(f"/api/jobs/{first['id']}/cancel")
    first = wait_for_job(client, first, "cancelled", "done", "failed")
    assert first["state"] == "cancelled"
    for job in (first, second):
        folder = client.app.state.studio.storage.locate_job(job["id"])  # type: ignore[attr-defined]
        assert [path.name for path in folder.iterdir()] == ["job.json"]
    third = client.post("/api/jobs", json=inputs).json()
    assert wait_for_job(client, third, "done", "failed")["state"] == "done"


def count_ended_jobs(client: TestClient) -> float:
    figures = re.findall(r"^liveavatar_jobs_total{.*} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return sum(map(float, figures))


def test_figures_count_what_was_done(client: TestClient, inputs: dict[str, Any]) -> None:
    before = count_ended_jobs(client)
    job = client.post("/api/jobs", json=inputs).json()
    client.post(f"/api/jobs/{job['id']}/cancel")
    wait_for_job(client, job, "cancelled", "done")
    text = client.get("/metrics").text
    assert count_ended_jobs(client) == before + 1
    assert 'liveavatar_uploads_total{kind="portrait"}' in text
    assert "liveavatar_jobs_waiting 0.0" in text


def test_two_visitors_see_nothing_of_each_other(tmp_path: Path, picture_bytes: bytes) -> None:
    settings = ServerSettings(folder=tmp_path, token="x" * 16, drain_seconds=0.0)
    with open_client(settings, "x" * 16) as one:
        upload = post_file(one, "/api/portraits", picture_bytes)
        mine = dict(one.headers)
        one.headers["Authorization"] = ""
        one.headers["Authorization"] = (
            f"Bearer {one.post('/api/session', json={'token': 'x' * 16}).json()['token']}"
        )
        one.cookies.clear()
        assert one.headers["Authorization"] != mine["authorization"]
        assert one.get(f"/api/portraits/{upload['id']}/picture").status_code == 404
        assert one.delete(f"/api/portraits/{upload['id']}").status_code == 404
        one.headers["Authorization"] = mine["authorization"]
        assert one.get(f"/api/portraits/{upload['id']}/picture").status_code == 200


def test_limits_of_bytes_seconds_and_the_queue(
    tmp_path: Path, picture_bytes: bytes, speech_bytes: bytes
) -> None:
    limits = ServerLimits(portrait_bytes=len(picture_bytes), speech_seconds=2, waiting_jobs=0)
    settings = ServerSettings(folder=tmp_path, limits=limits, drain_seconds=0.0)
    with open_client(settings) as client:
        assert client.post("/api/portraits", content=picture_bytes + b"x").status_code == 413
        assert client.post("/api/portraits", content=iter([picture_bytes, b"x"])).status_code == 413
        assert count_files(client, "uploads") == 0
        answer = client.post("/api/speeches", params={"name": "long.wav"}, content=2 * speech_bytes)
        assert answer.status_code == 422
        assert "lasts 4 s" in answer.json()["error"]["problem"]
        order = {
            "portrait": post_file(client, "/api/portraits", picture_bytes)["id"],
            "speech": post_file(client, "/api/speeches", speech_bytes)["id"],
            "consent": True,
        }
        answer = client.post("/api/jobs", json=order)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue-full")
        assert answer.headers["retry-after"]


def test_jobs_survive_a_restart(tmp_path: Path, picture_bytes: bytes, speech_bytes: bytes) -> None:
    settings = ServerSettings(folder=tmp_path, drain_seconds=0.0)
    with open_client(settings) as client:
        order = {
            "portrait": post_file(client, "/api/portraits", picture_bytes)["id"],
            "speech": post_file(client, "/api/speeches", speech_bytes)["id"],
            "consent": True,
        }
        job = wait_for_job(client, client.post("/api/jobs", json=order).json(), "running")
    (record,) = tmp_path.glob("jobs/*/job.json")
    assert json.loads(record.read_text())["state"] == "waiting"
    with open_client(settings) as client:
        assert wait_for_job(client, job, "done", "failed")["state"] == "done"


def test_an_order_that_an_older_version_took_fails_and_is_said(tmp_path: Path) -> None:
    order = {"portrait": "a", "speech": "b", "size": "enormous"}
    names = {"portrait": "a", "speech": "b", "video": "c.mp4"}
    record = asdict(Job(id=create_id(), owner=LOCAL_OWNER, order=order, names=names, created=0))
    folder = tmp_path / "jobs" / record["id"]
    folder.mkdir(parents=True)
    write_record(folder / "job.json", record)
    with open_client(ServerSettings(folder=tmp_path)) as client:
        job = wait_for_job(client, {"state": "waiting", "id": record["id"]}, "failed", "done")
        assert job["error"]["code"] == "option"


def test_a_full_disk_is_said_without_a_path(
    client: TestClient, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/secret/place")

    monkeypatch.setattr(Storage, "create_job_folder", fail)
    answer = client.post("/api/jobs", json=inputs)
    assert answer.status_code == 507
    assert answer.json()["error"]["problem"] == "the server has a problem: the disk is full"


def test_old_things_are_deleted(
    tmp_path: Path, picture_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_client(ServerSettings(folder=tmp_path, keep_hours=1, drain_seconds=0.0)) as client:
        post_file(client, "/api/portraits", picture_bytes)
        studio = client.app.state.studio  # type: ignore[attr-defined]
        studio.sweep()
        assert count_files(client, "uploads") == 1
        later = time.time() + 3601
        monkeypatch.setattr(time, "time", lambda: later)
        studio.sweep()
        assert count_files(client, "uploads") == 0


def test_a_server_that_ends_takes_nothing_new(tmp_path: Path, picture_bytes: bytes) -> None:
    with open_client(ServerSettings(folder=tmp_path, drain_seconds=0.0)) as client:
        assert client.get("/healthz").status_code == 200
        client.app.state.studio.start_draining()  # type: ignore[attr-defined]
        assert client.get("/healthz").status_code == 503
        assert client.get("/api/events").status_code == 503
        assert client.post("/api/portraits", content=picture_bytes).json()["error"]["code"] == "ending"

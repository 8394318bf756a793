"""The page in a real browser: from two dropped files to a video that plays."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveavatar.audio.front_end import check_recording
from liveavatar.face.inspection.quality import check_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.server.app import STATIC_FOLDER
from server.chromium import CHROMIUM, open_page

TEXTS = (STATIC_FOLDER / "lib" / "texts.js").read_text(encoding="utf-8")
MODULES = {
    path.relative_to(STATIC_FOLDER): path.read_text(encoding="utf-8") for path in STATIC_FOLDER.rglob("*.js")
}


@contextmanager
def run_server(folder: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Yield the process of a server and the address that it prints."""
    command = [
        sys.executable,
        "-m",
        "liveavatar",
        "serve",
        "--no-open",
        "--port",
        "0",
        "--folder",
        str(folder),
    ]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def list_keys(language: str) -> set[str]:
    block = re.search(rf"^  {language}: {{\n(.*?)^  }},$", TEXTS, re.MULTILINE | re.DOTALL)
    assert block is not None
    return set(re.findall(r'(?:^|,)\s*"?([a-zA-Z0-9. -]+?)"?: "', block[1], re.MULTILINE))


def test_every_text_is_there_in_both_languages() -> None:
    plurals = {key for key in list_keys("en") if key.endswith(".one")}  # Chinese has none
    assert list_keys("en") - plurals == list_keys("zh")
    assert len(plurals) < len(list_keys("en")) / 10


def test_every_text_that_is_said_exists() -> None:
    code = "\n".join(re.sub(r"^\s*//.*", "", text, flags=re.MULTILINE) for text in MODULES.values())
    said = set(re.findall(r'\bsay(?:Count)?\("([^"]+)"', code))
    assert said <= list_keys("en")


def test_the_page_is_ours_alone() -> None:
    files = {**MODULES, Path("index.html"): (STATIC_FOLDER / "index.html").read_text(encoding="utf-8")}
    for path, text in files.items():
        addresses = set(re.findall(r"https?://[^\s\"'`]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path
        assert not re.search(r"\b(eval|innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b", text), path


def translate(sentence: str) -> str | None:
    """The Chinese of a finding, None if the page does not know it."""
    source = MODULES[Path("studio/findings_zh.js")].replace("${NUMBER}", r"([-+\\d.,]+)")
    for english, chinese in re.findall(r'^  \[["`](.*)["`], "(.*)"\],$', source, re.MULTILINE):
        if re.fullmatch(json.loads(f'"{english}"'), sentence):
            return str(chinese)
    return None


def test_the_page_says_findings_in_chinese(portrait: Portrait, tmp_path: Path, speech_bytes: bytes) -> None:
    (tmp_path / "speech.wav").write_bytes(speech_bytes)
    findings = [*check_portrait(portrait), *check_recording(tmp_path / "speech.wav").findings]
    assert len(findings) > 15
    assert [finding.sentence for finding in findings if translate(finding.sentence) is None] == []
    assert translate("no such sentence") is None


@pytest.mark.slow
def test_those_who_go_away_leave_nothing(tmp_path: Path) -> None:
    with run_server(tmp_path) as (_, address):
        port = int(address.rstrip("/").rpartition(":")[2])
        with connect_session(port) as (watcher, token):
            send_request(watcher, "GET", "/api/events", token)
            assert b"text/event-stream" in watcher.recv(4096)
            with socket.create_connection(("127.0.0.1", port)) as sender:
                send_request(sender, "POST", "/api/portraits", token, "Content-Length: 1000", "", "half of")
                while not list(tmp_path.glob("uploads/*/content")):
                    time.sleep(0.01)
            while list(tmp_path.glob("uploads/*")):
                time.sleep(0.01)
        while read_figure(port, token, "liveavatar_event_streams") != 0:
            time.sleep(0.01)


@contextmanager
def connect_session(port: int) -> Iterator[tuple[socket.socket, str]]:
    """A connection, and the token of a session."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/session", method="POST")
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        token = json.load(answer)["token"]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        yield connection, token


def send_request(connection: socket.socket, method: str, path: str, token: str, *lines: str) -> None:
    """Send the head of a request, and `lines` after it."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", *lines]
    connection.sendall("\r\n".join(head if lines else [*head, "", ""]).encode())


def read_figure(port: int, token: str, name: str) -> float:
    """A figure of /metrics."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.slow
def test_a_signal_ends_the_server_in_order(tmp_path: Path) -> None:
    with run_server(tmp_path) as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "jobs",
        "server.lock",
        "session.key",
        "uploads",
    ]


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [
            sys.executable,
            "-m",
            "liveavatar",
            "serve",
            "--no-open",
            "--port",
            port,
            "--folder",
            str(tmp_path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "already in use" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
def test_a_portrait_and_a_sound_are_dropped_and_the_video_plays(
    tmp_path: Path, picture_bytes: bytes, speech_bytes: bytes
) -> None:
    picture, speech = tmp_path / "脸.jpg", tmp_path / "hello.wav"
    picture.write_bytes(picture_bytes)
    speech.write_bytes(speech_bytes)
    token = "correct horse battery"  # noqa: S105
    with run_server(tmp_path / "server", "--token", token) as (_, address), open_page() as page:
        page.open(address.partition("#")[0])
        page.wait_for("document.querySelector('#token')")  # not let in without the token
        page.open("about:blank")
        page.open(address)
        page.wait_for("document.querySelector('#make')")
        assert "token" not in page.evaluate("location.hash")  # the token is not left in the address
        assert page.evaluate("document.cookie") == ""
        page.drop_file(".portrait", picture)
        page.wait_for("document.querySelector('.portrait .picture img').naturalWidth > 0")
        page.drop_file(".speech", speech)
        page.wait_for("document.querySelector('.speech .wave .voice')")
        assert page.evaluate("document.querySelector('#make').disabled")  # nobody agreed yet
        page.click("#consent")
        page.wait_for("!document.querySelector('#make').disabled")
        page.evaluate("document.querySelector('#make').focus()")
        page.press("Enter", text="\r")
        page.wait_for("document.querySelector('.video .verdict')")
        page.evaluate("document.querySelector('.video video').play()")
        page.wait_for("document.querySelector('.video video').currentTime > 0.5")
        assert page.evaluate("document.querySelector('.video video').videoWidth") == 256
        page.click("#language")
        page.wait_for("document.documentElement.lang === 'zh-CN' || document.documentElement.lang === 'en'")
        assert page.evaluate("document.querySelector('.video video').currentTime") > 0  # it plays on
        assert [problem for problem in page.problems if "401" not in problem] == []
    assert os.listdir(tmp_path / "server" / "jobs")  # noqa: PTH208

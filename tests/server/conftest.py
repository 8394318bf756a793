"""A server of this process, a client of it, and small files to send."""

import io
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from liveavatar.frames import Samples
from liveavatar.server.app import build_app
from liveavatar.server.settings import ServerSettings

ADDRESS = "http://127.0.0.1:8642"


def open_client(settings: ServerSettings, token: str | None = None) -> TestClient:
    """A client with a session; enter it to let the server work."""
    client = TestClient(build_app(settings), base_url=ADDRESS)
    sign_in(client, token)
    return client


def sign_in(client: TestClient, token: str | None = None) -> None:
    answer = client.post("/api/session", json={"token": token} if token else {})
    assert answer.status_code == 200
    client.cookies.clear()
    client.headers["Authorization"] = f"Bearer {answer.json()['token']}"


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., ServerSettings]:
    return lambda **values: ServerSettings(folder=tmp_path / "server", **values)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a server that works; the tests of a module share it, since its processes start slowly."""
    folder = tmp_path_factory.mktemp("server")
    with open_client(ServerSettings(folder=folder, drain_seconds=0.0)) as opened:
        yield opened


@pytest.fixture(scope="session")
def picture_bytes(photograph: Path) -> bytes:
    """A small JPEG of a face."""
    picture = cv2.imread(str(photograph))
    assert picture is not None
    half = cv2.resize(picture, (256, 300), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", half)[1].tobytes()


@pytest.fixture(scope="session")
def speech_bytes(babble: Samples) -> bytes:
    """A WAV of two seconds of speech."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes((babble * 32767).astype(np.int16).tobytes())
    return file.getvalue()

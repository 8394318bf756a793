"""Fixtures of many rooms: a real portrait and the sound of speech."""

import os
import signal
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import settings

from liveavatar.audio.front_end import read_speech
from liveavatar.face.crop import cover_frame
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Samples

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")  # a busy machine must not fail a property by its duration


@pytest.hookimpl(tryfirst=True)  # before `-m` deselects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the filmed face. LIVEAVATAR_OFFLINE_TESTS skips what needs a network, but never in CI."""
    offline = os.environ.get("LIVEAVATAR_OFFLINE_TESTS") and not os.environ.get("CI")
    for item in items:
        if "real_face" in getattr(item, "fixturenames", ()):
            item.add_marker("network")
        if offline and item.get_closest_marker("network"):
            item.add_marker(pytest.mark.skip(reason="LIVEAVATAR_OFFLINE_TESTS is set"))


@pytest.fixture(autouse=True, scope="session")
def heard_signals() -> None:
    """Hear SIGHUP again where a shell in the background, or nohup, ignores it: programs under test inherit that."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def one_core() -> Iterator[None]:
    """Run OpenCV on one thread: on a busy machine, threads that wait for each other make tests ten times slower."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture(scope="session")
def photograph() -> Path:
    """Grace Hopper, public domain, 512x600, mouth closed; it comes with matplotlib."""
    return Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="session")
def portrait(photograph: Path) -> Portrait:
    """The photograph at 160x192: small enough to be fast, large enough for the lips."""
    return cover_frame(load_portrait(photograph), (160, 192))


@pytest.fixture(scope="session")
def babble() -> Samples:
    """Two seconds at 16 kHz of the synthetic voice of the demo, the last 0.4 s of them silent."""
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        speech = np.concatenate(list(read_speech(path)[1]))[8_000:40_000]
    speech[25_600:] = 0
    return speech

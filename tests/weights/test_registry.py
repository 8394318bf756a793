import pytest

from liveavatar.errors import WeightsError
from liveavatar.weights import FILES, find


def test_every_file_can_be_known_and_found() -> None:
    for file in FILES:
        assert find(file.name) is file
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.size > 0
        assert file.licence
        assert file.url.startswith("https://") or not file.url
        assert file.packages


def test_names_and_file_names_are_unique() -> None:
    assert len({file.name for file in FILES}) == len({file.filename for file in FILES}) == len(FILES)


def test_packages_are_pinned_to_a_version() -> None:
    for package in (package for file in FILES for package in file.packages):
        assert "==" in package.requirement


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="choose from: face_landmarker"):
        find("nonsense")

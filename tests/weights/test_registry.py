import re

import pytest

from liveavatar.errors import WeightsError
from liveavatar.weights import WEIGHT_FILES, NpmSource, SplitSource, find_weight_file


def test_every_file_has_its_data_and_is_found() -> None:
    for file in WEIGHT_FILES:
        assert find_weight_file(file.name) is file
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.size > 0
        assert file.licence
        assert file.url.startswith("https://") or not file.url
        assert file.packages


def test_names_and_file_names_are_unique() -> None:
    assert (
        len({file.name for file in WEIGHT_FILES})
        == len({file.filename for file in WEIGHT_FILES})
        == len(WEIGHT_FILES)
    )


def test_packages_are_pinned_to_a_version() -> None:
    for source in (source for file in WEIGHT_FILES for source in file.packages):
        if isinstance(source, NpmSource):
            assert re.fullmatch(r".+@\d+\.\d+\.\d+", source.package)
            continue
        for piece in source.pieces if isinstance(source, SplitSource) else (source,):
            assert "==" in piece.requirement


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="choose from: face_landmarker"):
        find_weight_file("nonsense")

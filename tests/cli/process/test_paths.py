"""Options that name files and folders."""

from pathlib import Path

import pytest

from liveavatar.cli.process.paths import parse_path
from liveavatar.errors import OptionError


@pytest.mark.parametrize("text", ["a", ".", "/", "-", "~", " ", "a\nb", "[/b]"])
def test_a_path_is_taken_as_it_is(text: str) -> None:
    assert str(parse_path(text)) == text


def test_nothing_is_not_the_current_folder() -> None:
    with pytest.raises(OptionError, match="is empty; write it"):
        parse_path("")


def test_a_path_of_a_default_is_kept() -> None:
    assert parse_path(Path("out.mp4")) == Path("out.mp4")

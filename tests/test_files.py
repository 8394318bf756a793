from pathlib import Path

import pytest

from liveavatar.errors import OutputError
from liveavatar.files import atomic_write, partial_path


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_write(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def fail_halfway(target: Path, error: type[BaseException]) -> None:
    with atomic_write(target) as part:
        part.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error):
        fail_halfway(target, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_cannot_be_written_is_one_error_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, reason in [
        (tmp_path / "none" / "a.txt", "no such file"),
        (tmp_path / "file" / "a.txt", "not a directory"),
    ]:
        with (
            pytest.raises(OutputError, match=f"a.txt cannot be written: {reason}"),
            atomic_write(path) as part,
        ):
            part.write_text("new")


def test_a_part_lies_hidden_beside_its_file(tmp_path: Path) -> None:
    part = partial_path(tmp_path / "a.wav")
    assert part.parent == tmp_path
    assert part.name.startswith(".")

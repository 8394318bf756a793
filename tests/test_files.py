from pathlib import Path

import pytest

from liveavatar.errors import OutputError
from liveavatar.files import atomic_write, publish_file, remove_partial_file


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
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


def test_the_partial_file_is_hidden_and_in_the_same_folder(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.wav") as partial:
        assert partial.parent == tmp_path
        assert partial.name.startswith(".")
        partial.write_text("complete")


def test_what_a_killed_process_left_can_be_removed(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.wav") as partial:
        partial.write_text("complete")
    partial.write_text("left")
    remove_partial_file(tmp_path / "a.wav")
    remove_partial_file(tmp_path / "a.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def publish_and_fail(target: Path, published: Path) -> None:
    with atomic_write(target) as partial:
        partial.write_text("half")
        publish_file(partial, published)
        raise ValueError("half is all there is")


def test_a_partial_file_can_be_published_under_another_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half is all"):
        publish_and_fail(tmp_path / "a.mp4", tmp_path / "a.partial.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.partial.mp4"]

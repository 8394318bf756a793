import os
import socket
from pathlib import Path

import pytest

from liveavatar.errors import AudioError, OutputError
from liveavatar.files import (
    atomic_write,
    describe_path,
    open_regular_file,
    publish_file,
    remove_partial_file,
    require_regular_file,
)


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


# What may be opened


def read_refusal(path: object) -> str:
    with pytest.raises(AudioError) as caught:
        require_regular_file(path, AudioError, "sound file")
    message = str(caught.value)
    assert "\n" not in message
    assert message.encode("utf-8")
    assert caught.value.remedy
    return caught.value.problem


@pytest.mark.parametrize(
    "name", ["a.wav", "声" * 81 + ".wav", "a\nb.wav", os.fsdecode(b"\xff.wav"), "[b].wav", "-x"]
)
def test_regular_files_of_any_name_may_be_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    assert require_regular_file(str(path), AudioError) == path
    assert require_regular_file(os.fsencode(path), AudioError) == path
    with open_regular_file(path, AudioError) as file:
        assert file.read() == b"x"


def test_a_link_to_a_file_may_be_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    assert require_regular_file(tmp_path / "link", AudioError) == tmp_path / "link"


@pytest.mark.parametrize("path", ["/", ".", "..", Path()])
def test_folders_are_refused(path: object) -> None:
    assert read_refusal(path) == f"{path} is a folder"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_devices_are_refused(path: str) -> None:
    if not Path(path).exists():
        pytest.skip("this system has no such device")
    assert read_refusal(path) == f"{path} is a device, not a regular file"


def test_pipes_and_sockets_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_refusal(tmp_path / "pipe").endswith("is a pipe, not a regular file")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert read_refusal(tmp_path / "socket").endswith("is a socket, not a regular file")


def test_what_takes_the_place_of_a_file_after_the_first_look_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"x")
    before = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda _path: before)
    with pytest.raises(AudioError, match="is a pipe"):
        open_regular_file(path, AudioError)


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    assert read_refusal(tmp_path / "loop").endswith("is a symbolic link that leads to itself")
    assert read_refusal(tmp_path / "dangling").startswith("there is no file")


def test_a_file_without_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert read_refusal(tmp_path / "a.wav").endswith("is empty")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "the name of the sound file is empty"),
        (b"", "the name of the sound file is empty"),
        ("none.wav", "there is no file none.wav"),
        (__file__ + "/a.wav", f"there is no file {__file__}/a.wav"),
        ("a\0b", "'a\\\\x00b' cannot be the name of a file"),
        ("\ud800", "'\\\\ud800' cannot be the name of a file"),
        ("a" * 5000, "a" * 60 + "… is too long a name"),
        (None, "an object of type NoneType is not the path of a sound file"),
        (7, "an object of type int is not the path of a sound file"),
        (["a"], "an object of type list is not the path of a sound file"),
    ],
)
def test_what_is_no_path_is_refused(path: object, problem: str) -> None:
    assert read_refusal(path) == problem


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is open to root")
def test_what_permissions_forbid_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.wav"
    path.parent.mkdir()
    path.write_bytes(b"x")
    path.chmod(0)
    assert read_refusal(path).endswith("may not be read")
    path.parent.chmod(0)
    assert read_refusal(path).endswith("may not be read")
    path.parent.chmod(0o700)


def test_descriptions_of_paths_are_one_line_of_text() -> None:
    assert describe_path(os.fsdecode(b"\xff\n\x1b[1m.wav")) == "\\udcff\\n\\x1b[1m.wav"
    assert describe_path("声\u3000 a.wav") == "声\u3000 a.wav"

import errno
import os
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from liveavatar.errors import AudioError, OutputError
from liveavatar.files import (
    atomic_write,
    create_folder,
    describe_path,
    explain_system_error,
    format_command,
    is_one_line,
    open_regular_file,
    publish_file,
    require_regular_file,
    scratch_folder,
    shorten_name,
)
from privileges import drop_privileges


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
        (tmp_path / "none" / "a.txt", "there is no folder .*none; create it first"),
        (tmp_path / "file" / "a.txt", "a.txt cannot be written: not a directory"),
    ]:
        with (
            pytest.raises(OutputError, match=reason),
            atomic_write(path) as part,
        ):
            part.write_text("new")


def test_the_partial_file_is_hidden_and_in_the_same_folder(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.wav") as partial:
        assert partial.parent == tmp_path
        assert partial.name.startswith(".")
        partial.write_text("complete")


def publish_and_fail(target: Path, published: Path) -> None:
    with atomic_write(target) as partial:
        partial.write_text("half")
        publish_file(partial, published)
        raise ValueError("half is all there is")


def test_a_partial_file_can_be_published_under_another_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half is all"):
        publish_and_fail(tmp_path / "a.mp4", tmp_path / "a.partial.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.partial.mp4"]


def test_names_up_to_the_limit_of_the_file_system_are_written(tmp_path: Path) -> None:
    for name in ("語" * 83 + ".wav", "a" * 251 + ".wav"):
        with atomic_write(tmp_path / name) as partial:
            partial.write_text("complete")
        assert (tmp_path / name).read_text() == "complete"
    with pytest.raises(OutputError, match="the name is too long"), atomic_write(tmp_path / ("語" * 86)):
        pytest.fail("refused before any work")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="is not a file name"), atomic_write(tmp_path / name):
        pytest.fail("refused before any work")


def test_a_folder_a_device_and_a_pipe_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "null", "folder"):
        with pytest.raises(OutputError, match="name a file"), atomic_write(tmp_path / name):
            pytest.fail("refused before any work")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_files_have_the_permissions_that_the_user_chose(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a.wav") as partial:
            partial.write_text("complete")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.wav").stat().st_mode) == 0o640


def test_temporary_files_have_a_private_folder_that_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder() as folder:
        (folder / "sound.wav").write_text("sound")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_without_a_temporary_folder_the_error_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="set TMPDIR"), scratch_folder():
        pytest.fail("there is none")


def test_a_full_temporary_folder_is_not_told_by_names_that_nobody_gave(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(OutputError, match=r"^temporary files cannot be written: the disk is full; set TMPDIR"),
        scratch_folder() as folder,
        atomic_write(folder / "sound.wav"),
    ):
        raise full
    with (
        pytest.raises(OutputError, match=r"out\.wav cannot be written: the disk is full; free some space"),
        scratch_folder(),
        atomic_write(tmp_path / "out.wav"),
    ):
        raise full


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "there is not enough memory; close other programs"),
        (
            PermissionError(errno.EACCES, "Permission denied", "a\nb"),
            r"a\nb: permission denied; change the permissions",
        ),
        (
            OSError(errno.EMFILE, "Too many open files"),
            "too many files are open; raise the limit (ulimit -n)",
        ),
        (OSError(errno.EIO, "Input/output error", "a"), "a: input/output error; choose another folder"),
    ],
)
def test_errors_of_the_system_are_one_line(error: OSError | MemoryError, message: str) -> None:
    assert str(explain_system_error(error)) == message


def test_a_folder_that_cannot_be_created_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    create_folder(tmp_path / "a" / "b")
    for folder in (tmp_path / "file", tmp_path / "file" / "a", tmp_path / ("a" * 256), tmp_path / "a\0b"):
        with pytest.raises(OutputError, match="cannot be created"):
            create_folder(folder)


def test_a_printed_command_means_the_same_in_a_shell(tmp_path: Path) -> None:
    for name in (
        "a b.wav",
        "it's.wav",
        "$HOME.wav",
        "`id`.wav",
        'q"q.wav',
        "a;b.wav",
        "語.wav",
        "*.wav",
        "\\.wav",
        "\x1b[31mred\x07.wav",
        "it's\n\\ 3\x1b3.wav",
        os.fsdecode(b"caf\xe9.wav"),
    ):
        command = format_command("printf", "%s", tmp_path / name)
        assert is_one_line(command)
        done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
        assert done.stdout == os.fsencode(tmp_path / name)
    assert format_command("liveavatar", "sync", Path("-x.mp4")) == "liveavatar sync ./-x.mp4"


@pytest.mark.parametrize("stem", ["short", "語" * 85, "a" * 255])
def test_a_derived_name_fits(tmp_path: Path, stem: str) -> None:
    name = shorten_name(stem, ".partial.mp4")
    (tmp_path / name).write_text("")
    assert name.endswith(".partial.mp4")
    assert stem.startswith(name.removesuffix(".partial.mp4"))


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


def test_what_permissions_forbid_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's folders are closed to others
        folder = Path(name) / "folder"
        folder.mkdir()
        Path(name).chmod(0o755)
        path = folder / "a.wav"
        path.write_bytes(b"x")
        with drop_privileges():
            assert require_regular_file(path, AudioError) == path
        path.chmod(0)
        with drop_privileges():
            assert read_refusal(path).endswith("a.wav may not be read")
        folder.chmod(0)
        with drop_privileges():
            assert read_refusal(path).endswith("a.wav may not be read")
        folder.chmod(0o700)


def test_descriptions_of_paths_are_one_line_of_text() -> None:
    assert describe_path(os.fsdecode(b"\xff\n\x1b[1m.wav")) == "\\udcff\\n\\x1b[1m.wav"
    assert describe_path("声\u3000 a.wav") == "声\u3000 a.wav"

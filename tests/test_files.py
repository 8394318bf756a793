import fcntl
import os
import secrets
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveavatar.errors import OutputError
from liveavatar.files import (
    atomic_write,
    create_folder,
    publish_file,
    remove_dead_partials,
    scratch_folder,
    scratch_folder_in,
    shorten_name,
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


def publish_and_fail(target: Path, published: Path) -> None:
    with atomic_write(target) as partial:
        partial.write_text("half")
        publish_file(partial, published)
        raise ValueError("half is all there is")


def test_a_partial_file_can_be_published_under_another_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half is all"):
        publish_and_fail(tmp_path / "a.mp4", tmp_path / "a.partial.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.partial.mp4"]


WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from liveavatar.files import atomic_write, scratch_folder
with scratch_folder() as scratch, atomic_write(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    (scratch / "sound.wav").write_text("half")
    print(partial, scratch, sep="\\n", flush=True)
    time.sleep(600)
"""


@contextmanager
def start_writer(target: Path) -> Iterator[tuple[subprocess.Popen[str], Path, Path]]:
    """A process that has begun to write `target`, its partial file and its scratch folder; it is killed at the end."""
    environment = os.environ | {"TMPDIR": str(target.parent), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        partial, scratch = (Path(process.stdout.readline().strip()) for _ in range(2))
        try:
            yield process, partial, scratch
        finally:
            process.kill()


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path: Path) -> None:
    stranger = tmp_path / ".liveavatar-notes.part"
    stranger.write_text("of the user")
    with (
        start_writer(tmp_path / "dead.wav") as (process, dead, dead_scratch),
        start_writer(tmp_path / "alive.wav") as (_, alive, alive_scratch),
    ):
        assert dead.is_file()
        assert dead_scratch.is_dir()
        process.kill()
        process.wait()
        remove_dead_partials(tmp_path)
        assert {alive, alive_scratch, stranger} == set(tmp_path.iterdir())


def test_the_first_file_in_a_folder_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    with start_writer(tmp_path / "dead.wav") as (process, _, _):
        process.kill()
        process.wait()
        with atomic_write(tmp_path / "a.wav") as partial:
            partial.write_text("complete")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_partial_file_of_this_process_is_not_removed(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.wav") as partial:
        partial.write_text("complete")
        remove_dead_partials(tmp_path)
    assert (tmp_path / "a.wav").read_text() == "complete"


def test_a_sweep_between_creation_and_lock_costs_only_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    swept: list[Path] = []

    def lock_late(descriptor: int, operation: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            remove_dead_partials(tmp_path)
        lock(descriptor, operation)

    with atomic_write(tmp_path / "first.wav"):
        pass  # the folder is swept once
    (tmp_path / "first.wav").unlink()
    monkeypatch.setattr(fcntl, "flock", lock_late)
    for create in (atomic_write(tmp_path / "a.wav"), scratch_folder_in(tmp_path)):
        swept.clear()
        with create as partial:
            assert partial.exists()
            assert partial not in swept
        (tmp_path / "a.wav").unlink(missing_ok=True)
    assert list(tmp_path.iterdir()) == []


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    digits = "0123456789abcdef"
    (tmp_path / f".liveavatar-{digits}.part").symlink_to(victim)
    monkeypatch.setattr(secrets, "token_hex", lambda _count: digits)
    with pytest.raises(OutputError), atomic_write(tmp_path / "a.wav") as partial:
        partial.write_text("new")
    assert victim.read_text() == "precious"


def test_links_of_our_name_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("precious")
    link = tmp_path / ".liveavatar-0123456789abcdef.part"
    link.symlink_to(victim)
    remove_dead_partials(tmp_path)
    assert link.is_symlink()
    assert (victim / "file").read_text() == "precious"


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


def test_a_folder_that_cannot_be_created_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    create_folder(tmp_path / "a" / "b")
    for folder in (tmp_path / "file", tmp_path / "file" / "a", tmp_path / ("a" * 256)):
        with pytest.raises(OutputError, match="cannot be created"):
            create_folder(folder)


@pytest.mark.parametrize("stem", ["short", "語" * 85, "a" * 255])
def test_a_derived_name_fits(tmp_path: Path, stem: str) -> None:
    name = shorten_name(stem, ".partial.mp4")
    (tmp_path / name).write_text("")
    assert name.endswith(".partial.mp4")
    assert stem.startswith(name.removesuffix(".partial.mp4"))

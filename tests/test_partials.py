"""Partial files: unforeseeable names, and sweeps that never touch what a running process writes."""

import fcntl
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveavatar.errors import OutputError
from liveavatar.files import atomic_write
from liveavatar.partials import partial_file, remove_dead_partials, scratch_folder_in

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
    for create in (partial_file(tmp_path), scratch_folder_in(tmp_path)):
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

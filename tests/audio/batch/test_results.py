"""Nobody's file is replaced, two recordings never meet, and a run that was killed leaves nothing unknown."""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.audio.batch import results, runner
from liveavatar.audio.batch.manifest import MANIFEST_NAME, Manifest, ManifestEntry, hash_file
from liveavatar.audio.batch.naming import fold_name
from liveavatar.audio.batch.prepare import PreparationOptions
from liveavatar.audio.batch.runner import PreparationOutcome, PreparationTask
from liveavatar.audio.batch.search import FoundRecording
from liveavatar.errors import OutputError

OPTIONS = PreparationOptions()


def copy_recording(task: PreparationTask) -> PreparationOutcome:
    """Stands in for the preparation of real sound: the result is a text about the recording."""
    source, old = task.recording.source, task.result.entry
    outcome = PreparationOutcome(source=str(source), output=str(task.output), state="unchanged")
    entry = ManifestEntry(
        source=str(source.absolute()), source_hash=hash_file(source), output_hash="", options="copy"
    )
    if (
        old is not None
        and (old.source_hash, old.options) == (entry.source_hash, "copy")
        and results.hash_readable_file(task.output) == old.output_hash
    ):
        return replace(outcome, entry=replace(entry, output_hash=old.output_hash))
    task.result.scratch.parent.mkdir()
    task.result.scratch.write_bytes(b"made from " + source.read_bytes())
    entry = replace(entry, output_hash=hash_file(task.result.scratch))
    return replace(outcome, state="done", entry=entry)


def run(inputs: list[Path], output: Path) -> dict[str, PreparationOutcome]:
    outcomes = runner.prepare_batch(
        inputs, output, OPTIONS, lambda _work, tasks: ((task, copy_recording(task)) for task in tasks)
    )
    return {os.path.relpath(outcome.output, output): outcome for outcome in outcomes}


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or f"somebody's {path.name}")
    return path


def list_files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_recording_beside_another_of_its_name_does_not_replace_it(tmp_path: Path) -> None:
    mp3, wav = write(tmp_path / "talk.mp3"), write(tmp_path / "talk.wav")
    assert list(run([mp3], tmp_path)) == ["talk.mp3.wav"]
    assert wav.read_text() == "somebody's talk.wav"


def test_a_folder_prepared_into_itself_keeps_its_recordings_and_breeds_nothing(tmp_path: Path) -> None:
    for name in ("a.wav", "a.mp3", "deep/b.wav"):
        write(tmp_path / name)
    before = list_files(tmp_path)
    first = run([tmp_path], tmp_path)
    after = list_files(tmp_path)
    assert set(first) == {"a.mp3.wav", "a-2.wav", "deep/b-2.wav"} == set(after) - set(before)
    assert {name: after[name] for name in before} == before
    again = run([tmp_path], tmp_path)
    assert {outcome.state for outcome in again.values()} == {"unchanged"}
    assert list_files(tmp_path) == after
    everything = [path for path in tmp_path.iterdir() if path.name != MANIFEST_NAME]
    assert set(run(everything, tmp_path)) == {"a.mp3.wav", "a-2.wav", "b.wav"}, "as by the shell's *"


def test_results_in_folders_of_their_own_are_not_prepared_into_another(tmp_path: Path) -> None:
    recordings, output = tmp_path / "in", tmp_path / "out"
    for name in ("a.mp3", "deep/b.wav"):
        write(recordings / name)
    run([recordings], recordings / "prepared")
    run([recordings / "deep"], recordings / "deep")
    write(recordings / "prepared" / "c.wav")
    assert set(run([recordings], output)) == {"a.wav", "deep/b.wav", "prepared/c.wav"}
    assert set(run([recordings / "prepared"], tmp_path / "again")) == {"a.wav", "c.wav", "deep/b.wav"}, (
        "as asked"
    )


def test_a_result_that_somebody_has_edited_is_theirs(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "a.mp3")
    output = tmp_path / "out"
    run([source], output)
    write(output / "a.wav", "edited")
    assert list(run([source], output)) == ["a.mp3.wav"]
    assert run([source], output)["a.mp3.wav"].state == "unchanged"
    assert (output / "a.wav").read_text() == "edited"


def test_recordings_of_one_name_in_runs_of_their_own_do_not_replace_each_other(tmp_path: Path) -> None:
    sources = [write(tmp_path / folder / "talk.wav", folder) for folder in "abc"]
    output = tmp_path / "out"
    for source in sources:
        run([source], output)
    assert list_files(output) == {
        "talk.wav": b"made from a", "talk-2.wav": b"made from b", "talk-3.wav": b"made from c",
    }  # fmt: skip
    assert list(run(sources[::-1], output)) == ["talk-3.wav", "talk-2.wav", "talk.wav"]


def test_names_differ_by_more_than_their_case(tmp_path: Path) -> None:
    sources = [write(tmp_path / "in" / name) for name in ("Talk.mp3", "talk.mp3", "TALK.wav")]
    assert len({fold_name(name) for name in run(sources, tmp_path / "out")}) == 3


def test_a_recording_given_twice_is_prepared_once(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "a.mp3")
    assert len(run([source, tmp_path / "in", source], tmp_path / "out")) == 1
    assert list(list_files(tmp_path / "out")) == ["a.wav"]


def test_moved_recordings_keep_their_results(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.mp3")
    output = tmp_path / "out"
    run([tmp_path / "in"], output)
    (tmp_path / "in").rename(tmp_path / "moved")
    assert run([tmp_path / "moved"], output)["a.wav"].state == "unchanged"
    write(tmp_path / "moved" / "a.mp3", "another take")
    assert run([tmp_path / "moved"], output)["a.wav"].state == "done"
    assert list(list_files(output)) == ["a.wav"]


def test_links_are_neither_followed_nor_replaced(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "a.mp3")
    stranger = write(tmp_path / "stranger.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.wav").symlink_to(stranger)
    (tmp_path / "out" / "a.mp3.wav").symlink_to("nowhere")
    assert list(run([source], tmp_path / "out")) == ["a-2.wav"]
    assert stranger.read_text() == "somebody's stranger.wav"


def test_without_its_manifest_a_folder_keeps_the_names_of_what_is_still_right(tmp_path: Path) -> None:
    sources = [write(tmp_path / folder / "talk.wav", folder) for folder in "ab"]
    output = tmp_path / "out"
    run(sources, output)
    before = list_files(output)
    (output / MANIFEST_NAME).unlink()
    run(sources, output)
    assert list_files(output) == before
    assert {outcome.state for outcome in run(sources, output).values()} == {"unchanged"}


@pytest.mark.parametrize("method", ["link", "rename"])
def test_file_systems_without_links_or_several_of_them_get_copies(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    source, output = write(tmp_path / "in" / "a.mp3"), tmp_path / "out"
    if method == "link":
        monkeypatch.setattr(os, "link", refuse)
    run([source], output)
    if method == "rename":
        write(source, "another take")
        real = Path.replace
        monkeypatch.setattr(
            Path, "replace", lambda path, to: real(path, to) if ".part" in path.name else refuse()
        )
        run([source], output)
    assert list_files(output) == {"a.wav": b"made from " + source.read_bytes()}


# A run that is killed, and runs at the same time


class Killed(BaseException):
    """Stands in for SIGKILL: nothing after it happens."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("old", [False, True])
def test_a_run_killed_around_the_naming_leaves_nothing_unknown(
    moment: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write(tmp_path / "in" / "a.mp3", "one"), tmp_path / "out"
    if old:
        run([source], output)
        write(source, "two")

    def die(function: Callable[..., None]) -> Callable[..., None]:
        def die_around(*paths: Path) -> None:
            if moment == "after":
                function(*paths)
            raise Killed

        return die_around

    with monkeypatch.context() as patch:
        for name in ("move_to_free_name", "move_over_file"):
            patch.setattr(results, name, die(getattr(results, name)))
        with pytest.raises(Killed):
            run([source], output)
    assert list(run([source], output)) == ["a.wav"]
    assert list_files(output) == {"a.wav": b"made from " + source.read_bytes()}


@pytest.mark.parametrize("winner", ["stranger", "another recording"])
def test_a_name_taken_at_the_last_moment_is_left_to_the_winner(
    winner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write(tmp_path / "in" / "a.mp3"), tmp_path / "out"
    other = write(tmp_path / "other" / "a.mp3", "other")
    name = "move_to_free_name" if winner == "stranger" else "create_folder"
    real: Callable[..., None] = vars(results)[name]

    def lose(*paths: Path) -> None:
        monkeypatch.setattr(results, name, real)
        if winner == "stranger":
            write(output / "a.wav", "stranger")
        else:
            run([other], output)
        real(*paths)

    monkeypatch.setattr(results, name, lose)
    run([source], output)
    files = list_files(output)
    assert files.pop("a.mp3.wav" if winner == "another recording" else "a.wav") in {
        b"stranger",
        b"made from other",
    }
    assert list(files.values()) == [b"made from " + source.read_bytes()]


def test_an_entry_is_recorded_only_in_place_of_the_one_that_was_read(tmp_path: Path) -> None:
    one = ManifestEntry(source="1", source_hash="1", output_hash="1", options="1")
    two = replace(one, output_hash="2")
    with Manifest(tmp_path) as manifest, Manifest(tmp_path) as other:
        assert manifest.record_entry("a.wav", one, None)
        assert not other.record_entry("a.wav", two, None)
        assert other.record_entry("a.wav", two, one)
        other.forget_entry("a.wav", one)
        assert manifest.find_entry("a.wav") == two
        assert manifest.is_known_hash("a.wav", "1"), "of the file that may still be there"
        assert not manifest.is_known_hash("b.wav", "1")


# Any names, any files that are there before


NAMES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "deep/", "Deep/"]),
    st.sampled_from(["a", "A", "a-2", "a.mp3", "\u00e9", "e\u0301", "\udcff", "a" * 250]),
    st.sampled_from([".wav", ".mp3", ".WAV"]),
).filter(lambda name: len(os.fsencode(Path(name).name)) <= 255)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    recordings=st.lists(NAMES, min_size=1, max_size=8, unique=True),
    strangers=st.lists(NAMES, max_size=8, unique=True),
    edited=st.integers(0, 7),
    inside=st.booleans(),
)
def test_every_recording_gets_a_result_of_its_own_and_nothing_else_changes(
    recordings: list[str], strangers: list[str], edited: int, inside: bool
) -> None:
    with TemporaryDirectory() as root:
        output = Path(root) / "out"
        source = output if inside else Path(root) / "in"
        for number, name in enumerate(recordings):
            write(source / name, f"recording {number}")
        for number, name in enumerate(strangers):
            if not (output / name).exists():
                write(output / name, f"stranger {number}")
        before = list_files(Path(root))
        first = run([source], output)
        found = len(set(recordings) | set(strangers)) if inside else len(recordings)
        assert len(first) == len({fold_name(name) for name in first}) == found
        for name, outcome in first.items():
            assert (output / name).read_bytes() == b"made from " + Path(outcome.source).read_bytes()
        after = list_files(Path(root))
        assert before.items() <= after.items()
        assert len(after) == len(before) + found
        again = run([source], output)
        assert {name: outcome.state for name, outcome in again.items()} == dict.fromkeys(first, "unchanged")
        assert list_files(Path(root)) == after
        theirs = output / sorted(first)[edited % len(first)]
        theirs.write_text("edited")
        run([source], output)
        assert before.items() <= list_files(Path(root)).items()
        assert theirs.read_text() == "edited"


# Manifests


def list_damage(good: bytes) -> dict[str, bytes]:
    noise = np.random.default_rng(0).bytes(4_000)
    return {
        "noise": noise,
        "text": b"this is no database",
        "half": good[: len(good) // 2],
        "one page": good[:4096],
        "header only": good[:100],
        "zeros after the header": good[:100] + bytes(len(good) - 100),
        "noise in a page": good[:8192] + noise + good[12_192:],
        "noise in the schema": good[:200] + noise[:3800] + good[4000:],
        "noise at the end": good[:-4000] + noise,
    }


@pytest.fixture
def many_results(tmp_path: Path) -> Path:
    """A folder with a manifest of many pages."""
    for number in range(40):
        write(tmp_path / "in" / f"{number}.mp3", str(number))
    run([tmp_path / "in"], tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.slow
@pytest.mark.parametrize("kind", list_damage(bytes(20_000)))
def test_a_damaged_manifest_is_an_error_and_nothing_is_lost_without_it(kind: str, many_results: Path) -> None:
    path = many_results / MANIFEST_NAME
    before = list_files(many_results)
    path.write_bytes(list_damage(path.read_bytes())[kind])
    with pytest.raises(OutputError, match=r"cannot be used: .*; delete it: results that are still right"):
        run([many_results.parent / "in"], many_results)
    path.unlink()
    run([many_results.parent / "in"], many_results)
    assert list_files(many_results) == before


@pytest.mark.parametrize("schema", ["prepared (a)", "prepared (output PRIMARY KEY)", "written (output)"])
def test_the_tables_of_another_program_are_an_error(schema: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / MANIFEST_NAME) as database:
        database.execute(f"CREATE TABLE {schema}")
    database.close()
    with pytest.raises(OutputError, match="cannot be used"):
        run([], tmp_path)


@pytest.mark.parametrize("kind", ["folder", "link", "loop", "pipe"])
def test_a_manifest_that_is_no_file_is_an_error(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / MANIFEST_NAME
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "loop" else write(tmp_path / "stranger.sqlite3"))
    with pytest.raises(OutputError, match="cannot be used: it is not a file; delete it"):
        run([], tmp_path / "out")


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    """SQLite reports a database that may not grow as a full disk."""
    with Manifest(tmp_path) as manifest:
        manifest._database.execute("PRAGMA max_page_count = 1")
        entry = ManifestEntry(source="s" * 9_000, source_hash="", output_hash="", options="")
        with pytest.raises(OutputError, match="cannot be used: the disk is full; free some space"):
            manifest.record_entry("a.wav", entry, None)


def test_manifests_of_earlier_releases_stay_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their sources are the paths as they were given, they know one hash a file, and name files in another way."""
    monkeypatch.chdir(tmp_path)
    recordings = {"a.wav": Path("in/a.flac"), "a.wav.wav": Path("in/a.wav")}
    Path("out").mkdir()
    with sqlite3.connect(Path("out") / MANIFEST_NAME) as database:
        database.execute(
            "CREATE TABLE prepared (output TEXT PRIMARY KEY, source TEXT, source_hash TEXT, output_hash TEXT,"
            " options TEXT) WITHOUT ROWID"
        )
        for name, source in recordings.items():
            write(source)
            output = write(Path("out") / name, f"made from {source.read_text()}")
            row = (name, str(source), hash_file(source), hash_file(output), "copy")
            database.execute("INSERT INTO prepared VALUES (?, ?, ?, ?, ?)", row)
    database.close()
    for _ in range(2):
        outcomes = run([Path("in")], Path("out"))
        assert {name: outcome.state for name, outcome in outcomes.items()} == dict.fromkeys(
            recordings, "unchanged"
        )
    write(Path("in/a.wav"), "another take")
    assert run([tmp_path / "in"], tmp_path / "out")["a.wav.wav"].state == "done"


def test_what_a_dead_run_left_is_removed_and_what_a_live_one_has_is_kept(tmp_path: Path) -> None:
    recording = FoundRecording(source=write(tmp_path / "a.mp3"), place=Path("a"))
    with results.open_result_folder(tmp_path) as live:
        planned = live.plan_result(recording)
        assert planned is not None
        planned.scratch.parent.mkdir()
        planned.scratch.touch()
        run([], tmp_path)
        assert planned.scratch.exists()
    assert not list(tmp_path.glob("*.part"))

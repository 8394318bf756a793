"""Folders of recordings: the tree is kept, failures stop no other file, unchanged files are skipped."""

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from audio.sounds import babble, encode, write_wav
from liveavatar.audio.batch import manifest, runner
from liveavatar.audio.batch.prepare import PreparationOptions
from liveavatar.audio.batch.results import PlannedResult
from liveavatar.audio.batch.runner import PreparationOutcome, PreparationTask, TaskRunner
from liveavatar.audio.batch.search import FoundRecording
from liveavatar.audio.batch.worker_process import WorkerCrash
from liveavatar.errors import AudioError, OutputError


def one_by_one(work, tasks):  # type: ignore[no-untyped-def]
    return ((task, work(task)) for task in tasks)


SERIAL: TaskRunner = one_by_one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "deep" / "er").mkdir(parents=True)
    for place in ("a.wav", "deep/b.wav", "deep/er/声.wav"):
        write_wav(folder / place, babble(16_000, 0.5), 16_000)
    encode(folder / "a.flac", babble(22_050, 0.5), 22_050, "flac")
    (folder / "bad.mp3").write_text("this is no sound")
    (folder / "notes.txt").write_text("nor is this")
    (folder / ".hidden.wav").write_text("nor this")
    return folder


def run(
    folder: Path, output: Path, options: PreparationOptions | None = None, spread: TaskRunner = SERIAL
) -> list[PreparationOutcome]:
    return list(runner.prepare_batch([folder], output, options or PreparationOptions(), spread))


def states(outcomes: list[PreparationOutcome], output: Path) -> dict[str, str]:
    return {str(Path(outcome.output).relative_to(output)): outcome.state for outcome in outcomes}


def test_the_tree_is_kept_and_a_failure_stops_no_other_file(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    outcomes = run(folder, output)
    assert states(outcomes, output) == {
        "a.wav": "done", "a-2.wav": "done", "bad.wav": "failed", "deep/b.wav": "done", "deep/er/声.wav": "done",
    }  # fmt: skip
    [failed] = [outcome for outcome in outcomes if outcome.state == "failed"]
    assert "not a sound file" in failed.error
    assert failed.remedy
    files = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
    assert files == {"a.wav", "a-2.wav", "deep/b.wav", "deep/er/声.wav", manifest.MANIFEST_NAME}


def test_unchanged_files_are_skipped(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(folder, output)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.wav")}
    again = states(run(folder, output), output)
    assert set(again.values()) == {"unchanged", "failed"}
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.wav")} == before


def test_changes_of_recording_result_or_options_are_detected(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(folder, output)
    write_wav(folder / "deep" / "b.wav", babble(16_000, 0.5, 0.2), 16_000)
    (output / "deep" / "er" / "声.wav").write_text("somebody wrote over it")
    (output / "a.wav").unlink()
    changed = {
        "a.wav": "done", "a-2.wav": "unchanged", "bad.wav": "failed", "deep/b.wav": "done",
        "deep/er/声-2.wav": "done",
    }  # fmt: skip
    assert states(run(folder, output), output) == changed
    assert (output / "deep" / "er" / "声.wav").read_text() == "somebody wrote over it"
    assert set(states(run(folder, output), output).items()) == {
        (name, state.replace("done", "unchanged")) for name, state in changed.items()
    }
    options = PreparationOptions(true_rate=22_050)
    assert set(states(run(folder, output, options), output).values()) == {"done", "failed"}


def test_the_same_sound_gives_the_same_file(folder: Path, tmp_path: Path) -> None:
    for output in (tmp_path / "one", tmp_path / "two"):
        run(folder, output)
    assert (tmp_path / "one" / "a.wav").read_bytes() == (tmp_path / "two" / "a.wav").read_bytes()


def test_results_inside_the_folder_are_not_prepared_again(folder: Path) -> None:
    output = folder / "out"
    assert len(run(folder, output)) == 5
    assert len(run(folder, output)) == 5


def test_files_of_the_same_name_get_different_outputs(tmp_path: Path) -> None:
    sources = []
    for place in ("a", "b", "c"):
        (tmp_path / place).mkdir()
        sources.append(write_wav(tmp_path / place / "talk.wav", babble(16_000, 0.3), 16_000))
    outcomes = list(runner.prepare_batch(sources, tmp_path / "out", PreparationOptions(), SERIAL))
    assert [Path(outcome.output).name for outcome in outcomes] == ["talk.wav", "talk-2.wav", "talk-3.wav"]


def test_a_crash_fails_one_file_and_leaves_no_partial_file(folder: Path, tmp_path: Path) -> None:
    def crashing(work, tasks):  # type: ignore[no-untyped-def]
        for task in tasks:
            if task.recording.source.name == "b.wav":
                task.result.scratch.parent.mkdir()
                task.result.scratch.touch()
                yield task, WorkerCrash(-11)
            else:
                yield task, work(task)

    output = tmp_path / "out"
    outcomes = run(folder, output, spread=crashing)
    assert states(outcomes, output)["deep/b.wav"] == "failed"
    assert any("stopped the program that reads it (SIGSEGV)" in outcome.error for outcome in outcomes)
    assert not list(output.rglob("*.part"))
    assert not (output / "deep" / "b.wav").exists()


def test_an_outcome_is_converted_to_plain_values(folder: Path, tmp_path: Path) -> None:
    done = next(outcome for outcome in run(folder, tmp_path / "out") if outcome.state == "done")
    values = done.to_json()
    assert values["measured"]["rate"] in {16_000, 22_050}
    assert len(values["output_hash"]) == 64
    assert "error" not in values


def test_many_files_need_no_more_memory_than_few(tmp_path: Path) -> None:
    """Tasks are created one at a time, as files are worked on."""
    (tmp_path / "in").mkdir()
    for number in range(300):
        (tmp_path / "in" / f"{number}.wav").touch()
    open_tasks: list[PreparationTask] = []

    def peeking(work, tasks):  # type: ignore[no-untyped-def]
        for task in tasks:
            open_tasks.append(task)
            yield task, work(task)

    outcomes = runner.prepare_batch([tmp_path / "in"], tmp_path / "out", PreparationOptions(), peeking)
    next(outcomes)
    assert len(open_tasks) == 1
    assert sum(outcome.state == "failed" for outcome in outcomes) == 299


def test_entries_that_cannot_be_read_stop_no_other_file(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "folder.mp3").mkdir(parents=True)
    write_wav(folder / "good.wav", babble(16_000, 0.5), 16_000)
    (folder / "loop").symlink_to("loop")
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "dangling.mp3").symlink_to("nowhere")
    (folder / "link.mp3").symlink_to("folder.mp3")
    os.mkfifo(folder / "pipe.flac")
    (folder / "empty.ogg").touch()
    (folder / os.fsdecode(b"no utf-8 \xff.mp3")).write_text("no sound")
    outcomes = run(folder, tmp_path / "out")
    assert states(outcomes, tmp_path / "out") == {
        "good.wav": "done", "loop.wav": "failed", "dangling.wav": "failed", "link.wav": "failed",
        "pipe.wav": "failed", "empty.wav": "failed", "no utf-8 \udcff.wav": "failed",
    }  # fmt: skip
    assert all(outcome.error and outcome.remedy for outcome in outcomes if outcome.state == "failed")


def test_a_folder_that_cannot_be_searched_stops_no_other_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def refuse(path: Path | int) -> Any:
        if isinstance(path, Path) and path.name == "er":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    outcomes = run(folder, tmp_path / "out")
    assert [outcome.state for outcome in outcomes].count("done") == 3
    [failed] = [outcome for outcome in outcomes if outcome.source == str(folder / "deep" / "er")]
    assert failed.error.endswith("deep/er cannot be searched: permission denied")


def test_tasks_and_outcomes_are_sent_between_processes(folder: Path, tmp_path: Path) -> None:
    def pickling(work, tasks):  # type: ignore[no-untyped-def]
        for task in tasks:
            yield pickle.loads(pickle.dumps((task, work(pickle.loads(pickle.dumps(task))))))  # noqa: S301

    (folder / "loop.wav").symlink_to("loop.wav")
    outcomes = run(folder, tmp_path / "out", spread=pickling)
    assert sorted(outcome.state for outcome in outcomes) == ["done"] * 4 + ["failed"] * 2
    refused = PreparationTask(
        recording=FoundRecording(
            source=folder, place=Path(), refusal=AudioError("it may not be read", "ask")
        ),
        output=tmp_path / "out",
        result=PlannedResult(name="a", scratch=tmp_path / "a", entry=None),
        options=PreparationOptions(),
    )
    outcome = runner.run_preparation_task(pickle.loads(pickle.dumps(refused)))  # noqa: S301
    assert (outcome.state, outcome.error, outcome.remedy) == ("failed", "it may not be read", "ask")


def test_an_error_of_writing_names_the_result_and_not_its_scratch_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, output: Path, _options: PreparationOptions) -> None:
        raise OutputError(f"{output} cannot be written: the disk is full", "free some space")

    monkeypatch.setattr(runner, "prepare_recording", fail)
    output = tmp_path / "out"
    outcomes = run(folder, output)
    assert outcomes[0].error == f"{output / 'a.wav'} cannot be written: the disk is full"
    assert {path.name for path in output.iterdir()} == {manifest.MANIFEST_NAME}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "there is not enough memory"),
        (OSError(errno.EIO, "Input/output error"), "input/output error"),
    ],
)
def test_an_error_of_the_system_fails_one_recording(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(source: Path, _output: Path, _options: PreparationOptions) -> None:
        raise error

    monkeypatch.setattr(runner, "prepare_recording", fail)
    assert {outcome.error for outcome in run(folder, tmp_path / "out")} == {message}

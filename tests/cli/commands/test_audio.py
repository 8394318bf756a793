"""`liveavatar audio` end to end: verdicts, remedies, exit codes, signals."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import wave
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from liveavatar.audio.io.decode import open_audio
from liveavatar.cli.commands.audio import app
from liveavatar.errors import AudioError, LiveAvatarError, OptionError, OutputError
from liveavatar.frames import Samples

PROGRAM = "from liveavatar.cli.commands.audio import app; app()"


@pytest.fixture(scope="module")
def voice() -> Samples:
    """Speech at 48 kHz."""
    with open_audio(Path(str(files("liveavatar") / "assets" / "demo_en.ogg"))) as stream:
        return np.concatenate([chunk.samples[:, 0] for chunk in stream])[: 6 * 48_000]


def write(path: Path, samples: Samples, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def good(voice: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("good") / "good.wav", voice, 48_000)


@pytest.fixture(scope="module")
def quiet(voice: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("quiet") / "so quiet.wav", voice * np.float32(0.1), 48_000)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "notes.wav"
    path.write_text("no sound")
    return path


def write_two_tracks(path: Path, voice: Samples) -> Path:
    """A quiet track, then a loud one; neither is the default."""
    with av.open(str(path), "w") as output:
        tracks = [output.add_stream("pcm_s16le", rate=48_000, layout="mono") for _ in range(2)]
        for track, level in zip(tracks, (0.05, 1.0), strict=True):
            track.disposition = av.stream.Disposition.dub
            packet = av.Packet((level * voice * 32767).astype("<i2").tobytes())
            packet.stream, packet.time_base, packet.pts, packet.dts = track, Fraction(1, 48_000), 0, 0
            output.mux(packet)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def refusal(*arguments: str | Path) -> LiveAvatarError:
    error = run(*arguments).exception
    assert isinstance(error, LiveAvatarError)
    assert error.remedy
    return error


def objects(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)["recordings"]
    return found


# check


def test_a_good_recording_is_ready(good: Path) -> None:
    result = run("check", good)
    assert result.exit_code == 0
    assert "ready" in result.stdout
    assert "48000 Hz, 1 channel" in result.stdout
    assert "→" not in result.stdout


def test_a_quiet_recording_needs_work_and_the_command_is_printed(quiet: Path) -> None:
    result = run("check", quiet)
    assert result.exit_code == 1
    assert f"→ liveavatar audio prepare '{quiet}' -o prepared" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["-o.wav", "it's.wav", "$(touch owned) `id`.wav", 'two  spaces".wav'])
def test_the_printed_command_names_the_file_to_any_shell(
    name: str, quiet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(quiet, name)
    [line] = [line for line in run("check", "--", name).stdout.splitlines() if "→" in line]
    command = shlex.split(line.split("→")[1])
    assert command[:3] == ["liveavatar", "audio", "prepare"]
    assert Path(command[3]) == Path(name)
    assert not command[3].startswith("-")


def test_an_unreadable_file_sets_the_exit_code_and_stops_nothing(text: Path, quiet: Path, good: Path) -> None:
    result = run("check", text, quiet, good)
    assert result.exit_code == 2
    for word in ("unreadable", "it is quiet", "ready"):
        assert word in result.stdout


@pytest.mark.slow
def test_json_is_one_object(text: Path, quiet: Path, good: Path) -> None:
    bad, poor, ready = objects(run("check", text, quiet, good, "--json"))
    assert set(bad) == {"file", "error", "remedy"}
    assert (poor["level"], ready["level"]) == ("warn", "ok")
    assert set(ready["findings"][0]) == {"name", "level", "sentence", "remedy"}
    assert ready["container_seconds"] == ready["decoded_seconds"] == 6
    assert ready["codec"] == "pcm_s16le"
    assert poor["loudness_lufs"] == pytest.approx(ready["loudness_lufs"] - 20, abs=0.5)


@pytest.mark.slow
def test_a_plot_is_written(good: Path, quiet: Path, tmp_path: Path) -> None:
    assert run("check", good, "--plot", tmp_path / "a.png").exit_code == 0
    assert cv2.imread(str(tmp_path / "a.png")) is not None
    assert isinstance(refusal("check", good, quiet, "--plot", tmp_path / "b.png"), OptionError)
    missing = tmp_path / "none.wav"
    assert isinstance(refusal("check", missing, "--plot", tmp_path / "b.jpg"), OptionError), "before any work"


@pytest.mark.slow
def test_a_true_rate_overrides_the_header(good: Path) -> None:
    [entry] = objects(run("check", good, "--true-rate", "24000", "--json"))
    assert (entry["rate"], entry["declared_rate"], entry["decoded_seconds"]) == (24_000, 48_000, 12)


@pytest.mark.parametrize("name", ["[red] [bold].wav", "聲音.wav", "a" * 120 + ".wav"])
def test_any_file_name_is_printed_as_it_is(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, np.zeros(1_600, np.float32), 16_000)
    assert str(path) in run("check", path).stdout


@pytest.mark.parametrize(
    "arguments", ["check", "check --loud", "prepare a.wav", "guard", "check a --true-rate 1"]
)
def test_wrong_usage(arguments: str) -> None:
    assert run(*arguments.split()).exit_code == 2


# prepare


@pytest.mark.slow
def test_recordings_are_prepared_and_checked_ready(
    good: Path, quiet: Path, text: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    result = run("prepare", good, quiet, text, "-o", tmp_path / "out", "--jobs", "2", "--report", report)
    assert result.exit_code == 1
    assert "done" in result.stdout
    entries = {Path(entry["source"]).name: entry for entry in json.loads(report.read_text())["files"]}
    assert entries["so quiet.wav"]["mended"][0].startswith("the level is raised by")
    assert entries["notes.wav"]["error"]
    assert not list(tmp_path.glob(".*"))
    ready = run("check", tmp_path / "out" / "good.wav", tmp_path / "out" / "so quiet.wav", "--json")
    assert ready.exit_code == 0
    assert {(entry["rate"], entry["channels"], entry["codec"]) for entry in objects(ready)} == {
        (16_000, 1, "pcm_s16le")
    }
    assert all(not entry["mended"] for entry in objects(ready))


def test_nothing_prepared_is_a_failure(text: Path, tmp_path: Path) -> None:
    assert run("prepare", text, "-o", tmp_path / "out", "--jobs", "1").exit_code == 2


def test_wrong_paths_are_refused_before_any_work(good: Path, tmp_path: Path) -> None:
    assert isinstance(refusal("prepare", tmp_path / "none.wav", "-o", tmp_path / "out"), AudioError)
    assert isinstance(refusal("prepare", good, "-o", good), OutputError)
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_gives_an_empty_report(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    report = tmp_path / "report.json"
    assert (
        run("prepare", tmp_path / "in", "-o", tmp_path / "out", "--jobs", "1", "--report", report).exit_code
        == 0
    )
    assert json.loads(report.read_text()) == {"files": []}


@pytest.mark.slow
def test_a_recording_beside_another_of_its_name_is_kept_and_the_new_name_is_said(
    good: Path, quiet: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copy(quiet, tmp_path / "talk.WAVE"))
    other = Path(shutil.copy(good, tmp_path / "talk.wav"))
    result = run("prepare", source, "-o", tmp_path, "--jobs", "1")
    assert result.exit_code == 0
    assert "talk.WAVE becomes " in result.stderr
    assert other.read_bytes() == good.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == [
        "talk.WAVE", "talk.WAVE.wav", "talk.wav",
    ]  # fmt: skip
    again = run("prepare", tmp_path / "talk.WAVE.wav", "-o", tmp_path, "--jobs", "1")
    assert "nothing to prepare" in again.stderr


@pytest.mark.slow
def test_a_report_replaces_nothing_but_a_report(good: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(good, tmp_path / "talk.bin"))
    notes, report = tmp_path / "notes.txt", tmp_path / "report.json"
    notes.write_text("mine")
    for path in (notes, source, tmp_path / "a.wav"):
        error = refusal("prepare", source, "-o", tmp_path / "out", "--report", path)
        assert isinstance(error, OutputError), path
    assert notes.read_text() == "mine"
    assert not (tmp_path / "out").exists()
    for _ in range(2):
        assert (
            run("prepare", source, "-o", tmp_path / "out", "--jobs", "1", "--report", report).exit_code == 0
        )
    assert json.loads(report.read_text())["files"][0]["state"] == "unchanged"


@pytest.mark.parametrize("name", ["a" * 300, "loop"])
def test_paths_that_nothing_can_have_are_refused_in_one_line(name: str, good: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert isinstance(refusal("prepare", tmp_path / name, "-o", tmp_path / "out"), AudioError)
    assert isinstance(refusal("prepare", good, "-o", tmp_path / name), OutputError)


# guard

ECHO = "import sys, wave; w = wave.open(sys.argv[1]); print(sys.argv[1:], w.getframerate(), w.getnchannels())"


def guard(*arguments: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", PROGRAM, "guard", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.slow
def test_the_program_gets_the_repaired_recording(quiet: Path) -> None:
    done = guard(quiet, "--", sys.executable, "-c", ECHO, "{audio}", "--x={audio}", "{other} $HOME *")
    assert done.returncode == 0, done.stderr
    assert "/recording.wav', '--x=/" in done.stdout
    assert done.stdout.endswith("/recording.wav', '{other} $HOME *'] 16000 1\n")
    assert "fixed: the level is raised by" in done.stderr
    folder = Path(done.stdout[2:].split("'")[0]).parent
    assert folder != quiet.parent
    assert not folder.exists()


@pytest.mark.slow
def test_the_program_gets_a_ready_recording_unchanged(quiet: Path, tmp_path: Path) -> None:
    assert run("prepare", quiet, "-o", tmp_path, "--jobs", "1").exit_code == 0
    done = guard("so quiet.wav", "--strict", "--", sys.executable, "-c", ECHO, "{audio}", cwd=tmp_path)
    assert done.stdout == f"['{tmp_path}/so quiet.wav'] 16000 1\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "code"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137), ("", 0)]
)
def test_the_exit_code_is_the_programs(quiet: Path, program: str, code: int) -> None:
    assert guard(quiet, "--", sys.executable, "-c", program, "{audio}").returncode == code


@pytest.mark.slow
def test_input_and_output_are_the_programs(quiet: Path) -> None:
    program = "import sys; print(sys.stdin.read().upper()); print('aside', file=sys.stderr)"
    done = guard(quiet, "--", sys.executable, "-c", program, "{audio}", input="hello")
    assert done.stdout == "HELLO\n"
    assert done.stderr.endswith("aside\n")


SLEEPER = """
import signal, sys, time
def leave(number, frame):
    print("got", number, flush=True)
    raise SystemExit(40 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, leave)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_program_once_and_nothing_stays(quiet: Path, tmp_path: Path, number: int) -> None:
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        "guard",
        str(quiet),
        "--",
        sys.executable,
        "-c",
        SLEEPER,
        "{audio}",
    ]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"got {number}\n"
    assert process.returncode == 40 + number
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_guard_left_is_removed_by_the_next(quiet: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "guard", str(quiet), "--", sys.executable, "-c"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    sleeper = "import os, sys, time; print(os.getpid(), flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, sleeper, "{audio}"], stdin=pipe, stdout=pipe, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.kill()
    assert list(tmp_path.iterdir())
    assert guard(quiet, "--", sys.executable, "-c", "", "{audio}", env=environment).returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_strict_refuses_with_the_remedy(quiet: Path, good: Path, text: Path) -> None:
    refused = refusal("guard", quiet, "--strict", "--", "true", "{audio}")
    assert "it is quiet" in refused.problem
    assert refused.remedy.endswith(", or leave out --strict")
    assert "not 16000 Hz mono" in str(refusal("guard", good, "--strict", "--", "true", "{audio}"))
    assert isinstance(refusal("guard", text, "--", "true", "{audio}"), AudioError)


@pytest.mark.slow
def test_strict_passes_the_recording_itself(good: Path, tmp_path: Path) -> None:
    """A slightly quiet recording is not refused, and strict changes nothing."""
    assert run("prepare", good, "-o", tmp_path / "out", "--jobs", "1").exit_code == 0
    with wave.open(str(tmp_path / "out" / "good.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    softer = write(tmp_path / "softer.wav", (samples / np.float32(2 * 32768)).astype(np.float32), 16_000)
    done = guard(softer, "--strict", "--", sys.executable, "-c", ECHO, "{audio}")
    assert done.stdout == f"['{softer}'] 16000 1\n"
    assert "fixed" not in done.stderr
    assert "fixed: the level" in guard(softer, "--", "true", "{audio}").stderr


@pytest.mark.slow
def test_commands_that_cannot_run_are_refused(good: Path) -> None:
    assert "does not say where the recording goes; write {audio}" in str(refusal("guard", good, "--", "true"))
    assert "cannot be run" in str(refusal("guard", good, "--", "no-such-program", "{audio}"))


def test_the_sound_track_is_said_and_can_be_chosen(voice: Samples, tmp_path: Path) -> None:
    path = write_two_tracks(tmp_path / "two.mkv", voice)
    players, second = (
        json.loads(run("check", path, "--json", *options).stdout)["recordings"][0]
        for options in ((), ("--track", "2"))
    )
    assert (players["tracks"], players["track"], second["track"]) == (2, 1, 2)
    assert second["loudness_lufs"] - players["loudness_lufs"] == pytest.approx(26, abs=0.5)
    said = "it has 2 sound tracks; number 1, which players play, is used (--track picks)"
    assert said in [finding["sentence"] for finding in players["findings"]]
    done = run(
        "prepare",
        path,
        "-o",
        tmp_path / "out",
        "--track",
        "2",
        "--jobs",
        "1",
        "--report",
        tmp_path / "r.json",
    )
    assert done.exit_code == 0
    [outcome] = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["files"]
    assert outcome["measured"]["track"] == 2

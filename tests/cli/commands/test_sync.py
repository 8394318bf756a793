"""`liveavatar sync` end to end: verdicts, exit codes, outputs."""

import json
import shlex
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import liveavatar
from audio.sounds import write_wav
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.io.decode import open_audio
from liveavatar.cli.commands.sync import sync
from liveavatar.errors import LiveAvatarError
from liveavatar.sync.audio_track import stream_mono_audio
from liveavatar.video.reader import open_video
from liveavatar.video.remux import shift_sound

ASSETS = Path(liveavatar.__file__).parent / "assets"
APP = typer.Typer()
APP.command()(sync)


def run(*arguments: str | Path) -> tuple[int, str]:
    """The command's exit code and what it printed on stdout."""
    result = CliRunner().invoke(APP, [str(argument) for argument in arguments])
    if isinstance(result.exception, LiveAvatarError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, photograph: Path) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    path, sound = folder / "clip.mp4", np.concatenate(list(stream_mono_audio(ASSETS / "demo_zh.ogg")))
    write_wav(folder / "a.wav", sound[: 6 * 16_000, None], 16_000)
    liveavatar.open(photograph, size=(160, 192)).render(folder / "a.wav", path)
    return path


@pytest.fixture(scope="module")
def late(clip: Path) -> Path:
    path = clip.with_name("late.mp4")
    shift_sound(clip, path, 0.3)
    return path


@pytest.mark.slow
def test_a_video_in_step_exits_with_0(clip: Path) -> None:
    code, output = run(clip)
    assert code == 0
    assert "in step" in output
    assert "--fix" not in output


@pytest.mark.slow
def test_a_late_video_exits_with_1_and_the_command_that_fixes_it_is_printed(late: Path) -> None:
    code, output = run(late)
    assert code == 1
    assert "late" in output
    assert f"liveavatar sync {shlex.quote(str(late))} --fix" in output


@pytest.mark.slow
def test_json_is_one_object(clip: Path, late: Path, tmp_path: Path) -> None:
    code, output = run(clip, late, tmp_path / "missing.mp4", "--json")
    assert code == 2
    good, moved, missing = json.loads(output)["videos"]
    assert (good["verdict"], moved["verdict"]) == ("in step", "late")
    assert moved["offset"] - good["offset"] == pytest.approx(300, abs=20)
    assert moved["offset_interval"][0] < moved["offset"] < moved["offset_interval"][1]
    assert missing["error"]
    assert missing["remedy"]


@pytest.mark.slow
def test_fix_and_plot(late: Path, tmp_path: Path) -> None:
    fixed, plot = tmp_path / "fixed.mp4", tmp_path / "plot.png"
    assert run(late, "--fix", fixed, "--plot", plot)[0] == 0
    assert run(fixed)[0] == 0
    drawn = cv2.imread(str(plot))
    assert drawn is not None
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 50
    with open_video(late) as before, open_video(fixed) as after:
        assert [shown.time for shown in before] == [shown.time for shown in after]


def test_the_track_that_is_measured_can_be_chosen(clip: Path, late: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as output, av.open(str(clip)) as good, av.open(str(late)) as moved:
        given = [good.streams.video[0], good.streams.audio[0], moved.streams.audio[0]]
        copies = [output.add_stream_from_template(stream) for stream in given]
        for source, stream, copy in zip((good, good, moved), given, copies, strict=True):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    output.mux(packet)
    code, output_text = run(path, "--track", "2")
    assert (code, "late" in output_text) == (1, True)
    assert output_text.rstrip().endswith("--track 2")
    assert run(path, "--track", "3")[0] == 2


def test_unusable_options_are_refused(clip: Path, tmp_path: Path) -> None:
    assert run(clip, clip, "--fix", tmp_path / "out.mp4")[0] == 2
    assert run(clip, "--plot", tmp_path / "out.jpg")[0] == 2
    assert run(clip, "--fix", clip)[0] == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_fix_keeps_96_khz(clip: Path, photograph: Path, tmp_path: Path) -> None:
    samples = np.concatenate(list(stream_mono_audio(clip)))[:, None]
    sound = write_wav(
        tmp_path / "a.wav", Resampler(16_000, 96_000).resample_chunk(samples, last=True), 96_000
    )
    liveavatar.open(photograph, size=(160, 192)).render(sound, tmp_path / "high.mp4")
    shift_sound(tmp_path / "high.mp4", tmp_path / "late.mp4", 0.3)
    assert run(tmp_path / "late.mp4", "--fix", tmp_path / "fixed.mp4")[0] == 0
    with open_audio(tmp_path / "fixed.mp4") as stream:
        assert stream.info.rate == 96_000

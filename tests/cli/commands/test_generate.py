"""`liveavatar generate` end to end: good input, every kind of bad input, interruption."""

import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar import cli
from liveavatar.ears import recogniser
from liveavatar.frames import Samples
from liveavatar.voices import speech_file
from liveavatar.voices.clauses import split_into_clauses
from liveavatar.voices.text import prepare_text
from liveavatar.voices.voice import SpokenClause, assemble_clauses


def write_wav(path: Path, samples: Samples, rate: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def run(*arguments: str | Path) -> int:
    """Run the program in this process; returns its exit code."""
    before, handlers = (
        sys.argv,
        {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)},
    )
    sys.argv = ["liveavatar", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as left:
        return int(left.code or 0)
    finally:
        sys.argv = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


@pytest.fixture(scope="module")
def small(photograph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small portrait, which renders fast."""
    path = tmp_path_factory.mktemp("portrait") / "肖像.png"
    picture = cv2.imdecode(np.fromfile(photograph, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    half = cv2.resize(picture, (256, 300), interpolation=cv2.INTER_AREA)
    path.write_bytes(cv2.imencode(".png", half)[1].tobytes())
    return path


@pytest.fixture(scope="module")
def speech(babble: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("speech") / "声音.wav", babble[:16_000])


def frames_and_tracks(video: Path) -> tuple[int, Fraction, int]:
    with av.open(str(video)) as file:
        frames = list(file.decode(video=0))
        return len(frames), Fraction(file.streams.video[0].average_rate or 0), len(file.streams.audio)


@pytest.mark.slow
@pytest.mark.parametrize(("fps", "frames"), [("25", 25), ("16", 16), ("30000/1001", 30), ("60", 60)])
def test_a_portrait_speaks(
    small: Path, speech: Path, tmp_path: Path, fps: str, frames: int, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / "说话.mp4"
    assert run("generate", "--image", small, "--audio", speech, "-o", video, "--fps", fps, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == frames
    assert frames_and_tracks(video) == (frames, Fraction(fps), 1)
    assert [path.name for path in tmp_path.iterdir()] == [video.name]


@pytest.mark.slow
def test_the_video_has_the_given_size(small: Path, speech: Path, tmp_path: Path) -> None:
    video = tmp_path / "out.mp4"
    assert run("generate", "-i", small, "-a", speech, "-o", video, "--size", "128*160") == 0
    with av.open(str(video)) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (128, 160)


@pytest.mark.slow
def test_same_input_same_seed_same_frames(small: Path, speech: Path, tmp_path: Path) -> None:
    pictures = []
    for name, seed in (("a.mp4", "3"), ("b.mp4", "3"), ("c.mp4", "4")):
        assert run("generate", "-i", small, "-a", speech, "-o", tmp_path / name, "--seed", seed) == 0
        with av.open(str(tmp_path / name)) as file:
            pictures.append(np.stack([frame.to_ndarray(format="gray") for frame in file.decode(video=0)]))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


@pytest.mark.slow
def test_silence_gives_an_idle_video_and_a_warning(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = write_wav(tmp_path / "quiet.wav", np.zeros(8000, np.float32))
    assert run("generate", "-i", small, "-a", quiet, "-o", tmp_path / "out.mp4") == 0
    assert "warn" in capsys.readouterr().err


@pytest.mark.slow
def test_one_sample_is_one_frame(small: Path, tmp_path: Path) -> None:
    tick = write_wav(tmp_path / "tick.wav", np.full(1, 0.5, np.float32))
    assert run("generate", "-i", small, "-a", tick, "-o", tmp_path / "out.mp4") == 0
    assert frames_and_tracks(tmp_path / "out.mp4")[0] == 1


def _text(folder: Path) -> Path:
    path = folder / "text.wav"
    path.write_text("this is not sound, whatever its name says\n" * 20)
    return path


def _empty(folder: Path) -> Path:
    path = folder / "empty.wav"
    path.touch()
    return path


def _mute_video(folder: Path) -> Path:
    path = folder / "mute.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        file.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        file.mux(stream.encode(None))
    return path


BAD_AUDIO = {
    "missing": lambda folder: folder / "nowhere.wav",
    "folder": lambda folder: folder,
    "empty": _empty,
    "text": _text,
    "no samples": lambda folder: write_wav(folder / "none.wav", np.zeros(0, np.float32)),
    "mute video": _mute_video,
}


def check_refusal(code: int, printed: tuple[str, str], folder: Path) -> None:
    """Exit code 2, one line with a remedy, nothing left behind."""
    out, err = printed
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 2
    assert out == ""
    assert len(errors) == 1, err
    assert ";" in errors[0], "a remedy is missing"
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_sound_is_refused(
    small: Path, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    audio = BAD_AUDIO[kind](tmp_path / "in")
    code = run("generate", "-i", small, "-a", audio, "-o", tmp_path / "out" / "a.mp4")
    check_refusal(code, capfd.readouterr(), tmp_path / "out")


def _picture(folder: Path, pixels: NDArray[np.uint8]) -> Path:
    path = folder / "picture.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def _half_a_jpeg(folder: Path) -> Path:
    path = folder / "half.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    path.write_bytes(whole[: len(whole) // 3])
    return path


BAD_IMAGES = {
    "missing": lambda folder: folder / "nobody.jpg",
    "folder": lambda folder: folder,
    "text": _text,
    "empty": _empty,
    "no face": lambda folder: _picture(folder, np.full((256, 256, 3), 90, np.uint8)),
    "half a JPEG": _half_a_jpeg,
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_bad_pictures_are_refused(
    speech: Path, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    image = BAD_IMAGES[kind](tmp_path / "in")
    code = run("generate", "-i", image, "-a", speech, "-o", tmp_path / "out" / "a.mp4")
    check_refusal(code, capfd.readouterr(), tmp_path / "out")


BAD_OPTIONS = [
    "--fps 0", "--fps -25", "--fps 1000", "--fps often", "--size big", "--size 511x512", "--size 0x0", "--face 9",
    "--motion 3", "--expression -1", "--prompt cat", "--sample_steps 4", "--infer-frames 48", "--enable_online_decode",
]  # fmt: skip


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_unusable_options_are_refused(
    small: Path, speech: Path, tmp_path: Path, options: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run("generate", "-i", small, "-a", speech, "-o", tmp_path / "a.mp4", *options.split())
    check_refusal(code, capfd.readouterr(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("samples", "frames"), [(44_100, 25), (44_101, 26), (45_863, 26), (45_864, 26), (45_865, 27)]
)
def test_frames_are_counted_by_the_clock_of_the_recording(
    small: Path, tmp_path: Path, samples: int, frames: int
) -> None:
    audio = write_wav(tmp_path / "a.wav", np.zeros(samples, np.float32), rate=44_100)
    assert run("generate", "-i", small, "-a", audio, "-o", tmp_path / "out.mp4") == 0
    assert frames_and_tracks(tmp_path / "out.mp4")[0] == frames


def test_the_diffusion_engine_names_what_is_missing(
    small: Path,
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi, no GPU
    (tmp_path / "out").mkdir()
    code = run("generate", "-i", small, "-a", speech, "-o", tmp_path / "out" / "a.mp4", "--engine", "dit")
    printed = capfd.readouterr()
    check_refusal(code, printed, tmp_path / "out")
    for word in ("GB of memory", "GB of disk", "liveavatar weights fetch live-avatar"):
        assert word in printed.err


@pytest.mark.parametrize("options", ["--engine magic", "--audio-policy hope", "--seed -1", "--colour"])
def test_unknown_options_show_the_usage(small: Path, speech: Path, tmp_path: Path, options: str) -> None:
    assert run("generate", "-i", small, "-a", speech, "-o", tmp_path / "a.mp4", *options.split()) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["missing/out.mp4", "out.avi", "folder.mp4"])
def test_unwritable_outputs_are_refused(
    small: Path, speech: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    code = run("generate", "-i", small, "-a", speech, "-o", tmp_path / name)
    (tmp_path / "folder.mp4").rmdir()
    check_refusal(code, capfd.readouterr(), tmp_path)


@pytest.mark.slow
def test_the_recording_itself_is_never_overwritten(small: Path, tmp_path: Path) -> None:
    video, quiet = tmp_path / "talk.mp4", write_wav(tmp_path / "a.wav", np.zeros(800, np.float32))
    assert run("generate", "-i", small, "-a", quiet, "-o", video) == 0
    before = video.read_bytes()
    assert run("generate", "-i", small, "-a", video, "-o", video) == 2
    assert video.read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_nothing_behind(
    photograph: Path, tmp_path: Path, how: signal.Signals, code: int
) -> None:
    (tmp_path / "out").mkdir()
    audio = write_wav(tmp_path / "long.wav", np.zeros(16_000 * 120, np.float32))
    command = [sys.executable, "-m", "liveavatar", "generate", "-i", str(photograph), "-a", str(audio)]
    process = subprocess.Popen([*command, "-o", str(tmp_path / "out" / "a.mp4")], stderr=subprocess.PIPE)
    while process.poll() is None and not list((tmp_path / "out").iterdir()):
        time.sleep(0.05)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert list((tmp_path / "out").iterdir()) == []


class HummingVoice:
    """Half a second of a tone for each clause."""

    def speak(self, text: str) -> Iterator[SpokenClause]:
        tone = np.asarray(0.3 * np.sin(np.arange(12_000) * 0.05), np.float32)
        return assemble_clauses(split_into_clauses(prepare_text(text)), lambda _: tone, 24_000)


@pytest.mark.slow
@pytest.mark.parametrize("captions", ["srt", "vtt", "burn"])
def test_a_portrait_speaks_a_text_with_captions(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    captions: str,
) -> None:
    monkeypatch.setattr(speech_file, "open_voice", lambda _: HummingVoice())
    video = tmp_path / "a.mp4"
    spoken = ("generate", "-i", small, "-o", video, "--text", "Hello there, you. Bye!")
    assert run(*spoken, "--captions", captions, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    frames, _, tracks = frames_and_tracks(video)
    assert tracks == 1
    assert 30 < frames < 60
    if captions == "burn":
        assert result["captions"] is None
        assert list(tmp_path.iterdir()) == [video]
        return
    beside = tmp_path / f"a.{captions}"
    assert result["captions"] == str(beside)
    written = beside.read_text(encoding="utf-8")
    assert written.index("Hello there, you.") < written.index("Bye!")
    video.unlink()
    assert run(*spoken, "--captions", captions) == 2
    assert "captions replace no file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [beside]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "there is no speech; give --audio FILE or --text TEXT"),
        (["-a", "{speech}", "--text", "hi"], "there are two kinds of speech"),
        (["-a", "{speech}", "--voice", "hibari"], "--voice has no effect on a recording"),
        (["--text", "!?"], "the text has no words"),
        (["--text", "hi", "--voice", "bob"], "there is no voice 'bob'"),
        (["--text", "hi", "--captions", "tv"], "tv"),
    ],
)
def test_speech_that_cannot_be_had_is_one_error(
    small: Path,
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    problem: str,
) -> None:
    given = [option.format(speech=speech) for option in options]
    assert run("generate", "-i", small, "-o", tmp_path / "a.mp4", *given) == 2
    assert problem in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_captions_of_a_recording_without_the_extra_name_what_to_install(
    small: Path,
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recogniser.load_recogniser.cache_clear()
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    assert run("generate", "-i", small, "-a", speech, "-o", tmp_path / "a.mp4", "--captions", "srt") == 2
    assert "run: pip install 'liveavatar[ears]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

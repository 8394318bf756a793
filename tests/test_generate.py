"""Rendering a file: metadata, sound with a wrong header, and what remains when an engine fails."""

import json
from collections.abc import Iterator
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from audio.sounds import encode, write_wav
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import EngineError
from liveavatar.frames import Samples, VideoFrame
from liveavatar.generate import Result, render_video
from liveavatar.report import Finding


class GreySession:
    """A grey frame for each 640 samples."""

    lookahead = 0

    def __init__(self) -> None:
        self._samples, self._frames = 0, 0

    def push(self, samples: Samples) -> None:
        self._samples += len(samples)

    def flush(self) -> None:
        self._samples += -self._samples % 640

    def interrupt(self) -> None:
        self._samples = 640 * self._frames

    def frames(self) -> Iterator[VideoFrame]:
        while 640 * (self._frames + 1) <= self._samples:
            yield VideoFrame(rgb=np.full((16, 16, 3), 128, np.uint8), pts=self._frames, fps=Fraction(25))
            self._frames += 1


class GreyActor:
    """Opens grey sessions."""

    size = (16, 16)
    findings: tuple[Finding, ...] = ()

    def session(self, fps: Fraction, seed: int) -> GreySession:
        return GreySession()


@pytest.fixture(scope="module")
def voice() -> Samples:
    """Speech at 8 kHz."""
    with open_audio(Path(str(files("liveavatar") / "assets" / "demo_en.ogg"))) as stream:
        sound = np.concatenate([chunk.samples[:, 0] for chunk in stream])
    return Resampler(48_000, 8_000).resample_chunk(sound, last=True)[: 6 * 8_000]


def render(audio: Path) -> Result:
    return render_video(GreyActor(), audio, audio.with_suffix(".mp4"), fps=Fraction(25), seed=0, policy="fix")


def sound_seconds(video: Path) -> float:
    with open_audio(video) as stream:
        return sum(len(chunk.samples) for chunk in stream) / stream.info.rate


def test_the_video_has_the_report_of_its_sound(voice: Samples, tmp_path: Path) -> None:
    result = render(write_wav(tmp_path / "a.wav", 0.1 * voice[:, None], 8_000))
    with av.open(str(result.output)) as file:
        report = json.loads(file.metadata["audio_report"])
    assert report["rate"] == 8_000
    assert [finding["name"] for finding in report["findings"]] == ["rate", "level"]
    assert report["mended"][0].startswith("the level is raised by")
    assert str(tmp_path) not in json.dumps(report)


def test_a_wrong_header_keeps_picture_and_sound_in_step(voice: Samples, tmp_path: Path) -> None:
    right, wrong = (
        render(write_wav(tmp_path / f"{rate}.wav", voice[:, None], rate)) for rate in (8_000, 16_000)
    )
    assert right.frames == wrong.frames == 150
    assert "it is read at 8000 Hz, though it declares 16000 Hz" in wrong.audio.fixes
    assert sound_seconds(wrong.output) == pytest.approx(sound_seconds(right.output), abs=0.01)


class FailingActor(GreyActor):
    """Its engine fails after some frames."""

    def __init__(self, after: int, error: Exception) -> None:
        self._after, self._error = after, error

    def session(self, fps: Fraction, seed: int) -> "FailingSession":
        return FailingSession(self._after, self._error)


class FailingSession(GreySession):
    def __init__(self, after: int, error: Exception) -> None:
        super().__init__()
        self._after, self._error = after, error

    def frames(self) -> Iterator[VideoFrame]:
        for frame in super().frames():
            if frame.pts == self._after:
                raise self._error
            yield frame


def render_silence(folder: Path, actor: GreyActor) -> Path:
    audio, video = write_wav(folder / "a.wav", np.zeros((64_000, 1), np.float32), 16_000), folder / "v.mp4"
    render_video(actor, audio, video, fps=Fraction(25), seed=0, policy="as-is")
    return video


def test_a_failing_engine_leaves_the_frames_so_far_in_a_playable_video(tmp_path: Path) -> None:
    failure = EngineError("the GPU was lost", "look at it")
    with pytest.raises(
        EngineError, match=r"the GPU was lost; the frames so far are in .*v\.partial\.mp4"
    ) as raised:
        render_silence(tmp_path, FailingActor(30, failure))
    assert raised.value.remedy == "look at it"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "v.partial.mp4"]
    with av.open(tmp_path / "v.partial.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 30
    with av.open(tmp_path / "v.partial.mp4") as video:
        sound = sum(frame.samples for frame in video.decode(audio=0))
    assert 30 * 640 <= sound < 30 * 640 + 2 * 1024


def test_a_partial_video_replaces_nothing_and_its_name_fits(tmp_path: Path) -> None:
    stem = "語" * 83
    audio = write_wav(tmp_path / "a.wav", np.zeros((64_000, 1), np.float32), 16_000)
    for _ in range(2):
        with pytest.raises(EngineError, match=r"the frames so far are in .*\.partial\.mp4"):
            render_video(
                FailingActor(30, EngineError("the GPU was lost", "look at it")),
                audio,
                tmp_path / f"{stem}.mp4",
                fps=Fraction(25),
                seed=0,
                policy="as-is",
            )
    cut = "語" * 81
    assert {path.name for path in tmp_path.glob("*.mp4")} == {
        f"{cut}.partial.mp4",
        f"{cut[1:]}-2.partial.mp4",
    }


@pytest.mark.parametrize(("after", "error"), [(0, EngineError("lost", "look")), (30, OSError("other"))])
def test_nothing_is_left_without_a_frame_or_after_another_failure(
    tmp_path: Path, after: int, error: Exception
) -> None:
    with pytest.raises(type(error)):
        render_silence(tmp_path, FailingActor(after, error))
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def played(video: Path) -> NDArray[np.float32]:
    with open_audio(video) as stream:
        return np.concatenate([chunk.samples for chunk in stream])


def test_floats_on_the_scale_of_integers_are_scaled_for_lips_and_video(
    voice: Samples, tmp_path: Path
) -> None:
    right = encode(tmp_path / "a.wav", voice[:, None], 8_000, "pcm_f32le")
    scaled = encode(tmp_path / "b.wav", 32_768 * voice[:, None], 8_000, "pcm_f32le")
    results = [render(path) for path in (right, scaled)]
    sounds = [played(result.output) for result in results]
    assert np.abs(sounds[0] - sounds[1]).max() < 1e-3
    assert results[1].audio.fixes[0] == "its float samples are divided by 32768"
    assert {finding.name for finding in results[1].audio.remaining_findings} == {
        finding.name for finding in results[0].audio.remaining_findings
    }


def test_peaks_and_offsets_are_mended_in_the_video_too(voice: Samples, tmp_path: Path) -> None:
    loud = 4 * voice[:, None] / np.abs(voice).max() + np.float32(0.2)
    sound = played(render(encode(tmp_path / "a.wav", loud, 8_000, "pcm_f32le")).output)
    assert np.abs(sound).max() < 1
    assert abs(float(sound.mean())) < 0.003


def test_a_voice_of_opposite_polarity_is_turned_over_in_the_video_too(voice: Samples, tmp_path: Path) -> None:
    both = np.stack([voice, -voice], axis=1)
    sound = played(render(encode(tmp_path / "a.wav", both, 8_000, "pcm_f32le")).output)
    assert sound.shape[1] == 1
    assert float(np.square(sound).mean()) == pytest.approx(float(np.square(voice).mean()), rel=0.1)


def test_the_video_has_the_track_that_was_asked_for(voice: Samples, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        tracks = [output.add_stream("pcm_s16le", rate=8_000, layout="mono") for _ in range(2)]
        for track, level in zip(tracks, (0.01, 1.0), strict=True):
            packet = av.Packet(np.round(20_000 * level * voice).astype("<i2").tobytes())
            packet.stream, packet.time_base, packet.pts, packet.dts = track, Fraction(1, 8_000), 0, 0
            output.mux(packet)
    peaks = []
    for number in (None, 1, 2):
        video = tmp_path / f"{number}.mp4"
        render_video(GreyActor(), path, video, fps=Fraction(25), seed=0, policy="fix", track=number)
        peaks.append(float(np.abs(played(video)).max()))
    assert peaks[0] == peaks[1] < 0.05 < peaks[2]

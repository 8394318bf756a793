"""Every container and codec holds what was written: pictures, colours, opacity, sound, tags."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from audio.sounds import burst_time, pulse, write_wav
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import OptionError, OutputError
from liveavatar.frames import Picture
from liveavatar.video.formats import (
    CODECS,
    CONTAINERS,
    QUALITIES,
    EncodingOptions,
    choose_format,
    has_encoder,
)
from liveavatar.video.writer import VideoWriter

SIZE = (128, 96)
FPS = Fraction(25)
TAGS = {"comment": "made by a program", "AIGC": '{"Label": "näher"}'}

PAIRS = [
    (suffix, codec)
    for suffix, container in CONTAINERS.items()
    for codec in container.codecs
    if has_encoder(CODECS[codec].encoder)
]


def draw_texture(seed: int = 0) -> Picture:
    """A smooth coloured ground with grain, as skin has it."""
    width, height = SIZE
    ground = np.linspace((180, 120, 100), (220, 170, 150), width)[None].repeat(height, 0)
    grain = np.random.default_rng(seed).normal(0, 4, (height, width, 1))
    return np.clip(ground + grain, 0, 255).astype(np.uint8)


def decode_pictures(path: Path) -> list[VideoFrame]:
    """The pictures; those of WebM by libvpx, since FFmpeg's own decoder drops the opacity of VP9."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "vp9":
            return list(container.decode(stream))
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        return [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]


@pytest.mark.parametrize(("suffix", "codec"), PAIRS)
def test_pictures_colours_sound_and_tags_survive(
    tmp_path: Path, suffix: str, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sound = write_wav(tmp_path / "a.wav", pulse(48_000, 0.8, 0.5, 2), 48_000)
    path, rgb = tmp_path / f"a{suffix}", np.full((SIZE[1], SIZE[0], 3), (224, 120, 90), np.uint8)
    with VideoWriter(path, FPS, SIZE, sound, TAGS, encoding=EncodingOptions(codec=codec)) as writer:
        for _ in range(20):
            writer.write(rgb)
    assert capfd.readouterr() == ("", "")
    frames = decode_pictures(path)
    assert [(frame.pts or 0) * (frame.time_base or 0) for frame in frames] == [i / FPS for i in range(20)]
    colours = np.array([frame.to_ndarray(format="rgb24")[20:-20, 20:-20].mean((0, 1)) for frame in frames])
    assert np.abs(colours - (224, 120, 90)).max() < 4
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (
            (1,) * 4
        )
        tags = {name.lower(): value for name, value in container.metadata.items()}
    assert {name.lower(): value for name, value in TAGS.items()}.items() <= tags.items()
    with open_audio(path) as stream:
        samples, rate = np.concatenate([chunk.samples for chunk in stream]), stream.info.rate
    assert (rate, samples.shape[1]) == (48_000, 2)
    assert abs(burst_time(samples, rate) - 0.5) < 0.001


@pytest.mark.parametrize("suffix", [name for name, container in CONTAINERS.items() if container.alpha])
def test_the_opacity_survives(tmp_path: Path, suffix: str) -> None:
    opacity = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    opacity[:, 40:80], opacity[:, 80:] = 128, 255
    sound = write_wav(tmp_path / "a.wav", pulse(44_100, 0.4, 0.2), 44_100)
    path, rgb = tmp_path / f"a{suffix}", np.full((SIZE[1], SIZE[0], 3), (200, 120, 90), np.uint8)
    with VideoWriter(path, FPS, SIZE, sound, has_alpha=True) as writer:
        for _ in range(10):
            writer.write(rgb, opacity)
    frames = [frame.to_ndarray(format="rgba") for frame in decode_pictures(path)]
    assert len(frames) == 10
    for frame in frames:
        for columns, value in ((slice(8, 32), 0), (slice(48, 72), 128), (slice(88, 120), 255)):
            assert abs(frame[:, columns, 3].mean() - value) < 3
        assert np.abs(frame[:, 88:120, :3].mean((0, 1)) - (200, 120, 90)).max() < 4
    with open_audio(path) as stream:
        samples, rate = np.concatenate([chunk.samples for chunk in stream]), stream.info.rate
    assert rate == (48_000 if suffix == ".webm" else 44_100)
    assert abs(burst_time(samples, rate) - 0.2) < 0.001


def measure_detail(plane: NDArray[np.uint8]) -> float:
    """Root mean square of the differences between neighbours."""
    return float(np.sqrt(np.mean(np.square(np.diff(plane.astype(float), axis=1)))))


def test_detail_is_kept_and_does_not_pulse(tmp_path: Path) -> None:
    """A moving texture: no frame has less than nine tenths of its detail, and no two differ by 2 %."""
    path, texture = tmp_path / "a.mp4", draw_texture()
    with VideoWriter(path, FPS, SIZE) as writer:
        for index in range(30):
            writer.write(np.roll(texture, index // 2, axis=1))
    kept = [
        measure_detail(np.asarray(frame.to_ndarray(format="gray")[8:-8], np.uint8))
        / measure_detail(texture[8:-8].mean(2).astype(np.uint8))
        for frame in decode_pictures(path)
    ][5:]
    assert min(kept) > 0.9
    assert np.abs(np.diff(kept)).max() < 0.02
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert all(packet.pts == packet.dts for packet in container.demux(stream) if packet.pts is not None)


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_better_qualities_are_nearer_to_the_picture(tmp_path: Path, codec: str) -> None:
    errors = []
    for quality in QUALITIES:
        path = tmp_path / f"{quality}{'.webm' if codec == 'vp9' else '.mp4'}"
        with VideoWriter(path, FPS, SIZE, encoding=EncodingOptions(quality=quality)) as writer:
            for index in range(8):
                writer.write(draw_texture(index))
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in decode_pictures(path)]
        errors.append(np.mean([np.abs(frame - draw_texture(i)).mean() for i, frame in enumerate(frames)]))
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize(
    ("name", "codec", "quality", "has_alpha", "message"),
    [
        ("a.mp4", "vp9", "good", False, r"\.mp4 files hold no vp9; use one of: h264, hevc, av1"),
        ("a.webm", "h264", "good", False, r"\.webm files hold no h264; use one of: vp9, av1"),
        ("a.mp4", "divx", "good", False, "there is no codec 'divx'; use one of: h264"),
        ("a.mp4", None, "perfect", False, "there is no quality 'perfect'; use one of: draft, good, best"),
        ("a.mov", "h264", "good", True, r"h264 in \.mov holds no transparency; leave --codec out"),
        ("a.webm", "av1", "good", True, r"av1 in \.webm holds no transparency"),
    ],
)
def test_what_cannot_be_encoded_is_refused(
    name: str, codec: str | None, quality: str, has_alpha: bool, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        choose_format(Path(name), EncodingOptions(codec=codec, quality=quality), has_alpha=has_alpha)


@pytest.mark.parametrize("name", ["a.avi", "a", "mp4", "a.mp4.part", ".mp4", ""])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(OutputError, match=r"does not end in \.mp4, \.mov or \.webm|is a folder"):
        choose_format(Path(name))


def test_an_mp4_holds_no_transparency() -> None:
    with pytest.raises(OutputError, match=r"hold no transparency; name it talk.webm, or \.mov for editing"):
        choose_format(Path("talk.mp4"), has_alpha=True)


def test_an_encoder_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveavatar.video.formats.has_encoder", lambda name: name != "libx265")
    with pytest.raises(OptionError, match="this FFmpeg has no encoder libx265; leave --codec out"):
        choose_format(Path("a.MP4"), EncodingOptions(codec="hevc"))


@pytest.mark.parametrize("has_alpha", [True, False])
def test_opacity_is_given_if_and_only_if_the_video_has_it(tmp_path: Path, has_alpha: bool) -> None:
    opacity = None if has_alpha else np.zeros((SIZE[1], SIZE[0]), np.uint8)
    with (
        pytest.raises(ValueError, match="if, and only if"),
        VideoWriter(tmp_path / "a.webm", FPS, SIZE, has_alpha=has_alpha) as writer,
    ):
        writer.write(draw_texture(), opacity)

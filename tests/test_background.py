"""Another background, or none, behind the same person."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from audio.sounds import write_wav
from liveavatar.background import TRANSPARENT, check_background, replace_background
from liveavatar.engine import Actor
from liveavatar.errors import LiveAvatarError, OptionError, OutputError, PortraitError
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.generate import check_video_output, render_video
from liveavatar.mesh.session import MeshActor, MeshEngine
from provenance.grey_actor import GreyActor

FPS = Fraction(25)


@pytest.fixture(scope="module")
def actor(portrait: Portrait) -> MeshActor:
    return MeshEngine().open(portrait, None)


def draw_frames(actor: Actor, sound: Samples, count: int = 5) -> list[VideoFrame]:
    session = actor.session(FPS, 0)
    session.push(sound[:10_000])
    return [frame for frame, _ in zip(session.frames(), range(count), strict=False)]


def composite(frame: VideoFrame, background: Picture) -> Picture:
    assert frame.opacity is not None
    share = frame.opacity[..., None] / 255
    return np.rint(share * frame.rgb + (1 - share) * background).astype(np.uint8)


def test_the_person_over_a_colour_is_the_transparent_person_over_it(
    actor: MeshActor, babble: Samples
) -> None:
    green = np.full((*actor.size[::-1], 3), (0, 177, 64), np.uint8)
    plain = draw_frames(replace_background(actor, "#00b140"), babble)
    cut_out = draw_frames(replace_background(actor, TRANSPARENT), babble)
    for one, other in zip(plain, cut_out, strict=True):
        assert one.opacity is None
        assert other.opacity is not None
        error = np.abs(composite(other, green).astype(int) - one.rgb)
        assert error[other.opacity >= 64].max() <= 4
        assert error.max() <= 24  # nearly transparent pixels have the colour of their neighbours


def test_the_person_is_opaque_and_the_background_gone(
    actor: MeshActor, portrait: Portrait, babble: Samples
) -> None:
    for frame in draw_frames(replace_background(actor, TRANSPARENT), babble):
        assert frame.opacity is not None
        assert frame.opacity.shape == frame.rgb.shape[:2]
        face = portrait.landmarks[:468, :2].mean(0).astype(int)
        assert frame.opacity[face[1], face[0]] == 255
        assert frame.opacity[:5, -20:].max() == 0
        assert frame.opacity[portrait.matte > 250].mean() > 250


def test_the_own_background_composited_again_is_the_frame(actor: MeshActor, babble: Samples) -> None:
    """The face of both is the same to the last bit: only the background differs."""
    own, cut_out = draw_frames(actor, babble), draw_frames(replace_background(actor, TRANSPARENT), babble)
    assert replace_background(actor, None) is actor
    for one, other in zip(own, cut_out, strict=True):
        assert other.opacity is not None
        solid = other.opacity == 255
        left, top, right, bottom = actor.renderer.face_box
        inside = np.zeros_like(solid)
        inside[top:bottom, left:right] = True
        assert np.array_equal(one.rgb[solid & inside], other.rgb[solid & inside])


def test_a_picture_covers_the_frame_from_its_middle(
    actor: MeshActor, babble: Samples, tmp_path: Path
) -> None:
    picture = np.zeros((100, 400, 3), np.uint8)
    picture[:, 140:260] = (0, 0, 255)  # BGR: the middle is red
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    frame = draw_frames(replace_background(actor, str(tmp_path / "a.png")), babble, 1)[0]
    assert np.abs(frame.rgb[:5, -20:].astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize(
    ("background", "error", "message"),
    [
        ("#12", OptionError, "is no colour; write it as #RRGGBB"),
        ("#gggggg", OptionError, "is no colour"),
        ("missing.png", PortraitError, "there is no file missing.png"),
        (".", PortraitError, "is a folder"),
        ("", PortraitError, "the name of the picture is empty"),
    ],
)
def test_what_is_no_background_is_refused(
    background: str, error: type[LiveAvatarError], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_background(background)


def test_engines_that_do_not_separate_the_person_refuse() -> None:
    with pytest.raises(OptionError, match="--background has no effect with this engine"):
        replace_background(GreyActor(), "#000000")


def test_the_background_is_never_replaced(tmp_path: Path) -> None:
    picture = tmp_path / "a.mp4"
    picture.write_bytes(b"a picture under a strange name")
    with pytest.raises(OutputError, match="is the background itself"):
        check_video_output(picture, tmp_path / "a.wav", None, background=str(picture))


@pytest.mark.parametrize("suffix", [".webm", ".mov"])
def test_a_transparent_video_shows_its_label(actor: MeshActor, tmp_path: Path, suffix: str) -> None:
    sound = write_wav(tmp_path / "a.wav", np.zeros((4_800, 1), np.float32), 16_000)
    output = tmp_path / f"a{suffix}"
    result = render_video(actor, sound, output, fps=FPS, seed=0, policy="as-is", background=TRANSPARENT)
    assert result.frames == 8
    assert "content credentials" in result.marks.sentence
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create("libvpx-vp9" if suffix == ".webm" else "prores", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.extradata = stream.codec_context.extradata
        decoder.codec_tag = stream.codec_context.codec_tag
        frames = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
    opacity = frames[3].to_ndarray(format="rgba")[..., 3]
    assert (opacity[:20, -60:] > 60).mean() > 0.2  # the label's plate
    assert opacity[60:, -3:].min() < 5

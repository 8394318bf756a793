from pathlib import Path

import pytest

from liveavatar.captions.caption_file import format_srt, format_vtt, name_caption_file, write_captions
from liveavatar.captions.cues import Cue
from liveavatar.errors import OutputError

CUES = [
    Cue(lines=("Hello,", "a < b & c"), start=0.1, end=1.9996),
    Cue(lines=("你好",), start=3661.25, end=3662.0),
]


def test_subrip() -> None:
    assert format_srt(CUES) == (
        "1\n00:00:00,100 --> 00:00:02,000\nHello,\na < b & c\n\n2\n01:01:01,250 --> 01:01:02,000\n你好\n\n"
    )


def test_webvtt_escapes_what_would_be_a_tag() -> None:
    assert format_vtt(CUES).startswith(
        "WEBVTT\n\n00:00:00.100 --> 00:00:02.000\nHello,\na &lt; b &amp; c\n\n01:01:01.250"
    )


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_captions_lie_beside_the_video_and_replace_nothing(tmp_path: Path, form: str) -> None:
    path = name_caption_file(tmp_path / "a.mp4", "srt" if form == "srt" else "vtt")
    write_captions(path, CUES)
    assert [file.name for file in tmp_path.iterdir()] == [f"a.{form}"]
    written = path.read_bytes()
    with pytest.raises(OutputError, match=rf"a\.{form} exists, and captions replace no file"):
        write_captions(path, [])
    assert path.read_bytes() == written


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.srt").symlink_to(tmp_path / "other")
    with pytest.raises(OutputError):
        write_captions(tmp_path / "a.srt", CUES)
    assert not (tmp_path / "other").exists()

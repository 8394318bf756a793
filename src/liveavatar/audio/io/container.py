"""Opens a file with FFmpeg: the one rule for sound and video of what is opened, and for how long.

Some of FFmpeg's demuxers read programs: playlists and scripts that name other files, describe sound to synthesise, or
have no end. Devices are demuxers too. So only formats that hold sound or pictures themselves are opened, whatever the
suffix of the file.
"""

from collections.abc import Mapping
from pathlib import Path

import av
from av.container import InputContainer

from liveavatar.errors import AudioError, LiveAvatarError, VideoError
from liveavatar.files import describe_path, require_regular_file

SOUND_FORMATS = tuple(
    name
    for family in (
        "wav w64 aiff au caf ircam iff voc avr paf epaf hcom sds sox pvf nistsphere wve alaw mulaw",
        "act sln gsm g722 g723_1 g729 bit ilbc qcp amr amrnb amrwb codec2 dss lc3 sbc aptx aptx_hd siff mmf",
        "flac ape tta tak wv shn osq qoa wavarc rka bonk mlp truehd dsf wsd iamf",
        "mp3 aac loas ac3 eac3 dts dtshd spdif mpc mpc8 oma vqf xwma",
    )
    for name in family.split()
)
"""FFmpeg's names of the formats that hold sound."""

VIDEO_FORMATS = tuple(
    name
    for family in (
        "mov matroska avi flv kux asf ogg mpeg mpegts mxf gxf nut nsv nuv rm wtv ty pva dv swf dhav smjpeg",
        "ivf obu av1 h261 h263 h264 hevc vvc vc1 m4v mpegvideo mjpeg dirac dnxhd yuv4mpegpipe gif apng",
    )
    for name in family.split()
)
"""FFmpeg's names of the formats that hold pictures, most of them sound too."""

OPEN_TIMEOUT_SECONDS = 20.0
"""Wall clock seconds for the header of a file, and again for its first packets: a sleeping disk takes ten."""

READ_TIMEOUT_SECONDS = 20.0
"""Wall clock seconds for one packet."""

_PROBED_ZEROS = 1 << 20
"""Bytes at the beginning of a file without a header, such as a download that never began. FFmpeg would take it for what
its suffix says, and a parser that waits for a frame collects the whole file in memory: 1.7 GB of 3 GB."""
_MIN_ZEROED_BYTES = 1 << 26  # of a file that is looked at; collecting less does no harm

MEDIA_OPTIONS = {
    "format_whitelist": ",".join((*SOUND_FORMATS, *VIDEO_FORMATS)),
    "protocol_whitelist": "file,subfile",  # "subfile" is a range of bytes of a local file
}
"""Options of FFmpeg's demuxers. A format outside of the list is refused before it reads anything."""

_KINDS: Mapping[type[LiveAvatarError], tuple[str, str]] = {
    AudioError: ("sound file", "convert it to WAV or MP3 with another program"),
    VideoError: ("video", "convert it to mp4 with another program"),
}


def open_media_file(
    path: Path,
    error_type: type[AudioError] | type[VideoError],
    options: Mapping[str, str] | None = None,
    byte_range: range | None = None,
) -> InputContainer:
    """Open a local file that holds sound or pictures itself, or a range of its bytes, with a deadline.

    `error_type` also decides how the file is called in errors; `options` are further options of FFmpeg's demuxers.

    Raises:
        AudioError, VideoError: no such file, a folder or device, empty, another format, or too slow.
    """
    require_regular_file(path, error_type, _KINDS[error_type][0])
    if is_zeroed(path):
        raise error_type(f"{describe_path(path.name)} begins with zeros only", "download or copy it again")
    part = "" if byte_range is None else f"subfile,,start,{byte_range.start},end,{byte_range.stop},,:"
    try:
        return av.open(
            f"{part}file:{path}",
            "r",
            options=MEDIA_OPTIONS | dict(options or {}),
            metadata_errors="ignore",
            timeout=(OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
        )
    except av.error.ExitError as error:
        raise build_timeout_error(path, error_type) from error
    except (av.error.FFmpegError, ValueError) as error:
        kind, remedy = _KINDS[error_type]
        raise error_type(f"{describe_path(path.name)} is damaged, or not a {kind}", remedy) from error


def is_zeroed(path: Path) -> bool:
    """Whether a large file begins with nothing but zeros."""
    with path.open("rb") as file:
        return path.stat().st_size >= _MIN_ZEROED_BYTES and not any(file.read(_PROBED_ZEROS))


def build_timeout_error(path: Path, error_type: type[LiveAvatarError]) -> LiveAvatarError:
    """The error for `av.error.ExitError`, which FFmpeg gives when a deadline has passed."""
    return error_type(
        f"{describe_path(path.name)} cannot be read in time: {READ_TIMEOUT_SECONDS:.0f} s passed without a packet",
        "copy it to a local disk, or " + _KINDS[error_type][1],
    )

"""The duration that a file announces, by which a truncated one is known.

FFmpeg gives a duration for almost every file. Some are guesses from the bit rate, some the last time stamp of a clock
that does not start at 0, some placeholders of a program that wrote to a pipe. Those are no announcements.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer

from liveavatar.audio.io import riff
from liveavatar.audio.io.mpeg import has_frame_count

_ANNOUNCING_FORMATS = frozenset(
    {
        *("w64", "aiff", "au", "caf", "dsf", "flac", "ape", "tta", "tak", "wv", "mp3", "mpc", "mpc8"),
        *("mov", "matroska", "avi", "flv", "asf", "rm"),
    }
)
"""FFmpeg's names of formats whose header has the duration. The others end where they end."""

_MIN_AVI_BIT_RATE = 500
"""Bits a second of the whole file, less than of any codec: some programs write the bytes of the sound as its length."""

_MAX_START_SECONDS = Fraction(1, 10)
"""A clock that starts later does not start at 0: its last time stamp is not the duration."""


def read_announced_duration(
    container: InputContainer, stream: AvAudioStream, path: Path, parts: Sequence[range]
) -> Fraction | None:
    """Duration in seconds that the header of the file announces for `stream`; None if it announces none.

    `parts` are the files that are joined in it (see `find_joined_files`): of several WAV files it is the sum.
    """
    names = container.format.name.split(",")
    if names == ["wav"]:
        lengths = [riff.read_wave_duration(path, part) for part in parts]
        known = [length for length in lengths if length]
        return sum(known, Fraction(0)) if known and len(known) == len(lengths) else None
    if len(parts) > 1 or _ANNOUNCING_FORMATS.isdisjoint(names):
        return None
    if names == ["avi"] and container.bit_rate and container.bit_rate < _MIN_AVI_BIT_RATE:
        return None
    is_estimate = (names == ["mp3"] and not has_frame_count(path)) or (
        "matroska" in names and stream.duration
    )
    if is_estimate:  # by the bit rate; in Matroska, only the whole file has a duration otherwise
        return None
    starts_late = (
        stream.start_time and stream.time_base and stream.start_time * stream.time_base > _MAX_START_SECONDS
    )
    return None if starts_late and "mov" not in names else find_stream_duration(container, stream)


def find_stream_duration(container: InputContainer, stream: AvAudioStream) -> Fraction | None:
    """Duration in seconds by FFmpeg of the track, or of the file if there is no film beside it."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    is_known = container.duration and not has_film(container)
    return Fraction(container.duration or 0, av.time_base) if is_known else None


def has_film(container: InputContainer) -> bool:
    """Whether there are pictures that move; covers of albums do not."""
    return any(not video.disposition & video.disposition.attached_pic for video in container.streams.video)

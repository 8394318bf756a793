"""Shift the sound of a video against its pictures, whose packets are copied unchanged."""

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from liveavatar.audio.io.decode import open_container
from liveavatar.errors import OptionError, OutputError, VideoError
from liveavatar.files import atomic_write
from liveavatar.video.reader import find_picture_stream, find_sound_start
from liveavatar.video.sound_source import EncodedSound
from liveavatar.video.writer import explain_write_errors

_CONTAINER_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}


def shift_sound(
    source: str | Path, output: str | Path, lag: float, slope: float = 0.0, track: int | None = None
) -> None:
    """Copy `source` to `output` with its sound shifted: what plays at `t + lag + slope·t` plays at t, in seconds.

    The pictures' packets are copied bit for bit. The sound is resampled if `slope` is not 0, and encoded as AAC (see
    `EncodedSound`). Other streams are dropped; `track` is the
    number of the sound track, from 1, None the one that players play. The file appears complete or not at all.

    Raises:
        OptionError: the output's suffix is unknown, or it is the source.
        VideoError, AudioError: the source cannot be read.
        OutputError: the output cannot be written, or its format cannot hold the pictures.
    """
    source, output = Path(source), Path(output)
    container_format = check_remux_output(source, output)
    begin = find_sound_start(source, track)
    if begin is None:
        raise VideoError(f"{source.name} has no sound", "choose a video with a sound track")
    with ExitStack() as files:
        partial = files.enter_context(atomic_write(output))
        files.enter_context(explain_write_errors(output))
        pictures = files.enter_context(open_container(source))
        target = files.enter_context(av.open(f"file:{partial}", "w", format=container_format))
        sound = EncodedSound(source, (float(begin) - lag) / (1 + slope), slope, track)
        files.callback(sound.close)
        _copy_streams(pictures, target, sound)


def check_remux_output(source: Path, output: Path) -> str:
    """FFmpeg's name of the output's format.

    Raises:
        OptionError: the output's suffix is unknown, or it is the source.
    """
    container_format = _CONTAINER_FORMATS.get(output.suffix.lower())
    if container_format is None:
        raise OptionError(f"a video cannot end in {output.suffix!r}", "name it .mp4, .mov or .mkv")
    if output.exists() and source.exists() and output.samefile(source):
        raise OptionError(f"{output} is the video itself", "choose another name")
    return container_format


def _copy_streams(pictures: InputContainer, target: OutputContainer, sound: EncodedSound) -> None:
    source = find_picture_stream(pictures)
    if source is None:
        raise VideoError("there are no pictures in the file", "choose a video of a talking face")
    copy = _add_copied_stream(target, source)
    sound.attach_to_output(target)
    time_base = source.time_base or Fraction(1, 1000)
    for packet in pictures.demux(source):
        if packet.dts is None:
            continue
        now = (packet.pts if packet.pts is not None else packet.dts) * time_base
        packet.stream = copy
        target.mux(packet)
        for sound_packet in sound.read_packets(now):
            target.mux(sound_packet)
    for sound_packet in sound.read_remaining(None):
        target.mux(sound_packet)


def _add_copied_stream(target: OutputContainer, source: VideoStream) -> VideoStream:
    try:
        return target.add_stream_from_template(source)
    except (ValueError, av.error.FFmpegError) as error:
        problem = f"{target.format.name} cannot hold pictures in {source.codec_context.name}"
        raise OutputError(problem, "name the output .mkv") from error

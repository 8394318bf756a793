"""Chooses the sound track of a file: the one rule for the lips, for the sound of a video, and for measuring sync."""

from pathlib import Path

from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer

from liveavatar.errors import AudioError
from liveavatar.files import describe_path


def choose_sound_track(container: InputContainer, path: Path, track: int | None = None) -> AvAudioStream:
    """The sound track with the number `track`, from 1; None is the one that players play.

    Players take the first track that is flagged as default, otherwise the first one; tracks in a codec that FFmpeg
    does not know are passed over.

    Raises:
        AudioError: there is no sound, no such track, or its codec is unknown.
    """
    name, tracks = describe_path(path.name), container.streams.audio
    if not tracks:
        raise AudioError(f"{name} has no sound", "choose a file with a sound track")
    numbered = dict(enumerate(tracks, 1))
    if track is not None and track not in numbered:
        problem = f"{name} has no sound track {track!r}"
        raise AudioError(
            problem, f"choose one from 1 to {len(tracks)}" if len(tracks) > 1 else "its only one is 1"
        )
    candidates = list(tracks) if track is None else [numbered[track]]
    candidates = list(filter(_has_known_codec, candidates))
    if not candidates:
        raise AudioError(
            f"the sound of {name} is in an unknown format", "convert it to WAV or MP3 with another program"
        )
    default = (stream for stream in candidates if stream.disposition & stream.disposition.default)
    return next(default, candidates[0])


def number_sound_track(container: InputContainer, stream: AvAudioStream) -> int:
    """The number of a sound track, from 1."""
    return [track.index for track in container.streams.audio].index(stream.index) + 1


def _has_known_codec(stream: AvAudioStream) -> bool:
    context: AudioCodecContext | None = stream.codec_context
    return context is not None

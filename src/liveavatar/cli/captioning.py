"""Captions of a video that is made: from the text that was spoken, else from what is recognised."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np

from liveavatar.audio.front_end import RepairPolicy, read_speech
from liveavatar.captions.caption_file import check_caption_file, name_caption_file, write_captions
from liveavatar.captions.cues import Cue, TimedText, make_cues
from liveavatar.cli.output import print_message
from liveavatar.cli.progress import show_stage
from liveavatar.cli.speech_source import Speech
from liveavatar.ears.recogniser import transcribe
from liveavatar.files import describe_path


class CaptionKind(StrEnum):
    """Where captions go: into a file beside the video, or into the picture."""

    SRT = "srt"
    VTT = "vtt"
    BURN = "burn"


def check_captions(kind: CaptionKind | None, video: Path) -> None:
    """Refuse, before any work, captions that cannot be written.

    Raises:
        OutputError: their file exists, or its folder may not be written.
    """
    if kind in {CaptionKind.SRT, CaptionKind.VTT}:
        check_caption_file(_name_file(kind, video))


def find_cues(speech: Speech, policy: RepairPolicy, track: int | None) -> list[Cue]:
    """The captions of a speech; a message on stderr says if nobody speaks.

    Raises:
        EngineError: it has to be recognised, and the extra `ears` is not installed.
        WeightsError: the model that recognises it cannot be fetched.
    """
    spoken: Sequence[TimedText] = speech.clauses
    if not spoken:
        with show_stage("recognising what is said"):
            spoken = transcribe(np.concatenate(list(read_speech(speech.path, policy, track=track)[1])))
    if not spoken:
        print_message("nobody speaks in the recording: there are no captions")
    return make_cues(spoken)


def save_captions(kind: CaptionKind | None, video: Path, cues: Sequence[Cue]) -> Path | None:
    """Write the file of captions, if one is wanted and something is said; returns its path.

    Raises:
        OutputError: it cannot be written.
    """
    if kind not in {CaptionKind.SRT, CaptionKind.VTT} or not cues:
        return None
    path = _name_file(kind, video)
    write_captions(path, cues)
    print_message(f"{len(cues)} captions in {describe_path(path)}")
    return path


def _name_file(kind: CaptionKind | None, video: Path) -> Path:
    return name_caption_file(video, "vtt" if kind is CaptionKind.VTT else "srt")

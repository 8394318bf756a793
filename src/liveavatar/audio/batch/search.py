"""Finds recordings in folders. An entry that cannot be read is found too, so that it is reported."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from liveavatar.errors import AudioError
from liveavatar.files import describe_path

RECORDING_SUFFIXES = frozenset(
    suffix
    for family in (
        "wav w64 rf64 aif aifc aiff au snd caf flac alac ape tta wv",
        "mp3 mp2 aac m4a m4b ogg oga opus spx wma amr 3gp ac3 eac3 dts gsm g722 ra",
        "mp4 m4v mov mkv mka webm avi flv wmv mpg mpeg ts vob ogv mxf",
    )
    for suffix in family.split()
)
"""Suffixes of recordings in a folder. A file given by itself may have any suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecording:
    """A recording, and its path below the output folder without suffix; or a folder that cannot be read, and why."""

    source: Path
    place: Path
    refusal: AudioError | None = None


def find_recordings(
    inputs: Iterable[Path], output_folder: Path, is_result: Callable[[Path, Path], bool]
) -> Iterator[FoundRecording]:
    """Every recording given or found in a folder, except results of earlier runs: `is_result` of a file and its root.

    Links to folders are not followed, and `output_folder` is not searched unless it is given. Folders and files whose
    names begin with a full stop are left out.
    """
    for path in inputs:
        if find_path_type(path) == "folder":
            found = _walk_folder(path, path, output_folder.resolve())
        else:
            found = iter([FoundRecording(source=path, place=Path(path.stem))])
        yield from (entry for entry in found if entry.refusal or not is_result(entry.source, path))


def find_path_type(path: Path) -> Literal["file", "folder", "other"] | None:
    """What a path leads to; None if there is nothing, or if it cannot be looked at."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def has_recording_suffix(path: Path) -> bool:
    """Whether a file of this name in a folder is taken for a recording."""
    return path.suffix.lower().removeprefix(".") in RECORDING_SUFFIXES


def _walk_folder(folder: Path, root: Path, output_folder: Path) -> Iterator[FoundRecording]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        refusal = AudioError(
            f"the folder {describe_path(folder)} cannot be searched: {reason}", "check its permissions"
        )
        yield FoundRecording(source=folder, place=folder.relative_to(root), refusal=refusal)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith("."):
            continue
        if _is_real_folder(entry):
            if path.resolve() != output_folder:
                yield from _walk_folder(path, root, output_folder)
        elif has_recording_suffix(path):
            yield FoundRecording(source=path, place=path.relative_to(root).with_suffix(""))


def _is_real_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # it went away
        return False

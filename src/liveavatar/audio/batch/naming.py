"""Names of prepared files: which are possible for a recording, and which two names one file system takes for one."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from liveavatar.files import shorten_name

RESULT_SUFFIX = ".wav"
_LONGEST_SUFFIX = (
    16  # bytes; a longer one is no suffix of a format, but a part of a sentence with a full stop
)


def list_candidate_names(place: Path, suffix: str) -> Iterator[Path]:
    """Names of the result of a recording in the order of preference, without end and without repetition.

    `place` is its path below the output folder, without its `suffix`. For `talk.mp3` these are `talk.wav`,
    `talk.mp3.wav`, `talk-2.wav`, `talk-3.wav` and so on; all fit a file system, so a long name is cut.
    """
    endings = [RESULT_SUFFIX]
    if suffix.lower() not in {"", RESULT_SUFFIX} and len(os.fsencode(suffix)) <= _LONGEST_SUFFIX:
        endings.append(suffix + RESULT_SUFFIX)
    for ending in endings:
        yield place.parent / shorten_name(place.name, ending)
    number = 2
    while True:
        yield place.parent / shorten_name(place.name, f"-{number}{RESULT_SUFFIX}")
        number += 1


def fold_name(name: str | Path) -> str:
    """The same text for names that are one file on some file system: upper and lower case, composed and not."""
    composed = unicodedata.normalize("NFC", str(name))
    return unicodedata.normalize("NFC", composed.casefold())

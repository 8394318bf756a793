"""Speech from a typed text, where the room of voices and its packages (extra "voices") are installed."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from liveavatar.errors import OptionError

AUTO_VOICE = "auto"
"""Goes by the language of the text."""

_NAME_LENGTH = 40  # characters
_PACKAGES = ("liveavatar.voices", "hibari", "onnxruntime", "pypinyin")


def list_voices() -> list[dict[str, Any]]:
    """The voices that can speak here, by name; empty if there are none."""
    if any(find_spec(package) is None for package in _PACKAGES):
        return []
    from liveavatar.voices import VOICES

    return [
        {"name": voice.name, "languages": voice.languages, "description": voice.description}
        for voice in VOICES
    ]


def speak_text(text: str, voice: str, path: Path) -> None:
    """Write `text` as speech into the WAV file `path`.

    Raises:
        LiveAvatarError: the voice cannot speak here, or not this text.
    """
    if voice not in {AUTO_VOICE, *(entry["name"] for entry in list_voices())}:
        raise OptionError(f"there is no voice {voice[:40]!r} here", "choose one of GET /api/studio")
    from liveavatar.voices import write_speech

    write_speech(text, path, voice)


def name_text(text: str) -> str:
    """What a spoken text is called: its first words."""
    words = " ".join(text.split())
    return words if len(words) <= _NAME_LENGTH else f"{words[:_NAME_LENGTH]}…"

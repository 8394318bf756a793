"""The voices by name, their languages and licences, and which one reads a text by default."""

from dataclasses import dataclass
from functools import cache

from liveavatar.errors import OptionError
from liveavatar.files import describe_path
from liveavatar.voices.hibari import HibariVoice
from liveavatar.voices.kokoro import KokoroVoice
from liveavatar.voices.text import detect_languages, prepare_text
from liveavatar.voices.voice import Voice

AUTO_VOICE = "auto"
"""The name that means: by the language of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceEntry:
    """A voice: its name, the languages that it reads (its own first), who it sounds like, its model and its licence."""

    name: str
    languages: tuple[str, ...]
    description: str
    model: str
    licence: str = "Apache-2.0"


VOICES = (
    VoiceEntry(name="hibari", languages=("en-US",), description="a woman", model="hibari"),
    VoiceEntry(name="af_heart", languages=("en-US", "zh-CN"), description="a woman", model="kokoro"),
    VoiceEntry(name="af_bella", languages=("en-US", "zh-CN"), description="a woman", model="kokoro"),
    VoiceEntry(name="am_michael", languages=("en-US", "zh-CN"), description="a man", model="kokoro"),
    VoiceEntry(name="bf_emma", languages=("en-GB", "zh-CN"), description="a woman", model="kokoro"),
    VoiceEntry(name="bm_george", languages=("en-GB", "zh-CN"), description="a man", model="kokoro"),
    VoiceEntry(name="zf_xiaobei", languages=("zh-CN", "en-US"), description="a woman", model="kokoro"),
    VoiceEntry(name="zf_xiaoxiao", languages=("zh-CN", "en-US"), description="a woman", model="kokoro"),
    VoiceEntry(name="zf_xiaoyi", languages=("zh-CN", "en-US"), description="a woman", model="kokoro"),
    VoiceEntry(name="zm_yunxi", languages=("zh-CN", "en-US"), description="a man", model="kokoro"),
    VoiceEntry(name="zm_yunyang", languages=("zh-CN", "en-US"), description="a man", model="kokoro"),
)
DEFAULT_ENGLISH_VOICE, DEFAULT_MANDARIN_VOICE = "hibari", "zf_xiaobei"


def choose_voice_name(name: str, text: str) -> str:
    """The name of the voice that speaks `text`: `name` itself, or for "auto" the one of its language.

    Raises:
        OptionError: there is no such voice.
        VoiceError: the text cannot be spoken.
    """
    if name == AUTO_VOICE:
        has_chinese = "zh" in detect_languages(prepare_text(text))
        return DEFAULT_MANDARIN_VOICE if has_chinese else DEFAULT_ENGLISH_VOICE
    return find_voice(name).name


def find_voice(name: str) -> VoiceEntry:
    """The entry of the voice `name`.

    Raises:
        OptionError: there is no such voice.
    """
    for voice in VOICES:
        if voice.name == name:
            return voice
    known = ", ".join(voice.name for voice in VOICES)
    raise OptionError(f"there is no voice {describe_path(name)!r}", f"use auto or one of: {known}")


@cache
def open_voice(name: str) -> Voice:
    """The voice `name`; its model is fetched and loaded when it speaks first, and shared by everybody who asks for it.

    Raises:
        OptionError: there is no such voice.
    """
    return HibariVoice() if find_voice(name).model == "hibari" else KokoroVoice(name)

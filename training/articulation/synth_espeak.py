"""Clips of the formant synthesiser espeak-ng, with the phone times it reports; many voices and languages."""

import ctypes
import ctypes.util
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import Clip, Span, clip_at_16k
from training.articulation.texts import make_pinyin, make_sentences

LANGUAGES = {
    "en-us": 0.3,
    "en-gb": 0.1,
    "cmn-latn-pinyin": 0.35,
    "es": 0.06,
    "fr": 0.05,
    "de": 0.06,
    "it": 0.04,
    "pl": 0.04,
}
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt", "klatt2", "klatt3",
            "klatt4", "croak", "whisper", "grandpa", "Alicia", "Andrea", "Diogo", "Gene", "Hugo", "Linda", "Michael",
            "Mike", "Nguyen", "steph", "victor", "zac")  # fmt: skip
_SYNCHRONOUS, _PHONEME_EVENTS, _IPA, _DONT_EXIT = 2, 1, 2, 0x8000
_END, _PHONEME = 6, 7
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4


class _Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The espeak-ng library (Debian: libespeak-ng1)."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(ctypes.util.find_library("espeak-ng"))
        self.rate = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _IPA | _DONT_EXIT
        )
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._on_sound_callback = _Callback(self._on_sound)  # must outlive its use by the library
        self._library.espeak_SetSynthCallback(self._on_sound_callback)
        self._sound: list[NDArray[np.int16]] = []
        self._starts: list[tuple[str, int]] = []

    def synthesise(
        self, text: str, voice: str, *, speed: int, pitch: int, range_: int
    ) -> tuple[NDArray[np.float32], list[Span]]:
        """Speak a text; returns sound and phones.

        `voice` is LANGUAGE+VARIANT, `speed` is in words a minute, `pitch` and `range_` are 0…100.
        """
        self._sound, self._starts = [], []
        self._library.espeak_SetVoiceByName(voice.encode())
        for parameter, value in ((_RATE, speed), (_PITCH, pitch), (_RANGE, range_)):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None)
        sound = np.asarray(np.concatenate(self._sound) / 32768, np.float32)
        ends = [at for _, at in self._starts[1:]] + [len(sound)]
        return sound, [(name, at, end) for (name, at), end in zip(self._starts, ends, strict=True)]

    def text_to_ipa(self, text: str, language: str) -> str:
        """IPA of a text, phones separated by "_" and words by spaces."""
        self._library.espeak_SetVoiceByName(language.encode())
        held = ctypes.create_string_buffer(text.encode())
        at = ctypes.c_void_p(ctypes.addressof(held))
        pieces = []
        while at.value:
            piece = self._library.espeak_TextToPhonemes(ctypes.byref(at), _UTF8, _IPA | ord("_") << 8)
            pieces.append((piece or b"").decode("utf-8", "ignore"))
        return re.sub(r"\([a-z-]+\)", "", " ".join(pieces))

    def _on_sound(
        self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        if count > 0:
            self._sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != 0:
            if events[i].type == _PHONEME:
                name = events[i].id.string.decode("utf-8", "ignore")
                self._starts.append((name.strip("ˈˌ_: "), events[i].audio_position * self.rate // 1000))
            i += 1
        return 0


def make_clips(seed: int = 2) -> Iterator[Clip]:
    """Yield clips without end."""
    espeak, random = Espeak(), np.random.default_rng(seed)
    texts = {
        name: make_pinyin(seed) if name.startswith("cmn") else make_sentences(name[:2], seed)
        for name in LANGUAGES
    }
    while True:
        language = str(random.choice(list(LANGUAGES), p=list(LANGUAGES.values())))
        voice = f"{language}+{random.choice(VARIANTS)}"
        speed, pitch, spread = (int(random.integers(*bounds)) for bounds in ((110, 220), (15, 85), (25, 90)))
        sound, phones = espeak.synthesise(
            next(texts[language]), voice, speed=speed, pitch=pitch, range_=spread
        )
        yield clip_at_16k(f"espeak:{voice}", language[:2].replace("cm", "zh"), sound, espeak.rate, phones)

"""Speech without texts, from games whose data may be redistributed: ten hours, a hundred voices.

Actors in five games, volunteers in two for children (Debian: beneath-a-steel-sky, drascula, drascula-italian,
drascula-spanish, flight-of-the-amazon-queen, hedgewars-data, klettres-data, ktuberling-data and warzone2100-data). The
file formats of the first three are documented by the source of ScummVM, which runs them.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import soxr  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray
from training.articulation import rnc
from training.articulation.english import decode_audio

from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]
SCUMMVM = Path("/usr/share/scummvm")
SKY = SCUMMVM / "beneath-a-steel-sky"
QUEEN = SCUMMVM / "flight-of-the-amazon-queen" / "queen.1c"
DRASCULA = SCUMMVM / "drascula"
EIGHT_BIT_RATE = 11_025
"""Hz, of the two games with 8-bit samples."""

HEDGEWARS = Path("/usr/share/games/hedgewars/Data/Sounds/voices")
HEDGEWARS_ENGLISH = ("British", "Classic", "Default", "HillBilly", "Mobster", "Pirate", "Surfer")
HEDGEWARS_OTHER = ("Default_es", "Default_pl", "Default_ru", "Default_uk", "Russian", "Russian_pl")
WARZONE = Path("/usr/share/games/warzone2100/base.wz")
WARZONE_FOLDERS = ("tutorial", "extra", "memressp", "vtoltalk", "taunts", "nexus", "coltive")

KLETTRES = Path("/usr/share/klettres")
KLETTRES_UNREADABLE = "cs"
"""KLettres' Czech files are a variant of Vorbis that FFmpeg cannot decode."""

KTUBERLING = Path("/usr/share/ktuberling/sounds")
KTUBERLING_TEST_LANGUAGE, KTUBERLING_DUPLICATES = "en", "sr@"
"""ktuberling's English speaker is for testing. Its Serbian recordings exist under several names; these are skipped."""

MIN_SECONDS, MAX_SECONDS = 0.3, 20.0
"""Limits of a recording's duration."""

MIN_PEAK = 0.02
"""The peak amplitude of a recording is at least this."""


def read_recordings() -> Iterator[tuple[str, Sound]]:
    """Yield (speaker, sound at 16 kHz) of every recording within the limits."""
    sources: dict[str, Callable[[], Iterator[Sound]]] = {
        "sky": read_sky,
        "queen": read_queen,
        "drascula": partial(read_drascula, "en"),
        "drascula-es": partial(read_drascula, "es"),
        "drascula-it": partial(read_drascula, "it"),
        "hedgewars": partial(read_hedgewars, HEDGEWARS_ENGLISH),
        "hedgewars-abroad": partial(read_hedgewars, HEDGEWARS_OTHER),
        "warzone": read_warzone,
        "klettres": read_klettres,
        "ktuberling": read_ktuberling,
    }
    for name, read_source in sources.items():
        for sound in read_source():
            if MIN_SECONDS < len(sound) / SAMPLE_RATE < MAX_SECONDS and float(np.abs(sound).max()) > MIN_PEAK:
                yield f"game:{name}", sound


def read_sky() -> Iterator[Sound]:
    """Files 50,000 to 59,999 of Beneath a Steel Sky: a header of 22 bytes, then 8-bit samples, mostly packed."""
    table, disk = (SKY / "sky.dnr").read_bytes(), (SKY / "sky.dsk").read_bytes()
    for at in range(4, len(table) - 7, 8):
        number = int.from_bytes(table[at : at + 2], "little")
        start, size = (int.from_bytes(table[at + i : at + i + 3], "little") for i in (2, 5))
        start = (start & 0x7FFFFF) << 4 if start >> 23 else start
        if 50_000 <= number < 60_000:
            packed = disk[start + 22 : start + (size & 0x3FFFFF)]
            plain = rnc.unpack_rnc(packed) if packed.startswith(rnc.MARK) else packed
            yield _resample_eight_bits(plain)


def read_queen() -> Iterator[Sound]:
    """The .SB files of Flight of the Amazon Queen: MP3."""
    data = QUEEN.read_bytes()
    (count,) = struct.unpack(">H", data[13:15])
    for at in range(15, 15 + 21 * count, 21):
        name, _, start, size = struct.unpack(">12sBII", data[at : at + 21])
        if name.rstrip(b"\0").endswith(b".SB"):
            yield decode_audio(io.BytesIO(data[start : start + size]), "mp3")


def read_drascula(language: str) -> Iterator[Sound]:
    """The .ALS files of Drascula: 8-bit samples without a header. Lines without a translation link to English."""
    for path in sorted((DRASCULA / language).glob("*.ALS")):
        if not path.is_symlink():
            yield _resample_eight_bits(path.read_bytes())


def read_hedgewars(voices: tuple[str, ...]) -> Iterator[Sound]:
    """The voices of Hedgewars."""
    for voice in voices:
        for path in sorted((HEDGEWARS / voice).glob("*.ogg")):
            yield decode_audio(path)


def read_warzone() -> Iterator[Sound]:
    """The spoken messages of Warzone 2100."""
    with zipfile.ZipFile(WARZONE) as archive:
        for name in sorted(archive.namelist()):
            audio, _, rest = name.partition("/")
            if audio == "audio" and rest.split("/")[0] in WARZONE_FOLDERS and name.endswith(".ogg"):
                yield decode_audio(io.BytesIO(archive.read(name)))


def read_klettres() -> Iterator[Sound]:
    """Letters and syllables of nineteen languages, from KLettres."""
    for path in sorted(KLETTRES.rglob("*.ogg")):
        if path.relative_to(KLETTRES).parts[0] != KLETTRES_UNREADABLE:
            yield decode_audio(path)


def read_ktuberling() -> Iterator[Sound]:
    """Names of things in ktuberling's pictures, in twenty-one languages."""
    for path in sorted(KTUBERLING.glob("*/*")):
        language = path.parent.name
        if (
            path.suffix in (".ogg", ".wav")
            and language != KTUBERLING_TEST_LANGUAGE
            and not language.startswith(KTUBERLING_DUPLICATES)
        ):
            yield decode_audio(path)


def _resample_eight_bits(samples: bytes) -> Sound:
    sound = (np.frombuffer(samples, np.uint8).astype(np.float32) - 128) / 128
    return np.asarray(soxr.resample(sound, EIGHT_BIT_RATE, SAMPLE_RATE, "VHQ"), np.float32)

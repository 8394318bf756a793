"""What actors say in five English games that may be given away freely (Debian: beneath-a-steel-sky, drascula,
flight-of-the-amazon-queen, hedgewars-data and warzone2100-data): eight hours, dozens of voices, without texts.

How the files of the first three are laid out is told by ScummVM, which plays them.
"""

import io
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soxr  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray
from training.articulation import rnc
from training.articulation.real import read

from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]
GAMES = Path("/usr/share/scummvm")
SKY = GAMES / "beneath-a-steel-sky"
QUEEN = GAMES / "flight-of-the-amazon-queen" / "queen.1c"
DRASCULA = GAMES / "drascula" / "en"
RATE = 11_025
"""Samples a second in all three."""

HEDGEHOGS = Path("/usr/share/games/hedgewars/Data/Sounds/voices")
HEDGEHOG_VOICES = ("British", "Classic", "Default", "HillBilly", "Mobster", "Pirate", "Surfer")
WARZONE = Path("/usr/share/games/warzone2100/base.wz")
WARZONE_SPOKEN = ("tutorial", "extra", "memressp", "vtoltalk", "taunts", "nexus", "coltive")

SHORTEST, LONGEST = 0.7, 20.0
"""Seconds of a line."""

LOUD = 0.02
"""The highest sample of a line is at least that."""


def lines() -> Iterator[tuple[str, Sound]]:
    """(speaker, sound at 16 kHz) of every line that is neither very short nor very long."""
    games = (
        ("sky", RATE, sky()),
        ("queen", RATE, queen()),
        ("drascula", RATE, drascula()),
        ("hedgewars", SAMPLE_RATE, hedgewars()),
        ("warzone", SAMPLE_RATE, warzone()),
    )
    for game, rate, spoken in games:
        for sound in spoken:
            line = soxr.resample(sound, rate, SAMPLE_RATE, "VHQ").astype(np.float32)
            if SHORTEST < len(line) / SAMPLE_RATE < LONGEST and float(np.abs(line).max()) > LOUD:
                yield f"game:{game}", line


def sky() -> Iterator[Sound]:
    """Files 50,000 to 59,999 of Beneath a Steel Sky: 22 bytes of header, then 8-bit samples, mostly packed."""
    table, disk = (SKY / "sky.dnr").read_bytes(), (SKY / "sky.dsk").read_bytes()
    for at in range(4, len(table) - 7, 8):
        number = int.from_bytes(table[at : at + 2], "little")
        start, size = (int.from_bytes(table[at + i : at + i + 3], "little") for i in (2, 5))
        start = (start & 0x7FFFFF) << 4 if start >> 23 else start
        if 50_000 <= number < 60_000:
            packed = disk[start + 22 : start + (size & 0x3FFFFF)]
            plain = rnc.unpack(packed) if packed.startswith(rnc.MARK) else packed
            yield _bytes(plain)


def queen() -> Iterator[Sound]:
    """The .SB files of Flight of the Amazon Queen: MP3."""
    data = QUEEN.read_bytes()
    (count,) = struct.unpack(">H", data[13:15])
    for at in range(15, 15 + 21 * count, 21):
        name, _, start, size = struct.unpack(">12sBII", data[at : at + 21])
        if name.rstrip(b"\0").endswith(b".SB"):
            yield _decoded(data[start : start + size])


def drascula() -> Iterator[Sound]:
    """The .ALS files of Drascula: 8-bit samples and nothing else."""
    for path in sorted(DRASCULA.glob("*.ALS")):
        yield _bytes(path.read_bytes())


def hedgewars() -> Iterator[Sound]:
    """What hedgehogs shout, at 16 kHz."""
    for voice in HEDGEHOG_VOICES:
        for path in sorted((HEDGEHOGS / voice).glob("*.ogg")):
            yield read(path)


def warzone() -> Iterator[Sound]:
    """What officers report, at 16 kHz."""
    with zipfile.ZipFile(WARZONE) as archive, tempfile.TemporaryDirectory() as folder:
        for name in sorted(archive.namelist()):
            audio, _, rest = name.partition("/")
            if audio == "audio" and rest.split("/")[0] in WARZONE_SPOKEN and name.endswith(".ogg"):
                yield read(Path(archive.extract(name, folder)))


def _bytes(samples: bytes) -> Sound:
    return np.asarray((np.frombuffer(samples, np.uint8).astype(np.float32) - 128) / 128, np.float32)


def _decoded(mp3: bytes) -> Sound:
    with av.open(io.BytesIO(mp3), mode="r", format="mp3") as container:
        resampler = av.AudioResampler("flt", "mono")
        frames = [
            out.to_ndarray().ravel()
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    return np.concatenate(frames) if frames else np.zeros(0, np.float32)

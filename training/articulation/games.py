"""What actors say in two English games that may be given away freely (Debian: beneath-a-steel-sky and
flight-of-the-amazon-queen, the releases with speech): seven hours, dozens of voices, without texts.

How the files are laid out is told by ScummVM, which plays them.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soxr  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray
from training.articulation import rnc

from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]
GAMES = Path("/usr/share/scummvm")
SKY = GAMES / "beneath-a-steel-sky"
QUEEN = GAMES / "flight-of-the-amazon-queen" / "queen.1c"
RATE = 11_025
"""Samples a second in both games."""

SHORTEST, LONGEST = 0.7, 20.0
"""Seconds of a line."""

LOUD = 0.02
"""The highest sample of a line is at least that."""


def lines() -> Iterator[tuple[str, Sound]]:
    """(speaker, sound at 16 kHz) of every line that is neither very short nor very long."""
    for game, spoken in (("sky", sky()), ("queen", queen())):
        for sound in spoken:
            line = soxr.resample(sound, RATE, SAMPLE_RATE, "VHQ").astype(np.float32)
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
            yield np.asarray((np.frombuffer(plain, np.uint8).astype(np.float32) - 128) / 128, np.float32)


def queen() -> Iterator[Sound]:
    """The .SB files of Flight of the Amazon Queen: MP3."""
    data = QUEEN.read_bytes()
    (count,) = struct.unpack(">H", data[13:15])
    for at in range(15, 15 + 21 * count, 21):
        name, _, start, size = struct.unpack(">12sBII", data[at : at + 21])
        if name.rstrip(b"\0").endswith(b".SB"):
            yield _decoded(data[start : start + size])


def _decoded(mp3: bytes) -> Sound:
    with av.open(io.BytesIO(mp3), mode="r", format="mp3") as container:
        resampler = av.AudioResampler("flt", "mono")
        frames = [
            out.to_ndarray().ravel()
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    return np.concatenate(frames) if frames else np.zeros(0, np.float32)

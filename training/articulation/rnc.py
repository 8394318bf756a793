"""Decompression of Rob Northen's RNC method 1, used by games of the 1990s.

A file is runs of plain bytes and copies of earlier bytes, with their lengths in Huffman codes.
"""

import struct
from dataclasses import dataclass

Codes = list[tuple[int, int]]
"""A lookup table by the next n bits, [2^n]: (length of the code in bits, symbol)."""

MARK = b"RNC\x01"
_HEADER = 18


@dataclass(slots=True)
class _Bits:
    """Reads bits from 16-bit little-endian words, lowest first, and plain bytes between the words."""

    data: bytes
    at: int = 0
    word: int = 0
    left: int = 0

    def _next_word(self) -> int:
        return (self.data[self.at] | self.data[self.at + 1] << 8) << self.left

    def peek(self) -> int:
        return self.word | self._next_word()

    def take(self, count: int) -> int:
        if count > self.left:
            self.word |= self._next_word()
            self.at += 2
            self.left += 16
        taken = self.word & ((1 << count) - 1)
        self.word >>= count
        self.left -= count
        return taken

    def copy_bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def _read_codes(bits: _Bits) -> Codes:
    """Read a canonical Huffman code, which is stored as the code length of each symbol."""
    lengths = [bits.take(4) for _ in range(bits.take(5))]
    longest = max(lengths, default=0)
    out, code = [(0, 0)] * (1 << longest), 0
    for length in range(1, longest + 1):
        for symbol in (i for i, taken in enumerate(lengths) if taken == length):
            reversed_code = int(format(code, f"0{length}b")[::-1], 2)
            for at in range(reversed_code, 1 << longest, 1 << length):
                out[at] = (length, symbol)
            code += 1
        code <<= 1
    return out


def _read_number(bits: _Bits, codes: Codes) -> int:
    length, symbol = codes[bits.peek() & (len(codes) - 1)]
    bits.take(length)
    return symbol if symbol < 2 else 1 << (symbol - 1) | bits.take(symbol - 1)


def _append_copy(out: bytearray, back: int, count: int) -> None:
    """Append `count` bytes from `back` bytes ago; they may overlap with those just appended."""
    seen = bytes(out[-back:])
    out += (seen * (count // back + 1))[:count]


def unpack_rnc(packed: bytes) -> bytes:
    """Unpack a file that begins with MARK."""
    size, length = struct.unpack(">II", packed[4:12])
    bits, out = _Bits(packed[_HEADER : _HEADER + length] + bytes(4)), bytearray()
    bits.take(2)
    for _ in range(packed[17]):
        runs, distances, lengths = _read_codes(bits), _read_codes(bits), _read_codes(bits)
        for left in range(bits.take(16), 0, -1):
            out += bits.copy_bytes(_read_number(bits, runs))
            if left > 1:
                back = _read_number(bits, distances) + 1
                _append_copy(out, back, _read_number(bits, lengths) + 2)
    if len(out) != size:
        raise ValueError(f"{len(out)} bytes came out instead of {size}")
    return bytes(out)

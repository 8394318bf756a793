"""Whisper's tokens: pieces of UTF-8, languages, and points in time."""

from dataclasses import dataclass
from functools import cache

from liveavatar.weights import ensure_weight_file


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The bytes of each token; tokens that stand for something else, such as "<|zh|>", have none."""

    pieces: tuple[bytes, ...]
    numbers: dict[str, int]

    def decode_text(self, tokens: list[int]) -> str:
        """The text of tokens; those without bytes are silent."""
        return b"".join(self.pieces[token] for token in tokens).decode("utf-8", "replace")

    def encode_text(self, text: str) -> list[int]:
        """Tokens of a text, the longest first: not Whisper's own choice, but it reads them as the same text."""
        known = {piece: token for token, piece in enumerate(self.pieces) if piece}
        rest, tokens = text.encode(), list[int]()
        while rest:
            length = next(size for size in range(len(rest), 0, -1) if rest[:size] in known)
            tokens.append(known[rest[:length]])
            rest = rest[length:]
        return tokens


@cache
def load_vocabulary() -> Vocabulary:
    """The vocabulary of whisper base.

    Raises:
        WeightsError: it cannot be fetched.
    """
    lines = read_vocabulary_lines()
    spelling = _invert_byte_spelling()
    pieces = tuple(b"" if _is_special(line) else bytes(spelling[letter] for letter in line) for line in lines)
    return Vocabulary(pieces, {line: number for number, line in enumerate(lines) if _is_special(line)})


def read_vocabulary_lines() -> list[str]:
    """The tokens as the file spells them."""
    return ensure_weight_file("whisper_base_words").read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _is_special(line: str) -> bool:
    return line.startswith("<|") and line.endswith("|>")


def _invert_byte_spelling() -> dict[str, int]:
    """GPT-2's spelling of bytes: printable ones as themselves, the others as the letters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    return {chr(value): value for value in printable} | {
        chr(0x100 + place): value for place, value in enumerate(others)
    }

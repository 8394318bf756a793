"""From the letters that Kokoro and Piper speak, with times, to phones in IPA with times."""

from training.articulation.corpus import Span

LETTERS = {
    "A": "eɪ", "I": "aɪ", "W": "aʊ", "O": "oʊ", "Q": "əʊ", "Y": "ɔɪ", "T": "ɾ", "S": "s", "ᵊ": "ə", "ꭧ": "ʈʂ",
    "ʨ": "tɕ", "ʥ": "dʑ", "ʦ": "ts", "ʣ": "dz", "ʧ": "tʃ", "ʤ": "dʒ", "ᵻ": "ɪ",
}  # fmt: skip
SILENT = ',.!?;:—… "“”()'

BEFORE_MARKS, AFTER_MARKS = "ˈˌ", "ː→↗↓↘ʲ\u0303"
"""Letters without a sound of their own: their time belongs to the letter after or before them."""


def letters_to_phones(spoken: list[Span], delay: int) -> list[Span]:
    """IPA with times, of letters whose times run `late` by so many samples. Spaces between words take no time of their
    own; at punctuation there is silence."""
    spans: list[Span] = []
    owed = None
    for letter, first, last in ((letter, max(0, a - delay), max(0, b - delay)) for letter, a, b in spoken):
        if letter and letter in AFTER_MARKS and spans:
            spans[-1] = (spans[-1][0], spans[-1][1], last)
        elif letter == " " and spans and spans[-1][0]:
            spans[-1] = (spans[-1][0], spans[-1][1], (first + last) // 2)
            owed = (first + last) // 2
        elif letter and letter in BEFORE_MARKS:
            owed = first if owed is None else owed
        else:
            name = "" if letter in SILENT else LETTERS.get(letter, letter)
            spans.append((name, first if owed is None else owed, last))
            owed = None
    return spans

"""Convert the letters that Kokoro and Piper speak, with times, to phones in IPA with times."""

from training.articulation.corpus import Span

LETTERS = {
    "A": "eɪ", "I": "aɪ", "W": "aʊ", "O": "oʊ", "Q": "əʊ", "Y": "ɔɪ", "T": "ɾ", "S": "s", "ᵊ": "ə", "ꭧ": "ʈʂ",
    "ʨ": "tɕ", "ʥ": "dʑ", "ʦ": "ts", "ʣ": "dz", "ʧ": "tʃ", "ʤ": "dʒ", "ᵻ": "ɪ",
}  # fmt: skip
SILENT = ',.!?;:—… "“”()'

BEFORE_MARKS, AFTER_MARKS = "ˈˌ", "ː→↗↓↘ʲ\u0303"
"""Letters without a sound of their own. Their time belongs to the next or the previous letter."""


def letters_to_phones(spoken: list[Span], delay: int) -> list[Span]:
    """Convert letters to phones; their times are `delay` samples late.

    A space between words is divided between its neighbours. Punctuation is silence.
    """
    spans: list[Span] = []
    pending_start = None
    for letter, first, last in ((letter, max(0, a - delay), max(0, b - delay)) for letter, a, b in spoken):
        if letter and letter in AFTER_MARKS and spans:
            spans[-1] = (spans[-1][0], spans[-1][1], last)
        elif letter == " " and spans and spans[-1][0]:
            spans[-1] = (spans[-1][0], spans[-1][1], (first + last) // 2)
            pending_start = (first + last) // 2
        elif letter and letter in BEFORE_MARKS:
            pending_start = first if pending_start is None else pending_start
        else:
            name = "" if letter in SILENT else LETTERS.get(letter, letter)
            spans.append((name, first if pending_start is None else pending_start, last))
            pending_start = None
    return spans

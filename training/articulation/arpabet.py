"""The phones of CMU's dictionary, as flite and pocketsphinx name them, in IPA and back."""

IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d",
    "DH": "ð", "DX": "ɾ", "EH": "ɛ", "ER": "ɚ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i",
    "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ",
    "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip

SCHWA = "AH0"
"""Without stress the vowel of "cut" is that of "about": lips and jaw hardly move."""

BRITISH = {
    "ɒ": "AO", "ɜ": "ER", "ə": "AH", "a": "AE", "e": "EH", "əʊ": "OW", "eə": "EH", "iə": "IY", "ʊə": "UH",
}  # fmt: skip
"""What is nearest to vowels that CMU's dictionary has not."""


def to_ipa(name: str) -> str:
    """IPA of one phone; "" for pauses and noises."""
    return "ə" if name.upper() == SCHWA else IPA.get(name.upper().rstrip("012"), "")


def from_ipa(phone: str) -> str | None:
    """The nearest phone of the dictionary to one of British English, without marks; None if there is none."""
    return BRITISH.get(phone) or next((name for name, ipa in IPA.items() if ipa == phone), None)

"""Numbers and pronunciation of Mandarin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.voices.chinese_numbers import spell_count, spell_numbers
from liveavatar.voices.kokoro import load_phoneme_table
from liveavatar.voices.mandarin import read_mandarin

VALUES = {digit: value for value, digit in enumerate("零一二三四五六七八九")}
PLACES = {"十": 10, "百": 100, "千": 1000}


def read_count(spelt: str) -> int:
    """The value of a count in Chinese characters, the slow way."""
    total = group = digit = 0
    for character in spelt:
        if character in VALUES:
            digit = VALUES[character]
        elif character in PLACES:
            group += (digit or 1) * PLACES[character]
            digit = 0
        else:
            total += (group + digit) * {"万": 10**4, "亿": 10**8}[character]
            group = digit = 0
    return total + group + digit


@given(st.integers(0, 10**10 - 1))
def test_a_count_keeps_its_value(value: int) -> None:
    spelt = spell_count(str(value))
    assert read_count(spelt) == value
    assert "零零" not in spelt
    assert value == 0 or not spelt.endswith("零")


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("2024年3月15日", "二零二四年三月十五日"),
        ("20年前", "二十年前"),
        ("增长12.5%", "增长百分之十二点五"),
        ("-3℃", "负三摄氏度"),
        ("1,234元", "一千二百三十四元"),
        ("2个，12个，第2个", "两个，十二个，第二个"),
        ("100000000", "一亿"),
        ("10001", "一万零一"),
        ("13800138000", "一三八零零一三八零零零"),
        ("007", "零零七"),
        ("GPT-4", "GPT 四"),
        ("没有数字", "没有数字"),
    ],
)
def test_numbers_are_read_as_people_read_them(text: str, spelt: str) -> None:
    assert spell_numbers(text) == spelt


def spell_english(text: str) -> str:
    return f"<{text}>"


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("你好", "ni↓xau↓"),
        ("银行行长", "i↗nxa↗ŋ xa↗ŋꭧa↓ŋ"),
        ("四十", "sɨ↘ ʂɨ↗"),
        ("女儿，绿", "ny↓ɚ↗, ly↘"),
        ("嗯。", "n↗."),
        ("用AI吗", "jʊ↘ŋ <AI> ma"),
    ],
)
def test_words_are_read_as_they_sound(text: str, phonemes: str) -> None:
    assert read_mandarin(text, spell_english) == phonemes


def test_the_model_knows_every_sound_of_common_characters() -> None:
    table = load_phoneme_table()
    common = "".join(map(chr, range(0x4E00, 0x9FA6)))
    spoken = read_mandarin(common, spell_english)
    assert set(spoken) - table.keys() == set()
    assert len(spoken) > 2 * len(common)

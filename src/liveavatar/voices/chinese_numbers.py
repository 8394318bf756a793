"""Numbers in a Chinese text as they are read: 2024年 as 二零二四年, 12.5% as 百分之十二点五, 2个 as 两个."""

import re

_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿")
_MAX_COUNTED_DIGITS = 10
"""Longer numbers are those of telephones, orders and cards, and read digit by digit."""

_MEASURES = "个位次种天周年岁本张只条件块分秒点倍家名辆座台句页篇"
_NUMBER = re.compile(
    r"(?P<minus>(?<![A-Za-z0-9])[-−])?(?P<order>第)?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<part>\d+))?"
    rf"(?P<unit>\s*[%％]|\s*°C|\s*℃|年(?!级|代|前|后|来|间|多)|(?=[{_MEASURES}]))?"
)


def spell_numbers(text: str) -> str:
    """Replace the numbers of a text by Chinese characters. The hyphen of GPT-4 is silent."""
    return _NUMBER.sub(_spell_number, re.sub(r"(?<=[A-Za-z])-(?=\d)", " ", text))


def spell_digits(digits: str) -> str:
    """Each digit by itself."""
    return "".join(_DIGITS[int(digit)] for digit in digits)


def spell_count(digits: str) -> str:
    """A whole number as a count; one of more than ten digits, or one that begins with 0, digit by digit."""
    if len(digits) > _MAX_COUNTED_DIGITS or (digits[0] == "0" and len(digits) > 1):
        return spell_digits(digits)
    groups = [digits[max(0, end - 4) : end] for end in range(len(digits), 0, -4)]
    spelt = ""
    for place, group in reversed(list(enumerate(groups))):
        value = int(group)
        if value:
            gap = "零" if spelt and (value < 1000 or spelt.endswith("零")) else ""
            spelt = spelt.rstrip("零") + gap + _spell_group(value) + _GROUPS[place]
        elif spelt and not spelt.endswith("零"):
            spelt += "零"
    spelt = spelt.rstrip("零") or "零"
    return spelt.removeprefix("一") if spelt.startswith("一十") else spelt


def _spell_group(value: int) -> str:
    """1…9999 without a leading zero."""
    spelt = ""
    for place in (3, 2, 1, 0):
        digit = value // 10**place % 10
        if digit:
            spelt += _DIGITS[digit] + _PLACES[place]
        elif spelt and not spelt.endswith("零"):
            spelt += "零"
    return spelt.rstrip("零")


def _spell_number(found: re.Match[str]) -> str:
    whole, part, unit = found["whole"].replace(",", ""), found["part"], (found["unit"] or "").strip()
    if unit == "年" and len(whole) == 4 and not part:
        return spell_digits(whole) + unit
    spelt = (
        (found["order"] or "")
        + ("负" if found["minus"] else "")
        + spell_count(whole)
        + (f"点{spell_digits(part)}" if part else "")
    )
    if unit in {"%", "％"}:
        return f"百分之{spelt}"
    if unit in {"°C", "℃"}:
        return f"{spelt}摄氏度"
    is_measured = found["unit"] == "" and spelt == "二"
    return ("两" if is_measured else spelt) + unit

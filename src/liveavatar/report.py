"""Findings about a recording or a picture, each with a level and a remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FindingLevel = Literal["ok", "warn", "bad"]

FINDING_LEVELS: tuple[FindingLevel, ...] = ("ok", "warn", "bad")
"""From best to worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check: `sentence` says what was found, `remedy` what to do (empty if nothing)."""

    name: str
    level: FindingLevel
    sentence: str
    remedy: str = ""


def find_worst_level(findings: Iterable[Finding]) -> FindingLevel:
    """The worst level of the findings; "ok" if there are none."""
    return max((finding.level for finding in findings), key=FINDING_LEVELS.index, default="ok")

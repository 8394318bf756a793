"""What a check says about a recording or a picture: findings, each with a level and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FindingLevel = Literal["ok", "warn", "bad"]

FINDING_LEVELS: tuple[FindingLevel, ...] = ("ok", "warn", "bad")
"""From the best to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: `sentence` says what was found, `remedy` what to do (empty when all is well)."""

    name: str
    level: FindingLevel
    sentence: str
    remedy: str = ""


def find_worst_level(findings: Iterable[Finding]) -> FindingLevel:
    """The gravest level among `findings`; `"ok"` when there are none."""
    return max((finding.level for finding in findings), key=FINDING_LEVELS.index, default="ok")

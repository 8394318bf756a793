"""Confidence intervals of shares that were counted."""

from collections.abc import Callable
from math import exp, lgamma, log

CONFIDENCE = 0.95
_BISECTIONS = 100


def find_clopper_pearson(successes: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided interval of a probability (Clopper and Pearson, Biometrika 26, 1934).

    It contains the true one in `confidence` of all experiments, or more.
    """
    tail = (1 - confidence) / 2
    low = _bisect_share(lambda share: 1 - _sum_binomial(successes - 1, trials, share) > tail)
    high = _bisect_share(lambda share: _sum_binomial(successes, trials, share) < tail)
    return (low if successes else 0.0), (high if successes < trials else 1.0)


def format_share(successes: int, trials: int) -> str:
    """Count, share and interval."""
    low, high = find_clopper_pearson(successes, trials)
    return f"{successes} of {trials} ({successes / trials:.2%}, 95 % interval {low:.2%} to {high:.2%})"


def _bisect_share(is_above: Callable[[float], bool]) -> float:
    """Where a condition on a share begins to hold."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high


def _sum_binomial(successes: int, trials: int, share: float) -> float:
    """Probability of at most so many successes."""
    logs = (
        lgamma(trials + 1)
        - lgamma(count + 1)
        - lgamma(trials - count + 1)
        + count * log(share)
        + (trials - count) * log(1 - share)
        for count in range(successes + 1)
    )
    return sum(map(exp, logs)) if 0 < share < 1 else float(share <= 0)

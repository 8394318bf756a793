"""Log odds of the shipped network on right rates of the dev voices: the thresholds of `audio.analysis.sample_rate`.

python -m training.rate.calibrate DEV.npz RIGHT.npz
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.rate.train import read_data

from liveavatar.audio.analysis.sample_rate import (
    embed_rate_features,
    predict_speed_probabilities,
    wrong_rate_log_odds,
)

FALSE_ALARM_SHARES = (0.05, 0.01, 0.002)
"""Shares of right rates that are taken for wrong ones."""


def compute_log_odds(segments: NDArray[np.float16]) -> float:
    """Log odds that the rate of a recording is wrong, declared at 16 kHz, where most rates compete."""
    present = segments[~np.isnan(segments[:, 0, 0])]
    embeddings = [embed_rate_features(segment.astype(np.float32)) for segment in present]
    speeds = predict_speed_probabilities(np.mean(embeddings, axis=0), len(embeddings))
    return wrong_rate_log_odds(speeds, 16_000)


def main() -> None:
    """Print the thresholds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, nargs="+", help="data sets; only recordings at a right rate are used"
    )
    segments, speeds = read_data(parser.parse_args().data)
    right = segments[np.abs(speeds) < 1e-6]
    for count in (1, 2, 4):
        log_odds = [compute_log_odds(recording[:count]) for recording in right]
        above = ", ".join(
            f"{share:.1%} above {np.quantile(log_odds, 1 - share):.2f}" for share in FALSE_ALARM_SHARES
        )
        print(f"{count} segments of {len(log_odds)} recordings: {above}")


if __name__ == "__main__":
    main()

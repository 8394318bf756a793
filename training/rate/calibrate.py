"""What the shipped network says of right rates on the dev voices: thresholds of `audio.analysis.sample_rate`.

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
"""Of right rates that are doubted."""


def compute_log_odds(looks: NDArray[np.float16]) -> float:
    """Logarithm of the odds that a recording is wrong, as if it were declared at 16 kHz, where most rates compete."""
    said = [embed_rate_features(steps.astype(np.float32)) for steps in looks if not np.isnan(steps[0, 0])]
    return wrong_rate_log_odds(predict_speed_probabilities(np.mean(said, axis=0), len(said)), 16_000)


def main() -> None:
    """Print the thresholds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="made with --right, or what else of it is right")
    looks, speeds = read_data(parser.parse_args().data)
    right = looks[np.abs(speeds) < 1e-6]
    for count in (1, 2, 4):
        found = [compute_log_odds(recording[:count]) for recording in right]
        above = ", ".join(
            f"{share:.1%} above {np.quantile(found, 1 - share):.2f}" for share in FALSE_ALARM_SHARES
        )
        print(f"{count} looks at {len(found)} recordings: {above}")


if __name__ == "__main__":
    main()

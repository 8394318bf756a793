"""What the shipped network says of right rates on the dev voices: the thresholds SUSPECT and SURE of audio/rate.py.

python -m training.rate.calibrate RIGHT.npz
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.rate.train import read

from liveavatar.audio.rate import embed, log_odds, weigh_speeds

SHARES = (0.05, 0.01, 0.002)
"""Of right rates that are doubted."""


def odds(looks: NDArray[np.float16]) -> float:
    """Logarithm of the odds that a recording is wrong, as if it were declared at 16 kHz, where most rates compete."""
    said = [embed(steps.astype(np.float32)) for steps in looks if not np.isnan(steps[0, 0])]
    return log_odds(weigh_speeds(np.mean(said, axis=0), len(said)), 16_000)


def main() -> None:
    """Print the thresholds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("right", type=Path, nargs="+", help="made with --right")
    looks, _ = read(parser.parse_args().right)
    found = [odds(recording) for recording in looks]
    for share in SHARES:
        print(f"{share:.1%} of {len(found)} lie above {np.quantile(found, 1 - share):.2f}")


if __name__ == "__main__":
    main()

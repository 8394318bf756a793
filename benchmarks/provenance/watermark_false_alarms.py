"""False alarms of the watermark's detector: wrong keys on marked, attacked and unmarked videos.

    python -m benchmarks.provenance.watermark_false_alarms [--scratch out/watermark] [--trials 20000] [--jobs 2]

Takes the averages that `benchmarks.provenance.watermark` left in the scratch folder: of each video as written, after
the hardest attack, and without a mark. A trial is one wrong key in one of them: the largest correlation over all
scales, offsets and mirrors, as in `find_mark`. To have many of them, all correlations are computed by matrix products
in bfloat16 (0.1 ms each on processors with AMX); those at the eight best scales are computed again by the detector's
own function, so the strengths are exact (`--check` compares both). The trials run in rounds over all videos and are
kept, so a run can be resumed, and any number of rounds is balanced.
"""

import argparse
from functools import partial
from math import log, pi, sqrt
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
import torch
from benchmarks.intervals import find_clopper_pearson
from benchmarks.machine import describe_machine, results_path, write_results
from benchmarks.provenance.watermark import ATTACKS, UNMARKED
from numpy.typing import NDArray

from liveavatar.provenance.watermark_detection import (
    MAX_FALSE_ALARM_PROBABILITY,
    analyse_scales,
    correlate_offsets,
    estimate_deviation,
    estimate_false_alarm_probability,
    find_mark,
    normalise_contrast,
)
from liveavatar.provenance.watermark_pattern import (
    DEFAULT_KEY,
    FREQUENCIES_ACROSS,
    FREQUENCIES_DOWN,
    SEARCH_SLOPE,
    Spectrum,
    WatermarkKey,
    build_amplitudes,
    draw_phasors,
)

Strengths = NDArray[np.float64]
VERSIONS = ("none", tuple(ATTACKS)[-1], UNMARKED)
"""Which averages of a video are tried."""
KEYS_A_ROUND = 16
RECOMPUTED = 8
"""Scales, mirrored or not, of which the largest correlation is computed exactly."""
GRID = 256
"""That of the detector."""
LEVELS = (0.1, 0.01, 0.001, 0.0001)
BOOTSTRAPS = 500
DEVIATIONS = np.linspace(0.95, 1.15, 81)


class OffsetSearch:
    """The largest correlation of many marks with one spectrum over all offsets, roughly (to 1 %)."""

    def __init__(self) -> None:
        positions = 2 * pi / GRID * torch.arange(GRID)
        across = positions * torch.from_numpy(FREQUENCIES_ACROSS)[:, None]
        down = positions[:, None] * torch.from_numpy(FREQUENCIES_DOWN)
        real = torch.cat([across.cos(), across.sin()], 1)
        imaginary = torch.cat([-across.sin(), across.cos()], 1)
        self._across = torch.stack([real, imaginary], 1).flatten(0, 1).bfloat16()  # [(U re|im), (re|im X)]
        self._down = torch.stack([down.cos(), -down.sin()], 2).flatten(1).bfloat16()  # [Y, (V re|im)]

    def find_maxima(self, products: torch.Tensor) -> torch.Tensor:
        """The largest correlation of each of complex [K, V, U]."""
        count, rows, _ = products.shape
        parts = torch.view_as_real(products).flatten(2).bfloat16()
        waves = (parts.flatten(0, 1) @ self._across).view(count, 2 * rows, GRID)
        return torch.matmul(self._down, waves).flatten(1).amax(1).float()


def search_keys(waves: NDArray[np.complex64], keys: list[WatermarkKey]) -> Strengths:
    """The strength of each key in a video, as `find_mark` has it."""
    marks = np.stack([draw_phasors(key) for key in keys])
    both = torch.from_numpy(np.concatenate([marks, marks[:, :, ::-1]]).conj())
    search, weights = OffsetSearch(), build_amplitudes(SEARCH_SLOPE)
    rough = []
    for spectrum in weights * waves:
        scaled = (spectrum / estimate_deviation(spectrum)).astype(np.complex64)
        rough.append(search.find_maxima(torch.from_numpy(scaled) * both))
    by_key = torch.stack(rough).view(len(waves), 2, len(keys)).permute(2, 0, 1).flatten(1)
    best = by_key.topk(RECOMPUTED, 1).indices.numpy()
    return np.array(
        [recompute_largest(waves, mark, places) for mark, places in zip(marks, best, strict=True)]
    )


def recompute_largest(waves: NDArray[np.complex64], mark: Spectrum, places: NDArray[np.int64]) -> float:
    """The largest correlation at some places, twice the index of the scale plus 1 if mirrored."""
    return max(
        correlate_offsets(waves[place // 2], mark[:, ::-1] if place % 2 else mark)[0] for place in places
    )


def analyse_version(averages_path: Path, version: str) -> NDArray[np.complex64]:
    """The waves in one version of a video."""
    with np.load(averages_path) as averages:
        return analyse_scales(normalise_contrast(averages[version]))


def name_keys(averages_path: Path, version: str, number: int) -> list[WatermarkKey]:
    """The wrong keys of a round, others for each version of each video."""
    prefix = f"{averages_path.stem} {version} {number}"
    return [WatermarkKey(f"{prefix} {index}".encode()) for index in range(KEYS_A_ROUND)]


def run_round(task: tuple[int, Path, str]) -> Strengths:
    """The strengths of the keys of one round in one version of a video."""
    number, path, version = task
    kept = path.with_name(f"{path.stem}-null-{VERSIONS.index(version)}-{number}.npy")
    if not kept.exists():
        np.save(kept, search_keys(analyse_version(path, version), name_keys(path, version, number)))
    return np.asarray(np.load(kept))


def check_search(path: Path) -> float:
    """The largest difference to `find_mark` over the keys of a round."""
    waves, keys = analyse_version(path, UNMARKED), name_keys(path, UNMARKED, 0)
    exact = [find_mark(waves, key).strength for key in keys]
    return float(np.abs(search_keys(waves, keys) - exact).max())


def exceed_by_chance(strengths: Strengths) -> Strengths:
    """The probability that one correlation, normally distributed, is as large as each of these."""
    return np.asarray(0.5 * torch.special.erfc(torch.from_numpy(strengths) / sqrt(2)).numpy(), np.float64)


def fit_maxima(strengths: Strengths) -> tuple[float, float]:
    """How many independent normal correlations have such maxima, and their deviation, by maximum likelihood.

    Neighbours are alike, so they are fewer than are searched; the detector takes the deviation for 1.
    """
    fits = []
    for deviation in DEVIATIONS:
        scaled = strengths / deviation
        logs = float(np.log1p(-exceed_by_chance(scaled)).sum())
        number = len(strengths) / -logs
        likelihood = (number - 1) * logs - float(np.square(scaled).sum()) / 2
        fits.append((likelihood + len(strengths) * log(number / deviation), number, float(deviation)))
    return max(fits)[1:]


def extrapolate_tail(fit: tuple[float, float], threshold: float) -> float:
    """The probability of the threshold or more in the fitted distribution of maxima."""
    number, deviation = fit
    single = float(exceed_by_chance(np.array([threshold / deviation]))[0])
    return float(-np.expm1(number * np.log1p(-single)))


def bootstrap_tail(strengths: Strengths, threshold: float) -> tuple[float, float]:
    """95 % interval of the extrapolated probability, over trials drawn anew."""
    rng = np.random.default_rng(0)
    drawn = (rng.choice(strengths, len(strengths)) for _ in range(BOOTSTRAPS))
    low, high = np.percentile(
        [extrapolate_tail(fit_maxima(sample), threshold) for sample in drawn], (2.5, 97.5)
    )
    return float(low), float(high)


def find_threshold() -> float:
    """The strength from which on a mark counts as found."""
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        is_found = estimate_false_alarm_probability(middle) < MAX_FALSE_ALARM_PROBABILITY
        low, high = (low, middle) if is_found else (middle, high)
    return high


def format_results(strengths: Strengths, right_key: Strengths, film_count: int) -> str:
    """The page of tables."""
    threshold, count = find_threshold(), len(strengths)
    alarms = int(np.sum(strengths >= threshold))
    low, high = find_clopper_pearson(alarms, count)
    fit = fit_maxima(strengths)
    tail_low, tail_high = bootstrap_tail(strengths, threshold)
    probabilities = np.array([estimate_false_alarm_probability(value) for value in strengths])
    return "\n".join([
        "# Watermark: false alarms", "",
        f"Machine: {describe_machine()}. Script: `benchmarks/provenance/watermark_false_alarms.py`.",
        f"{count} wrong keys in {film_count} rendered videos: each as written, after the attack "
        f"\"{VERSIONS[1]}\", and without a mark. Alarm: strength {threshold:.2f}.", "",
        f"- **Counted: {alarms} alarms.** 95 % interval of the probability (Clopper and Pearson): {low:.1e} to "
        f"{high:.1e}.",
        f"- **Largest strength: {strengths.max():.2f}**; median {np.median(strengths):.2f}.",
        f"- **Null distribution**, fitted: the largest of {fit[0] / 1e6:.1f} million independent normal "
        f"correlations of deviation {fit[1]:.3f}. An alarm has the probability "
        f"{extrapolate_tail(fit, threshold):.1e}, 95 % interval {tail_low:.1e} to {tail_high:.1e} (bootstrap).",
        f"- **Bound** that is reported (Bonferroni): {MAX_FALSE_ALARM_PROBABILITY:.0e}.",
        f"- **The program's own key in the {len(right_key)} unmarked videos**: strength at most "
        f"{right_key.max():.2f}.", "",
        "Bounds that were reported for wrong keys, and how often:", "",
        "| bound below | expected at most | counted |", "| --- | --- | --- |",
        *(f"| {level:g} | {level * count:.1f} | {np.sum(probabilities < level)} |" for level in LEVELS), "",
        "Strengths, counted and from the fit:", "",
        "| strength from | counted | fitted |", "| --- | --- | --- |",
        *(
            f"| {level:.2f} | {np.sum(strengths >= level)} | {count * extrapolate_tail(fit, level):.1f} |"
            for level in np.arange(5.25, 7, 0.25)
        ), "",
    ])  # fmt: skip


def main() -> None:
    """Run rounds until there are enough trials."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scratch", type=Path, default=Path("out/watermark"))
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--check", action="store_true", help="compare the fast search with the detector, and end"
    )
    options = parser.parse_args()
    films = sorted(options.scratch.glob("*.npz"))
    if options.check:
        print("largest difference:", max(map(check_search, films[:2])))
        return
    tasks = [(film, version) for film in films for version in VERSIONS]
    rounds = -(-options.trials // (len(tasks) * KEYS_A_ROUND))
    write = partial(write_results, results_path(__file__))
    with Pool(options.jobs, initializer=set_single_thread) as pool:
        right_key = np.array(pool.map(search_right_key, films))
        everything: list[Strengths] = []
        for number in range(rounds):
            everything += pool.map(run_round, [(number, *task) for task in tasks], chunksize=1)
            strengths = np.concatenate(everything)
            write(format_results(strengths, right_key, len(films)))
            print(len(strengths), f"largest {strengths.max():.2f}", flush=True)


def search_right_key(averages_path: Path) -> float:
    """The strength of the program's own key in an unmarked video."""
    return find_mark(analyse_version(averages_path, UNMARKED), DEFAULT_KEY).strength


def set_single_thread() -> None:
    """One process, one core."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()

"""The live page in a headless Chromium: how soon it answers, how picture and sound agree, how soon it is silent.

    PYTHONPATH=tests python -m benchmarks.live.browser [--rounds 30]

Each round plays a tone, waits until its first picture is shown and its sound leaves the loudspeaker, interrupts it, and
waits for silence. All moments are those that the page measures; the sound's come from its audio thread. The table is
written only if little else runs on the machine.
"""

import argparse
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results

from server.chromium import open_page
from server.live.test_live_page import REPORT, begin_session, write_tone
from server.test_page import connect_session, read_figure, run_server

QUIET_LOAD = 0.25
"""Load of each core, before the measurement, up to which a table is worth publishing."""

FIGURES = {
    "answer": ("speech sent to its first picture shown, ms", "p95 ≤ 250"),
    "onset": ("that picture after the first sound heard, ms", "median within ±20"),
    "skew": ("any picture after its sound, ms", "median ≤ 20"),
    "interrupt": ("interruption to silence, ms", "p95 ≤ 120"),
}
PERCENTILES = (1, 50, 95, 99)


def measure_page(rounds: int) -> tuple[dict[str, Any], float]:
    """The page's report after some rounds, and the seconds from a killed browser to its session's end."""
    picture = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with tempfile.TemporaryDirectory() as folder, run_server(Path(folder) / "server") as (_, address):
        tone = Path(folder) / "tone.wav"
        write_tone(tone)
        port = int(address.rstrip("/").rpartition(":")[2])
        with connect_session(port) as (_, token):
            with open_page() as page:
                begin_session(page, address, picture)
                time.sleep(5)  # the player finds its delay
                for number in range(rounds):
                    page.drop_file(".stage-card", tone)
                    page.wait_for(f"{REPORT}.onset.length > {number}")
                    time.sleep(random.uniform(0.2, 0.6))
                    page.press("Escape")
                    page.wait_for(f"{REPORT}.interrupt.length > {number}")
                    time.sleep(random.uniform(1, 1.5))
                report: dict[str, Any] = page.evaluate(REPORT)
                report["interrupt"] = [
                    value for value in report["interrupt"] if value > 0
                ]  # it was heard then
            killed = time.monotonic()
            while read_figure(port, token, "liveavatar_live_sessions"):
                time.sleep(0.02)
            return report, time.monotonic() - killed


def format_report(report: dict[str, Any], freed_seconds: float) -> str:
    """The table."""
    lines = ["| what | 1 % | median | 95 % | 99 % | target |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for name, (text, target) in FIGURES.items():
        values = " | ".join(f"{value:.0f}" for value in np.percentile(report[name], PERCENTILES))
        lines.append(f"| {text} | {values} | {target} |")
    lines.append(f"| killed browser to its session's end, s | | {freed_seconds:.1f} | | | ≤ 5 |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the table if the machine was quiet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    table = format_report(*measure_page(rounds))
    print(table)
    if load > QUIET_LOAD:
        print(f"not published: {load:.1f} programs ran for each core before it began")
        return
    head = f"# The live page in a browser\n\n{describe_machine()}, 512x512, {rounds} rounds.\n\n"
    write_results(results_path(__file__), head + table)


if __name__ == "__main__":
    main()

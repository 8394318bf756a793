"""What the stages of training share: checkpoints that a killed run goes on from, a log, and a plot of it."""

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from liveavatar.files import atomic_write
from liveavatar.plotting import BLUE, GRID, MUTED, create_figure


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one stage: `checkpoint.pt`, `log.csv` and `log.png`."""

    path: Path

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint; a kill leaves the old one or the new one."""
        with atomic_write(self.path / "checkpoint.pt") as partial:
            torch.save(dict(state), partial)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, or None."""
        file = self.path / "checkpoint.pt"
        return torch.load(file, weights_only=True) if file.exists() else None

    def append_log(self, row: Mapping[str, float]) -> None:
        """Add a line to the log, and to what is shown."""
        file = self.path / "log.csv"
        is_new = not file.exists()
        with file.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
        logging.info("%s", "  ".join(f"{name} {value:.4g}" for name, value in row.items()))

    def plot_log(self, columns: Sequence[str]) -> None:
        """Draw columns of the log over its first column."""
        with (self.path / "log.csv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        first = next(iter(rows[0]))
        figure = create_figure(900, 260 * len(columns))
        for index, column in enumerate(columns):
            axes = figure.add_subplot(len(columns), 1, index + 1)
            values = np.array([float(row[column]) for row in rows])
            axes.plot([float(row[first]) for row in rows], values, color=BLUE, linewidth=1)
            axes.set_ylabel(column, color=MUTED)
            axes.grid(color=GRID)
        figure.tight_layout()
        with atomic_write(self.path / "log.png") as partial:
            figure.savefig(partial, format="png")


def open_run(path: Path) -> RunFolder:
    """Create the folder of a stage, and log to the terminal."""
    path.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    return RunFolder(path)

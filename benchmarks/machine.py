"""The machine that a benchmark runs on, and where its results go."""

import platform
import re
from pathlib import Path

_RESULTS_FOLDER = Path(__file__).parent / "results"


def describe_machine() -> str:
    """Number of cores and model of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    if not models:
        return platform.processor() or platform.machine()
    plain = re.sub(r"\((R|TM)\)| CPU| Processor| @.*", "", models[0])
    return f"{len(models)}-core {' '.join(plain.split())}"


def results_path(script: str) -> Path:
    """Where the table of a script goes: `benchmarks/results/MACHINE/ROOM/NAME.md` for `benchmarks/ROOM/NAME.py`."""
    machine = re.sub(r"[^a-z0-9]+", "-", describe_machine().lower()).strip("-")
    path = Path(script)
    return _RESULTS_FOLDER / machine / path.parent.name / f"{path.stem}.md"


def write_results(path: Path, text: str) -> None:
    """Write a table, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

"""What the results call the machine that they were made on."""

import platform
from pathlib import Path


def processor() -> str:
    """Number of cores and name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{len(names)}-core {names[0]}" if names else platform.processor() or platform.machine()

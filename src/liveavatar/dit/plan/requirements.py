"""What the engine needs, and what of it this machine lacks. No torch here; nothing is loaded."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from liveavatar.dit.plan.memory import CUDA_CONTEXT_BYTES, MEMORY_PROFILES, MemoryPlan, choose_memory_plan
from liveavatar.dit.plan.options import DitOptions
from liveavatar.engine import Readiness
from liveavatar.errors import EngineError
from liveavatar.weights.bundles import find_weight_bundle
from liveavatar.weights.cache import cache_folder
from liveavatar.weights.hub import find_missing_weights

BUNDLE = "live-avatar"
"""Name of the weight bundle."""

REQUIRED_PACKAGES = ("torch", "transformers", "safetensors", "huggingface_hub", "ftfy")
_NVIDIA_SMI_SECONDS = 20


def check_dit_readiness(options: DitOptions | None = None) -> Readiness:
    """Whether the engine can run here; if not, everything that is missing, and the commands that install it."""
    options = options or DitOptions()
    checks = [describe_missing_packages(), _describe_missing_gpu(options), _describe_missing_files(options)]
    missing = [problem for problem in checks if problem]
    return Readiness(ready=not missing, reason="; ".join(missing) or _describe_fit(options))


def plan_card_memory(gpu_bytes: int, options: DitOptions, host_bytes: int | None = None) -> MemoryPlan:
    """How the engine fits a card of `gpu_bytes` in a machine of `host_bytes`.

    Raises:
        EngineError: it does not fit.
    """
    available = gpu_bytes - CUDA_CONTEXT_BYTES
    return choose_memory_plan(available, options.to_workload(), name=options.memory, host_bytes=host_bytes)


def list_gpus() -> list[tuple[str, int]]:
    """Name and bytes of every NVIDIA card, from `nvidia-smi`; empty where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=_NVIDIA_SMI_SECONDS)
    rows = (line.rpartition(",") for line in done.stdout.splitlines() if done.returncode == 0)
    return [
        (name.strip(), int(mebibytes) << 20) for name, _, mebibytes in rows if mebibytes.strip().isdigit()
    ]


def host_memory() -> int:
    """Bytes of the machine's memory, used or not."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_host_memory() -> int:
    """Bytes of the machine's memory that are available to programs."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return host_memory()
    line = next(row for row in meminfo.read_text().splitlines() if row.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def describe_missing_packages() -> str:
    """What must be installed, and how; empty if nothing."""
    missing = [name for name in REQUIRED_PACKAGES if importlib.util.find_spec(name) is None]
    return f"missing packages: {', '.join(missing)} (pip install 'liveavatar[dit]')" if missing else ""


def _describe_missing_gpu(options: DitOptions) -> str:
    if options.preset != "full" or options.device_name == "cpu":
        return ""
    gpus = list_gpus()
    if not gpus:
        smallest = MEMORY_PROFILES[-1].name
        return f"it needs an NVIDIA card with {smallest} GB of memory or more, and there is none here"
    try:
        plan_card_memory(max(memory for _, memory in gpus), options)
    except EngineError as error:
        return f"the largest NVIDIA card here is too small: {error.problem}"
    return ""


def _describe_missing_files(options: DitOptions) -> str:
    bundle = find_weight_bundle(BUNDLE)
    if not options.needs_files or options.folder is not None or not find_missing_weights(bundle):
        return ""
    return (
        f"its weights are not here: {bundle.size / 1e9:.0f} GB of disk of which "
        f"{free_disk_bytes() / 1e9:.0f} GB are free (liveavatar weights fetch {BUNDLE})"
    )


def free_disk_bytes() -> int:
    """Free bytes of the disk that holds the weights."""
    folder = cache_folder()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def _describe_fit(options: DitOptions) -> str:
    if options.preset == "tiny":
        return "a few megabytes of random weights, on any CPU"
    if options.preset == "small":
        return "a model of the demo's portrait, on any CPU"
    gpus = list_gpus()
    if not gpus or options.device_name == "cpu":
        return f"fits cards from {MEMORY_PROFILES[-1].name} GB"
    return plan_card_memory(max(memory for _, memory in gpus), options).summary

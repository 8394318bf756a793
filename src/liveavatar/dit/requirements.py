"""What the engine needs, and what of it this machine lacks. No torch here, and nothing is loaded."""

import importlib.util
import shutil
import subprocess

from liveavatar.dit.config import DitConfig
from liveavatar.dit.memory import predict
from liveavatar.dit.options import DitOptions
from liveavatar.engine import Readiness
from liveavatar.weights.bundles import find_bundle
from liveavatar.weights.fetch import cache_folder
from liveavatar.weights.hub import lacking

BUNDLE = "live-avatar"
PACKAGES = ("torch", "transformers", "safetensors", "huggingface_hub", "ftfy")
USUAL_SIZE = (704, 384)


def readiness(options: DitOptions | None = None) -> Readiness:
    """Whether the engine can run here; if not, everything that is missing, and the commands that bring it."""
    options = options or DitOptions()
    wants = [_missing_packages(), _missing_gpu(options), _missing_files(options)]
    missing = [want for want in wants if want]
    return Readiness(ready=not missing, reason="; ".join(missing) or _summary(options))


def needed_memory(options: DitOptions) -> int:
    """Bytes of GPU memory for frames of 704x384."""
    return predict(DitConfig(), options.stream(), USUAL_SIZE).total


def gpu_memory() -> list[tuple[str, int]]:
    """Name and bytes of every NVIDIA card, as `nvidia-smi` tells; empty where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(query, capture_output=True, text=True, check=False, timeout=20)
    rows = (line.rpartition(",") for line in told.stdout.splitlines() if told.returncode == 0)
    return [
        (name.strip(), int(mebibytes) << 20) for name, _, mebibytes in rows if mebibytes.strip().isdigit()
    ]


def _missing_packages() -> str:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return f"missing packages: {', '.join(missing)} (pip install 'liveavatar[dit]')" if missing else ""


def _missing_gpu(options: DitOptions) -> str:
    if options.preset != "full" or options.place == "cpu":
        return ""
    needed = needed_memory(options)
    cards = gpu_memory()
    largest = max((memory for _, memory in cards), default=0)
    if largest >= needed:
        return ""
    has = f"the largest here has {largest / 1e9:.0f} GB" if cards else "there is none here"
    return (
        f"it needs an NVIDIA card with {needed / 1e9:.0f} GB of memory for {USUAL_SIZE[0]}x{USUAL_SIZE[1]} "
        f"with {options.sample_steps} steps in bfloat16, and {has}"
    )


def _missing_files(options: DitOptions) -> str:
    bundle = find_bundle(BUNDLE)
    if not options.needs_files or options.folder is not None or not lacking(bundle):
        return ""
    folder = cache_folder()
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    return (
        f"its weights are not here: {bundle.size / 1e9:.0f} GB of disk of which {free / 1e9:.0f} GB are free "
        f"(liveavatar weights fetch {BUNDLE})"
    )


def _summary(options: DitOptions) -> str:
    if options.preset == "tiny":
        return "a few megabytes of random weights, on any CPU"
    return f"takes {needed_memory(options) / 1e9:.0f} GB of GPU memory at 704x384"

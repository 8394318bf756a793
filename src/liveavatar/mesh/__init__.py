"""The engine that warps the portrait; runs on any CPU."""

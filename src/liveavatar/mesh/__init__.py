"""The engine that warps a portrait; it runs on any CPU."""

"""Frames: the warped portrait with eyes and mouth composited in."""

"""Portraits drawn from a CC0 head: a small software renderer in numpy and OpenCV."""

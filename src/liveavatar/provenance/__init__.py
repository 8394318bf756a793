"""Marks that say that a program made a video, and how to find them."""

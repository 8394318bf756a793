"""Captions: what is said, when it is said, as files or in the picture."""

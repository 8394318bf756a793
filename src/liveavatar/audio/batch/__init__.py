"""Whole files and folders: prepared recordings, processes, the manifest, other programs."""

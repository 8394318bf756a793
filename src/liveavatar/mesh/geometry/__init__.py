"""Landmarks, the face rig and displacement fields: what moves, and where to."""

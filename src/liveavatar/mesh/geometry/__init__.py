"""Landmarks, the rig, displacement fields: what moves where."""

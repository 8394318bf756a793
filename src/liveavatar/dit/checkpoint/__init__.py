"""Checkpoints into modules."""

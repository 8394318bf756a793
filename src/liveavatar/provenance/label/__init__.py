"""The visible label."""

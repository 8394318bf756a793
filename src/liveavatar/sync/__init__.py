"""Measures whether the lips of a finished video are in step with its sound."""

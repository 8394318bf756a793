"""Measures whether the lips of a video are on time, from the finished file alone."""

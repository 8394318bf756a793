"""Articulation models, networks from features of speech to mouth shapes, and the format of their weights."""

"""The Live Avatar engine: a 14B streaming diffusion transformer (arXiv 2512.04677), the only room that uses torch."""

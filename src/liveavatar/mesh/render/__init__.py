"""Pictures: the warped portrait, eyes and mouth laid in."""

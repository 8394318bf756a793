"""A conversation with a live face: turns are heard, answered aloud, and may be interrupted. No network in here."""

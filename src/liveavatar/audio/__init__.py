"""From any recording to 16 kHz mono sound."""

"""From sound to visemes and prosody."""

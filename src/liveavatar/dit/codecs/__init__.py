"""Pictures, text and sound into what the transformer takes, and latents back into pictures."""

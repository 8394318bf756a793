"""The state of one session: KV cache, conditioning, latents, decoded pictures."""

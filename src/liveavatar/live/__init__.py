"""An avatar that listens and speaks while one watches: one timeline of sound and picture, without any network."""

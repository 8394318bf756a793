"""Signal processing on streams: mixing, resampling, gain, loudness, voice activity."""

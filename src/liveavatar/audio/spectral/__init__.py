"""Short-time spectra: frames of streams, power spectra, filter banks."""

"""Read and write videos."""

"""H.264 and Opus for live viewers, through FFmpeg: a frame in, its packets out."""

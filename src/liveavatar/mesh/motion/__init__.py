"""Motion of the head besides articulation: posture, gaze, blinks, breathing."""

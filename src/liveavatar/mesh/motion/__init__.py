"""What a living head does besides articulating: posture, gaze, blinks, breath."""

"""What the public implementation computes from a whole recording, for comparison."""

"""What every request passes: the guard, sessions, errors, and the table of endpoints."""

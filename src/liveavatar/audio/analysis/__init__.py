"""What a recording is like, and what to do about it: measurements, rules, repairs."""

"""Recordings as they are stored: containers, headers, samples and their time stamps."""

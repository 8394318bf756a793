"""What is in a picture file: its structure, and its colours as sRGB."""

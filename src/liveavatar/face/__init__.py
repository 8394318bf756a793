"""From a picture file to a portrait: face detection, landmarks, person matte, and a check of its quality."""

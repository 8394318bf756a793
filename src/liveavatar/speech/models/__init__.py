"""Networks from features of speech to the shape of the mouth, in numpy."""

"""Judge whether a portrait is fit to be animated."""

"""From any picture to a portrait with landmarks."""

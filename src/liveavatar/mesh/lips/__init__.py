"""The portrait's own mouth: where its lips end, the same mouth shut, and the teeth that it shows."""

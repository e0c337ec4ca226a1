"""From data to n(c, w)."""

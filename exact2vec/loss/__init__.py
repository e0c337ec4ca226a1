"""The loss by itself: formulas, and the same over tiles."""

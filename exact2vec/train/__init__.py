"""From counts to vectors: the start, the updates, the loop."""

"""Trained vectors: lookup, probabilities, formats, evaluation."""

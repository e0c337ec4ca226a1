"""A run folder on the disk: whole writes, a manifest, and one class for each file."""

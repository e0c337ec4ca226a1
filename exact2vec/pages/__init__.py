"""What a user sees."""

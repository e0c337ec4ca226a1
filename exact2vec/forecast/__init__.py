"""What a training will take: memory and time, forecast from the sizes of what is trained."""

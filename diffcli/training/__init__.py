"""What a training step does, and what decides it."""

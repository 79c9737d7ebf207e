"""Training: hardware, checkpoints, metrics and the loop itself."""

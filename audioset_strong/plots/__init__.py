"""Figures, as PNG. Needs no TensorFlow."""

"""Experiments of the paper, each a script that runs from labels to a table."""

# First of all imports: sets the variables that TensorFlow reads as it loads.
import audioset_strong.run_flags  # noqa: F401

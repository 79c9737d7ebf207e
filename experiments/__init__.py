"""The paper's experiments and our benchmarks, each run with `python -m`."""

# Before any import of TensorFlow: sets the variables that it reads as it loads.
from audioset_strong import run_flags  # noqa: F401

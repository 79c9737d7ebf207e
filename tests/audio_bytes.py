"""Audio files in memory, for tests."""

import io

import numpy as np
import soundfile


def noise(num_samples, num_channels=1, seed=0):
    """float64 `[num_samples, num_channels]`, at a sixth of full scale."""
    rng = np.random.default_rng(seed)
    return 0.15 * rng.standard_normal((num_samples, num_channels)).clip(-6, 6)


def encode(samples, sample_rate, container, subtype=None):
    """Returns a file as bytes."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, subtype, format=container)
    return file.getvalue()

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


def samples_of(contents):
    """Decodes with libsndfile: float32 `[num_samples, num_channels]`."""
    return soundfile.read(
        io.BytesIO(contents), dtype="float32", always_2d=True
    )[0]


def flac_frame_starts(contents):
    """Finds frames of 4096 samples at 16 kHz; the last may be shorter."""
    head = b"\xff\xf8\xc5"
    starts = range(42, len(contents))
    return [at for at in starts if contents.startswith(head, at)]

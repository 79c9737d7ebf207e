"""Log-mel features in NumPy, for preparing records.

    waveform [num_samples] -> STFT magnitude [num_stft_frames, num_bins]
    -> mel [num_stft_frames, mel_bands] -> log(mel + log_offset)

Nothing is padded: only whole windows give STFT frames, so ten seconds give 998.
`log_mel_graph.py` does the same in the TensorFlow graph, for export; a test
compares both with each other and with a slow reference.

Source: "CNN architectures for large-scale audio classification", as in VGGish
and YAMNet: 25 ms periodic Hann window, 10 ms hop, magnitude (not power) of a
512-point FFT, 64 HTK mel bands from 125 to 7500 Hz.
"""

import functools
from collections.abc import Iterator

import numpy as np
import scipy.fft

from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

# STFT frames computed at a time. Their spectra, 0.5 MB, stay in the cache and
# in memory that the allocator keeps; those of a whole clip take twice as long
# where either runs short.
_BLOCK_STFT_FRAMES = 256

# A band covers few FFT bins, so a quarter of the bands needs few of them: the
# four products together are a quarter of the product with the whole matrix.
_NUM_BAND_GROUPS = 4


def hertz_to_mel(frequencies_hz: np.ndarray) -> np.ndarray:
    """Converts Hz to mel with HTK's formula, same shape."""
    # 1127 ln(1 + f / 700), so that 1000 Hz is 1000 mel. Source: The HTK Book.
    return 1127.0 * np.log1p(np.asarray(frequencies_hz) / 700.0)


@functools.lru_cache(maxsize=8)
def mel_matrix(params: FeatureParams) -> np.ndarray:
    """Makes the matrix that maps FFT bins to mel bands.

    Bands are triangles that are linear in mel, not in Hz, with peak 1; the bin
    of 0 Hz belongs to no band.

    Args:
      params: Sample rate, FFT length and the bands.

    Returns:
      float32 `[fft_length / 2 + 1, mel_bands]`, in [0, 1], not to be changed.

    Raises:
      InputError: The bands do not lie in order below half of the sample rate.
    """
    nyquist_hz = params.sample_rate / 2
    if not 0 <= params.mel_min_hz < params.mel_max_hz <= nyquist_hz:
        raise InputError(
            f"Expected 0 <= mel_min_hz < mel_max_hz <= {nyquist_hz}. Received: "
            f"{params.mel_min_hz}, {params.mel_max_hz}."
        )
    num_bins = params.fft_length // 2 + 1
    bins_mel = hertz_to_mel(np.linspace(0.0, nyquist_hz, num_bins))
    bins_mel = bins_mel[:, np.newaxis]  # [num_bins, 1]
    # A triangle begins at its lower neighbour's centre and ends at its upper
    # neighbour's, hence two edges more than there are bands.
    low_mel, high_mel = hertz_to_mel(
        np.array([params.mel_min_hz, params.mel_max_hz])
    )
    edges_mel = np.linspace(low_mel, high_mel, params.mel_bands + 2)
    # Each [mel_bands].
    lower, centre, upper = edges_mel[:-2], edges_mel[1:-1], edges_mel[2:]
    # Each [num_bins, mel_bands].
    rising = (bins_mel - lower) / (centre - lower)
    falling = (upper - bins_mel) / (upper - centre)
    weights: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    weights[0, :] = 0.0  # HTK leaves out the constant part of the signal
    weights = weights.astype(np.float32)
    weights.flags.writeable = False  # one array is shared by all callers
    return weights


@functools.lru_cache(maxsize=8)
def _band_groups(
    params: FeatureParams,
) -> tuple[tuple[slice, slice, np.ndarray], ...]:
    """Cuts the mel matrix into parts, without most of its zeros.

    Returns:
      For each part its bins, its bands and its weights,
      float32 `[num_group_bins, num_group_bands]`.
    """
    matrix = mel_matrix(params)  # [num_bins, mel_bands]
    groups = []
    every_band = np.arange(params.mel_bands)
    for indices in np.array_split(every_band, _NUM_BAND_GROUPS):
        if not len(indices):  # fewer bands than groups
            continue
        bands = slice(indices[0], indices[-1] + 1)
        used = np.flatnonzero(matrix[:, bands].any(axis=1))
        bins = slice(used[0], used[-1] + 1) if len(used) else slice(0, 0)
        groups.append((bins, bands, np.ascontiguousarray(matrix[bins, bands])))
    return tuple(groups)


@functools.lru_cache(maxsize=8)
def hann_window(num_samples: int) -> np.ndarray:
    """Makes a periodic Hann window: float32 `[num_samples]`, in [0, 1]."""
    phase = 2.0 * np.pi * np.arange(num_samples) / num_samples
    window = (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
    window.flags.writeable = False  # one array is shared by all callers
    return window


def waveform_to_log_mel(
    waveform: np.ndarray, params: FeatureParams
) -> np.ndarray:
    """Computes log-mel features.

    Args:
      waveform: float32 `[num_samples]`, mono, at `params.sample_rate`.
      params: The front end.

    Returns:
      float32 `[num_stft_frames, mel_bands]`; no rows if the waveform is shorter
      than one STFT window.

    Raises:
      InputError: The waveform is not one-dimensional.
    """
    if waveform.ndim != 1:
        raise InputError(
            f"waveform must be [num_samples]. Received: shape={waveform.shape}."
        )
    window_samples = params.stft_window_samples
    if len(waveform) < window_samples:
        return np.zeros((0, params.mel_bands), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(
        waveform.astype(np.float32, copy=False), window_samples
    )[:: params.stft_hop_samples]  # [num_stft_frames, window_samples]
    mel = np.empty((len(windows), params.mel_bands), dtype=np.float32)
    for rows, magnitude in _stft_magnitudes(windows, params):
        for bins, bands, weights in _band_groups(params):
            # [num_block_stft_frames, num_group_bins] x [num_group_bins,
            # num_group_bands]
            np.matmul(magnitude[:, bins], weights, out=mel[rows, bands])
    # The offset keeps the logarithm of silence finite, and small.
    mel += np.float32(params.log_offset)
    return np.log(mel, out=mel)  # [num_stft_frames, mel_bands]


def _stft_magnitudes(
    windows: np.ndarray, params: FeatureParams
) -> Iterator[tuple[slice, np.ndarray]]:
    """Computes the STFT block by block.

    Args:
      windows: float32 `[num_stft_frames, window_samples]`, not yet weighted.
      params: The front end.

    Yields:
      Which STFT frames, and their magnitudes, float32
      `[num_block_stft_frames, num_bins]`; the next block overwrites them.
    """
    window_samples = params.stft_window_samples
    window = hann_window(window_samples)  # [window_samples]
    block = min(len(windows), _BLOCK_STFT_FRAMES)
    # Zeros follow each window, up to the length of the FFT.
    padded = np.zeros((block, params.fft_length), dtype=np.float32)
    magnitude = np.empty((block, params.fft_length // 2 + 1), dtype=np.float32)
    for start in range(0, len(windows), block):
        rows = slice(start, min(start + block, len(windows)))
        count = rows.stop - rows.start
        np.multiply(windows[rows], window, out=padded[:count, :window_samples])
        # SciPy's FFT stays in float32 (complex64) where NumPy's did not.
        spectrum = scipy.fft.rfft(padded[:count], axis=-1)  # [count, num_bins]
        yield rows, np.abs(spectrum, out=magnitude[:count])

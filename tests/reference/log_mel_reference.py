"""Log-mel features from their definition, one number at a time.

A discrete Fourier transform by its sum, and mel filters straight from HTK: the
mel scale 2595 log10(1 + f / 700), centres equally spaced on it, and triangles
that fall linearly in mel from each centre to its neighbours'.
"""

import cmath
import math


def _mel(hertz):
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _filter_weight(band, hertz, num_bands, min_hz, max_hz):
    """Weight of a frequency in a band, of bands numbered from 0."""
    spacing = (_mel(max_hz) - _mel(min_hz)) / (num_bands + 1)
    centre = _mel(min_hz) + (band + 1) * spacing
    return max(0.0, 1.0 - abs(_mel(hertz) - centre) / spacing)


def log_mel_reference(
    waveform,
    sample_rate=16000,
    window_samples=400,
    hop_samples=160,
    fft_length=512,
    num_bands=64,
    min_hz=125.0,
    max_hz=7500.0,
    log_offset=0.01,
):
    """Returns a list of STFT frames, each a list of `num_bands` numbers."""
    frames = []
    start = 0
    while start + window_samples <= len(waveform):
        windowed = [
            float(waveform[start + n])
            * (0.5 - 0.5 * math.cos(2.0 * math.pi * n / window_samples))
            for n in range(window_samples)
        ]
        magnitudes = [
            abs(
                sum(
                    value * cmath.exp(-2j * math.pi * bin_ * n / fft_length)
                    for n, value in enumerate(windowed)
                )
            )
            for bin_ in range(fft_length // 2 + 1)
        ]
        frame = []
        for band in range(num_bands):
            energy = sum(
                magnitude
                * _filter_weight(
                    band,
                    bin_ * sample_rate / fft_length,
                    num_bands,
                    min_hz,
                    max_hz,
                )
                for bin_, magnitude in enumerate(magnitudes)
            )
            frame.append(math.log(energy + log_offset))
        frames.append(frame)
        start += hop_samples
    return frames

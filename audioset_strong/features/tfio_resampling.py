"""Resamples in the TensorFlow graph, with tensorflow-io, without its delay.

`tfio.audio.resample` is Speex's resampler at quality 4. It begins with a buffer
of zeros, so what it gives comes late by half of its filter, and as much is cut
off at the end. Here the delay is rounded up to whole samples of the result and
left out.
"""

import tensorflow as tf

from audioset_strong.features.tfio_decoding import import_tfio

# Of Speex's quality 4: taps of the filter where it does not lower the rate.
# Source: quality_map and update_filter in SpeexDSP 1.2.0's resample.c.
_FILTER_TAPS = 64


def filter_delay(
    sample_rate: tf.Tensor, new_rate: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Finds the delay of Speex's resampler.

    Args:
      sample_rate: int64 `[]`, in Hz.
      new_rate: Rate of the result.

    Returns:
      All int64 `[]`: the delay in samples of the input, and the two rates as a
      reduced fraction.
    """
    divisors = tf.constant(
        [d for d in range(1, new_rate + 1) if new_rate % d == 0], tf.int64
    )
    common = tf.reduce_max(tf.where(sample_rate % divisors == 0, divisors, 1))
    old, new = sample_rate // common, new_rate // common
    # The filter grows with the ratio, up to a multiple of 8.
    longer = (_FILTER_TAPS * old // new - 1) // 8 * 8 + 8
    taps = tf.where(old > new, longer, _FILTER_TAPS)
    return taps // 2, old, new


def resample(
    waveform: tf.Tensor, sample_rate: tf.Tensor, new_rate: int
) -> tf.Tensor:
    """Resamples a waveform.

    Args:
      waveform: float32 `[num_samples]`.
      sample_rate: int64 `[]`, its rate in Hz.
      new_rate: Rate of the result.

    Returns:
      float32 `[num_samples * new_rate / sample_rate, rounded]`.
    """
    return tf.cond(
        sample_rate == new_rate,
        lambda: waveform,
        lambda: _resample(waveform, sample_rate, new_rate),
    )


def _resample(
    waveform: tf.Tensor, sample_rate: tf.Tensor, new_rate: int
) -> tf.Tensor:
    """Resamples what lies between zeros, and cuts these out of the result."""
    tfio = import_tfio()
    delay, old, new = filter_delay(sample_rate, new_rate)
    num_samples = tf.size(waveform, tf.int64)
    # Rounded, as soxr does.
    num_wanted = (num_samples * new * 2 + old) // (old * 2)
    # Zeros before, so that delay and zeros are whole samples of the result.
    num_before = -delay % old
    num_left_out = (num_before + delay) // old * new
    num_needed = -(-(num_left_out + num_wanted) * old // new)
    num_after = tf.maximum(num_needed - num_before - num_samples, 0)
    padded = tf.pad(waveform, [[num_before, num_after]])
    resampled = tfio.audio.resample(padded, sample_rate, new_rate)
    end = num_left_out + num_wanted
    return tf.ensure_shape(resampled, [None])[num_left_out:end]

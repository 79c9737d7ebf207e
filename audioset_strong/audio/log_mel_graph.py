"""Log-mel features in the TensorFlow graph, for the exported model.

The same front end as `log_mel.py`, whose window and mel matrix it uses, so that
the two differ by rounding only.
"""

import tensorflow as tf

from audioset_strong.audio.log_mel import hann_window, mel_matrix
from audioset_strong.params import FeatureParams


def waveform_to_log_mel(
    waveform: tf.Tensor, params: FeatureParams
) -> tf.Tensor:
    """Computes log-mel features.

    Args:
      waveform: float32 `[..., num_samples]`, mono, at `params.sample_rate`; at
        least one STFT window (TensorFlow's FFT refuses an empty batch).
      params: The front end.

    Returns:
      float32 `[..., num_stft_frames, mel_bands]`.
    """
    spectrum = tf.signal.stft(
        waveform,
        frame_length=params.stft_window_samples,
        frame_step=params.stft_hop_samples,
        fft_length=params.fft_length,
        window_fn=lambda _, dtype: tf.constant(
            hann_window(params.stft_window_samples), dtype
        ),
    )  # [..., num_stft_frames, num_bins]
    magnitude = tf.abs(spectrum)
    # [..., num_stft_frames, num_bins] x [num_bins, mel_bands]
    mel = tf.matmul(magnitude, tf.constant(mel_matrix(params)))
    return tf.math.log(mel + params.log_offset)

"""The two ways from an audio file to log-mel features, by name.

"soundfile" decodes with libsndfile or PyAV, resamples with soxr and computes
the features in NumPy. "tfio" does all three in a TensorFlow graph, with
tensorflow-io (`tfio_backend.py`). BUILD_NOTES.md "Decoding" compares them.
"""

import numpy as np

from audioset_strong.audio.decode import DecodedAudio, decode_audio
from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

AUDIO_BACKENDS = ("soundfile", "tfio")


def compute_log_mel(
    path: str,
    clip_seconds: float,
    features: FeatureParams,
    audio_backend: str = "soundfile",
    start_seconds: float = 0.0,
) -> tuple[DecodedAudio, np.ndarray]:
    """Decodes an audio file and computes its features.

    Args:
      path: The file, local or in object storage.
      clip_seconds: How much of it to use.
      features: The front end.
      audio_backend: One of `AUDIO_BACKENDS`.
      start_seconds: Where in the file the clip begins (`decode_audio`).

    Returns:
      The waveform with what the file was like, and float32 `[num_stft_frames,
      mel_bands]`.

    Raises:
      AudioError: The file cannot be used.
      InputError: There is no such backend, or it is not installed.
      OSError: Object storage does not answer.
    """
    if audio_backend == "tfio":
        # tensorflow-io is an extra.
        from audioset_strong.audio import tfio_backend

        return tfio_backend.compute_log_mel(
            path, clip_seconds, features, start_seconds
        )
    if audio_backend != "soundfile":
        raise InputError(
            f"Expected an audio_backend of {list(AUDIO_BACKENDS)}. Received: "
            f"{audio_backend!r}."
        )
    audio = decode_audio(
        path, features.sample_rate, clip_seconds, start_seconds
    )
    return audio, waveform_to_log_mel(audio.waveform, features)

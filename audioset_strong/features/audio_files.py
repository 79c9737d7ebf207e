"""Decode and resample the audio of clips.

Conventions: a waveform is float32 `[num_samples]`, mono, in [-1, 1]. Decoding
is soundfile's (libsndfile), resampling soxr's, which low-passes (BUILD_NOTES.md
"Decoding").
"""

import os
from typing import NamedTuple

import numpy as np
import soundfile
import soxr


class AudioError(Exception):
    """The audio of a clip cannot be used; the run goes on without the clip.

    Attributes:
      reason: One of a few words, to count by.
      detail: What was expected and what came.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class DecodedAudio(NamedTuple):
    """A waveform and what the file was like before it was converted.

    Attributes:
      waveform: float32 `[num_samples]`, mono, in [-1, 1] (resampling may
        overshoot), at the rate that was asked for.
      file_sample_rate: Rate of the file, in Hz.
      num_channels: Channels of the file.
      file_seconds: Duration of the whole file, in seconds.
    """

    waveform: np.ndarray
    file_sample_rate: int
    num_channels: int
    file_seconds: float


def decode_audio(
    path: str, sample_rate: int, max_seconds: float | None = None
) -> DecodedAudio:
    """Decodes an audio file, mixes it to mono and resamples it.

    Args:
      path: Any format that libsndfile reads, any rate, any channels.
      sample_rate: Rate of the result, in Hz.
      max_seconds: Audio after this is not read; None for all of it.

    Returns:
      The waveform and the file's own rate, channels and duration.

    Raises:
      AudioError: The file is gone or empty, holds no samples or cannot be
        decoded, or a sample is not a finite number.
    """
    try:
        num_bytes = os.path.getsize(path)
    except OSError as error:  # removed since it was indexed, or a dead link
        raise AudioError("missing", f"{path}: {error.strerror}") from error
    if num_bytes == 0:
        raise AudioError("empty_file", f"{path} has zero bytes")
    try:
        with soundfile.SoundFile(path) as file:
            rate, num_channels = file.samplerate, file.channels
            file_seconds = file.frames / rate
            limit = -1 if max_seconds is None else int(max_seconds * rate)
            samples = file.read(limit, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError("unreadable", f"{path}: {error}") from error
    if not len(samples):
        raise AudioError("empty_file", f"{path} holds no samples")
    waveform = samples.mean(axis=1)  # [num_samples at the file's rate]
    if not np.isfinite(waveform).all():
        raise AudioError("unreadable", f"{path} holds NaN or infinite samples")
    if rate != sample_rate:
        waveform = soxr.resample(waveform, rate, sample_rate)
    waveform = np.ascontiguousarray(waveform, dtype=np.float32)
    return DecodedAudio(waveform, rate, num_channels, file_seconds)

"""Audio files -> log-mel features in one TensorFlow graph, by tensorflow-io.

    contents -> samples [num_samples, num_channels] -> mono, cut to the clip
    -> waveform at features.sample_rate -> log-mel

An alternative to `audio_files.py` and `log_mel.py` for input pipelines that
must be TensorFlow all through; slower, of fewer formats and with another
resampler (BUILD_NOTES.md "tensorflow-io"). `audio_graph` is for `tf.data`,
`compute_log_mel` for preparing records.
"""

import functools
import hashlib
import io
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from audioset_strong import storage
from audioset_strong.features import log_mel_graph
from audioset_strong.features.audio_ends import find_truncation
from audioset_strong.features.audio_files import (
    AudioError,
    DecodedAudio,
    decode_audio,
)
from audioset_strong.features.audio_formats import (
    HEAD_BYTES,
    id3_bytes,
    sniff_format,
)
from audioset_strong.features.audio_mixing import BadSamplesError, Mixer
from audioset_strong.features.graph_bytes import checked
from audioset_strong.features.tfio_decoding import decode, import_tfio
from audioset_strong.features.tfio_headers import read_header
from audioset_strong.features.tfio_resampling import resample
from audioset_strong.params import FeatureParams


class GraphAudio(NamedTuple):
    """What the graph makes of a file.

    Attributes:
      log_mel: float32 `[num_stft_frames, mel_bands]`; no rows if the clip is
        shorter than one STFT window.
      waveform: float32 `[num_samples]`, mono, at the rate of the features.
      file_samples: float32 `[num_file_samples, num_channels]`, in [-1, 1], at
        the file's rate: all that was decoded, which may go on after the clip.
      num_clip_samples: int64 `[]`, how many of them are the clip's.
      file_sample_rate: int64 `[]`, in Hz.
      file_seconds: float64 `[]`, duration of the whole file.
    """

    log_mel: tf.Tensor
    waveform: tf.Tensor
    file_samples: tf.Tensor
    num_clip_samples: tf.Tensor
    file_sample_rate: tf.Tensor
    file_seconds: tf.Tensor


@functools.lru_cache(maxsize=8)
def audio_graph(features: FeatureParams) -> Callable[..., GraphAudio]:
    """Builds the graph; once, whatever files it is then called with.

    Args:
      features: The front end.

    Returns:
      A `tf.function` of the contents of a file (string `[]`) and of how many
      seconds of it to use (float64 `[]`). It raises `tf.errors.OpError` for
      files that tensorflow-io does not decode. In `tf.data`:

          files.map(lambda contents: graph(contents, 10.0).log_mel)

    Raises:
      InputError: tensorflow-io is not installed.
    """
    import_tfio()
    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.float64)]

    @tf.function(input_signature=signature, autograph=False)
    def run(contents: tf.Tensor, clip_seconds: tf.Tensor) -> GraphAudio:
        return _run(contents, clip_seconds, features)

    with _without_while_loop_warning():
        run.get_concrete_function()
    return run


def _run(
    contents: tf.Tensor, clip_seconds: tf.Tensor, features: FeatureParams
) -> GraphAudio:
    """Does all that the graph does."""
    audio = read_header(contents, clip_seconds)
    samples = decode(audio)
    samples = checked(
        samples,
        tf.reduce_all(tf.math.is_finite(samples)),
        "NaN or infinite samples",
    )
    num_samples = tf.shape(samples, tf.int64)[0]
    rate = tf.cast(audio.sample_rate, tf.float64)
    num_clip_samples = tf.minimum(
        num_samples, tf.cast(clip_seconds * rate, tf.int64)
    )
    mono = tf.reduce_mean(samples[:num_clip_samples], axis=1)
    waveform = resample(mono, audio.sample_rate, features.sample_rate)
    log_mel = tf.cond(
        tf.size(waveform) >= features.stft_window_samples,
        lambda: log_mel_graph.waveform_to_log_mel(waveform, features),
        lambda: tf.zeros([0, features.mel_bands]),
    )
    is_known = audio.num_samples >= 0
    file_samples = tf.where(is_known, audio.num_samples, num_samples)
    return GraphAudio(
        tf.ensure_shape(log_mel, [None, features.mel_bands]),
        waveform,
        samples,
        num_clip_samples,
        audio.sample_rate,
        tf.cast(file_samples, tf.float64) / rate,
    )


@contextmanager
def _without_while_loop_warning() -> Iterator[None]:
    """Keeps one of TensorFlow's warnings from users, who can do nothing.

    It says that `tfio.audio.resample` does not run over several waveforms at
    once; there is one.
    """

    def is_another(record: logging.LogRecord) -> bool:
        return "Using a while_loop" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(is_another)
    try:
        yield
    finally:
        logger.removeFilter(is_another)


def compute_log_mel(
    path: str, clip_seconds: float, features: FeatureParams
) -> tuple[DecodedAudio, np.ndarray]:
    """Decodes an audio file and computes its features, all in the graph.

    A file that tensorflow-io does not decode is looked at with the default
    backend, so that the reason is the same with both.

    Args:
      path: WAV, FLAC, Ogg Vorbis or MP3 by its content, local or remote.
      clip_seconds: Audio after this is not used.
      features: The front end.

    Returns:
      The waveform with what the file was like, and float32 `[num_stft_frames,
      mel_bands]`.

    Raises:
      AudioError: The file is gone, empty or truncated, holds no samples, or
        tensorflow-io does not decode it.
      InputError: tensorflow-io is not installed.
      OSError: Object storage does not answer.
    """
    graph = audio_graph(features)
    contents = _read_contents(path)
    try:
        found = graph(contents, clip_seconds)
    except tf.errors.OpError as error:
        raise _explain(path, _cause(error), clip_seconds) from error
    samples = found.file_samples.numpy()
    if not len(samples):
        raise AudioError("empty_file", f"{path} holds no samples")
    container = _container(contents)
    if container == "flac" and not _has_right_checksum(contents, samples):
        message = "its checksum is not that of the samples"
        raise _explain(path, message, clip_seconds)
    mixer = Mixer()
    try:
        mixer.add(samples[: int(found.num_clip_samples)])
    except BadSamplesError as error:
        raise AudioError("unreadable", f"{path}: {error}") from error
    truncation = find_truncation(io.BytesIO(contents), container, len(contents))
    audio = DecodedAudio(
        waveform=found.waveform.numpy(),
        file_sample_rate=int(found.file_sample_rate),
        num_channels=samples.shape[1],
        file_seconds=float(found.file_seconds),
        container=container,
        is_truncated=bool(truncation),
        clipped_fraction=mixer.clipped_fraction,
        file_peak=mixer.file_peak,
        truncation=truncation,
    )
    return audio, found.log_mel.numpy()


def _read_contents(path: str) -> bytes:
    """Reads a file.

    Raises:
      AudioError: It is gone, cannot be read or is empty.
    """
    try:
        # Reading a pipe may never end.
        if not storage.is_remote(path) and not stat.S_ISREG(
            os.stat(path).st_mode
        ):
            raise AudioError("unreadable", f"{path} is not a regular file")
        contents = storage.read_bytes(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError("missing", f"{path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        if storage.is_remote(path):
            raise
        raise AudioError("unreadable", f"{path}: {error}") from error
    if not contents:
        raise AudioError("empty_file", f"{path} has zero bytes")
    return contents


def _container(contents: bytes) -> str:
    """Names the format, after the ID3 tag if there is one."""
    start = id3_bytes(contents[:HEAD_BYTES])
    return sniff_format(contents[start : start + HEAD_BYTES])


def _has_right_checksum(contents: bytes, samples: np.ndarray) -> bool:
    """Compares the samples of an FLAC file with the MD5 in its header.

    tensorflow-io replaces what does not match a frame's checksum by silence,
    and does not tell.

    Args:
      contents: The file.
      samples: float32 `[num_samples, num_channels]`, what was decoded.

    Returns:
      Whether they are the same; also true if the header has no MD5, or of a
      file of which only the beginning was decoded.

    Source: RFC 9639, section 8.2: samples as signed little-endian integers.
    """
    start = id3_bytes(contents[:HEAD_BYTES])
    info = contents[start + 18 : start + 42]
    num_samples = int.from_bytes(info[3:8], "big") & (1 << 36) - 1
    if len(samples) < num_samples or not any(info[8:]):
        return True
    num_bytes = ((info[2] & 1) << 4 | info[3] >> 4) // 8 + 1
    scale = float(1 << 8 * num_bytes - 1)
    integers = (samples.astype(np.float64) * scale).astype("<i4")
    digits = integers.reshape(-1, 1).view(np.uint8)[:, :num_bytes]
    return hashlib.md5(digits.tobytes()).digest() == info[8:]


def _cause(error: tf.errors.OpError) -> str:
    """Returns the one line that says what went wrong, without where."""
    message = str(error.message)
    if found := re.search(r"assertion failed: \[(.*?)\]", message):
        return found[1]
    if found := re.search(r"^(.+)\n\s*\[\[\{\{node", message, re.MULTILINE):
        return found[1]
    return message.splitlines()[0] if message else type(error).__name__


def _explain(path: str, message: str, clip_seconds: float) -> AudioError:
    """Finds out why tensorflow-io does not decode a file."""
    try:
        audio = decode_audio(path, FeatureParams().sample_rate, clip_seconds)
    except AudioError as error:
        return error
    if audio.is_truncated:
        return AudioError("truncated", f"{path}: {audio.truncation}")
    return AudioError(
        "unreadable",
        f"{path}: tensorflow-io does not decode it ({message}); "
        f"--audio_backend=soundfile does",
    )

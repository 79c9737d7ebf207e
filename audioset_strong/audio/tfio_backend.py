"""Audio files -> log-mel features in a TensorFlow graph, by tensorflow-io.

    contents -> samples [num_file_samples, num_channels]
    -> mono [num_clip_samples] -> waveform [num_samples]
    -> log-mel [num_stft_frames, mel_bands]

For pipelines that must be TensorFlow throughout; slower, of fewer formats and
with another resampler than the default (BUILD_NOTES.md "tensorflow-io").

tensorflow-io's decoders hang or crash on some damaged files. So the default
backend decodes each file first, outside of the graph: it refuses what is
damaged, and tells the rate, which the decoders do not.
"""

import functools
import io
import math
import re
from typing import Any

import numpy as np
import soundfile
import tensorflow as tf

from audioset_strong.audio import decode, formats, log_mel_graph
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

# What a decoder returns, by format and libsndfile's name of the encoding; 24
# bits come shifted up to 32.
_DTYPES = {
    ("wav", "PCM_U8"): tf.uint8,
    ("wav", "PCM_16"): tf.int16,
    ("wav", "PCM_24"): tf.int32,
    ("wav", "FLOAT"): tf.float32,
    ("flac", "PCM_S8"): tf.uint8,
    ("flac", "PCM_16"): tf.int16,
    ("flac", "PCM_24"): tf.int32,
    ("ogg", "VORBIS"): tf.float32,
    ("mp3", ""): tf.float32,
}

# Taps of Speex's filter at quality 4, which `tfio.audio.resample` uses, where
# the rate is not lowered. Source: quality_map in SpeexDSP 1.2.0's resample.c.
_FILTER_TAPS = 64

# Between decoders Vorbis and MP3 differ by 2e-6; a wrong scale by far more.
_PEAK_TOLERANCE = 1e-3

# It warns that it resamples one waveform at a time; here there is only one.
tf.get_logger().addFilter(lambda r: "IO>AudioResample" not in r.getMessage())


def import_tfio() -> Any:
    """Imports tensorflow-io, or says in an `InputError` how to install it."""
    try:
        import tensorflow_io

        # Looked up late: this one needs the compiled library, which does not
        # load with another TensorFlow.
        _ = tensorflow_io.audio.resample
    except (ImportError, NotImplementedError) as error:
        raise InputError(
            f"audio_backend='tfio' needs tensorflow-io, which does not load "
            f"({str(error).splitlines()[0]}). Run: pip install "
            f"'audioset_strong[io]'; or use audio_backend='soundfile'."
        ) from error
    return tensorflow_io


def compute_log_mel(
    path: str,
    clip_seconds: float,
    params: FeatureParams,
    start_seconds: float = 0.0,
) -> tuple[decode.DecodedAudio, np.ndarray]:
    """Does what `backends.compute_log_mel` does, in the graph.

    Raises:
      AudioError: The default backend cannot use the file, it is truncated, or
        tensorflow-io does not decode it.
      InputError: tensorflow-io is not installed.
      OSError: Object storage does not answer.
    """
    import_tfio()
    with decode.open_audio(path) as file:
        contents = file.read()
    rate, file = params.sample_rate, io.BytesIO(contents)
    audio = decode.decode_open_file(
        file, path, rate, clip_seconds, start_seconds
    )
    truncation = audio.truncation
    if start_seconds or audio.file_seconds > clip_seconds:
        # tensorflow-io decodes what is around the clip, too.
        truncation = decode.decode_open_file(file, path, rate).truncation
    if truncation:
        raise decode.AudioError("truncated", f"{path}: {truncation}")
    try:
        waveform, log_mel = _run_graph(
            contents, audio, clip_seconds, params, start_seconds
        )
    except (ValueError, soundfile.SoundFileError, tf.errors.OpError) as error:
        is_ours = type(error) is ValueError
        reason = str(error) if is_ours else "its decoder fails"
        raise decode.AudioError(
            "unreadable",
            f"{path}: tensorflow-io does not decode it ({reason}); "
            f"audio_backend='soundfile' does",
        ) from error
    return audio._replace(waveform=waveform), log_mel


def _run_graph(
    contents: bytes,
    audio: decode.DecodedAudio,
    clip_seconds: float,
    params: FeatureParams,
    start_seconds: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns waveform and log-mel; `ValueError` for what is not decoded."""
    contents = contents[formats.id3_bytes(contents[: formats.HEAD_BYTES]) :]
    container, encoding, file = audio.container, "", io.BytesIO(contents)
    if container in ("wav", "flac", "ogg"):
        encoding = soundfile.info(file).subtype
    if (container, encoding) not in _DTYPES:
        raise ValueError(f"{container} {encoding}".strip())
    # A second stream with other channels makes the decoder end the process.
    if len(re.findall(rb"(?s)OggS.[\2\3\6\7]", contents)) > 1:
        raise ValueError("Ogg of several streams")
    if container == "wav":
        # The decoder divides by the size of a block, and believes all sizes.
        chunk = formats.find_samples_chunk(file, len(contents))
        block_bytes = int.from_bytes(contents[32:34], "little")
        bits = int.from_bytes(contents[34:36], "little")
        is_plain = (contents[:4], contents[12:16]) == (b"RIFF", b"fmt ")
        is_right = block_bytes == audio.num_channels * bits // 8
        if not (is_plain and is_right and chunk) or sum(chunk) > len(contents):
            raise ValueError("WAV with an unusual header")
    graph = audio_graph(params, container, encoding, audio.file_sample_rate)
    outputs = graph(contents, clip_seconds, start_seconds)
    waveform, log_mel, num_samples, peak = (o.numpy() for o in outputs)
    num_expected = round(audio.file_seconds * audio.file_sample_rate)
    if num_samples != num_expected:
        raise ValueError(f"{num_samples:,} samples, {num_expected:,} expected")
    if abs(peak - audio.file_peak) > _PEAK_TOLERANCE:
        raise ValueError(f"peak of {peak:.3f}, {audio.file_peak:.3f} expected")
    return waveform, log_mel


@functools.lru_cache(maxsize=64)
def audio_graph(
    params: FeatureParams, container: str, encoding: str, sample_rate: int
) -> Any:
    """Builds the graph for whole files of one kind (`_DTYPES`) and rate.

    Returns:
      A `tf.function` of the contents of a file (string `[]`), and of how many
      seconds of it to use and after how many (float64 `[]` each), also for
      `tf.data`. It returns the
      waveform, float32 `[num_samples]`; log-mel, float32 `[num_stft_frames,
      mel_bands]`; the number of samples in the file; and the clip's peak.
    """
    tfio_audio, dtype = import_tfio().audio, _DTYPES[container, encoding]
    decode_file = {
        "wav": functools.partial(tfio_audio.decode_wav, dtype=dtype),
        "flac": functools.partial(tfio_audio.decode_flac, dtype=dtype),
        "ogg": tfio_audio.decode_vorbis,
        "mp3": tfio_audio.decode_mp3,
    }[container]

    def run(
        contents: tf.Tensor, seconds: tf.Tensor, start_seconds: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        # [num_file_samples, num_channels]
        samples = tf.ensure_shape(decode_file(contents), [None, None])
        start = tf.cast(tf.round(start_seconds * sample_rate), tf.int32)
        num_clip_samples = tf.cast(seconds * sample_rate, tf.int32)
        # [num_clip_samples, num_channels]
        clip = tf.cast(samples[start:][:num_clip_samples], tf.float32)
        if dtype == tf.uint8:
            clip = (clip - 128.0) / 128.0  # 128 is silence
        elif dtype.is_integer:
            clip /= -float(dtype.min)  # the lowest becomes -1
        mono = tf.reduce_mean(clip, axis=1)  # [num_clip_samples]
        waveform = resample(mono, sample_rate, params.sample_rate)
        log_mel = tf.cond(
            tf.size(waveform) >= params.stft_window_samples,
            lambda: log_mel_graph.waveform_to_log_mel(waveform, params),
            lambda: tf.zeros([0, params.mel_bands]),
        )
        log_mel = tf.ensure_shape(log_mel, [None, params.mel_bands])
        peak = tf.reduce_max(tf.abs(clip))
        return waveform, log_mel, tf.shape(samples)[0], peak

    seconds_spec = tf.TensorSpec([], tf.float64)
    signature = [tf.TensorSpec([], tf.string), seconds_spec, seconds_spec]
    graph = tf.function(run, input_signature=signature, autograph=False)
    # Traced here, or TensorFlow warns that it is traced again and again.
    graph.get_concrete_function()
    return graph


def resample(waveform: tf.Tensor, old_rate: int, new_rate: int) -> tf.Tensor:
    """Resamples float32 `[num_samples]` in the graph, as long as soxr does.

    Speex returns all late by half of its filter, and as much is missing at the
    end. This leaves the delay out.
    """
    if old_rate == new_rate:
        return waveform
    common = math.gcd(old_rate, new_rate)
    old, new = old_rate // common, new_rate // common
    taps = _FILTER_TAPS
    if old > new:  # the filter grows with the ratio, in multiples of 8
        taps = (_FILTER_TAPS * old // new + 7) // 8 * 8
    delay = taps // 2
    num_samples = tf.size(waveform, tf.int64)
    num_wanted = (num_samples * new * 2 + old) // (old * 2)
    # Zeros before, so that they and the delay are whole samples of the result.
    num_before = -delay % old
    num_left_out = (num_before + delay) // old * new
    num_needed = -(-(num_left_out + num_wanted) * old // new)
    num_after = tf.maximum(num_needed - num_before - num_samples, 0)
    padded = tf.pad(waveform, [[num_before, num_after]])
    resampled = import_tfio().audio.resample(padded, old_rate, new_rate)
    end = num_left_out + num_wanted
    return tf.ensure_shape(resampled, [None])[num_left_out:end]

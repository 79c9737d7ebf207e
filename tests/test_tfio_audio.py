"""The tensorflow-io backend against the default one, file by file."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from audio_bytes import encode, flac_frame_starts, noise

from audioset_strong.audio.decode import AudioError, decode_audio
from audioset_strong.audio.log_mel import hertz_to_mel, waveform_to_log_mel
from audioset_strong.audio.tfio_backend import audio_graph, compute_log_mel
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

pytest.importorskip(
    "tensorflow_io", reason="tensorflow-io is an extra and not installed"
)

_FEATURES = FeatureParams()
_CONTAINERS = ["WAV", "FLAC", "OGG", "MP3"]

# Upper edges of the mel bands.
_UPPER_HZ = 700 * np.expm1(
    np.linspace(*hertz_to_mel(np.array([125.0, 7500.0])), 66)[2:] / 1127
)


def _write(folder, contents, name="a"):
    path = folder / name
    path.write_bytes(contents)
    return str(path)


def _compare(path, clip_seconds=10.0):
    """Returns both log-mels after comparing what is said of the file."""
    audio, log_mel = compute_log_mel(path, clip_seconds, _FEATURES)
    expected = decode_audio(path, 16000, clip_seconds)
    assert audio.waveform.dtype == log_mel.dtype == np.float32
    assert len(audio.waveform) == len(expected.waveform)
    for name in set(audio._fields) - {"waveform", "file_peak"}:
        assert getattr(audio, name) == getattr(expected, name), name
    assert audio.file_peak == pytest.approx(expected.file_peak, abs=1e-5)
    return log_mel, waveform_to_log_mel(expected.waveform, _FEATURES)


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("container", _CONTAINERS)
def test_at_the_right_rate_log_mel_is_the_same(
    tmp_path, container, num_channels
):
    samples = noise(3 * 16000, num_channels)
    samples[20000:30000] *= 1e-4  # near silence, where a logarithm is steep
    path = _write(tmp_path, encode(samples, 16000, container))
    log_mel, expected = _compare(path)
    assert log_mel.shape == (298, 64)
    np.testing.assert_allclose(log_mel, expected, atol=1e-3)


def _check_tolerance(differences, sample_rate):
    """Checks what BUILD_NOTES.md "tensorflow-io" states of resampled audio.

    Speex's low-pass begins before soxr's. It is 6 dB down at 0.92 of half of
    the lower rate: 7.4 kHz, within the highest band; 3.7 kHz for 8 kHz files,
    whose bands above are almost empty, where a logarithm is steep.
    """
    is_safe = np.less(_UPPER_HZ, min(7000, 0.435 * sample_rate))
    safe = differences[:, is_safe]
    assert np.sqrt(np.mean(safe**2)) < 1e-3
    assert np.abs(safe).max() < 0.03
    assert np.abs(differences).max() < 1.3
    all_rms = np.sqrt(np.mean(differences**2))
    if sample_rate < 16000:
        assert all_rms < 0.15
        return
    assert all_rms < 0.06
    assert is_safe.sum() == 62
    assert np.abs(differences[:, 62]).max() < 0.25


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100, 48000, 96000])
def test_resampled_noise_is_within_the_tolerance(tmp_path, sample_rate):
    path = _write(tmp_path, encode(noise(sample_rate, 2), sample_rate, "FLAC"))
    log_mel, expected = _compare(path)
    assert log_mel.shape == (98, 64)
    _check_tolerance(log_mel - expected, sample_rate)


@pytest.mark.parametrize(
    ("container", "sample_rate"),
    [(name, 44100) for name in _CONTAINERS]
    + [("WAV", rate) for rate in (8000, 22050, 48000, 96000)],
)
def test_real_recordings_are_within_the_tolerance(
    tmp_path, esc50_dir, container, sample_rate
):
    differences = []
    for path in sorted((esc50_dir / "audio").glob("*.ogg"))[::295]:
        # Played at another speed, so that they fill all frequencies.
        samples = np.tile(soundfile.read(path)[0], 2)[: 3 * sample_rate // 2]
        path = _write(tmp_path, encode(samples, sample_rate, container))
        log_mel, expected = _compare(path, clip_seconds=1.0)
        differences.append(log_mel - expected)
    assert len(differences) == 6
    _check_tolerance(np.concatenate(differences), sample_rate)


@pytest.mark.parametrize("container", _CONTAINERS)
def test_only_the_clip_is_used(tmp_path, container):
    samples = noise(8 * 22050)
    path = _write(tmp_path, encode(samples, 22050, container))
    log_mel, _ = _compare(path, clip_seconds=1.2345)
    # 27220 samples of the file are 19751.5 of the clip.
    assert len(log_mel) == 121


@pytest.mark.parametrize("num_samples", [1, 399, 400])
def test_short_audio_gives_as_many_rows_as_fit(tmp_path, num_samples):
    path = _write(tmp_path, encode(noise(num_samples), 16000, "WAV"))
    log_mel, _ = _compare(path)
    assert log_mel.shape == (int(num_samples == 400), 64)


def test_the_graph_runs_in_tf_data(tmp_path):
    paths, expected = [], []
    for number, container in enumerate(_CONTAINERS * 2):
        samples = noise((2 + number) * 8000, 1 + number % 2, seed=number)
        contents = encode(samples, (16000, 44100)[number // 4], container)
        paths.append(_write(tmp_path, contents, f"{number}"))
        expected.append(compute_log_mel(paths[-1], 10.0, _FEATURES)[1])
    graph = audio_graph(_FEATURES)
    dataset = tf.data.Dataset.from_tensor_slices(paths).map(
        lambda path: graph(tf.io.read_file(path), 10.0).log_mel,
        num_parallel_calls=4,
    )
    assert dataset.element_spec.shape.as_list() == [None, 64]
    for log_mel, one in zip(dataset, expected, strict=True):
        np.testing.assert_array_equal(log_mel, one)
    # One graph for all files, here and outside.
    assert graph.experimental_get_tracing_count() == 1
    assert audio_graph(FeatureParams()) is graph


_NAN = np.full((900, 1), np.nan)
_FLAC = encode(noise(30000), 16000, "FLAC")


@pytest.mark.parametrize(
    ("contents", "reason", "detail"),
    [
        (b"", "empty_file", "zero bytes"),
        (encode(noise(0), 16000, "WAV"), "empty_file", "no samples"),
        (b"<html>404</html>" * 100, "unreadable", ""),
        (encode(_NAN, 16000, "WAV", "FLOAT"), "unreadable", "NaN"),
        (_FLAC[: flac_frame_starts(_FLAC)[3]], "truncated", "promises"),
        # Within the last frame, of which the decoder makes silence.
        (_FLAC[:-100], "truncated", "promises"),
        (
            encode(noise(9000), 16000, "AIFF"),
            "unreadable",
            "(neither WAV, FLAC, Ogg nor MP3); --audio_backend=soundfile does",
        ),
        (
            encode(noise(9000), 48000, "OGG", "OPUS"),
            "unreadable",
            "(Ogg that does not hold Vorbis); --audio_backend=soundfile does",
        ),
        (
            encode(noise(9000), 16000, "WAV", "DOUBLE"),
            "unreadable",
            "32-bit float); --audio_backend=soundfile does",
        ),
    ],
)
def test_unusable_files_give_a_reason(tmp_path, contents, reason, detail):
    path = _write(tmp_path, contents)
    with pytest.raises(AudioError) as error:
        compute_log_mel(path, 10.0, _FEATURES)
    assert error.value.reason == reason
    assert detail in error.value.detail
    assert path in error.value.detail


def test_missing_files_give_a_reason(tmp_path):
    for path in (tmp_path / "none", tmp_path / "none" / "none"):
        with pytest.raises(AudioError, match="missing"):
            compute_log_mel(str(path), 10.0, _FEATURES)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(AudioError, match="unreadable.*not a regular file"):
            compute_log_mel(str(path), 10.0, _FEATURES)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_a_flipped_bit_in_flac_is_found(tmp_path, subtype):
    contents = bytearray(encode(noise(30000, 2), 16000, "FLAC", subtype))
    path = _write(tmp_path, bytes(contents))
    _compare(path)  # the checksum of the whole file is right
    contents[len(contents) // 2] ^= 1
    with pytest.raises(AudioError, match="truncated|unreadable"):
        compute_log_mel(_write(tmp_path, bytes(contents)), 10.0, _FEATURES)


@pytest.mark.parametrize("container", ["WAV", "OGG"])
def test_what_there_is_of_a_truncated_file_is_used(tmp_path, container):
    contents = encode(noise(3 * 16000), 16000, container)
    path = _write(tmp_path, contents[: len(contents) // 2])
    log_mel, expected = _compare(path)
    assert compute_log_mel(path, 10.0, _FEATURES)[0].is_truncated
    np.testing.assert_allclose(log_mel, expected, atol=1e-3)


def test_without_tfio_the_package_works_and_says_what_to_install():
    script = (
        "import sys; sys.modules['tensorflow_io'] = None\n"
        "from audioset_strong.features import tfio_audio\n"
        "from audioset_strong.params import FeatureParams\n"
        "tfio_audio.compute_log_mel('a.wav', 10.0, FeatureParams())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(InputError.__module__)
    assert "pip install 'audioset_strong[io]'" in last

"""The two backends by name, and tensorflow-io against the default one."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr
import tensorflow as tf
from audio_bytes import encode, noise

from audioset_strong.audio import tfio_backend
from audioset_strong.audio.backends import compute_log_mel
from audioset_strong.audio.decode import AudioError
from audioset_strong.audio.log_mel import hertz_to_mel, waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

_FEATURES = FeatureParams()
_CONTAINERS = ["WAV", "FLAC", "OGG", "MP3"]

# Upper edges of the mel bands.
_UPPER_HZ = 700 * np.expm1(
    np.linspace(*hertz_to_mel(np.array([125.0, 7500.0])), 66)[2:] / 1127
)


@pytest.fixture
def tfio():
    return pytest.importorskip(
        "tensorflow_io", reason="tensorflow-io is an extra and not installed"
    )


def _write(folder, contents, name="a"):
    path = folder / name
    path.write_bytes(contents)
    return str(path)


def _compare(path, clip_seconds=10.0):
    """Returns both log-mels after comparing what is said of the file."""
    audio, log_mel = compute_log_mel(path, clip_seconds, _FEATURES, "tfio")
    expected, expected_log_mel = compute_log_mel(path, clip_seconds, _FEATURES)
    assert audio.waveform.dtype == log_mel.dtype == np.float32
    assert len(audio.waveform) == len(expected.waveform)
    assert audio[1:] == expected[1:]
    return log_mel, expected_log_mel


def test_the_default_backend_uses_the_start_of_the_file(tmp_path):
    contents = encode(noise(32000), 16000, "WAV")
    path = _write(tmp_path, contents)
    audio, log_mel = compute_log_mel(path, 1.5, _FEATURES)
    expected, _ = soundfile.read(path, dtype="float32", frames=24000)
    np.testing.assert_array_equal(audio.waveform, expected)
    np.testing.assert_array_equal(
        log_mel, waveform_to_log_mel(expected, _FEATURES)
    )
    assert audio.file_seconds == 2.0
    with pytest.raises(InputError, match=r"\['soundfile', 'tfio'\].*'sox'"):
        compute_log_mel(path, 10.0, _FEATURES, "sox")


@pytest.mark.parametrize("problem", ["not installed", "another TensorFlow"])
def test_without_tfio_the_message_says_what_to_install(monkeypatch, problem):
    class Broken:
        @property
        def audio(self):
            raise NotImplementedError("unable to open file: libtfio.so")

    module = None if problem == "not installed" else Broken()
    monkeypatch.setitem(sys.modules, "tensorflow_io", module)
    with pytest.raises(InputError, match=r"pip install 'audioset_strong\[io\]"):
        compute_log_mel("a.wav", 10.0, _FEATURES, "tfio")


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        *[("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")],
        *[("FLAC", s) for s in ("PCM_S8", "PCM_16", "PCM_24")],
        ("WAVEX", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_at_the_right_rate_log_mel_is_the_same(
    tmp_path, tfio, container, subtype, num_channels
):
    samples = noise(3 * 16000, num_channels)
    samples[20000:30000] *= 1e-4  # near silence, where a logarithm is steep
    # The lowest and the highest number of each depth.
    samples[100:110], samples[200:210] = -1.0, 1.0
    path = _write(tmp_path, encode(samples, 16000, container, subtype))
    log_mel, expected = _compare(path)
    assert log_mel.shape == (298, 64)
    # Another FFT; Vorbis and MP3 also come from other decoders.
    np.testing.assert_allclose(log_mel, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("container", "sample_rate"),
    [(name, 44100) for name in _CONTAINERS]
    + [("WAV", rate) for rate in (8000, 22050, 48000, 96000)],
)
def test_resampled_recordings_are_within_the_tolerance(
    tmp_path, tfio, esc50_dir, container, sample_rate
):
    """Checks what BUILD_NOTES.md "tensorflow-io" states.

    Speex's low-pass begins before soxr's. It is 6 dB down at 0.92 of half of
    the lower rate: 7.4 kHz, within the highest band; 3.7 kHz for 8 kHz files,
    whose bands above are almost empty, where a logarithm is steep.
    """
    recordings = [noise(3 * sample_rate // 2, 2)]
    for path in sorted((esc50_dir / "audio").glob("*.ogg"))[::295]:
        # Played at another speed, so that they fill all frequencies.
        samples = np.tile(soundfile.read(path)[0], 2)
        recordings.append(samples[: 3 * sample_rate // 2])
    assert len(recordings) == 7
    differences = []
    for samples in recordings:
        path = _write(tmp_path, encode(samples, sample_rate, container))
        log_mel, expected = _compare(path, clip_seconds=1.0)
        differences.append(log_mel - expected)
    differences = np.concatenate(differences)
    is_safe = np.less(_UPPER_HZ, min(7000, 0.435 * sample_rate))
    safe = differences[:, is_safe]
    assert np.sqrt(np.mean(safe**2)) < 1e-3
    assert np.abs(safe).max() < 0.03
    assert np.abs(differences).max() < 1.3
    is_upsampled = sample_rate < 16000
    all_rms = np.sqrt(np.mean(differences**2))
    assert all_rms < (0.15 if is_upsampled else 0.06)
    if not is_upsampled:
        assert is_safe.sum() == 62
        assert np.abs(differences[:, 62]).max() < 0.25


@pytest.mark.parametrize("container", _CONTAINERS)
def test_only_the_clip_is_used(tmp_path, tfio, container):
    path = _write(tmp_path, encode(noise(8 * 22050), 22050, container))
    log_mel, _ = _compare(path, clip_seconds=1.2345)
    # 27220 samples of the file are 19751.5 of the clip.
    assert len(log_mel) == 121


@pytest.mark.parametrize("container", _CONTAINERS)
def test_a_part_of_a_file_in_the_graph(tmp_path, tfio, container):
    path = _write(tmp_path, encode(noise(8 * 16000, 2), 16000, container))
    part = compute_log_mel(path, 2.0, _FEATURES, "tfio", 3.21)
    expected = compute_log_mel(path, 2.0, _FEATURES, start_seconds=3.21)
    np.testing.assert_allclose(part[1], expected[1], atol=2e-3)
    assert part[0].file_seconds == expected[0].file_seconds
    with pytest.raises(AudioError, match="too_short"):
        compute_log_mel(path, 2.0, _FEATURES, "tfio", 9.0)


def test_short_audio_gives_as_many_rows_as_fit(tmp_path, tfio):
    for num_samples in (1, 399, 400):
        path = _write(tmp_path, encode(noise(num_samples), 16000, "WAV"))
        assert _compare(path)[0].shape == (int(num_samples == 400), 64)


def test_the_graph_runs_in_tf_data(tmp_path, tfio):
    paths = [
        _write(tmp_path, encode(noise(n * 9000, 2), 44100, "FLAC"), f"{n}")
        for n in (2, 3, 4)
    ]
    graph = tfio_backend.audio_graph(_FEATURES, "flac", "PCM_16", 44100)
    dataset = tf.data.Dataset.from_tensor_slices(paths).map(
        lambda path: graph(tf.io.read_file(path), 10.0, 0.0)[1],
        num_parallel_calls=2,
    )
    assert dataset.element_spec.shape.as_list() == [None, 64]
    for log_mel, path in zip(dataset, paths, strict=True):
        expected = compute_log_mel(path, 10.0, _FEATURES, "tfio")[1]
        np.testing.assert_array_equal(log_mel, expected)
    assert graph.experimental_get_tracing_count() == 1


_FLAC = encode(noise(30000), 16000, "FLAC")
_FLAC_FRAMES = [
    at for at in range(42, len(_FLAC)) if _FLAC[at : at + 3] == b"\xff\xf8\xc5"
]
_FLIPPED = _FLAC[:20000] + bytes([_FLAC[20000] ^ 1]) + _FLAC[20001:]
_OGG = encode(noise(3000), 16000, "OGG")
_WAV = encode(noise(3000), 16000, "WAV")
_NAN = np.full((900, 1), np.nan)


@pytest.mark.parametrize(
    ("contents", "reason", "detail"),
    [
        (b"", "empty_file", "zero bytes"),
        (encode(noise(0), 16000, "WAV"), "empty_file", "no samples"),
        (b"<html>404</html>" * 100, "unreadable", "no format of audio"),
        (encode(_NAN, 16000, "WAV", "FLOAT"), "unreadable", "NaN"),
        # Between two frames: the decoder alone waits for the next for ever.
        (_FLAC[: _FLAC_FRAMES[3]], "truncated", "promises"),
        (_FLAC[: _FLAC_FRAMES[3] + 7], "truncated", "promises"),
        # The decoder alone makes silence of these.
        (_FLAC[:-100], "truncated", "promises"),
        (_FLIPPED, "truncated", "promises"),
        (_WAV[:-100], "truncated", "bytes of samples expected"),
        (_OGG[:-100], "unreadable", "Ogg page"),
        # The decoder ends the process where channels change.
        (_OGG + encode(noise(3000, 2), 16000, "OGG"), "unreadable", "streams"),
        # It divides by this number.
        (_WAV[:32] + bytes(2) + _WAV[34:], "unreadable", "unusual header"),
        (encode(noise(9000), 16000, "AIFF"), "unreadable", "(aiff); "),
        (encode(noise(9000), 48000, "OGG", "OPUS"), "unreadable", "(ogg OPUS)"),
        (encode(noise(99), 16000, "WAV", "DOUBLE"), "unreadable", "DOUBLE)"),
        (encode(noise(99), 16000, "RF64"), "unreadable", "unusual header"),
    ],
)
def test_unusable_files_give_a_reason(tmp_path, tfio, contents, reason, detail):
    path = _write(tmp_path, contents)
    with pytest.raises(AudioError) as error:
        compute_log_mel(path, 10.0, _FEATURES, "tfio")
    assert error.value.reason == reason
    assert detail in error.value.detail
    assert path in error.value.detail
    assert "\n" not in error.value.detail


def test_damage_after_the_clip_is_found(tmp_path, tfio):
    contents = encode(noise(5 * 16000), 16000, "FLAC")
    path = _write(tmp_path, contents[: len(contents) // 2])
    assert not compute_log_mel(path, 1.0, _FEATURES)[0].truncation
    with pytest.raises(AudioError, match="truncated"):
        compute_log_mel(path, 1.0, _FEATURES, "tfio")


def test_pipes_give_a_reason(tmp_path, tfio):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AudioError, match="unreadable.*not a regular file"):
        compute_log_mel(str(tmp_path / "pipe"), 10.0, _FEATURES, "tfio")


def _pulse(sample_rate, at, num_samples):
    """A pulse of 1 ms, so slow that no filter changes its form."""
    time = np.arange(num_samples) / sample_rate
    pulse = np.exp(-0.5 * ((time - at) / 0.001) ** 2)
    return pulse.astype(np.float32)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100, 44101, 96000])
def test_resampling_is_neither_late_nor_cut_off(tfio, sample_rate):
    # The last pulse ends 5 ms before the end, within half of a filter of some.
    num_samples = round(0.2 * sample_rate)
    num_new = round(num_samples * 16000 / sample_rate)
    for at in (0.005, 0.1003, 0.195):
        waveform = _pulse(sample_rate, at, num_samples)
        resampled = tfio_backend.resample(waveform, sample_rate, 16000).numpy()
        assert len(resampled) == num_new
        # A hundredth of a sample of the result would give 4e-4.
        np.testing.assert_allclose(
            resampled, _pulse(16000, at, num_new), atol=3e-4
        )
    for num_samples in (1, 2, 3, 100, 999, 1001, 44101):
        zeros = np.zeros(num_samples, np.float32)
        expected = len(soxr.resample(zeros, sample_rate, 16000))
        resampled = tfio_backend.resample(zeros, sample_rate, 16000)
        assert len(resampled) == expected


@pytest.mark.parametrize("sample_rate", [22050, 44100, 96000])
def test_what_would_alias_is_gone(tfio, sample_rate):
    time = np.arange(sample_rate // 2) / sample_rate
    for hertz, gain in ((6500, 1.0), (8700, 0.0), (10500, 0.0)):
        tone = np.sin(2 * np.pi * hertz * time).astype(np.float32)
        resampled = tfio_backend.resample(tone, sample_rate, 16000)
        rms = math.sqrt(2 * np.mean(resampled.numpy()[1000:-1000] ** 2))
        assert rms == pytest.approx(gain, abs=2e-3)


def test_the_default_backend_needs_no_tensorflow():
    script = (
        "import sys; import audioset_strong.audio.backends\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

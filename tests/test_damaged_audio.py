"""Files that cannot be used, or not all of them, end in no other way."""

import io
import os
import pickle
import struct

import numpy as np
import pytest
import soundfile

from audioset_strong.audio.decode import AudioError, decode_audio


def _zero_bytes(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("<html>404</html>" * 100)


def _nothing_decodes(path):
    # Half of the first frame of FLAC.
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.3 * rng.standard_normal(16000), 16000)
    path.write_bytes(path.read_bytes()[:5000])


def _header_only(path):
    soundfile.write(path, np.ones(1000), 16000, format="WAV")
    path.write_bytes(path.read_bytes()[:44])


def _few_bytes(path):
    path.write_bytes(b"RIFF")


def _no_samples(path):
    soundfile.write(path, np.zeros(0), 16000)


def _nan(path):
    soundfile.write(path, np.array([0.0, np.nan]), 16000, "FLOAT", format="WAV")


def _folder(path):
    path.mkdir()


def _pipe(path):
    os.mkfifo(path)


def _device(path):
    path.symlink_to("/dev/zero")


def _rate(rate):
    def write(path):
        soundfile.write(path, np.ones(1000), 16000, format="WAV")
        content = path.read_bytes()
        rate_bytes = struct.pack("<I", rate)
        path.write_bytes(content[:24] + rate_bytes + content[28:])

    return write


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: None, "missing"),
        (lambda path: path.symlink_to("nowhere"), "missing"),
        (lambda path: path.symlink_to(path), "unreadable"),
        (_zero_bytes, "empty_file"),
        (_text, "unreadable"),
        (_nothing_decodes, "unreadable"),
        (_header_only, "unreadable"),
        (_few_bytes, "unreadable"),
        (_no_samples, "empty_file"),
        (_nan, "unreadable"),
        (_folder, "unreadable"),
        (_pipe, "unreadable"),
        (_device, "unreadable"),
        (_rate(1), "unreadable"),
        (_rate(2_000_000_000), "unreadable"),
        (_rate(4_000_000_000), "unreadable"),
    ],
)
def test_unusable_files_give_a_reason(tmp_path, write, reason):
    path = tmp_path / "a.flac"
    write(path)
    for max_seconds in (10.0, None):
        with pytest.raises(AudioError) as error:
            decode_audio(str(path), 16000, max_seconds)
        assert error.value.reason == reason
        assert str(path) in error.value.detail


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(1000), 16000)

    def refuse(path, *args, **options):
        raise PermissionError(13, "Permission denied", path)

    # Not by chmod: tests may run as root, who may read all.
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AudioError, match="unreadable: .*Permission denied"):
        decode_audio(str(path), 16000)


def test_a_file_below_a_file_and_a_bad_name(tmp_path):
    (tmp_path / "a.wav").write_text("x")
    with pytest.raises(AudioError, match="missing"):
        decode_audio(str(tmp_path / "a.wav" / "b.wav"), 16000)
    with pytest.raises(AudioError, match="unreadable"):
        decode_audio("a\0.wav", 16000)
    with pytest.raises(AudioError, match="unreadable"):
        decode_audio(str(tmp_path / ("x" * 300)), 16000)


def test_errors_travel_between_processes():
    error = pickle.loads(pickle.dumps(AudioError("missing", "a.wav")))
    assert (error.reason, error.detail) == ("missing", "a.wav")


_FORMATS = ["WAV", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU"]


@pytest.mark.parametrize("container", _FORMATS)
@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_cut_files_are_seen_and_whole_ones_are_not(
    tmp_path, container, sample_rate
):
    path = tmp_path / "a.x"
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal(10 * sample_rate)
    soundfile.write(path, samples, sample_rate, format=container)
    content = path.read_bytes()
    whole = decode_audio(str(path), 16000, 10.0)
    assert not whole.is_truncated
    for share in (0.3, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        audio = decode_audio(str(path), 16000, 10.0)
        assert audio.is_truncated, (share, audio[1:])
        assert audio.truncation
        num_samples = len(audio.waveform)
        # Ogg loses up to a whole page of 64 kB.
        assert 0.15 * 160000 < num_samples < 1.15 * share * 160000
        # What is there is right, away from the end.
        np.testing.assert_allclose(
            audio.waveform[: num_samples - 2000],
            whole.waveform[: num_samples - 2000],
            atol=1e-3,
        )


def test_a_broken_middle_ends_flac(tmp_path):
    path = tmp_path / "a.flac"
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal(160000), 16000)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 50] = b"\xff" * 50
    path.write_bytes(content)
    audio = decode_audio(str(path), 16000, 10.0)
    assert audio.is_truncated
    assert 70000 < len(audio.waveform) < 80000
    assert audio.file_seconds == 10.0


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_damaged_files_raise_nothing_else(tmp_path, container):
    file = io.BytesIO()
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal((4000, 2))
    soundfile.write(file, samples, 16000, format=container)
    path = tmp_path / "a.x"
    outcomes = set()
    for trial in range(150):
        content = bytearray(file.getvalue())
        # The head and the rest in turn.
        end = 100 if trial % 2 else len(content)
        for at in rng.integers(0, end, 1 + trial % 20):
            content[at] = rng.integers(256)
        path.write_bytes(content[: rng.integers(20, 2 * len(content))])
        try:
            decode_audio(str(path), 16000, None if trial % 3 else 10.0)
            outcomes.add("decoded")
        except AudioError as error:
            outcomes.add(error.reason)
    assert "unreadable" in outcomes
    # One wrong bit is enough to lose a page of Ogg, which is all of it here.
    assert "decoded" in outcomes or container == "OGG"

"""Decoding with libsndfile, mixing and resampling, of files in any state."""

import contextlib
import errno
import io
import os
import pickle
import re
import struct
import sys

import numpy as np
import pytest
import soundfile
from audio_bytes import encode, noise

from audioset_strong.audio import decode
from audioset_strong.audio import samples as samples_module
from audioset_strong.audio.decode import (
    AudioError,
    decode_audio,
    decode_open_file,
    read_with_soundfile,
)
from audioset_strong.audio.formats import sniff_format
from audioset_strong.audio.samples import BadSamplesError, ReadAudio


def _sine(hertz, sample_rate, seconds=1.0):
    time = np.arange(round(sample_rate * seconds)) / sample_rate
    return 0.5 * np.sin(2 * np.pi * hertz * time)


def _amplitude(waveform, hertz, sample_rate=16000):
    """Amplitude of one frequency, away from the ends."""
    middle = waveform[1600:-1600]
    time = np.arange(len(middle)) / sample_rate
    return 2 * abs(np.mean(middle * np.exp(-2j * np.pi * hertz * time)))


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_samples_at_the_right_rate_are_kept(tmp_path, extension):
    path = str(tmp_path / f"a.{extension}")
    samples = np.round(_sine(440, 16000) * 32768) / 32768
    soundfile.write(path, samples, 16000)
    audio = decode_audio(path, 16000)
    assert audio.waveform.dtype == np.float32
    np.testing.assert_array_equal(audio.waveform, samples.astype(np.float32))
    peak = np.float32(np.abs(samples).max())
    assert audio[1:] == (16000, 1, 1.0, extension, 0.0, peak, "")


@pytest.mark.parametrize("sample_rate", [8000, 44100])
def test_other_rates_are_resampled(tmp_path, sample_rate):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, _sine(1000, sample_rate), sample_rate, "FLOAT")
    audio = decode_audio(path, 16000)
    assert audio.file_sample_rate == sample_rate
    assert abs(len(audio.waveform) - 16000) <= 1
    assert _amplitude(audio.waveform, 1000) == pytest.approx(0.5, abs=1e-3)


def test_resampling_does_not_alias(tmp_path):
    # Every second sample of 11 kHz at 32 kHz would be heard at 5 kHz.
    path = str(tmp_path / "a.wav")
    samples = _sine(11000, 32000)
    soundfile.write(path, samples, 32000, "FLOAT")
    assert _amplitude(samples[::2], 5000) == pytest.approx(0.5, abs=1e-3)
    waveform = decode_audio(path, 16000).waveform
    assert _amplitude(waveform, 5000) < 1e-5
    assert np.abs(waveform[1600:-1600]).max() < 1e-4


@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_max_seconds_cuts_and_the_duration_stays(tmp_path, sample_rate):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, _sine(440, sample_rate, 3.0), sample_rate)
    audio = decode_audio(path, 16000, max_seconds=1.5)
    assert len(audio.waveform) == 24000
    assert audio.file_seconds == 3.0
    assert len(decode_audio(path, 16000, max_seconds=9).waveform) == 48000


_PART_KINDS = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_24"),
    ("WAV", "ULAW"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"),
    ("RF64", "FLOAT"),
    ("AIFF", "PCM_16"),
    ("AU", "DOUBLE"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("W64", "PCM_32"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("container", "subtype"), _PART_KINDS)
def test_a_part_has_the_samples_of_the_whole(tmp_path, container, subtype):
    path, rate = str(tmp_path / "a.x"), 16000
    num_channels = 1 if subtype == "GSM610" else 2
    samples = noise(7 * rate + 11, num_channels)
    soundfile.write(path, samples, rate, subtype, format=container)
    whole = decode_audio(path, rate)
    for start, seconds in ((0.0, 1.5), (2.00004, 3.0), (5.3, None), (6.9, 9)):
        first = round(start * rate)
        last = None if seconds is None else first + int(seconds * rate)
        audio = decode_audio(path, rate, seconds, start)
        np.testing.assert_array_equal(
            audio.waveform, whole.waveform[first:last]
        )
        assert audio.file_seconds == whole.file_seconds
        assert audio.truncation == ""


@pytest.mark.parametrize("sample_rate", [8000, 11025, 48000])
def test_a_part_is_cut_before_it_is_resampled(tmp_path, sample_rate):
    path = str(tmp_path / "a.wav")
    samples = np.zeros(5 * sample_rate)
    first = round(1.2345 * sample_rate)
    samples[first:] = _sine(440, sample_rate, 5.0)[first:]
    samples[:first] = 1  # never heard in the part
    soundfile.write(path, samples, sample_rate, "FLOAT")
    audio = decode_audio(path, 16000, 2.0, 1.2345)
    assert len(audio.waveform) == 32000
    assert audio.file_peak < 0.51
    part = str(tmp_path / "part.wav")
    last = first + 2 * sample_rate
    soundfile.write(part, samples[first:last], sample_rate, "FLOAT")
    expected = decode_audio(part, 16000).waveform
    np.testing.assert_array_equal(audio.waveform, expected)


def test_what_comes_before_a_part_is_not_read(tmp_path):
    class Counting(io.BytesIO):
        num_bytes = 0

        def readinto(self, buffer):
            self.num_bytes += len(buffer)
            return super().readinto(buffer)

        def read(self, size=-1):
            data = super().read(size)
            self.num_bytes += len(data)
            return data

    for container in ("WAV", "AIFF", "FLAC"):
        content = encode(noise(200 * 16000), 16000, container)
        file = Counting(content)
        read = ReadAudio()
        read.container = container.lower()
        (block,) = read_with_soundfile(file, read, 1.0, 150.0)
        assert len(block) == read.num_samples == 16000
        assert file.num_bytes < 0.1 * len(content)
    # Three hours that take no space on the disk.
    path = tmp_path / "a.wav"
    size = 3 * 3600 * 2 * 48000
    with open(path, "wb") as file:
        file.write(encode(np.zeros(0), 48000, "WAV")[:40])
        file.write(struct.pack("<I", size))
        file.truncate(44 + size)
        file.seek(44 + 2 * 48000 * 10_000)
        file.write(np.full(48000, 16384, "<i2").tobytes())
    audio = decode_audio(str(path), 48000, 1.0, 10_000.0)
    assert (audio.waveform == 0.5).all()
    assert audio.file_seconds == 3 * 3600


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_part_after_the_end_is_refused(tmp_path, container):
    path = tmp_path / "a.x"
    content = encode(noise(3 * 16000), 16000, container)
    path.write_bytes(content)
    for start in (3.2, 3000.0):
        with pytest.raises(AudioError) as error:
            decode_audio(str(path), 16000, 2.0, start)
        assert error.value.reason == "too_short"
        assert f"begins at {start:,.3f} s, the file has 3" in error.value.detail
    # A part that is whole is not harmed by an end that is missing.
    path.write_bytes(content[: int(0.7 * len(content))])
    assert decode_audio(str(path), 16000, 0.5, 0.1).truncation == ""
    assert decode_audio(str(path), 16000, 2.5, 0.4).truncation
    with pytest.raises(AudioError, match="truncated: .*begins at 2.900 s"):
        decode_audio(str(path), 16000, 1.0, 2.9)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_24"),
        ("WAV", "ULAW"),
        ("FLAC", "PCM_24"),
        ("OGG", "OPUS"),
        ("CAF", "PCM_16"),
        ("NIST", "PCM_16"),
        ("NIST", "ULAW"),
        ("VOC", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_extensions_do_not_matter(tmp_path, container, subtype):
    samples = _sine(440, 48000)
    # libsndfile asks for rate and channels of .raw.
    for extension in ("wav", "raw", "\u00e9\n"):
        path = str(tmp_path / f"a.{extension}")
        soundfile.write(path, samples, 48000, subtype, format=container)
        audio = decode_audio(path, 16000, 10.0)
        assert audio.container == container.lower()
        assert not audio.truncation
        assert _amplitude(audio.waveform, 440) == pytest.approx(0.5, abs=0.02)


def test_tags_before_the_sound(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, _sine(440, 16000), 16000)
    expected = decode_audio(str(path), 16000)
    # A picture of 100,000 bytes: 6 * 16384 + 13 * 128 + 32.
    tag = b"ID3\3\0\0" + bytes([0, 6, 13, 32]) + b"x" * 100_000
    path.write_bytes(tag + path.read_bytes())
    audio = decode_audio(str(path), 16000)
    np.testing.assert_array_equal(audio.waveform, expected.waveform)
    assert audio[1:] == expected[1:]


@pytest.mark.parametrize("sample_rate", [8000, 16000, 96000])
def test_few_samples(tmp_path, sample_rate):
    path = str(tmp_path / "a.wav")
    for num_samples in (1, 2, 3, 100):
        soundfile.write(path, np.full((num_samples, 2), 0.5), sample_rate)
        audio = decode_audio(path, 16000)
        assert len(audio.waveform) <= 2 * num_samples
        assert audio.file_seconds == num_samples / sample_rate


def test_peak_and_clipping_are_those_of_the_file(tmp_path):
    path = str(tmp_path / "a.flac")
    samples = np.zeros((44100, 2))
    samples[1000:2000, 0] = 1  # the second channel is silent
    soundfile.write(path, samples, 44100)
    audio = decode_audio(path, 16000)
    assert audio.clipped_fraction == pytest.approx(1000 / 88200)
    assert audio.file_peak == pytest.approx(1.0, abs=1e-4)
    assert np.abs(audio.waveform).max() < 0.7
    sine = _sine(440, 16000)  # two channels that cancel each other
    soundfile.write(path, np.stack([sine, -sine], axis=1), 16000, "PCM_24")
    audio = decode_audio(path, 16000)
    assert np.abs(audio.waveform).max() < 1e-6
    assert audio.file_peak == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_remote_files(monkeypatch, tmp_path, container):
    path = tmp_path / "a.x"
    path.write_bytes(encode(_sine(440, 16000), 16000, container))
    contents = {"s3://b/a.x": path.read_bytes(), "s3://b/zero.wav": b""}

    def read_bytes(path):
        if path == "s3://b/slow.wav":
            raise OSError(5, "timed out", path)
        if path not in contents:
            raise FileNotFoundError(2, "No such file", path)
        return contents[path]

    monkeypatch.setattr("audioset_strong.files.read_bytes", read_bytes)
    audio = decode_audio("s3://b/a.x", 16000, 10.0)
    local = decode_audio(str(path), 16000, 10.0)
    np.testing.assert_array_equal(audio.waveform, local.waveform)
    assert audio[1:] == local[1:]
    with pytest.raises(AudioError, match="empty_file: s3://b/zero.wav"):
        decode_audio("s3://b/zero.wav", 16000)
    with pytest.raises(AudioError, match="missing: s3://b/no.wav"):
        decode_audio("s3://b/no.wav", 16000)
    # Storage that does not answer is no fault of a clip.
    with pytest.raises(OSError, match="timed out"):
        decode_audio("s3://b/slow.wav", 16000)


# Mixing.


@pytest.mark.parametrize("num_channels", [1, 2, 3, 6])
def test_blocks_follow_each_other(num_channels):
    samples = noise(900, num_channels).astype(np.float32)
    samples[100] = -0.95
    read = ReadAudio()
    blocks = [read.add(b) for b in np.split(samples, [0, 300, 301])]
    assert read.num_samples == 900
    # The bits of the mean.
    np.testing.assert_array_equal(np.concatenate(blocks), samples.mean(axis=1))
    assert read.file_peak == np.float32(0.95)
    assert read.clipped_fraction == 0
    read.add(np.ones((100, num_channels), np.float32))
    assert read.clipped_fraction == 0.1
    # Again, by a decoder that gives other blocks.
    read.begin()
    assert read.add(samples[:700]).shape == (0,)
    np.testing.assert_array_equal(read.add(np.ones((350, 1))), np.ones(50))
    assert read.num_samples == 1050


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 1, 1), 3),
        ((1, 1), 0),
        ((0, 1, 1, 0, 1, 1, 1, 1), 4),
        ((1, -1, 1), 3),  # of either sign
        ((0.9989, 1, 1), 0),
        ((0.9991, 1.5, 1), 3),
        ((), 0),
    ],
)
def test_clipped_runs_by_hand(values, expected):
    samples = np.array(values, dtype=np.float32)[:, np.newaxis]
    assert samples_module._count_clipped(samples) == expected


def test_clipping_against_a_slow_count():
    samples = np.clip(10 * noise(500, 2), -1, 1).astype(np.float32)
    expected = 0
    for channel in samples.T:
        text = "".join("x" if abs(s) >= 0.999 else " " for s in channel)
        expected += sum(len(run) for run in text.split() if len(run) >= 3)
    assert expected > 50
    assert samples_module._count_clipped(samples) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e7, -3e38])
def test_what_is_no_sound_is_refused(value):
    samples = np.array([[0.1, 0.2], [0.3, value]], np.float32)
    with pytest.raises(BadSamplesError, match="NaN"):
        ReadAudio().add(samples)


# What libsndfile does not say.


def _encode(container, seconds=2.0):
    return encode(noise(round(seconds * 16000), 2), 16000, container)


def _read(content, max_seconds=None, file=None):
    read = ReadAudio()
    read.container = sniff_format(content[:256])
    file = file or io.BytesIO(content)
    blocks = list(read_with_soundfile(file, read, max_seconds))
    return read, np.concatenate(blocks)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_files_by_number_and_in_memory_give_the_same(tmp_path, container):
    content = _encode(container)
    path = tmp_path / f"a.{container.lower()}"
    path.write_bytes(content)
    with soundfile.SoundFile(path) as sound:
        # [num_samples, 2]; soundfile.read seeks, which changes the bits of MP3
        samples = sound.read(dtype="float32")
    with path.open("rb", buffering=0) as file:
        by_number = _read(content, file=file)
    for read, waveform in (by_number, _read(content)):
        assert (read.sample_rate, read.num_channels) == (16000, 2)
        assert (read.file_seconds, read.truncation) == (2.0, "")
        np.testing.assert_array_equal(waveform, samples.mean(axis=1))


def test_blocks_change_nothing(monkeypatch):
    # Ten seconds of 5.1 at 48 kHz are one block: FLAC seeks before each.
    assert decode.BLOCK_VALUES >= 480_000 * 6
    content = _encode("FLAC")
    _, expected = _read(content)
    monkeypatch.setattr(decode, "BLOCK_VALUES", 1000)
    _, waveform = _read(content)
    np.testing.assert_array_equal(waveform, expected)
    _, waveform = _read(content, 1.3)
    np.testing.assert_array_equal(waveform, expected[:20800])
    # What comes before an error is kept there too.
    read, waveform = _read(content[: len(content) // 2])
    assert 10000 < len(waveform) < 17000
    np.testing.assert_array_equal(waveform, expected[: len(waveform)])
    assert "promises 2.000 s, decoding ends" in read.truncation


def test_flac_of_a_pipe_has_no_length():
    # STREAMINFO holds the number of samples in the last 36 of bits 144 to 208.
    content = bytearray(_encode("FLAC", 6.0))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    for max_seconds, num_samples in ((1.5, 24000), (None, 96000)):
        read, waveform = _read(bytes(content), max_seconds)
        assert (read.file_seconds, read.truncation) == (6.0, "")
        assert read.num_samples == len(waveform) == num_samples


def test_claims_of_billions_of_samples_take_no_memory(monkeypatch):
    content = bytearray(_encode("FLAC"))
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    sizes = []
    empty = np.empty
    monkeypatch.setattr(
        decode.np,
        "empty",
        lambda shape, *rest: (
            sizes.append(np.prod(shape)) or empty(shape, *rest)
        ),
    )
    read, _ = _read(bytes(content))
    assert read.num_samples == 32000
    assert max(sizes) <= 1 << 22
    assert read.truncation
    assert read.file_seconds == pytest.approx((2**36 - 1) / 16000)


def test_mp3_that_does_not_say_its_length_is_counted():
    from pyav_files import encode_with_pyav  # skips without PyAV

    content = encode_with_pyav(noise(5 * 44100), 44100, "mp3", write_xing="0")
    read, _ = _read(content, 2.0)
    assert read.num_samples == 88200
    # With the encoder's delay and padding, of a few times 1,152 samples.
    assert read.file_seconds == pytest.approx(5.0, abs=0.1)
    assert read.truncation == ""


# Files that cannot be used, or not all of them.


def _write_wav(path, rate=16000):
    """Writes WAV that claims a rate."""
    content = encode(np.ones(1000), 16000, "WAV")
    path.write_bytes(content[:24] + struct.pack("<I", rate) + content[28:])


_NAN = encode(np.array([0.0, np.nan]), 16000, "WAV", "FLOAT")
_HALF_A_FRAME = encode(noise(16000), 16000, "FLAC")[:5000]


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: None, "missing"),
        (lambda path: path.symlink_to("nowhere"), "missing"),
        (lambda path: path.symlink_to(path), "unreadable"),
        (lambda path: path.write_bytes(b""), "empty_file"),
        (lambda path: path.write_text("<html>404</html>" * 99), "unreadable"),
        (lambda path: path.write_bytes(_HALF_A_FRAME), "unreadable"),
        (lambda path: path.write_bytes(_encode("WAV")[:44]), "unreadable"),
        (lambda path: path.write_bytes(_encode("FLAC", 0)), "empty_file"),
        (lambda path: path.write_bytes(_NAN), "unreadable"),
        (lambda path: path.mkdir(), "unreadable"),
        (lambda path: os.mkfifo(path), "unreadable"),
        (lambda path: path.symlink_to("/dev/zero"), "unreadable"),
        (lambda path: _write_wav(path, 999), "unreadable"),
        (lambda path: _write_wav(path, 1_000_001), "unreadable"),
    ],
)
def test_unusable_files_give_a_reason(tmp_path, write, reason):
    path = tmp_path / "a.flac"
    write(path)
    with pytest.raises(AudioError) as error:
        decode_audio(str(path), 16000, 10.0)
    assert error.value.reason == reason
    assert str(path) in error.value.detail


def test_paths_that_cannot_be_opened(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    _write_wav(path)
    for other, reason in (
        (path / "b.wav", "missing"),
        ("a\0.wav", "unreadable"),
        (tmp_path / ("x" * 300), "unreadable"),
    ):
        with pytest.raises(AudioError, match=reason):
            decode_audio(str(other), 16000)

    def refuse(path, *args, **options):
        raise PermissionError(13, "Permission denied", path)

    # Not by chmod: tests may run as root, who may read all.
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AudioError, match="unreadable: .*Permission denied"):
        decode_audio(str(path), 16000)


def test_faults_of_the_machine_are_told_from_those_of_the_file(
    tmp_path, monkeypatch
):
    def is_of_machine(path):
        with pytest.raises(AudioError) as error:
            decode_audio(str(path), 16000)
        return error.value.is_of_machine

    path = tmp_path / "a.wav"
    _write_wav(path)
    (tmp_path / "dead.wav").symlink_to("nowhere")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "zero.wav").write_bytes(b"")
    (tmp_path / "html.wav").write_bytes(b"<html>404</html>" * 99)
    (tmp_path / "half.flac").write_bytes(_HALF_A_FRAME)
    (tmp_path / "video.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(99))
    for name in ("dead", "loop", "zero", "html"):
        assert not is_of_machine(tmp_path / f"{name}.wav"), name
    assert not is_of_machine("a\0.wav")
    assert not is_of_machine(tmp_path / ("x" * 300))
    assert is_of_machine(tmp_path / "unmounted" / "a.wav")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        assert is_of_machine(tmp_path / "video.m4a")
        assert not is_of_machine(tmp_path / "html.wav")
        assert not is_of_machine(tmp_path / "half.flac")
    for number in (errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN):

        def fail(path, *args, number=number, **options):
            raise OSError(number, os.strerror(number), path)

        with monkeypatch.context() as patch:
            patch.setattr("builtins.open", fail)
            assert is_of_machine(path)

    # A disk that fails later; libsndfile gives what comes before, and no error.
    class Failing(io.BytesIO):
        def readinto(self, buffer):
            return super().readinto(buffer) if self.tell() < 99_999 else 0

        def read(self, size=-1):
            if self.tell() >= 99_999:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    for container in ("WAV", "FLAC", "OGG"):
        file = Failing(encode(noise(900_000), 16000, container))
        with pytest.raises(AudioError, match="Input/output") as error:
            decode_open_file(file, "a.x", 16000)
        assert error.value.is_of_machine


def test_errors_travel_between_processes():
    error = AudioError("missing", "a.wav", is_of_machine=True)
    error = pickle.loads(pickle.dumps(error))
    assert (error.reason, error.detail) == ("missing", "a.wav")
    assert error.is_of_machine
    assert not AudioError("silent", "b.wav").is_of_machine


@pytest.mark.parametrize("container", ["RF64", "FLAC", "OGG", "MP3", "AIFF"])
@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_cut_files_are_seen_and_whole_ones_are_not(
    tmp_path, container, sample_rate
):
    path = tmp_path / "a.x"
    content = encode(noise(10 * sample_rate), sample_rate, container)
    path.write_bytes(content)
    whole = decode_audio(str(path), 16000, 10.0)
    assert not whole.truncation
    for share in (0.3, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        audio = decode_audio(str(path), 16000, 10.0)
        assert audio.truncation, (share, audio[1:])
        num_samples = len(audio.waveform)
        # Ogg loses up to a whole page of 64 kB.
        assert 0.15 * 160000 < num_samples < 1.15 * share * 160000
        # What is there is right, away from the end.
        np.testing.assert_allclose(
            audio.waveform[: num_samples - 2000],
            whole.waveform[: num_samples - 2000],
            atol=1e-3,
        )


# Where each format keeps the size of its samples, and what says "none".
_SIZES = {
    ("WAV", "PCM_16"): [("data", 4, "<I", 0)],
    ("WAV", "MS_ADPCM"): [("data", 4, "<I", 0)],
    ("WAVEX", "FLOAT"): [("data", 4, "<I", 0), ("RIFF", 4, "<I", 0)],
    ("RF64", "PCM_24"): [("ds64", 16, "<Q", 0)],
    ("AIFF", "PCM_16"): [("SSND", 4, ">I", 8), ("COMM", 10, ">I", 0)],
    ("AU", "PCM_16"): [(".snd", 8, ">I", 0)],
    ("CAF", "PCM_16"): [("data", 4, ">q", -1)],
    ("W64", "PCM_16"): [("data", 16, "<Q", 24)],
}


@pytest.mark.parametrize(("container", "subtype"), _SIZES)
def test_recordings_whose_head_was_never_completed(
    tmp_path, container, subtype
):
    path = tmp_path / "a.x"
    content = encode(noise(40_000, 2), 16000, container, subtype)
    path.write_bytes(content)
    expected = decode_audio(str(path), 16000)
    begun = bytearray(content)
    for name, offset, size_format, value in _SIZES[container, subtype]:
        at = content.index(name.encode()) + offset
        struct.pack_into(size_format, begun, at, value)
    path.write_bytes(begun)
    for audio in (
        decode_audio(str(path), 16000),
        decode_open_file(io.BytesIO(begun), "a", 16000),
    ):
        np.testing.assert_array_equal(audio.waveform, expected.waveform)
        assert audio[1:] == expected[1:]
    part = decode_audio(str(path), 16000, 0.5, 1.7)
    np.testing.assert_array_equal(part.waveform, expected.waveform[27200:35200])


def test_a_file_without_samples_stays_empty():
    for container in ("WAV", "RF64", "AIFF", "AU"):
        content = encode(noise(0), 16000, container)
        byteorder = ">" if container == "AIFF" else "<"
        tags = b"LIST" + struct.pack(f"{byteorder}I", 100) + bytes(100)
        for end in (b"", tags) if container != "AU" else (b"",):
            with pytest.raises(AudioError, match="no samples"):
                decode_open_file(io.BytesIO(content + end), "a.x", 16000)


def test_a_broken_middle_ends_flac(tmp_path):
    path = tmp_path / "a.flac"
    content = bytearray(encode(noise(160000), 16000, "FLAC"))
    middle = len(content) // 2
    content[middle : middle + 50] = b"\xff" * 50
    path.write_bytes(content)
    audio = decode_audio(str(path), 16000, 10.0)
    assert audio.truncation
    assert 70000 < len(audio.waveform) < 80000
    assert audio.file_seconds == 10.0


def test_decoders_say_nothing_without_the_name_of_the_file(capfd, caplog):
    rng = np.random.default_rng(0)
    whole = encode(noise(8000, 2), 16000, "MP3")
    caplog.set_level("INFO", "absl")
    for trial in range(60):
        content = bytearray(whole)
        for at in rng.integers(300, len(content), 20):
            content[at] = rng.integers(256)
        with contextlib.suppress(AudioError):
            decode_open_file(io.BytesIO(content), f"{trial}.mp3", 16000)
    assert capfd.readouterr() == ("", "")
    lines = [record.getMessage() for record in caplog.records]
    assert lines
    for line in lines:
        assert re.match(r"[0-9]+\.mp3: its decoder says: \S", line)
    # What others write at that time is left alone.
    chatter = []
    with decode._catch_chatter(chatter):
        os.write(2, b"Note: Trying to resync...\nprogress 9 %\r12 %")
    assert capfd.readouterr().err == "progress 9 %\r12 %"
    assert chatter == [b"Note: Trying to resync...\n"]


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_damaged_files_raise_nothing_else(tmp_path, container):
    whole = encode(noise(4000, 2), 16000, container)
    rng = np.random.default_rng(0)
    path = tmp_path / "a.x"
    outcomes = set()
    for trial in range(150):
        content = bytearray(whole)
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

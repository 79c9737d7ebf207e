"""Streams that follow each other in a file are decoded to the last one."""

import io
import os

import numpy as np
import pytest
import soundfile
import soxr
from audio_bytes import encode, noise

from audioset_strong.audio import decode, formats, pyav_reader
from audioset_strong.audio.decode import (
    AudioError,
    decode_audio,
    decode_open_file,
    describe_audio,
    stream_audio,
)
from audioset_strong.audio.formats import find_streams
from audioset_strong.audio.recordings import measure_seconds
from audioset_strong.audio.samples import ReadAudio


def _decode(content, sample_rate=16000, *seconds):
    return decode_open_file(io.BytesIO(content), "a.x", sample_rate, *seconds)


def _mp3(samples, sample_rate, mode="VARIABLE", level=0.5):
    """Encodes to MP3, whose frames differ in size if the mode is VARIABLE."""
    file = io.BytesIO()
    soundfile.write(
        file,
        samples,
        sample_rate,
        format="MP3",
        bitrate_mode=mode,
        compression_level=level,
    )
    return file.getvalue()


def _without_head(content):
    """Removes the frame that says how many others there are."""
    return content[formats._find_mp3_frames(content)[0][0][1] :]


def _fading(seconds, sample_rate, num_channels=1):
    """Noise that grows, so that frames do; by 40 dB."""
    samples = noise(round(seconds * sample_rate), num_channels)
    gain = np.geomspace(0.01, 1, len(samples))  # [num_samples]
    return samples * gain[:, np.newaxis]


_KINDS = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]


@pytest.mark.parametrize(("container", "subtype"), _KINDS)
def test_joined_files_are_decoded_to_the_end(container, subtype):
    contents = [
        encode(noise(n * 16000, 1, n), 16000, container, subtype)
        for n in (2, 1, 3)
    ]
    parts = [_decode(content).waveform for content in contents]
    expected = np.concatenate(parts)
    audio = _decode(b"".join(contents))
    np.testing.assert_array_equal(audio.waveform, expected)
    assert audio.file_seconds == len(expected) / 16000
    assert audio.truncation == ""
    for start, seconds in ((0.0, 2.5), (1.5, 2.0), (2.9, 0.05), (3.5, None)):
        part = _decode(b"".join(contents), 16000, seconds, start)
        first = round(16000 * start)
        last = None if seconds is None else first + int(seconds * 16000)
        np.testing.assert_array_equal(part.waveform, expected[first:last])
        assert part.file_seconds == audio.file_seconds
    # A stream that is cut ends the audio.
    cut = contents[1][: len(contents[1]) // 2]
    audio = _decode(contents[0] + contents[0] + cut)
    assert audio.truncation
    assert len(audio.waveform) >= 2 * len(parts[0])


def test_flac_in_ogg_is_decoded_to_the_end():
    from pyav_files import encode_with_pyav  # skips without PyAV

    contents = [encode_with_pyav(noise(n * 9000), 16000, "oga") for n in (2, 3)]
    audio = _decode(b"".join(contents))
    assert len(audio.waveform) == 45000
    parts = [_decode(content).waveform for content in contents]
    np.testing.assert_array_equal(audio.waveform, np.concatenate(parts))


@pytest.mark.parametrize(("container", "subtype"), _KINDS)
def test_joined_files_may_differ_in_rate_and_channels(container, subtype):
    first = encode(noise(48000, 1), 24000, container, subtype)
    second = encode(noise(48000, 2), 16000, container, subtype)
    audio = _decode(first + second, 24000)
    assert audio[1:3] == (24000, 2)
    assert audio.file_seconds == pytest.approx(5.0, abs=0.01)
    later = soxr.resample(_decode(second, 16000).waveform, 16000, 24000)
    expected = np.concatenate([_decode(first, 24000).waveform, later])
    np.testing.assert_array_equal(audio.waveform, expected)
    part = _decode(first + second, 24000, 1.0, 3.0)
    assert len(part.waveform) == 24000
    np.testing.assert_allclose(
        part.waveform[200:-200], expected[72200 : 96000 - 200], atol=1e-4
    )


@pytest.mark.parametrize("sample_rate", [44100, 22050, 8000])
@pytest.mark.parametrize("num_channels", [1, 2])
def test_mp3_of_any_bit_rate_without_a_head(sample_rate, num_channels):
    samples = _fading(3, sample_rate, num_channels)
    for mode in ("VARIABLE", "CONSTANT"):
        whole = _mp3(samples, sample_rate, mode)
        assert find_streams(io.BytesIO(whole), "mp3") == []
        content = _without_head(whole)
        audio = _decode(content, sample_rate)
        # With the encoder's delay and padding.
        assert audio.file_seconds == pytest.approx(3.0, abs=0.25)
        assert len(audio.waveform) >= len(samples)
        assert audio.truncation == ""
        expected = _decode(whole, sample_rate).waveform
        errors = [
            np.abs(audio.waveform[delay + 5000 :][:50] - expected[5000:5050])
            for delay in range(2500)
        ]
        delay = int(np.argmin([error.max() for error in errors]))
        np.testing.assert_allclose(
            audio.waveform[delay:][5000:9000], expected[5000:9000], atol=1e-6
        )


def test_a_head_that_counts_too_few_frames():
    first, second = (_mp3(_fading(n, 16000), 16000) for n in (2, 3))
    content = first + _without_head(second)
    audio = _decode(content)
    assert len(audio.waveform) == pytest.approx(80000, abs=2500)
    # One frame more than it says is none of another stream.
    count = first.index(b"Info" if b"Info" in first else b"Xing") + 8
    number = int.from_bytes(first[count : count + 4], "big")
    one_less = (number - 1).to_bytes(4, "big")
    content = first[:count] + one_less + first[count + 4 :]
    streams = find_streams(io.BytesIO(content[:-1]), "mp3")
    assert streams == []


@pytest.mark.parametrize(
    "junk",
    [
        bytes(1),
        bytes(417),
        bytes(70_000),
        b"\r\n\r\n",
        bytes(range(256)) * 20,
        b"\xff" * 3000,
        b"ID3\3\0\0\0\0\0\x20" + b"x" * 32 + b"ID3\4\0\0\0\0\1\0" + b"y" * 128,
        b"ID3\3\0\0\0\0\0\x20" + bytes(3000),
        b"APETAGEX" + b"\xd0\x07\0\0\x40\0\0\0\1\0\0\0" + b"\0\0\0\xa0"
        b"\0\0\0\0\0\0\0\0" + b"z" * 64,
    ],
)
@pytest.mark.parametrize("sample_rate", [44100, 16000])
def test_what_comes_before_the_first_frame(junk, sample_rate):
    content = _mp3(_fading(2, sample_rate), sample_rate)
    expected = _decode(content, sample_rate)
    audio = _decode(junk + content, sample_rate)
    np.testing.assert_array_equal(audio.waveform, expected.waveform)
    assert audio[1:] == expected[1:]
    assert audio.container == "mp3"
    # And the rest of a frame whose start is missing.
    audio = _decode(junk + content[99:], sample_rate)
    assert audio.file_seconds == pytest.approx(2.0, abs=0.2)


def test_tags_between_and_after_streams():
    content = _mp3(_fading(2, 16000), 16000)
    id3 = b"ID3\3\0\0\0\0\0\x20" + b"x" * 32
    tags = b"TAG" + bytes(125), b"APETAGEX" + bytes(24), id3
    for between in (*tags, b"".join(tags)):
        audio = _decode(content + between + content + tags[0])
        assert len(audio.waveform) == 64000, between
        assert audio.truncation == ""


def test_a_hole_ends_the_audio():
    content = _without_head(_mp3(_fading(6, 16000), 16000))
    middle = len(content) // 2
    for num_bytes, is_hole in ((3000, True), (200, False)):
        holed = bytearray(content)
        holed[middle : middle + num_bytes] = bytes(num_bytes)
        audio = _decode(bytes(holed))
        assert ("are no MP3" in audio.truncation) == is_hole
        assert (len(audio.waveform) < 70000) == is_hole


def test_what_looks_like_mp3_but_is_none():
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert formats.find_mp3(rng.bytes(50_000)) < 0
    assert formats.find_mp3(b"\xff" * 5000) < 0
    assert formats.find_mp3(b"\xff\xfb\x90\x64" * 3000) < 0


@pytest.mark.parametrize(
    ("head", "num_bytes", "kind"),
    [
        # By the formulas of the standard, and tables of its frame sizes.
        (b"\xff\xfb\x90\x64", 417, (3, 3, 44100, False)),  # 128 kbit/s
        (b"\xff\xfb\x92\x64", 418, (3, 3, 44100, False)),  # with padding
        (b"\xff\xfb\xe4\xc4", 960, (3, 3, 48000, True)),  # 320 kbit/s
        (b"\xff\xf3\x84\xc4", 192, (2, 3, 24000, True)),  # 64 kbit/s
        (b"\xff\xe3\x48\xc4", 288, (0, 3, 8000, True)),  # 32 kbit/s
        (b"\xff\xfd\xa8\xc4", 864, (3, 2, 32000, True)),  # 192 kbit/s
        (b"\xff\xff\xc4\x04", 384, (3, 1, 48000, False)),  # 384 kbit/s
    ],
)
def test_frames_by_hand(head, num_bytes, kind):
    assert formats._frame_at(head, 0) == (num_bytes, kind)


@pytest.mark.parametrize("container", ["OGG", "MP3"])
def test_nothing_is_too_damaged_to_take_apart(container):
    rng = np.random.default_rng(0)
    whole = encode(noise(16000), 16000, container) * 2
    for trial in range(200):
        content = bytearray(whole)
        for at in rng.integers(0, 2000 if trial % 2 else len(whole), 20):
            content[at] = rng.integers(256)
        content = bytes(content[: rng.integers(len(whole))])
        for stream in find_streams(io.BytesIO(content), container.lower()):
            assert stream.content
    assert find_streams(io.BytesIO(b""), container.lower()) == []


def test_joined_recordings_are_measured_to_the_end(tmp_path):
    for container in ("OGG", "MP3"):
        path = tmp_path / f"a.{container}"
        contents = [encode(noise(n), 16000, container) for n in (16000, 40000)]
        path.write_bytes(b"".join(contents))
        assert measure_seconds(str(path)) == pytest.approx(3.5, abs=1e-3)


def _stream(path):
    read = ReadAudio()
    blocks = list(stream_audio(str(path), 16000, read))
    return describe_audio(read, np.concatenate(blocks)), len(blocks), read


@pytest.mark.parametrize(
    "kind", ["wav", "flac", "ogg", "mp3", "chain", "cut", "broken", "m4a", "ts"]
)
@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_blocks_have_the_bits_of_the_whole(
    tmp_path, monkeypatch, kind, sample_rate
):
    path = tmp_path / "a.x"
    samples = noise(5 * sample_rate, 2)
    if kind in ("m4a", "ts"):
        from pyav_files import encode_with_pyav  # skips without PyAV

        content = encode_with_pyav(samples, sample_rate, kind)
    else:
        container = kind if kind in ("wav", "ogg", "mp3") else "flac"
        if kind == "chain":
            container = "ogg"
        content = encode(samples, sample_rate, container.upper())
    if kind == "chain":  # later ones take the rate of the first
        content += encode(noise(90_000), 22050, "OGG")
    if kind == "cut":
        content = content[: 2 * len(content) // 3]
    if kind == "broken":  # libsndfile reads again, up to the error
        middle = 2 * len(content) // 3
        content = content[:middle] + b"\xff" * 50 + content[middle + 50 :]
    path.write_bytes(content)
    if kind == "mp3":  # soundfile seeks after each block, which changes bits
        monkeypatch.setattr(decode, "BLOCK_VALUES", 30_000)
    expected = decode_audio(str(path), 16000)
    assert bool(expected.truncation) == (kind in ("cut", "broken"))
    monkeypatch.setattr(decode, "BLOCK_VALUES", 30_000)
    monkeypatch.setattr(pyav_reader, "BLOCK_VALUES", 30_000)
    audio, num_blocks, read = _stream(path)
    assert num_blocks > 3
    np.testing.assert_array_equal(audio.waveform, expected.waveform)
    # Runs at the edge of blocks are all that may differ.
    assert audio[1:5] == expected[1:5]
    assert audio[6:] == expected[6:]
    if kind in ("wav", "flac", "m4a"):
        assert read.claimed_seconds == pytest.approx(5.0, abs=0.1)
    if kind == "chain":
        assert read.claimed_seconds is None


def test_a_stream_raises_what_decoding_raises(tmp_path):
    path = tmp_path / "a.wav"
    for content, reason in (
        (b"", "empty_file"),
        (b"<html>404</html>" * 9, "unreadable"),
        (encode(noise(0), 16000, "WAV"), "empty_file"),
    ):
        path.write_bytes(content)
        with pytest.raises(AudioError) as error:
            _stream(path)
        assert error.value.reason == reason
    # What is no sound may come late.
    samples = noise(200_000).astype(np.float32)
    samples[-1] = np.nan
    path.write_bytes(encode(samples, 16000, "WAV", "FLOAT"))
    with pytest.raises(AudioError, match="NaN"):
        _stream(path)


def test_stderr_is_left_alone_between_blocks(tmp_path, capfd):
    path = tmp_path / "a.mp3"
    path.write_bytes(encode(noise(32000), 16000, "MP3"))
    for _ in stream_audio(str(path), 16000, ReadAudio()):
        os.write(2, b"Note: progress\n")
        assert capfd.readouterr().err == "Note: progress\n"

"""Formats are told by content, and a missing end by the file's structure."""

import io
import struct

import numpy as np
import pytest
import soundfile
from audio_bytes import encode, noise

from audioset_strong.audio.formats import (
    HEAD_BYTES,
    claimed_mp3_samples,
    extension_matches,
    find_truncation,
    id3_bytes,
    sniff_format,
)


@pytest.mark.parametrize(
    ("container", "subtype", "expected"),
    [
        ("WAVEX", "FLOAT", "wav"),
        ("RF64", "PCM_16", "wav"),
        ("W64", "PCM_24", "w64"),
        ("FLAC", "PCM_16", "flac"),
        ("OGG", "OPUS", "ogg"),
        ("MP3", "MPEG_LAYER_III", "mp3"),
        ("AIFF", "PCM_16", "aiff"),
        ("AU", "PCM_16", "au"),
        ("CAF", "PCM_16", "caf"),
        ("NIST", "PCM_16", "nist"),
        ("VOC", "PCM_16", "voc"),
    ],
)
def test_what_libsndfile_writes(container, subtype, expected):
    contents = encode(noise(4000), 16000, container, subtype)
    assert sniff_format(contents[:HEAD_BYTES]) == expected


# Written down from the specifications, not from files of this project.
@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "mp4"),
        (b"\0\0\0\x18styp", "mp4"),
        (
            b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01\x42\x82\x84webm",
            "webm",
        ),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01\x42\x82\x88matroska", "matroska"),
        (b"RIFX\0\0\1\0WAVEfmt ", "wav"),
        (b"RIFF\0\0\1\0AVI LIST", "avi"),
        (b"RIFF\0\0\1\0WEBPVP8 ", "unknown"),  # a picture
        (b"FORM\0\0\1\0AIFCFVER", "aiff"),
        (b"\xff\xfb\x90\x64", "mp3"),  # MPEG 1 layer 3, 128 kbit/s, 44.1 kHz
        (b"\xff\xf3\x88\xc4", "mp3"),  # MPEG 2 layer 3
        (b"\xff\xfb\xf0\x64", "unknown"),  # no such bit rate
        (b"\xff\xfb\x9c\x64", "unknown"),  # no such sample rate
        (b"\xff\xfd\xa8\xc4", "mp3"),  # MPEG 1 layer 2
        (b"NIST_1A\n   1024\n", "nist"),
        (b"wvpk\x2e\1\0\0\x10\4", "wv"),
        (b"TTA1\1\0\2\0", "tta"),
        (b"MAC \x96\x0f\0\0", "ape"),
        (b"\xff\xf1\x50\x80", "aac"),  # ADTS, 44.1 kHz
        (b"\xff\xf1\x7c\x80", "unknown"),  # no such sample rate
        (b"ID3\4\0\0\0\0\0\x0a", "mp3"),
        (b"G" + bytes(187) + b"G" + bytes(10), "mpegts"),
        (b"G" + bytes(100), "unknown"),
        (b"<html>404", "unknown"),
        (b"\xff", "unknown"),
        (b"", "unknown"),
        (bytes(256), "unknown"),
        (b"\xff" * 256, "unknown"),
    ],
)
def test_heads_by_hand(head, expected):
    assert sniff_format(head) == expected


def test_id3_tags_are_measured():
    # Seven bits a byte: 1 * 128 + 3.
    assert id3_bytes(b"ID3\4\0\0\0\0\x01\x03") == 10 + 131
    # With a footer of ten bytes.
    assert id3_bytes(b"ID3\4\0\x10\0\0\x01\x03") == 20 + 131
    assert id3_bytes(b"ID3\4") == 0
    assert id3_bytes(b"\xff\xfb\x90\x64" + bytes(8)) == 0


@pytest.mark.parametrize(
    ("path", "container", "expected"),
    [
        ("a/b.WAV", "wav", True),
        ("a/b.mkv", "webm", True),
        ("a/b.xyz", "unknown", True),
        ("a/b.aac", "mp4", False),
        ("a/b", "mp3", False),
    ],
)
def test_extensions(path, container, expected):
    assert extension_matches(path, container) == expected


def _find(content, container):
    return find_truncation(io.BytesIO(content), container, len(content))


_NAMES = {"WAV": "wav", "RF64": "wav", "AIFF": "aiff", "OGG": "ogg"}


@pytest.mark.parametrize("container", _NAMES)
def test_whole_files_of_all_subtypes(container):
    num_files = 0
    for subtype in soundfile.available_subtypes(container):
        # Odd numbers of samples: chunks of odd size are padded, or not.
        for num_samples in (1, 7, 20001):
            for num_channels in (1, 2):
                samples = noise(num_samples, num_channels)
                try:
                    content = encode(samples, 16000, container, subtype)
                except soundfile.SoundFileError:
                    continue  # of one channel only
                found = _find(content, _NAMES[container])
                assert found == "", (subtype, num_samples)
                num_files += 1
    assert num_files >= 6


@pytest.mark.parametrize("container", _NAMES)
def test_cut_files(container):
    content = encode(noise(200_000), 16000, container)
    for num_missing in (3, 400, 10000, 25000):
        assert _find(content[:-num_missing], _NAMES[container])


_WAV = encode(noise(1000), 16000, "WAV")


def test_wav_says_how_much_is_missing():
    # A header of 44 bytes and two bytes a sample.
    assert len(_WAV) == 2044
    assert _find(_WAV[:1044], "wav") == (
        "2,000 bytes of samples expected, 1,000 are there"
    )


def test_what_follows_the_samples_may_be_cut_off():
    tags = b"LIST" + struct.pack("<I", 100) + bytes(100)
    for cut in (0, 1, 50, 107):
        assert _find((_WAV + tags)[: 2152 - cut], "wav") == ""
    # Many programs do not keep up the size of the whole, or write to a pipe.
    assert _find(b"RIFF\xff\xff\0\0" + _WAV[8:], "wav") == ""
    for size in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
        piped = _WAV[:40] + struct.pack("<I", size) + _WAV[44:]
        assert _find(piped, "wav") == ""


def test_rf64_has_its_size_elsewhere():
    content = encode(noise(1000), 16000, "RF64")
    at = content.index(b"ds64") + 16
    assert struct.unpack("<Q", content[at : at + 8]) == (2000,)
    data = content.index(b"data") + 4
    content = content[:data] + b"\xff" * 4 + content[data + 4 :]
    assert _find(content, "wav") == ""
    assert "2,000 bytes of samples expected, 1,990" in _find(
        content[:-10], "wav"
    )


def _page(flags, num_bytes=100):
    """Makes an Ogg page; its checksum is not looked at."""
    return struct.pack(
        "<4sBBqIIIBB", b"OggS", 0, flags, 0, 1, 0, 0, 1, num_bytes
    ) + bytes(num_bytes)


def test_ogg_by_hand():
    first, middle, last = _page(2), _page(0), _page(4)
    assert _find(first + middle + last, "ogg") == ""
    assert _find(first + middle + last + b"TAG" + bytes(125), "ogg") == ""
    assert "not marked as the last" in _find(first + middle, "ogg")
    assert "118 of 128 bytes" in _find(first + middle + last[:-10], "ogg")
    assert "within an Ogg page" in _find(first + middle + last[:20], "ogg")
    # A file far longer than a page is looked at from its end.
    assert _find(first + middle * 5000 + last, "ogg") == ""
    assert _find(first + middle * 5000, "ogg")


def _box(kind, num_bytes):
    return struct.pack(">I4s", num_bytes + 8, kind) + bytes(num_bytes)


def test_mp4_by_hand():
    head = _box(b"ftyp", 16) + _box(b"moov", 300)
    data = _box(b"mdat", 1000)
    long = struct.pack(">I4sQ", 1, b"mdat", 1016) + bytes(1000)
    rest = struct.pack(">I4s", 0, b"mdat") + bytes(500)  # to the end
    for end in (data, long, rest, b"", data + b"\0\0", data + bytes(64)):
        assert _find(head + end, "mp4") == ""
    for end in (data, long):
        assert "mdat expected" in _find(head + end[:-1], "mp4")
    assert "moov expected" in _find(head[:-1], "mp4")
    assert _find(head + long[:12], "mp4")


def test_matroska_by_hand():
    head = b"\x1aE\xdf\xa3\x90" + bytes(16)
    segment = b"\x18\x53\x80\x67"
    # A size has as many bytes as its first bit set says: 0x40 is two.
    whole = head + segment + b"\x41\xf4" + bytes(500)
    long = head + segment + b"\x01" + (500).to_bytes(7, "big") + bytes(500)
    live = head + segment + b"\x01" + b"\xff" * 7 + bytes(500)
    for content in (whole, long, live, live[:-10], head):
        assert _find(content, "webm") == ""
    for content in (whole, long):
        assert _find(content[:-10], "matroska") == (
            "500 bytes of its segment expected, 490 are there"
        )
    assert _find(long[: len(head) + 6], "webm")


@pytest.mark.parametrize("container", ["wav", "aiff", "ogg", "mp4", "webm"])
def test_nothing_is_too_damaged(container):
    rng = np.random.default_rng(0)
    for num_bytes in (*range(60), 1000):
        assert isinstance(_find(rng.bytes(num_bytes), container), str)
    for name in ("WAV", "AIFF", "OGG"):
        content = bytearray(encode(noise(100), 16000, name))
        for at in range(min(len(content), 100)):
            damaged = content[:]
            damaged[at] ^= 0xFF
            assert isinstance(_find(bytes(damaged), container), str)


@pytest.mark.parametrize("sample_rate", [16000, 44100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_length(sample_rate, mode):
    for num_samples in (sample_rate * 2, 12345):
        file = io.BytesIO()
        samples = noise(num_samples)
        soundfile.write(
            file, samples, sample_rate, format="MP3", bitrate_mode=mode
        )
        assert claimed_mp3_samples(file) == num_samples


def test_mp3_without_length():
    content = encode(noise(20000), 16000, "MP3")
    # The tag is in a frame of its own, which is left out here.
    second = content.index(b"\xff\xf3", 100)
    assert claimed_mp3_samples(io.BytesIO(content[second:])) is None
    assert claimed_mp3_samples(io.BytesIO(content[:30])) is None
    tagged = b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + content
    assert claimed_mp3_samples(io.BytesIO(tagged)) == 20000

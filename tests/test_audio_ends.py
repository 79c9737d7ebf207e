"""A missing end is seen in the structure of a file; whole files are whole."""

import io
import struct

import numpy as np
import pytest
import soundfile

from audioset_strong.audio.formats import claimed_mp3_samples, find_truncation


def _find(content, container):
    return find_truncation(io.BytesIO(content), container, len(content))


def _noise(num_samples, num_channels=1):
    rng = np.random.default_rng(0)
    return 0.1 * rng.standard_normal((num_samples, num_channels))


def _encode(container, subtype=None, num_samples=20001, num_channels=1):
    file = io.BytesIO()
    samples = _noise(num_samples, num_channels)
    soundfile.write(file, samples, 16000, subtype, format=container)
    return file.getvalue()


_NAMES = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "AIFF": "aiff",
    "W64": "w64",
    "CAF": "caf",
    "AU": "au",
    "OGG": "ogg",
}


@pytest.mark.parametrize("container", _NAMES)
@pytest.mark.parametrize("num_channels", [1, 2])
def test_whole_files_of_all_subtypes(container, num_channels):
    name = _NAMES[container]
    num_files = 0
    for subtype in soundfile.available_subtypes(container):
        # Odd numbers of samples: chunks of odd size are padded, or not.
        for num_samples in (1, 7, 20001):
            try:
                content = _encode(container, subtype, num_samples, num_channels)
            except soundfile.SoundFileError:
                continue  # of one channel only
            assert _find(content, name) == "", (subtype, num_samples)
            num_files += 1
    assert num_files >= 3


@pytest.mark.parametrize("container", _NAMES)
@pytest.mark.parametrize("num_missing", [3, 400, 10000, 25000])
def test_cut_files(container, num_missing):
    content = _encode(container, num_samples=200_000)
    assert _find(content[:-num_missing], _NAMES[container])


def test_wav_says_how_much_is_missing():
    # A header of 44 bytes and two bytes a sample.
    content = _encode("WAV", num_samples=1000)
    assert len(content) == 2044
    assert _find(content[:1044], "wav") == (
        "2,000 bytes of samples expected, 1,000 are there"
    )


def test_what_follows_the_samples_may_be_cut_off():
    content = _encode("WAV", num_samples=1000)
    tags = b"LIST" + struct.pack("<I", 100) + bytes(100)
    for cut in (0, 1, 50, 100, 107):
        assert _find((content + tags)[: 2152 - cut], "wav") == ""
    # The size of the whole, which many programs do not keep up, is not looked
    # at.
    assert _find(b"RIFF\xff\xff\0\0" + content[8:], "wav") == ""


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_streams_that_were_piped_do_not_say(size):
    content = _encode("WAV", num_samples=1000)
    piped = content[:40] + struct.pack("<I", size) + content[44:]
    assert _find(piped, "wav") == ""


def test_rf64_has_its_size_elsewhere():
    content = _encode("RF64", num_samples=1000)
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


def _ebml(kind, size, num_bytes):
    return kind + size + bytes(num_bytes)


def test_matroska_by_hand():
    head = _ebml(b"\x1aE\xdf\xa3", b"\x90", 16)
    segment = b"\x18\x53\x80\x67"
    # A size has as many bytes as its first bit set says: 0x40 is two.
    whole = head + _ebml(segment, b"\x41\xf4", 500)
    long = head + _ebml(segment, b"\x01" + (500).to_bytes(7, "big"), 500)
    live = head + _ebml(segment, b"\x01" + b"\xff" * 7, 500)
    for content in (whole, long, live, live[:-10], head):
        assert _find(content, "webm") == ""
    for content in (whole, long):
        assert _find(content[:-10], "matroska") == (
            "500 bytes of its segment expected, 490 are there"
        )
    assert _find(long[: len(head) + 6], "webm")


def test_avi_by_hand():
    content = b"RIFF" + struct.pack("<I", 104) + b"AVI " + bytes(100)
    assert _find(content, "avi") == ""
    assert _find(content[:-1], "avi")


@pytest.mark.parametrize(
    "container", [*_NAMES.values(), "mp4", "webm", "matroska", "avi", "flac"]
)
def test_nothing_is_too_damaged(container):
    rng = np.random.default_rng(0)
    for num_bytes in (*range(60), 1000):
        content = rng.bytes(num_bytes)
        assert isinstance(_find(content, container), str)
    for name in ("WAV", "AIFF", "AU", "CAF", "W64", "OGG"):
        content = bytearray(_encode(name, num_samples=100))
        for at in range(min(len(content), 100)):
            damaged = content[:]
            damaged[at] ^= 0xFF
            assert isinstance(_find(bytes(damaged), container), str)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_length(sample_rate, mode):
    for num_samples in (sample_rate * 2, 12345):
        file = io.BytesIO()
        soundfile.write(
            file,
            _noise(num_samples),
            sample_rate,
            format="MP3",
            bitrate_mode=mode,
        )
        assert claimed_mp3_samples(file) == num_samples


def test_mp3_without_length():
    file = io.BytesIO()
    soundfile.write(file, _noise(20000), 16000, format="MP3")
    content = file.getvalue()
    # The tag is in a frame of its own, which is left out here.
    second = content.index(b"\xff\xf3", 100)
    assert claimed_mp3_samples(io.BytesIO(content[second:])) is None
    assert claimed_mp3_samples(io.BytesIO(content[:30])) is None
    tagged = b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + content
    assert claimed_mp3_samples(io.BytesIO(tagged)) == 20000

"""The format of a file is told by its content."""

import io

import numpy as np
import pytest
import soundfile

from audioset_strong.audio.formats import (
    EXTENSIONS_OF_FORMAT,
    HEAD_BYTES,
    extension_matches,
    id3_bytes,
    sniff_format,
)


@pytest.mark.parametrize(
    ("container", "subtype", "expected"),
    [
        ("WAV", "PCM_U8", "wav"),
        ("WAVEX", "FLOAT", "wav"),
        ("RF64", "PCM_16", "wav"),
        ("W64", "PCM_24", "w64"),
        ("FLAC", "PCM_16", "flac"),
        ("OGG", "VORBIS", "ogg"),
        ("OGG", "OPUS", "ogg"),
        ("MP3", "MPEG_LAYER_III", "mp3"),
        ("AIFF", "PCM_16", "aiff"),
        ("AU", "PCM_16", "au"),
        ("CAF", "PCM_16", "caf"),
    ],
)
def test_what_libsndfile_writes(container, subtype, expected):
    file = io.BytesIO()
    samples = 0.1 * np.ones(4000)
    soundfile.write(file, samples, 16000, subtype, format=container)
    assert sniff_format(file.getvalue()[:HEAD_BYTES]) == expected


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
        (b"\xff\xf1\x50\x80", "aac"),  # ADTS, 44.1 kHz
        (b"\xff\xf1\x7c\x80", "unknown"),  # no such sample rate
        (b"ID3\4\0\0\0\0\0\x0a", "mp3"),
        (b"G" + bytes(187) + b"G" + bytes(10), "mpegts"),
        (b"G" + bytes(100), "unknown"),
        (b"<html>404", "unknown"),
        (b"Ogg", "unknown"),
        (b"\xff", "unknown"),
        (b"", "unknown"),
        (bytes(256), "unknown"),
        (b"\xff" * 256, "unknown"),
    ],
)
def test_by_hand(head, expected):
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
        ("a/b.wav", "wav", True),
        ("a/b.WAV", "wav", True),
        ("a/b.wav", "flac", False),
        ("a/b.opus", "ogg", True),
        ("a/b.mkv", "webm", True),
        ("a/b.m4a", "mp4", True),
        ("a/b.aac", "mp4", False),
        ("a/b", "mp3", False),
        ("a/b.xyz", "unknown", True),
    ],
)
def test_extensions(path, container, expected):
    assert extension_matches(path, container) == expected


def test_extensions_are_written_in_one_way():
    for extensions in EXTENSIONS_OF_FORMAT.values():
        for extension in extensions:
            assert extension == extension.lower()
            assert extension.startswith(".")

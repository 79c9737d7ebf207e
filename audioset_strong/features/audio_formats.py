"""Which format a file is of, by its first bytes; names may lie.

Formats are named after their container: "ogg" may hold Vorbis, Opus or FLAC,
"mp4" AAC or others.
"""

import os
import struct

# Extensions that people give files of a format, the usual one first.
EXTENSIONS_OF_FORMAT = {
    "wav": (".wav", ".wave"),
    "flac": (".flac",),
    "ogg": (".ogg", ".oga", ".opus"),
    "mp3": (".mp3",),
    "aiff": (".aiff", ".aif", ".aifc"),
    "au": (".au", ".snd"),
    "caf": (".caf",),
    "w64": (".w64",),
    "mp4": (".m4a", ".mp4", ".m4b", ".mov", ".3gp"),
    # WebM is a kind of Matroska.
    "webm": (".webm", ".weba", ".mka", ".mkv"),
    "matroska": (".mka", ".mkv"),
    "aac": (".aac",),
    "asf": (".wma", ".asf"),
    "avi": (".avi",),
    "flv": (".flv",),
    "mpegts": (".ts",),
    "ac3": (".ac3",),
    "amr": (".amr",),
}

# Formats that libsndfile reads; the others need PyAV.
SOUNDFILE_FORMATS = ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64")

# What a file of the format begins with. Longer ones are in `sniff_format`.
_BEGINNINGS = {
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"RF64": "wav",
    b"BW64": "wav",
    b".snd": "au",
    b"caff": "caf",
    # The first half of the identifier of Sony Wave64: "riff" and a constant.
    b"riff\x2e\x91\xcf\x11": "w64",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
    b"FLV\x01": "flv",
    b"\x0b\x77": "ac3",
    b"#!AMR": "amr",
}

# Names of the boxes that an MP4 or QuickTime file may begin with.
_MP4_BOXES = (
    *(b"ftyp", b"styp", b"moov", b"moof", b"mdat"),
    *(b"sidx", b"free", b"skip", b"wide"),
)

# Bytes that `sniff_format` may look at.
HEAD_BYTES = 256

_MPEG_TS_PACKET_BYTES = 188


def sniff_format(head: bytes) -> str:
    """Names the format of a file by its content.

    Args:
      head: The first `HEAD_BYTES` bytes, without ID3 tag (`id3_bytes`) if it
        has one; fewer of a shorter file.

    Returns:
      A key of `EXTENSIONS_OF_FORMAT`, or "unknown".
    """
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    kind = head[8:12]
    if head[:4] in (b"RIFF", b"RIFX") and kind == b"WAVE":
        return "wav"
    if head[:4] == b"RIFF" and kind == b"AVI ":
        return "avi"
    if head[:4] == b"FORM" and kind in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[:4] == b"\x1aE\xdf\xa3":  # EBML, whose head names the document
        return "webm" if b"webm" in head[:64] else "matroska"
    if head[4:8] in _MP4_BOXES:
        return "mp4"
    if head[:1] == head[_MPEG_TS_PACKET_BYTES:][:1] == b"G":
        return "mpegts"
    return "mp3" if head[:3] == b"ID3" else _mpeg_audio(head)


def _mpeg_audio(head: bytes) -> str:
    """Tells MP3 from AAC by the header of the first MPEG audio frame.

    Source: ISO/IEC 11172-3, 2.4.1.3, and 13818-7, 6.2 (ADTS).
    """
    if len(head) < 4:
        return "unknown"
    bits = int.from_bytes(head[:4], "big")
    layer = bits >> 17 & 3
    if bits >> 20 == 0xFFF and layer == 0:
        return "aac" if bits >> 10 & 15 < 13 else "unknown"
    is_version = bits >> 19 & 3 != 1
    is_bit_rate, is_rate = bits >> 12 & 15 != 15, bits >> 10 & 3 != 3
    if bits >> 21 == 0x7FF and layer and is_version and is_bit_rate and is_rate:
        return "mp3"
    return "unknown"


def id3_bytes(head: bytes) -> int:
    """Returns the length of the ID3 tag that a file begins with, 0 for none.

    Source: ID3v2.4, section 3.1: four bytes of seven bits each.
    """
    if len(head) < 10 or not head.startswith(b"ID3"):
        return 0
    a, b, c, d = struct.unpack("4B", head[6:10])
    has_footer = bool(head[5] & 0x10)
    return 10 + (a << 21 | b << 14 | c << 7 | d) + 10 * has_footer


def extension_matches(path: str, container: str) -> bool:
    """Whether a file's extension is one that its content may have.

    Args:
      path: The file.
      container: What `sniff_format` gives; of an unknown format every extension
        is right.
    """
    extension = os.path.splitext(path)[1].lower()
    extensions = EXTENSIONS_OF_FORMAT.get(container)
    return extensions is None or extension in extensions

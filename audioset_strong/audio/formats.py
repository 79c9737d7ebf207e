"""Which format a file is of, by its first bytes; names may lie.

Formats are named after their container: "ogg" may hold Vorbis, Opus or FLAC,
"mp4" AAC or others.

Sees by a file's structure that its end is missing; decodes nothing.

Formats say in some place how much is to come: WAV and its relatives in the
head of the chunk of samples, MP4 in that of each box, Matroska in that of the
segment; the last page of an Ogg stream is marked. What says nothing, as the
header of a stream that was piped, is believed to be whole.

Sources: EBU Tech 3306 (RF64), the AIFF 1.3, AU, CAF and Wave64 specifications,
RFC 3533 (Ogg), ISO/IEC 14496-12 (MP4), RFC 8794 and 9559 (Matroska).
"""

import os
import struct
from typing import BinaryIO, NamedTuple

# --- audio formats ---------------------------------------------------------


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


# --- audio ends ------------------------------------------------------------


# RIFF sizes from here are what programs write that do not know the length, a
# little below 2 or 4 GiB.
_MIN_STREAMING_BYTES = 0x7FFF0000

# A file with more chunks or boxes than this is not looked through.
_MAX_CHUNKS = 100_000

_MAX_OGG_PAGE_BYTES = 27 + 255 + 255 * 255


class _Layout(NamedTuple):
    """How the chunks of a format are laid out.

    Attributes:
      first: Where the first chunk begins, in bytes.
      head: Name and size of a chunk.
      samples: What the name of the chunk of samples begins with.
      alignment: Chunks begin at multiples of it.
      counts_head: Whether a size includes the head.
    """

    first: int
    head: struct.Struct
    samples: bytes
    alignment: int = 2
    counts_head: bool = False


_LAYOUTS = {
    b"RIFF": _Layout(12, struct.Struct("<4sI"), b"data"),
    b"RF64": _Layout(12, struct.Struct("<4sI"), b"data"),
    b"BW64": _Layout(12, struct.Struct("<4sI"), b"data"),
    b"RIFX": _Layout(12, struct.Struct(">4sI"), b"data"),
    b"FORM": _Layout(12, struct.Struct(">4sI"), b"SSND"),
    b"caff": _Layout(8, struct.Struct(">4sq"), b"data", 1),
    b"riff": _Layout(40, struct.Struct("<16sQ"), b"data", 8, True),
}


def find_truncation(file: BinaryIO, container: str, num_bytes: int) -> str:
    """Says how a file shows that its end is missing.

    Args:
      file: The whole file.
      container: What `sniff_format` gives.
      num_bytes: Its size.

    Returns:
      What was expected and what is there, for people; "" for whole files and
      formats that do not say.
    """
    find = {
        "wav": _chunk_truncation,
        "aiff": _chunk_truncation,
        "caf": _chunk_truncation,
        "w64": _chunk_truncation,
        "au": _au_truncation,
        "avi": _avi_truncation,
        "ogg": _ogg_truncation,
        "mp4": _mp4_truncation,
        "webm": _matroska_truncation,
        "matroska": _matroska_truncation,
    }.get(container)
    try:
        return find(file, num_bytes) if find else ""
    except struct.error:  # a head is not whole
        return "it ends within a header"


def claimed_mp3_samples(file: BinaryIO) -> int | None:
    """Reads from the first frame of an MP3 file how long it is.

    Args:
      file: The whole file.

    Returns:
      Samples of a channel, without the encoder's delay and padding if it says
      how many those are; None where the first frame does not say: the length
      is then a guess by its bit rate.

    Source: the tag that Xing's encoder began with, and LAME's extension of it
    (http://gabriel.mp3-tech.org/mp3infotag.html).
    """
    start = id3_bytes(_read_at(file, 0, HEAD_BYTES))
    head = _read_at(file, start, HEAD_BYTES)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 4 or len(head) < at + 144 or not head[at + 7] & 1:
        return None
    is_mpeg1 = head[1] >> 3 & 3 == 3
    (num_frames,) = struct.unpack(">I", head[at + 8 : at + 12])
    num_samples = num_frames * (1152 if is_mpeg1 else 576)
    if head[at + 7] & 15 == 15 and head[at + 120 : at + 121].isalpha():
        skipped = int.from_bytes(head[at + 141 : at + 144], "big")
        num_samples -= (skipped >> 12) + (skipped & 0xFFF)
    return max(num_samples, 0)


def _read_at(file: BinaryIO, start: int, num_bytes: int) -> bytes:
    """Reads bytes from a place; fewer at the end of the file."""
    file.seek(start)
    return file.read(num_bytes)


def _describe(what: str, start: int, size: int, num_bytes: int) -> str:
    """Compares the size of a part with what is there from its start."""
    there = max(num_bytes - start, 0)
    if size >= _MIN_STREAMING_BYTES and there < _MIN_STREAMING_BYTES:
        return ""
    if size <= there:
        return ""
    return f"{size:,} bytes of {what} expected, {there:,} are there"


def _chunk_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Looks at the chunk of samples of WAV, AIFF, CAF and Wave64.

    What comes after the samples may be cut off or missing: no audio is.
    """
    name = _read_at(file, 0, 4)
    if name not in _LAYOUTS:
        return ""
    layout = _LAYOUTS[name]
    start, long_bytes = layout.first, 0
    for _ in range(_MAX_CHUNKS):
        head = _read_at(file, start, layout.head.size)
        if len(head) < layout.head.size:
            return ""  # whoever reads it found samples elsewhere
        kind, size = layout.head.unpack(head)
        if layout.counts_head:
            size -= layout.head.size
        start += layout.head.size
        if kind == b"ds64":  # RF64: sizes that 32 bits do not hold
            _, long_bytes = struct.unpack("<QQ", _read_at(file, start, 16))
        if kind.startswith(layout.samples):
            if size == 0xFFFFFFFF and long_bytes:
                return _describe("samples", start, long_bytes, num_bytes)
            return _describe("samples", start, size, num_bytes)
        if not 0 <= size <= num_bytes:  # no chunk: the samples are elsewhere
            return ""
        start += -(-size // layout.alignment) * layout.alignment
    return ""


def _au_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Looks at the one header of an AU file."""
    start, size = struct.unpack(">II", _read_at(file, 4, 8))
    return _describe("samples", start, size, num_bytes)


def _avi_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Looks at the one chunk that an AVI file is."""
    (size,) = struct.unpack("<I", _read_at(file, 4, 4))
    return _describe("its RIFF chunk", 8, size, num_bytes)


def _ogg_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Looks for the last page: whether it is whole, and marked as the last."""
    tail = _read_at(
        file, max(num_bytes - 2 * _MAX_OGG_PAGE_BYTES, 0), num_bytes
    )
    start = tail.rfind(b"OggS\0")
    if start < 0:
        return ""
    page = tail[start:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return "it ends within an Ogg page"
    page_bytes = 27 + page[26] + sum(page[27 : 27 + page[26]])
    if len(page) < page_bytes:
        return f"its last Ogg page has {len(page):,} of {page_bytes:,} bytes"
    is_last = bool(page[5] & 4)
    return "" if is_last else "its last Ogg page is not marked as the last"


def _mp4_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Looks at the outermost boxes of an MP4 file."""
    start = 0
    for _ in range(_MAX_CHUNKS):
        head = _read_at(file, start, 16)
        if len(head) < 8:
            return ""
        size, kind = struct.unpack(">I4s", head[:8])
        if size == 1:
            (size,) = struct.unpack(">Q", head[8:16])
        # 0 stands for the rest of the file; what is no box was appended.
        if size < 8 or not kind.isalnum():
            return ""
        truncation = _describe(
            f"its box {kind.decode()}", start, size, num_bytes
        )
        if truncation:
            return truncation
        start += size
    return ""


def _matroska_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Looks at the segment, which holds all but the head of the file."""
    head_size, start = _ebml_size(file, 4)
    start += head_size or 0
    if _read_at(file, start, 4) != b"\x18\x53\x80\x67":
        return ""
    size, start = _ebml_size(file, start + 4)
    if size is None:
        return ""
    return _describe("its segment", start, size, num_bytes)


def _ebml_size(file: BinaryIO, start: int) -> tuple[int | None, int]:
    """Reads a size, None for unknown, and where what it measures begins."""
    head = _read_at(file, start, 8)
    (first,) = struct.unpack("B", head[:1])
    length = 9 - first.bit_length()  # as many bytes as there are leading zeros
    value = int.from_bytes(head[:length], "big") & ((1 << 7 * length) - 1)
    if length > 8 or len(head) < length:
        raise struct.error("no size")
    is_unknown = value == (1 << 7 * length) - 1
    return None if is_unknown else value, start + length

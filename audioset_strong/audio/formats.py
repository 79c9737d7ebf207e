"""Recognises audio formats by content, and files whose end is missing.

Nothing is decoded here, and extensions are not trusted. A format is named after
its container: "ogg" may hold Vorbis, Opus or FLAC, and "mp4" AAC or others.

Some files hold several streams one after the other, each with a head of its
own: recorded radio, and files that were joined by `cat`. `find_streams` takes
them apart, and counts the frames of MP3 that does not say how long it is.

A container says somewhere how much it holds: WAV and AIFF before the samples,
MP4 before each box, Matroska before its segment, and Ogg marks the last page. A
file that says nothing, such as a recorded stream, counts as whole.

Sources: EBU Tech 3306 (RF64), AIFF 1.3, RFC 3533 (Ogg), ISO/IEC 14496-12 (MP4),
RFC 8794 and 9559 (Matroska), ISO/IEC 11172-3 and 13818-3 (MP3).
"""

import functools
import io
import itertools
import os
import struct
from typing import BinaryIO, NamedTuple

# Extensions in use for each format, the usual one first.
EXTENSIONS_OF_FORMAT = {
    "wav": (".wav", ".wave"),
    "flac": (".flac",),
    "ogg": (".ogg", ".oga", ".opus"),
    "mp3": (".mp3", ".mp2", ".mpga"),
    "aiff": (".aiff", ".aif", ".aifc"),
    "au": (".au", ".snd"),
    "caf": (".caf",),
    "w64": (".w64",),
    "nist": (".sph", ".nist"),
    "voc": (".voc",),
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
    "wv": (".wv",),
    "tta": (".tta",),
    "ape": (".ape",),
}

# Formats that libsndfile reads; the others need PyAV.
SOUNDFILE_FORMATS = (
    "wav",
    "flac",
    "ogg",
    "mp3",
    "aiff",
    "au",
    "caf",
    "w64",
    "nist",
    "voc",
)

_MAGIC_BYTES = {
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
    b"NIST_1A\n": "nist",
    b"Creative Voice File": "voc",
    b"wvpk": "wv",
    b"TTA1": "tta",
    b"MAC ": "ape",
}

# The same by the bytes before and after the size of the whole.
_MAGIC_OF_CHUNKS = {
    b"RIFFWAVE": "wav",
    b"RIFXWAVE": "wav",
    b"RIFFAVI ": "avi",
    b"FORMAIFF": "aiff",
    b"FORMAIFC": "aiff",
}

# Boxes that an MP4 or QuickTime file may begin with.
_MP4_BOXES = (
    *(b"ftyp", b"styp", b"moov", b"moof", b"mdat"),
    *(b"sidx", b"free", b"skip", b"wide"),
)

# How much of a file `sniff_format` looks at: more than one MPEG-TS packet.
HEAD_BYTES = 256

_MPEG_TS_PACKET_BYTES = 188

# Programs that do not know the length yet write a size a little below 2 or 4
# GiB; every size from here on may be one of these.
_MIN_STREAMING_BYTES = 0x7FFF0000

# Bounds the walk through a damaged file that consists of tiny chunks or boxes.
_MAX_CHUNKS = 100_000

# Header, segment table, and 255 segments of at most 255 bytes.
_MAX_OGG_PAGE_BYTES = 27 + 255 + 255 * 255

# What may come before the first frame of MP3, which is then looked for.
MAX_BYTES_BEFORE_MP3 = 1 << 20

# Bytes between two frames that libsndfile's decoder passes over.
_MAX_GAP_BYTES = 1024

# So many frames of one kind in a row are no accident.
_MIN_FRAMES = 4

# So many more frames than its head says are no stream of their own.
_MAX_MORE_FRAMES = 2

# kbit/s of MPEG audio by index, for version 1 and for the others, by layer.
_BIT_RATES_1 = {
    1: (*range(0, 449, 32),),
    2: (
        *(0, 32, 48, 56, 64, 80, 96, 112, 128),
        *(160, 192, 224, 256, 320, 384),
    ),
    3: (*(0, 32, 40, 48, 56, 64, 80, 96, 112), *(128, 160, 192, 224, 256, 320)),
}
_BIT_RATES_2 = {
    1: (
        *(0, 32, 48, 56, 64, 80, 96, 112, 128),
        *(144, 160, 176, 192, 224, 256),
    ),
    2: (0, *range(8, 65, 8), *range(80, 161, 16)),
    3: (0, *range(8, 65, 8), *range(80, 161, 16)),
}

# Byte order of a chunk's name and size, and the name of the chunk of samples.
_CHUNKS = {
    b"RIFF": ("<4sI", b"data"),
    b"RF64": ("<4sI", b"data"),
    b"BW64": ("<4sI", b"data"),
    b"RIFX": (">4sI", b"data"),
    b"FORM": (">4sI", b"SSND"),
}


def sniff_format(head: bytes) -> str:
    """Recognises the format of a file by its content.

    Args:
      head: The first `HEAD_BYTES` bytes after the ID3 tag (`id3_bytes`), or all
        of a shorter file.

    Returns:
      A key of `EXTENSIONS_OF_FORMAT`, or "unknown".
    """
    for magic, name in _MAGIC_BYTES.items():
        if head.startswith(magic):
            return name
    if form := _MAGIC_OF_CHUNKS.get(head[:4] + head[8:12]):
        return form
    if head[:4] == b"\x1aE\xdf\xa3":  # EBML, whose head names the document
        return "webm" if b"webm" in head[:64] else "matroska"
    if head[4:8] in _MP4_BOXES:
        return "mp4"
    if head[:1] == head[_MPEG_TS_PACKET_BYTES:][:1] == b"G":
        return "mpegts"
    return "mp3" if head[:3] == b"ID3" else _sniff_mpeg_audio(head)


def sniff_open_file(file: BinaryIO) -> str:
    """Names the format of a file, whatever tags or zeros come before."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if tag_bytes := id3_bytes(head):
        file.seek(tag_bytes)
        inner = sniff_format(file.read(HEAD_BYTES))
        # Some encoders pad the tag with zeros, and MP3 follows these.
        return "mp3" if inner == "unknown" else inner
    if (container := sniff_format(head)) == "unknown":
        file.seek(0)
        if find_mp3(file.read(2 * MAX_BYTES_BEFORE_MP3)) >= 0:
            return "mp3"
    return container


def _sniff_mpeg_audio(head: bytes) -> str:
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
    """Returns the length of the ID3 tag at the start of a file, or 0.

    Source: ID3v2.4, section 3.1: four bytes of seven bits each.
    """
    if len(head) < 10 or not head.startswith(b"ID3"):
        return 0
    a, b, c, d = head[6:10]
    has_footer = bool(head[5] & 0x10)
    return 10 + (a << 21 | b << 14 | c << 7 | d) + 10 * has_footer


def extension_matches(path: str, container: str) -> bool:
    """Whether a path has an extension of a format; any if that is unknown."""
    extension = os.path.splitext(path)[1].lower()
    return extension in EXTENSIONS_OF_FORMAT.get(container, (extension,))


def claimed_mp3_samples(file: BinaryIO) -> int | None:
    """Reads the length of an MP3 file from its first frame.

    Returns:
      Samples per channel, less the encoder's delay and padding if they are
      given; None if the first frame has no such tag, and any length that a
      decoder reports is guessed from the bit rate.

    Source: the tag of Xing's encoder and LAME's extension of it
    (http://gabriel.mp3-tech.org/mp3infotag.html).
    """
    start = id3_bytes(_read_at(file, 0, HEAD_BYTES))
    head = _read_at(file, start, HEAD_BYTES)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 4 or len(head) < at + 144 or not head[at + 7] & 1:
        return None
    frame_samples = 1152 if head[1] >> 3 & 3 == 3 else 576  # of MPEG 1, 2
    num_frames = int.from_bytes(head[at + 8 : at + 12], "big")
    num_samples = num_frames * frame_samples
    if head[at + 7] & 15 == 15 and head[at + 120 : at + 121].isalpha():
        skipped = int.from_bytes(head[at + 141 : at + 144], "big")
        num_samples -= (skipped >> 12) + (skipped & 0xFFF)
    return max(num_samples, 0)


class Stream(NamedTuple):
    """One of the streams that follow each other in a file.

    Attributes:
      content: The stream, with a head that decoders understand.
      num_samples: Samples per channel by its own head; None if it has none.
      truncation: What is wrong after it, so that it is the last; or "".
    """

    content: bytes
    num_samples: int | None = None
    truncation: str = ""


def find_streams(file: BinaryIO, container: str) -> list[Stream]:
    """Takes apart what decoders would not read to its end.

    Args:
      file: The whole file.
      container: The format that `sniff_format` found.

    Returns:
      The streams in their order; none if the file can be decoded as it is.
    """
    if container not in ("ogg", "mp3"):
        return []
    file.seek(0)
    contents = file.read()
    if container == "mp3":
        return _mp3_streams(contents)
    starts, at, was_first = [], 0, False
    # A search is slower than to go from page to page.
    while (at := contents.find(b"OggS\0", at)) >= 0:
        head = contents[at : at + 282]
        if len(head) < 27:
            break
        is_first = bool(head[5] & 2)
        # The first pages of streams that run side by side follow each other.
        if is_first and not was_first:
            starts.append(at)
        was_first = is_first
        num_sizes = head[26]
        at += 27 + num_sizes + sum(head[27 : 27 + num_sizes])
    if len(starts) < 2:
        return []
    bounds = itertools.pairwise([*starts, len(contents)])
    return [Stream(contents[start:end]) for start, end in bounds]


class _MpegFrame(NamedTuple):
    """What the header of a frame of MPEG audio says.

    Attributes:
      num_bytes: Its size.
      kind: What may not change within a stream: version (3 is 1, 2 is 2, 0 is
        2.5), layer, sample rate, and whether it is mono.
    """

    num_bytes: int
    kind: tuple[int, int, int, bool]


@functools.cache
def _mpeg_frame(b: int, c: int, is_mono: bool) -> _MpegFrame | None:
    """Reads the second and third byte of a header; None if it is none."""
    version, layer = b >> 3 & 3, 4 - (b >> 1 & 3)
    index, rate_index = c >> 4, c >> 2 & 3
    is_known = version != 1 and layer != 4 and rate_index != 3
    if b < 0xE0 or not is_known or index in (0, 15):
        return None
    rate = (44100, 48000, 32000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    kbits = (_BIT_RATES_1 if version == 3 else _BIT_RATES_2)[layer][index]
    if layer == 1:
        num_samples, unit = 384, 4
    else:
        num_samples, unit = 576 if layer == 3 and version != 3 else 1152, 1
    num_units = num_samples * 125 * kbits // unit // rate + (c >> 1 & 1)
    return _MpegFrame(num_units * unit, (version, layer, rate, is_mono))


def _frame_at(contents: bytes, at: int) -> _MpegFrame | None:
    """Reads the header of a frame; None if there is none."""
    if not 0 <= at <= len(contents) - 4 or contents[at] != 0xFF:
        return None
    return _mpeg_frame(
        contents[at + 1], contents[at + 2], contents[at + 3] >> 6 == 3
    )


def find_mp3(contents: bytes, start: int = 0) -> int:
    """Finds several frames of MPEG audio in a row; -1 if there are none."""
    limit = start + MAX_BYTES_BEFORE_MP3
    while (start := contents.find(b"\xff", start, limit)) >= 0:
        at = start
        kinds: list[tuple[int, int, int, bool]] = []
        while len(kinds) < _MIN_FRAMES and (frame := _frame_at(contents, at)):
            kinds.append(frame.kind)
            at += frame.num_bytes
        is_end = at >= len(contents) and len(kinds) > 1
        if (is_end or len(kinds) == _MIN_FRAMES) and len(set(kinds)) == 1:
            return start
        start += 1
    return -1


def _tag_bytes(contents: bytes, at: int) -> int:
    """Returns the size of a tag in an MP3 file, or 0."""
    head = contents[at : at + 32]
    if head.startswith(b"TAG"):
        return 128  # ID3v1
    if head.startswith(b"APETAGEX") and len(head) == 32:
        size, _, flags = struct.unpack("<3I", head[12:24])
        return 32 + int(size * (flags >> 29 & 1))  # of a header, or a footer
    return id3_bytes(head)


def _xing_offset(kind: tuple[int, int, int, bool]) -> int:
    """Returns where in a frame of layer 3 Xing's tag is."""
    version, _, _, is_mono = kind
    side_bytes = (32, 17) if version == 3 else (17, 9)
    return 4 + side_bytes[is_mono]


def _xing_at(contents: bytes, at: int, frame: _MpegFrame) -> int:
    """Returns where Xing's tag is in a frame without sound; 0 in others."""
    has_checksum = not contents[at + 1] & 1
    tag = at + _xing_offset(frame.kind) + 2 * has_checksum
    return tag if contents[tag : tag + 4] in (b"Xing", b"Info") else 0


def _is_as_long_as_xing_says(contents: bytes) -> bool:
    """Whether a file is one stream, by the number of bytes in its head."""
    start = id3_bytes(contents[:10])
    frame = _frame_at(contents, start)
    tag = _xing_at(contents, start, frame) if frame else 0
    if not tag or contents[tag + 7] & 3 != 3:
        return False
    end = start + int.from_bytes(contents[tag + 12 : tag + 16], "big")
    return len(contents) - end in (0, 128)  # with ID3v1


def _make_xing(header: bytes, num_frames: int) -> bytes:
    """Makes a frame with Xing's tag from the header of another."""
    b, d = header[1] | 1, header[3]  # without a checksum
    # 128 kbit/s, or 64 in version 2: there is room for all of the tag.
    c = header[2] & 0x0C | (0x90 if b >> 3 & 3 == 3 else 0x80)
    frame = _mpeg_frame(b, c, d >> 6 == 3)
    assert frame is not None
    tag = b"Xing" + struct.pack(">II", 1, num_frames)
    start = bytes([0xFF, b, c, d]).ljust(_xing_offset(frame.kind), b"\0")
    return (start + tag).ljust(frame.num_bytes, b"\0")


def _find_mp3_frames(contents: bytes) -> tuple[list[list[int]], str]:
    """Finds all frames.

    Returns:
      For each stream where its frames begin, and where the last one ends; and
      what ends the search before the end of the file, or "".
    """
    found: list[list[int]] = []
    at, kind = 0, None
    while at < len(contents):
        frame, is_new = _frame_at(contents, at), False
        if frame is None or frame.kind != kind:
            gap_start = at
            while num_tag_bytes := _tag_bytes(contents, at):
                at, is_new = at + num_tag_bytes, True
            at = find_mp3(contents, at)
            frame = _frame_at(contents, at)
            if frame is None:
                break
            is_new = is_new or frame.kind != kind
            gap = at - gap_start
            is_new = is_new or bool(_xing_at(contents, at, frame))
            if not is_new and gap > _MAX_GAP_BYTES:
                # A stream that goes on after that would come too early.
                return found, f"{gap:,} bytes at {gap_start:,} are no MP3"
            kind = frame.kind
        if is_new or _xing_at(contents, at, frame):
            found.append([at])
        found[-1][-1] = at
        at += frame.num_bytes
        found[-1].append(at)
    return found, ""


def _mp3_streams(contents: bytes) -> list[Stream]:
    """Does what `find_streams` does, for MP3."""
    if _is_as_long_as_xing_says(contents):
        return []
    found, truncation = _find_mp3_frames(contents)
    is_plain = len(found) == 1 and not truncation
    is_plain = is_plain and found[0][0] == id3_bytes(contents[:10])
    streams = []
    for bounds in found:
        frame = _frame_at(contents, bounds[0])
        assert frame is not None
        if tag := _xing_at(contents, bounds[0], frame):
            num_frames = 0
            if contents[tag + 7] & 1:
                num_frames = int.from_bytes(contents[tag + 8 : tag + 12], "big")
            after = bounds[1:]  # the frame with the tag
            if num_frames:
                more = after[num_frames:]
                if len(more) <= 1 + _MAX_MORE_FRAMES:
                    more = []
                end = more[0] if more else after[-1]
                content = contents[bounds[0] : end]
                samples = claimed_mp3_samples(io.BytesIO(content))
                streams.append(Stream(content, samples))
                after = more
            bounds = after
            is_plain = is_plain and not bounds
        if len(bounds) > 1:
            content = contents[bounds[0] : bounds[-1]]
            sizes = [end - start for start, end in itertools.pairwise(bounds)]
            # Of a constant bit rate decoders know the length.
            if frame.kind[1] == 3 and max(sizes) > min(sizes) + 1:
                is_plain = False
                head = contents[bounds[0] : bounds[0] + 4]
                content = _make_xing(head, len(bounds) - 1) + content
            streams.append(Stream(content))
    if truncation and streams:
        streams[-1] = streams[-1]._replace(truncation=truncation)
    return [] if is_plain else streams


def find_truncation(file: BinaryIO, container: str, num_bytes: int) -> str:
    """Looks for signs in the structure of a file that its end is missing.

    Args:
      file: The whole file.
      container: The format that `sniff_format` found.
      num_bytes: Its size.

    Returns:
      What was expected and what came, as text; "" for whole files and for
      formats that do not say how long they are.
    """
    find = {
        "wav": _chunk_truncation,
        "aiff": _chunk_truncation,
        "ogg": _ogg_truncation,
        "mp4": _mp4_truncation,
        "webm": _matroska_truncation,
        "matroska": _matroska_truncation,
    }.get(container)
    try:
        return find(file, num_bytes) if find else ""
    except struct.error:
        return "it ends within a header"


def _chunk_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Checks the size of the chunk of samples of WAV and AIFF."""
    chunk = find_samples_chunk(file, num_bytes)
    # Without one, the decoder found the samples in some other way.
    return _compare_size("samples", *chunk, num_bytes) if chunk else ""


def find_samples_chunk(
    file: BinaryIO, num_bytes: int
) -> tuple[int, int] | None:
    """Finds the samples of a WAV or AIFF file.

    Only this chunk counts: what follows it may be cut off without any loss of
    audio, and many programs do not keep the size of the whole file right.

    Returns:
      Where the samples begin and how many bytes of them the header promises;
      None if there is no such chunk.
    """
    magic = _read_at(file, 0, 4)
    if magic not in _CHUNKS:
        return None
    head_format, samples_name = _CHUNKS[magic]
    start, long_bytes = 12, 0
    for _ in range(_MAX_CHUNKS):
        head = _read_at(file, start, 8)
        if len(head) < 8:
            return None
        name, size = struct.unpack(head_format, head)
        start += 8
        if name == b"ds64":  # RF64: sizes that do not fit 32 bits
            _, long_bytes = struct.unpack("<QQ", _read_at(file, start, 16))
        if name == samples_name:
            is_long = size == 0xFFFFFFFF and long_bytes
            return start, long_bytes if is_long else size
        if size > num_bytes:  # not the head of a chunk
            return None
        start += size + size % 2  # chunks begin at even positions
    return None


def find_missing_size(
    file: BinaryIO, container: str, num_bytes: int
) -> tuple[int, bytes] | None:
    """Mends a head that was never completed: no samples, although some follow.

    Programs write such a head first, and the sizes when a recording ends.

    Returns:
      A position and the bytes that belong there; None if nothing is missing.
    """
    head = _read_at(file, 0, 36)
    if container == "au":
        start = int.from_bytes(head[4:8], "big")
        is_missing = head[8:12] == bytes(4) and start < num_bytes
        return (8, b"\xff" * 4) if is_missing else None
    chunk = find_samples_chunk(file, num_bytes)
    if container not in ("wav", "aiff") or chunk is None:
        return None
    start, size = chunk
    place = start - 4, b"\xff" * 4
    if container == "aiff":
        # Two numbers come before the samples, and are all there is.
        place, size, start = (start - 4, bytes(4)), max(size - 8, 0), start + 8
    elif head[12:16] == b"ds64":
        size = int.from_bytes(head[28:36], "little")
        place = 28, struct.pack("<Q", max(num_bytes - start, 0))
    name = _read_at(file, start, 4)
    is_big = head[:4] in (b"RIFX", b"FORM")
    next_size = int.from_bytes(file.read(4), "big" if is_big else "little")
    is_chunk = name.isalnum() and start + 8 + next_size <= num_bytes
    return None if size or start >= num_bytes or is_chunk else place


def _read_at(file: BinaryIO, start: int, num_bytes: int) -> bytes:
    """Reads bytes from a position; fewer at the end of the file."""
    file.seek(start)
    return file.read(num_bytes)


def _compare_size(what: str, start: int, size: int, num_bytes: int) -> str:
    """Compares the size of a part with the bytes from its start to the end."""
    there = max(num_bytes - start, 0)
    is_streamed = size >= _MIN_STREAMING_BYTES and there < _MIN_STREAMING_BYTES
    if is_streamed or size <= there:
        return ""
    return f"{size:,} bytes of {what} expected, {there:,} are there"


def _ogg_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Checks that the last page is whole, and marked as the last."""
    tail_start = max(num_bytes - 2 * _MAX_OGG_PAGE_BYTES, 0)
    tail = _read_at(file, tail_start, num_bytes)
    page_start = tail.rfind(b"OggS\0")
    if page_start < 0:
        return ""
    page = tail[page_start:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return "it ends within an Ogg page"
    page_bytes = 27 + page[26] + sum(page[27 : 27 + page[26]])
    if len(page) < page_bytes:
        return f"its last Ogg page has {len(page):,} of {page_bytes:,} bytes"
    return "" if page[5] & 4 else "its last Ogg page is not marked as the last"


def _mp4_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Checks the sizes of the outermost boxes."""
    start = 0
    for _ in range(_MAX_CHUNKS):
        head = _read_at(file, start, 16)
        if len(head) < 8:
            return ""
        size, kind = struct.unpack(">I4s", head[:8])
        if size == 1:
            (size,) = struct.unpack(">Q", head[8:16])
        # Size 0 means the rest of the file; what is not a box was appended.
        if size < 8 or not kind.isalnum():
            return ""
        what = f"its box {kind.decode()}"
        if truncation := _compare_size(what, start, size, num_bytes):
            return truncation
        start += size
    return ""


def _matroska_truncation(file: BinaryIO, num_bytes: int) -> str:
    """Checks the size of the segment, which is all but the head of the file."""
    head_size, start = _read_ebml_size(file, 4)
    start += head_size or 0
    if _read_at(file, start, 4) != b"\x18\x53\x80\x67":
        return ""
    size, start = _read_ebml_size(file, start + 4)
    return _compare_size("its segment", start, size or 0, num_bytes)


def _read_ebml_size(file: BinaryIO, start: int) -> tuple[int | None, int]:
    """Reads a size, None if unknown, and where the measured part begins."""
    head = _read_at(file, start, 8)
    (first,) = struct.unpack("B", head[:1])
    length = 9 - first.bit_length()  # one more than there are leading zeros
    value = int.from_bytes(head[:length], "big") & ((1 << 7 * length) - 1)
    if length > 8 or len(head) < length:
        raise struct.error("no size")
    is_unknown = value == (1 << 7 * length) - 1
    return None if is_unknown else value, start + length

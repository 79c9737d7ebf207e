"""Decodes audio files of any format, rate and state to 16 kHz mono.

    file -> blocks [num_samples, num_channels] -> mono [num_samples]
    -> resampled [num_samples * sample_rate / file_sample_rate]

libsndfile (the soundfile package) decodes what it can and PyAV, an optional
extra, the rest: M4A, WebM, AAC, ... soxr resamples; it low-passes first, so
nothing aliases.

Clips come from the web, so damaged files are normal input: `decode_audio`
returns what comes before the damage and says what is missing, or raises
`AudioError`. `stream_audio` does the same in blocks, for hours of audio.
Headers are not trusted: memory grows with what is decoded and not with what a
header claims, and FFmpeg is told the format that the content has, so that a
playlist that is named like audio cannot lead it to other files.
BUILD_NOTES.md "Audio in any state" has the reasons.
"""

import contextlib
import errno
import functools
import io
import math
import os
import re
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO, NamedTuple, cast

import numpy as np
import soundfile
import soxr
from absl import logging

from audioset_strong import files
from audioset_strong.audio import containers
from audioset_strong.audio.formats import (
    SOUNDFILE_FORMATS,
    Stream,
    claimed_mp3_samples,
    find_missing_size,
    find_streams,
    find_truncation,
    sniff_open_file,
)
from audioset_strong.audio.pyav_reader import (
    read_with_pyav,
)
from audioset_strong.audio.samples import (
    BLOCK_VALUES,
    BadSamplesError,
    NotDecodableError,
    PyavMissingError,
    ReadAudio,
    check_sample_rate,
    missing_seconds,
    resample_blocks,
    sample_bounds,
)

# libsndfile reports this length or more where a FLAC header leaves it open, as
# encoders do that write to a pipe.
_UNKNOWN_LENGTH = 1 << 62

# Samples read at a time where the length is not known.
_STEP_SAMPLES = 1 << 16

# Encoders and decoders of MP3 do not agree on the padding at the ends.
_MP3_TOLERANCE_SECONDS = 0.05


# What libmpg123 writes, and what keeps threads from taking each other's stderr.
_CHATTER = re.compile(rb"\[\S+\.c:|(Note|Warning|Error|WARNING): |\s*$")
_CHATTER_LOCK = threading.Lock()

# An ID3v2.4 tag that holds ten bytes of padding.
_ID3_TAG = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)


# What an operating system says of a path that cannot be audio. All else is said
# of the machine: no permission, no memory, a disk or a mount that fails.
_ERRNOS_OF_FILE = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
    *(errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ),
)

# Encodings whose samples all take the same space: libsndfile finds any of them.
_SEEKABLE_SUBTYPES = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32"),
    *("FLOAT", "DOUBLE", "ULAW", "ALAW"),
)


class AudioError(Exception):
    """The audio of a clip cannot be used; the run goes on without the clip.

    Attributes:
      reason: One of a few words, to count by; "missing", "empty_file",
        "unreadable", "truncated" or "too_short" if it is raised here.
      detail: What was expected and what came.
      is_of_machine: Whether the same file may be read elsewhere or later: a
        library is not installed, or the file system fails or forbids it. A file
        that is not there counts, too, unless it is a dead link.
    """

    def __init__(
        self, reason: str, detail: str, is_of_machine: bool = False
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.is_of_machine = is_of_machine

    def __reduce__(self) -> tuple[type, tuple[str, str, bool]]:
        # Errors travel between processes; Exception's own way passes one text.
        return type(self), (self.reason, self.detail, self.is_of_machine)


class DecodedAudio(NamedTuple):
    """A waveform and what the file was like before it was converted.

    Attributes:
      waveform: float32 `[num_samples]`, mono, in [-1, 1] (resampling may
        overshoot), at the rate that was asked for.
      file_sample_rate: In Hz.
      num_channels: Channels of the file.
      file_seconds: Duration of the whole file, by its header if that says.
      container: What the content is, as `sniff_format` names it.
      clipped_fraction: Share of the samples, of all channels and at the file's
        own rate, that stand at full scale in runs.
      file_peak: Largest sample of any channel, of either sign, at the file's
        own rate.
      truncation: The evidence that the file ends before its own header says;
        "" if it does not, or if all that was asked for could be decoded.
    """

    waveform: np.ndarray
    file_sample_rate: int
    num_channels: int
    file_seconds: float
    container: str
    clipped_fraction: float = 0.0
    file_peak: float = 0.0
    truncation: str = ""


def decode_audio(
    path: str,
    sample_rate: int,
    max_seconds: float | None = None,
    start_seconds: float = 0.0,
) -> DecodedAudio:
    """Decodes an audio file, mixes it to mono and resamples it.

    The part that is asked for is cut out at the file's own rate, and resampled
    then: nothing outside of it is heard in it, and a few milliseconds at its
    edges differ from those of the whole file resampled.

    Args:
      path: A file of any format that libsndfile reads, or PyAV if it is
        installed, whatever its extension; local, or in object storage
        (`s3://...`).
      sample_rate: Rate of the result, in Hz.
      max_seconds: How much to use; None for all to the end.
      start_seconds: Where to begin, at sample `round(start_seconds *
        file_sample_rate)`. What comes before is not read where samples have a
        fixed place in the file (PCM) or an index (FLAC); elsewhere it is
        decoded and dropped.

    Returns:
      The waveform and what the file was like. A file whose end is missing gives
      what comes before.

    Raises:
      AudioError: The file is gone or empty, holds no samples, ends before
        `start_seconds` or cannot be decoded, or a sample is not a finite
        number.
      OSError: Object storage does not answer.
    """
    with open_audio(path) as file:
        return decode_open_file(
            file, path, sample_rate, max_seconds, start_seconds
        )


def decode_open_file(
    file: BinaryIO,
    path: str,
    sample_rate: int,
    max_seconds: float | None = None,
    start_seconds: float = 0.0,
) -> DecodedAudio:
    """Does the same for a file that `open_audio` opened; `path` is its name."""
    read = ReadAudio()
    blocks = list(_read_blocks(file, path, read, max_seconds, start_seconds))
    # [num_file_samples]
    waveform = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    if read.sample_rate != sample_rate:
        # [num_file_samples * sample_rate / file_sample_rate]
        waveform = soxr.resample(waveform, read.sample_rate, sample_rate)
    return describe_audio(
        read, np.ascontiguousarray(waveform, dtype=np.float32)
    )


def describe_audio(read: ReadAudio, waveform: np.ndarray) -> DecodedAudio:
    """Says what a file was like that was read to its end."""
    return DecodedAudio(
        waveform=waveform,
        file_sample_rate=read.sample_rate,
        num_channels=read.num_channels,
        file_seconds=read.file_seconds,
        container=read.container,
        clipped_fraction=read.clipped_fraction,
        file_peak=read.file_peak,
        truncation=read.truncation,
    )


def stream_audio(
    path: str, sample_rate: int, read: ReadAudio
) -> Iterator[np.ndarray]:
    """Decodes as `decode_audio` does, in blocks: files of any length.

    Memory does not grow with the audio. Of Ogg and MP3 the file itself is in
    memory, compressed as it is, and so is any file from object storage.

    Args:
      path: As for `decode_audio`.
      sample_rate: Rate of the result, in Hz.
      read: A new one; it learns what the file is like on the way. Its duration
        and truncation are known after the last block.

    Yields:
      float32 `[num_samples]`, mono; together the bits of `decode_audio`.

    Raises:
      AudioError: As `decode_audio`, but maybe after some blocks.
      OSError: Object storage does not answer.
    """
    with open_audio(path) as file:
        yield from resample_blocks(
            _read_blocks(file, path, read), read, sample_rate
        )


def _read_blocks(
    file: BinaryIO,
    path: str,
    read: ReadAudio,
    max_seconds: float | None = None,
    start_seconds: float = 0.0,
) -> Iterator[np.ndarray]:
    """Reads a file at its own rate, and finds out whether it is all there.

    Yields:
      float32 `[num_samples]`, mono, not empty; at least one.

    Raises:
      AudioError: As `decode_audio`.
    """
    try:
        read.container = sniff_open_file(file)
        try:
            for block in _read_streams(file, read, max_seconds, start_seconds):
                if len(block):
                    yield block
        except NotDecodableError:
            _read_through(file)
            raise
        finally:
            _log_chatter(path, read.chatter)
        start, end = sample_bounds(read.sample_rate, max_seconds, start_seconds)
        if read.num_samples < end - start:
            num_bytes = file.seek(0, os.SEEK_END)
            truncation = find_truncation(file, read.container, num_bytes)
            read.truncation = truncation or read.truncation
        else:
            read.truncation = ""
        if read.truncation:
            _read_through(file)
    except (NotDecodableError, BadSamplesError) as error:
        raise AudioError(
            "unreadable",
            f"{path}: {error}",
            is_of_machine=isinstance(error, PyavMissingError),
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not read.num_samples:
        if start_seconds > 0 and read.file_seconds > 0:
            reason = "truncated" if read.truncation else "too_short"
            raise AudioError(
                reason,
                f"{path}: the clip begins at {start_seconds:,.3f} s, "
                + (
                    read.truncation
                    or f"the file has {read.file_seconds:,.3f} s"
                ),
            )
        if read.truncation:
            raise AudioError("unreadable", f"{path}: {read.truncation}")
        raise AudioError("empty_file", f"{path} holds no samples")


def _read_through(file: BinaryIO) -> None:
    """Raises `OSError` if the file system fails, which decoders do not say."""
    file.seek(0)
    while file.read(1 << 20):
        pass


def _unreadable(path: str, error: OSError | ValueError) -> AudioError:
    """Describes a file that the operating system does not open or read."""
    is_of_machine = (
        isinstance(error, OSError) and error.errno not in _ERRNOS_OF_FILE
    )
    return AudioError("unreadable", f"{path}: {error}", is_of_machine)


@contextlib.contextmanager
def open_audio(path: str) -> Iterator[BinaryIO]:
    """Opens a file that is not empty; one of object storage is read whole.

    So is a member of a container (`containers.py`).

    Raises:
      AudioError: The file is gone, empty, or cannot be read.
      OSError: Object storage does not answer.
    """
    is_remote = files.is_remote(path)
    file: BinaryIO
    try:
        if containers.is_member(path):
            file = containers.open_member(path)
        elif is_remote:
            file = io.BytesIO(files.read_bytes(path))  # clips are small
        # Reading a pipe or a device may never end.
        elif not stat.S_ISREG(os.stat(path).st_mode):
            raise AudioError("unreadable", f"{path} is not a regular file")
        else:
            # Unbuffered: libsndfile reads by the file's number.
            file = cast(BinaryIO, open(path, "rb", buffering=0))  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError) as error:
        # Removed since it was indexed, or a dead link.
        raise AudioError(
            "missing",
            f"{path}: {error.strerror or error}",
            is_of_machine=is_remote or not os.path.islink(path),
        ) from error
    except (OSError, ValueError) as error:
        if is_remote and isinstance(error, OSError):
            raise
        raise _unreadable(path, error) from error
    with file:
        if file.seek(0, os.SEEK_END) == 0:
            raise AudioError("empty_file", f"{path} has zero bytes")
        file.seek(0)
        yield file


def _open_scratch() -> IO[bytes]:
    """Opens a nameless file, in memory where there are such files."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("decoder"), "w+b")
    return tempfile.TemporaryFile()


@contextlib.contextmanager
def _catch_chatter(chatter: list[bytes]) -> Iterator[None]:
    """Collects what libsndfile's decoder of MP3 writes to stderr, in lines.

    It cannot be told to be silent, and writes to the file of number 2; FFmpeg
    is silent in PyAV unless it is told otherwise.
    """
    with _CHATTER_LOCK, _open_scratch() as caught:
        try:
            stderr = os.dup(2)
        except OSError:  # there is none
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if caught.seek(0, os.SEEK_END):
                caught.seek(0)
                for line in caught.read().splitlines(keepends=True):
                    if _CHATTER.match(line):
                        chatter.append(line)
                    else:
                        # Another thread wrote at the same time.
                        os.write(2, line)


def _log_chatter(path: str, chatter: list[bytes]) -> None:
    """Logs what was collected, with the path."""
    if chatter:
        first = chatter[0].decode(errors="replace").strip()
        logging.info(
            "%s: its decoder says: %s (%d lines)", path, first, len(chatter)
        )


class _Mended(io.RawIOBase):
    """A file with a few bytes replaced."""

    def __init__(self, file: BinaryIO, at: int, new_bytes: bytes) -> None:
        self._file, self._at, self._bytes = file, at, new_bytes

    def readinto(self, buffer: Any) -> int:
        """Reads from the present position on."""
        start = self._file.tell()
        contents = bytearray(self._file.read(len(buffer)))
        for number, byte in enumerate(self._bytes, self._at - start):
            if 0 <= number < len(contents):
                contents[number] = byte
        buffer[: len(contents)] = contents
        return len(contents)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Returns the position."""
        return self._file.tell()

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def seekable(self) -> bool:
        """Says that it can be read from anywhere."""
        return True


def _read_streams(
    file: BinaryIO,
    read: ReadAudio,
    max_seconds: float | None,
    start_seconds: float,
) -> Iterator[np.ndarray]:
    """Reads the streams of a file, most often one.

    Later streams take the sample rate of the first. A stream that cannot be
    read ends the audio: what follows would come too early.
    """
    streams = find_streams(file, read.container)
    if not streams:
        yield from _read_stream(file, read, max_seconds, start_seconds)
        if not read.file_seconds and not isinstance(file, _Mended):
            num_bytes = file.seek(0, os.SEEK_END)
            place = find_missing_size(file, read.container, num_bytes)
            if place:
                read.begin()
                mended = cast(BinaryIO, _Mended(file, *place))
                yield from _read_streams(
                    mended, read, max_seconds, start_seconds
                )
        return
    position = 0  # in samples
    for number, stream in enumerate(streams, 1):
        content = io.BytesIO(stream.content)
        if number == 1:
            yield from _read_stream(
                content, read, max_seconds, start_seconds, stream
            )
            rate, later = read.sample_rate, read
            # Nothing says how long all of them are.
            read.claimed_seconds = None
        else:
            start, end = sample_bounds(rate, max_seconds, start_seconds)
            first = max(start, position)
            later_seconds = (first - position) / rate
            seconds = max_seconds
            if max_seconds is not None:
                # Half a sample more, as it is rounded down.
                seconds = (max(end - first, 0) + 0.5) / rate
            later = ReadAudio()
            later.container, later.chatter = read.container, read.chatter
            blocks = _read_stream(
                content, later, seconds, later_seconds, stream
            )
            num_samples = 0  # at the rate of the first
            try:
                for block in resample_blocks(blocks, later, rate):
                    num_samples += len(block)
                    yield block
            except NotDecodableError as error:
                problem = f"stream {number} of {len(streams)}: {error}"
                read.truncation = problem
                return
            read.append(later, num_samples)
        position += round(later.file_seconds * rate)
        read.file_seconds = position / rate
        read.truncation = later.truncation or stream.truncation
        if read.truncation:
            return


def _read_stream(
    file: BinaryIO,
    read: ReadAudio,
    max_seconds: float | None,
    start_seconds: float,
    stream: Stream | None = None,
) -> Iterator[np.ndarray]:
    """Reads with libsndfile if that can, otherwise with PyAV.

    `stream` is what `file` holds if it is not all of a file.
    """
    failure = f"libsndfile does not read {read.container}"
    if read.container in (*SOUNDFILE_FORMATS, "unknown"):
        try:
            yield from read_with_soundfile(
                file, read, max_seconds, start_seconds, stream
            )
            return
        except NotDecodableError as error:
            if read.container == "unknown":
                # libsndfile's own words are about the last format it tried.
                raise NotDecodableError(
                    "its content begins like no format of audio"
                ) from error
            failure = str(error)
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise PyavMissingError(
            f"{failure}. PyAV reads more: pip install 'audioset_strong[av]'"
        ) from error
    read.begin()
    yield from read_with_pyav(file, read, max_seconds, start_seconds)


def read_with_soundfile(
    file: BinaryIO,
    read: ReadAudio,
    max_seconds: float | None,
    start_seconds: float = 0.0,
    stream: Stream | None = None,
) -> Iterator[np.ndarray]:
    """Reads the samples of a file, block by block.

    Args:
      file: The whole file. One on disk is read by its number, which is faster
        than through Python and ignores the extension.
      read: Knows its format (`sniff_format`), and learns all else.
      max_seconds: Audio after this is not kept, and not read where the header
        says how long the file is; None for all of it.
      start_seconds: Audio before this is not kept (`decode_audio`).
      stream: What the file holds if it was taken out of another one.

    Yields:
      float32 `[num_samples]`, mono.

    Raises:
      NotDecodableError: libsndfile does not read the file.
      BadSamplesError: What it reads is not sound.
    """
    mp3_samples = None
    if read.container == "mp3":
        mp3_samples = (
            stream.num_samples if stream else claimed_mp3_samples(file)
        )
        file.seek(0)
        if file.read(3) != b"ID3":
            # Without a tag libsndfile knows MP3 by the extension only.
            file.seek(0)
            file = io.BytesIO(_ID3_TAG + file.read())
    read_file = functools.partial(
        _read_sound, file, read, mp3_samples, max_seconds, start_seconds
    )
    try:
        try:
            yield from read_file(until_error=False)
        except soundfile.SoundFileError:
            # And again, keeping what comes before the error.
            read.begin()
            yield from read_file(until_error=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        message = getattr(error, "error_string", str(error)).rstrip(".")
        raise NotDecodableError(f"libsndfile: {message}") from error


def _read_sound(
    file: BinaryIO,
    read: ReadAudio,
    mp3_samples: int | None,
    max_seconds: float | None,
    start_seconds: float,
    until_error: bool,
) -> Iterator[np.ndarray]:
    """Reads to the end of the part, or to an error if that may be."""
    container = read.container
    # Around each call: what others write in between is not of the decoder.
    catch: Callable[[], contextlib.AbstractContextManager[None]]
    catch = contextlib.nullcontext
    if container == "mp3":
        catch = functools.partial(_catch_chatter, read.chatter)
    file.seek(0)
    on_disk = isinstance(file, io.FileIO)
    with catch():
        sound = soundfile.SoundFile(
            file.fileno() if on_disk else file, closefd=False
        )
    with sound:
        rate, num_channels = sound.samplerate, sound.channels
        check_sample_rate(rate)
        read.sample_rate, read.num_channels = rate, num_channels
        num_claimed: int | None = sound.frames
        if mp3_samples is not None:
            # Of some files that are cut libsndfile reports what is left.
            num_claimed = max(mp3_samples, sound.frames)
        elif container == "mp3" or sound.frames >= _UNKNOWN_LENGTH:
            num_claimed = None
        if num_claimed is not None:
            read.claimed_seconds = num_claimed / rate
        start, end = sample_bounds(rate, max_seconds, start_seconds)
        # Without a claim the samples are counted to the end.
        num_expected = (
            math.inf if num_claimed is None else min(num_claimed, end)
        )
        largest = max(1, BLOCK_VALUES // num_channels)
        num_read = 0  # or passed over
        if start and num_claimed and _is_seekable(sound, container):
            num_read = min(start, num_claimed)
            sound.seek(num_read)
        while num_read < num_expected:
            size = num_expected - num_read
            if num_claimed is None:
                size = _STEP_SAMPLES
            shape = int(min(size, largest)), num_channels
            block = np.empty(shape, np.float32)
            if until_error:
                # libsndfile does not say how many samples it gave before an
                # error; NaN shows where it stopped.
                block.fill(np.nan)
                with catch(), contextlib.suppress(soundfile.SoundFileError):
                    sound.read(out=block)
                is_empty = np.isnan(block[:, -1])  # [size]
                num_new = (
                    int(is_empty.argmax()) if is_empty.any() else len(block)
                )
            else:
                with catch():
                    num_new = len(sound.read(out=block))
            kept = slice(
                max(start - num_read, 0),
                int(min(num_new, max(end - num_read, 0))),
            )
            yield read.add(block[kept])  # [num_kept]
            num_read += num_new
            if num_new < len(block):
                break
    found = num_read / rate
    read.file_seconds, read.truncation = found, ""
    if num_claimed is None:
        return
    read.file_seconds = num_claimed / rate
    tolerance_seconds = _MP3_TOLERANCE_SECONDS if container == "mp3" else 0.0
    if num_expected - num_read > tolerance_seconds * rate:
        read.truncation = missing_seconds(read.file_seconds, found)


def _is_seekable(sound: soundfile.SoundFile, container: str) -> bool:
    """Whether a seek leads to the same samples as reading up to them."""
    # MP3, Vorbis and Opus are decoded with what was before, and so are the
    # compressed kinds of WAV.
    return container == "flac" or (
        container in SOUNDFILE_FORMATS and sound.subtype in _SEEKABLE_SUBTYPES
    )

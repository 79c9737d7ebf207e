"""Decodes audio files of any format, rate and state to 16 kHz mono.

    file -> blocks [num_samples, num_channels] -> mono [num_samples]
    -> resampled [num_samples * sample_rate / file_sample_rate]

libsndfile (the soundfile package) decodes what it can and PyAV, an optional
extra, the rest: M4A, WebM, AAC, ... soxr resamples; it low-passes first, so
nothing aliases.

Clips come from the web, so damaged files are normal input: `decode_audio`
returns what comes before the damage and says what is missing, or raises
`AudioError`. Headers are not trusted: memory grows with what is decoded and not
with what a header claims, and FFmpeg is told the format that the content has,
so that a playlist that is named like audio cannot lead it to other files.
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
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, NamedTuple, cast

import numpy as np
import soundfile
import soxr
from absl import logging

from audioset_strong import files
from audioset_strong.audio import containers
from audioset_strong.audio.formats import (
    EXTENSIONS_OF_FORMAT,
    SOUNDFILE_FORMATS,
    Stream,
    claimed_mp3_samples,
    find_missing_size,
    find_streams,
    find_truncation,
    sniff_open_file,
)

# A sample counts as clipped from here, in runs of at least three: converters
# that clip often stop a step or two below full scale.
_FULL_SCALE = 0.999
_MIN_RUN = 3

# 120 dB over full scale: no sound, and the mean of several may overflow.
_MAX_SAMPLE = 1e6

# Rates outside of these come from damaged headers only, and resampling from
# them would take any amount of memory.
_MIN_SAMPLE_RATE = 1000
_MAX_SAMPLE_RATE = 1_000_000

# Samples of all channels that are read at a time: 16 MB. That holds ten seconds
# of 5.1 at 48 kHz, so that clips are one block; FLAC seeks before each.
_BLOCK_VALUES = 1 << 22

# libsndfile reports this length or more where a FLAC header leaves it open, as
# encoders do that write to a pipe.
_UNKNOWN_LENGTH = 1 << 62

# Samples read at a time where the length is not known.
_STEP_SAMPLES = 1 << 16

# Encoders and decoders of MP3 do not agree on the padding at the ends.
_MP3_TOLERANCE_SECONDS = 0.05

# The same for FFmpeg's formats: several frames of AAC at a low rate.
_PYAV_TOLERANCE_SECONDS = 0.25

# Audio that starts later than this in its file is placed so; less is common,
# and the decoders' own. More than the last is a wrong time stamp.
_MIN_DELAY_SECONDS = 0.1
_MAX_DELAY_SECONDS = 600.0

# Formats whose times begin at zero even where audio is all they hold.
_FROM_ZERO = ("mp4", "webm", "matroska")

# Formats without a duration in the header; FFmpeg would guess it from the bit
# rate.
_WITHOUT_SECONDS = ("mp3", "aac", "ac3", "amr", "mpegts")

# Formats without times; FFmpeg would count them from the bit rate.
_WITHOUT_TIMES = ("mp3", "aac", "ac3", "amr", "wav", "flac", "aiff", "au")

# PyAV reads past the end of FFmpeg's list of planes, one per channel, and
# crashes if there are eight or more.
_MAX_PLANES = 7

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


class NotDecodableError(Exception):
    """A decoder cannot read a file; another one may."""


class PyavMissingError(NotDecodableError):
    """libsndfile cannot read a file, and PyAV is not installed."""


class BadSamplesError(Exception):
    """A file can be decoded, but to something that is not sound."""


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
    try:
        container = sniff_open_file(file)
        try:
            with _log_chatter(path, container):
                read = _read_samples(
                    file, container, max_seconds, start_seconds
                )
        except NotDecodableError:
            _read_through(file)
            raise
        start, end = _bounds(read.sample_rate, max_seconds, start_seconds)
        truncation = ""
        if read.mixer.num_samples < end - start:
            num_bytes = file.seek(0, os.SEEK_END)
            truncation = find_truncation(file, container, num_bytes)
            truncation = truncation or read.truncation
        if truncation:
            _read_through(file)
    except (NotDecodableError, BadSamplesError) as error:
        raise AudioError(
            "unreadable",
            f"{path}: {error}",
            is_of_machine=isinstance(error, PyavMissingError),
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not read.mixer.num_samples:
        if start_seconds > 0 and read.file_seconds > 0:
            reason = "truncated" if truncation else "too_short"
            raise AudioError(
                reason,
                f"{path}: the clip begins at {start_seconds:,.3f} s, "
                + (truncation or f"the file has {read.file_seconds:,.3f} s"),
            )
        if truncation:
            raise AudioError("unreadable", f"{path}: {truncation}")
        raise AudioError("empty_file", f"{path} holds no samples")
    waveform = read.mixer.waveform()  # [num_file_samples]
    if read.sample_rate != sample_rate:
        # [num_file_samples * sample_rate / file_sample_rate]
        waveform = soxr.resample(waveform, read.sample_rate, sample_rate)
    return DecodedAudio(
        waveform=np.ascontiguousarray(waveform, dtype=np.float32),
        file_sample_rate=read.sample_rate,
        num_channels=read.num_channels,
        file_seconds=read.file_seconds,
        container=container,
        clipped_fraction=read.mixer.clipped_fraction,
        file_peak=read.mixer.file_peak,
        truncation=truncation,
    )


def _bounds(
    sample_rate: int, max_seconds: float | None, start_seconds: float
) -> tuple[int, float]:
    """Returns the first sample of a part and the end of it, maybe infinite."""
    start = round(start_seconds * sample_rate)
    if max_seconds is None:
        return start, math.inf
    return start, start + int(max_seconds * sample_rate)


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
def _log_chatter(path: str, container: str) -> Iterator[None]:
    """Logs what libsndfile's decoder of MP3 writes to stderr, with the path.

    It cannot be told to be silent, and writes to the file of number 2; FFmpeg
    is silent in PyAV unless it is told otherwise.
    """
    if container != "mp3":
        yield
        return
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
                chatter = []
                for line in caught.read().splitlines(keepends=True):
                    if _CHATTER.match(line):
                        chatter.append(line)
                    else:
                        # Another thread wrote at the same time.
                        os.write(2, line)
                if chatter:
                    first = chatter[0].decode(errors="replace").strip()
                    logging.info(
                        "%s: its decoder says: %s (%d lines)",
                        *(path, first, len(chatter)),
                    )


class Mixer:
    """Collects the blocks of a file, in their order, as mono.

    This is the only place that looks at each sample of a file: every step is
    one or two passes over contiguous memory.

    Attributes:
      num_samples: Samples per channel so far.
      file_peak: Largest sample of any channel so far, of either sign.
    """

    def __init__(self) -> None:
        self.num_samples = 0
        self.file_peak = 0.0
        self._blocks: list[np.ndarray] = []
        self._num_values = 0
        self._num_clipped = 0

    def add(self, samples: np.ndarray) -> None:
        """Mixes the next block; a clipped run is counted within a block.

        Args:
          samples: float32 `[num_samples, num_channels]`, in [-1, 1]; not to be
            changed afterwards.

        Raises:
          BadSamplesError: A sample is not a number, or absurdly large.
        """
        if not len(samples):
            return
        # The minimum and maximum of what holds a NaN are NaN, which fails both
        # comparisons.
        low, high = float(samples.min()), float(samples.max())
        if not (low >= -_MAX_SAMPLE and high <= _MAX_SAMPLE):
            raise BadSamplesError("it holds NaN, infinite or absurd samples")
        peak = max(-low, high)
        if peak >= _FULL_SCALE:
            self._num_clipped += _count_clipped(samples)
        self.file_peak = max(self.file_peak, peak)
        self._blocks.append(_mix_to_mono(samples))  # [num_samples]
        self.num_samples += len(samples)
        self._num_values += samples.size

    def append(self, other: "Mixer", waveform: np.ndarray) -> None:
        """Takes what another one counted, with its waveform or instead of it.

        Args:
          other: Not to be used afterwards.
          waveform: float32 `[num_samples]`.
        """
        self._blocks.append(waveform)
        self.num_samples += len(waveform)
        self.file_peak = max(self.file_peak, other.file_peak)
        self._num_values += other._num_values
        self._num_clipped += other._num_clipped

    @property
    def clipped_fraction(self) -> float:
        """Share of the samples of all channels that are clipped."""
        return self._num_clipped / max(self._num_values, 1)

    def waveform(self) -> np.ndarray:
        """Returns all blocks: float32 `[num_samples]`, mono."""
        if len(self._blocks) == 1:
            return self._blocks[0]
        return np.concatenate([np.zeros(0, np.float32), *self._blocks])


def _mix_to_mono(samples: np.ndarray) -> np.ndarray:
    """Averages the channels of float32 `[num_samples, num_channels]`."""
    num_channels = samples.shape[1]
    if num_channels == 1:
        return samples[:, 0]
    # The same bits as `samples.mean(axis=1)`, which takes 20 times as long for
    # two channels: its inner loop is over the channels.
    mono: np.ndarray = samples[:, 0] + samples[:, 1]  # [num_samples]
    for channel in range(2, num_channels):
        mono += samples[:, channel]
    mono /= np.float32(num_channels)
    return mono


def _count_clipped(samples: np.ndarray) -> int:
    """Counts the samples at full scale that stand in runs within a channel."""
    is_full = np.abs(samples) >= _FULL_SCALE  # [num_samples, num_channels]
    num_starts = len(samples) - _MIN_RUN + 1
    if num_starts <= 0:
        return 0
    begins_run = is_full[:num_starts].copy()  # [num_starts, num_channels]
    for later in range(1, _MIN_RUN):
        begins_run &= is_full[later : later + num_starts]
    is_clipped = np.zeros_like(is_full)  # [num_samples, num_channels]
    for later in range(_MIN_RUN):
        is_clipped[later : later + num_starts] |= begins_run
    return int(np.count_nonzero(is_clipped))


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


class ReadAudio(NamedTuple):
    """What a decoder read.

    Attributes:
      mixer: Holds the samples.
      sample_rate: Of the file, in Hz.
      num_channels: Of the file.
      file_seconds: Duration by the header, or what was decoded if the header
        does not say.
      truncation: The promise of the header that was not kept, or "".
    """

    mixer: Mixer
    sample_rate: int
    num_channels: int
    file_seconds: float
    truncation: str = ""


def _read_samples(
    file: BinaryIO,
    container: str,
    max_seconds: float | None,
    start_seconds: float,
) -> ReadAudio:
    """Reads the streams of a file, most often one.

    Later streams take the sample rate of the first. A stream that cannot be
    read ends the audio: what follows would come too early.
    """
    streams = find_streams(file, container)
    if not streams:
        read = _read_stream(file, container, max_seconds, start_seconds)
        if not read.file_seconds and not isinstance(file, _Mended):
            num_bytes = file.seek(0, os.SEEK_END)
            place = find_missing_size(file, container, num_bytes)
            if place:
                mended = cast(BinaryIO, _Mended(file, *place))
                return _read_samples(
                    mended, container, max_seconds, start_seconds
                )
        return read
    whole, position = None, 0  # in samples
    for number, stream in enumerate(streams, 1):
        seconds, later_seconds = max_seconds, start_seconds
        if whole:
            rate = whole.sample_rate
            start, end = _bounds(rate, max_seconds, start_seconds)
            first = max(start, position)
            later_seconds = (first - position) / rate
            if max_seconds is not None:
                # Half a sample more, as it is rounded down.
                seconds = (max(end - first, 0) + 0.5) / rate
        try:
            read = _read_stream(
                io.BytesIO(stream.content),
                container,
                seconds,
                later_seconds,
                stream,
            )
        except NotDecodableError as error:
            if whole is None:
                raise
            problem = f"stream {number} of {len(streams)}: {error}"
            return whole._replace(truncation=problem)
        if whole is None:
            whole = read
        else:
            waveform = read.mixer.waveform()  # [num_stream_samples]
            if read.sample_rate != rate and len(waveform):
                # [num_stream_samples * rate / read.sample_rate]
                waveform = soxr.resample(waveform, read.sample_rate, rate)
            whole.mixer.append(read.mixer, waveform)
        position += round(read.file_seconds * whole.sample_rate)
        whole = whole._replace(
            num_channels=max(whole.num_channels, read.num_channels),
            file_seconds=position / whole.sample_rate,
            truncation=read.truncation or stream.truncation,
        )
        if whole.truncation:
            break
    assert whole
    return whole


def _read_stream(
    file: BinaryIO,
    container: str,
    max_seconds: float | None,
    start_seconds: float,
    stream: Stream | None = None,
) -> ReadAudio:
    """Reads with libsndfile if that can, otherwise with PyAV.

    `stream` is what `file` holds if it is not all of a file.
    """
    failure = f"libsndfile does not read {container}"
    if container in (*SOUNDFILE_FORMATS, "unknown"):
        try:
            return read_with_soundfile(
                file, container, max_seconds, start_seconds, stream
            )
        except NotDecodableError as error:
            if container == "unknown":
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
    return read_with_pyav(file, container, max_seconds, start_seconds)


def _check_sample_rate(sample_rate: int) -> None:
    """Raises `BadSamplesError` for rates that only damaged headers have."""
    if not _MIN_SAMPLE_RATE <= sample_rate <= _MAX_SAMPLE_RATE:
        raise BadSamplesError(
            f"its sample rate is {sample_rate:,} Hz, expected "
            f"{_MIN_SAMPLE_RATE:,} to {_MAX_SAMPLE_RATE:,} Hz"
        )


def _missing_seconds(claimed: float, found: float) -> str:
    """Says that decoding ended too soon."""
    return (
        f"its header promises {claimed:,.3f} s, decoding ends after "
        f"{found:.3f} s"
    )


def read_with_soundfile(
    file: BinaryIO,
    container: str,
    max_seconds: float | None,
    start_seconds: float = 0.0,
    stream: Stream | None = None,
) -> ReadAudio:
    """Reads the samples of a file, block by block.

    Args:
      file: The whole file. One on disk is read by its number, which is faster
        than through Python and ignores the extension.
      container: The format that `sniff_format` found.
      max_seconds: Audio after this is not kept, and not read where the header
        says how long the file is; None for all of it.
      start_seconds: Audio before this is not kept (`decode_audio`).
      stream: What the file holds if it was taken out of another one.

    Raises:
      NotDecodableError: libsndfile does not read the file.
      BadSamplesError: What it reads is not sound.
    """
    mp3_samples = None
    if container == "mp3":
        mp3_samples = (
            stream.num_samples if stream else claimed_mp3_samples(file)
        )
        file.seek(0)
        if file.read(3) != b"ID3":
            # Without a tag libsndfile knows MP3 by the extension only.
            file.seek(0)
            file = io.BytesIO(_ID3_TAG + file.read())
    read_file = functools.partial(
        _read_blocks, file, container, mp3_samples, max_seconds, start_seconds
    )
    try:
        try:
            return read_file(until_error=False)
        except soundfile.SoundFileError:
            # And again, keeping what comes before the error.
            return read_file(until_error=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        message = getattr(error, "error_string", str(error)).rstrip(".")
        raise NotDecodableError(f"libsndfile: {message}") from error


def _read_blocks(
    file: BinaryIO,
    container: str,
    mp3_samples: int | None,
    max_seconds: float | None,
    start_seconds: float,
    until_error: bool,
) -> ReadAudio:
    """Reads to the end of the part, or to an error if that may be."""
    file.seek(0)
    on_disk = isinstance(file, io.FileIO)
    with soundfile.SoundFile(
        file.fileno() if on_disk else file, closefd=False
    ) as sound:
        rate, num_channels, mixer = sound.samplerate, sound.channels, Mixer()
        _check_sample_rate(rate)
        num_claimed: int | None = sound.frames
        if mp3_samples is not None:
            # Of some files that are cut libsndfile reports what is left.
            num_claimed = max(mp3_samples, sound.frames)
        elif container == "mp3" or sound.frames >= _UNKNOWN_LENGTH:
            num_claimed = None
        start, end = _bounds(rate, max_seconds, start_seconds)
        # Without a claim the samples are counted to the end.
        num_expected = (
            math.inf if num_claimed is None else min(num_claimed, end)
        )
        largest = max(1, _BLOCK_VALUES // num_channels)
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
                with contextlib.suppress(soundfile.SoundFileError):
                    sound.read(out=block)
                is_empty = np.isnan(block[:, -1])  # [size]
                num_new = (
                    int(is_empty.argmax()) if is_empty.any() else len(block)
                )
            else:
                num_new = len(sound.read(out=block))
            kept = slice(
                max(start - num_read, 0),
                int(min(num_new, max(end - num_read, 0))),
            )
            mixer.add(block[kept])  # [num_kept, num_channels]
            num_read += num_new
            if num_new < len(block):
                break
    found = num_read / rate
    if num_claimed is None:
        return ReadAudio(mixer, rate, num_channels, found)
    claimed, truncation = num_claimed / rate, ""
    tolerance_seconds = _MP3_TOLERANCE_SECONDS if container == "mp3" else 0.0
    if num_expected - num_read > tolerance_seconds * rate:
        truncation = _missing_seconds(claimed, found)
    return ReadAudio(mixer, rate, num_channels, claimed, truncation)


def _is_seekable(sound: soundfile.SoundFile, container: str) -> bool:
    """Whether a seek leads to the same samples as reading up to them."""
    # MP3, Vorbis and Opus are decoded with what was before, and so are the
    # compressed kinds of WAV.
    return container == "flac" or (
        container in SOUNDFILE_FORMATS and sound.subtype in _SEEKABLE_SUBTYPES
    )


def read_with_pyav(
    file: BinaryIO,
    container: str,
    max_seconds: float | None,
    start_seconds: float = 0.0,
) -> ReadAudio:
    """Reads the samples of a file's first audio stream.

    Args:
      file: The whole file.
      container: The format that `sniff_format` found.
      max_seconds: Audio after this is not decoded; None for all of it.
      start_seconds: Audio before this is not kept (`decode_audio`).

    Raises:
      NotDecodableError: FFmpeg does not read the file, or it has no audio.
      BadSamplesError: What it reads is not sound.
    """
    import av

    if container not in EXTENSIONS_OF_FORMAT:
        raise NotDecodableError("PyAV: not a format of audio")
    # FFmpeg's names are ours, but for two.
    demuxer = {"webm": "matroska", "nist": "nistsphere"}.get(container)
    file.seek(0)
    try:
        with av.open(
            file, format=demuxer or container, metadata_errors="ignore"
        ) as opened:
            if not opened.streams.audio:
                raise NotDecodableError("PyAV: it has no audio stream")
            reader = _PyavReader(opened, container, max_seconds, start_seconds)
            reader.read_packets()
            return reader.result()
    except _pyav_errors() as error:
        message = getattr(error, "strerror", None) or str(error)
        raise NotDecodableError(f"PyAV: {message}") from error


def _pyav_errors() -> tuple[type[Exception], ...]:
    """What PyAV raises for damaged files, its own slips included."""
    import av

    return av.FFmpegError, OSError, ValueError, LookupError, TypeError


class _PyavReader:
    """Reads the first audio stream of a file that PyAV opened."""

    def __init__(
        self,
        opened: Any,
        container: str,
        max_seconds: float | None,
        start_seconds: float,
    ) -> None:
        self._opened, self._stream = opened, opened.streams.audio[0]
        self._container = container
        self._max_seconds, self._start_seconds = max_seconds, start_seconds
        self._mixer = Mixer()
        # Until the first frame.
        self._rate, self._num_channels = 0, 0
        self._start, self._end = 0, math.inf
        self._num_read = 0
        self._waiting: list[np.ndarray] = []
        self._num_waiting = 0
        self._packets_seconds = 0.0
        self._first_packet_seconds: float | None = None
        self._delay_seconds = 0.0
        self._error = ""

    def read_packets(self) -> None:
        """Decodes what is wanted; later packets only tell the duration."""
        try:
            for packet in self._opened.demux(self._stream):
                self._measure(packet)
                if self._num_read < self._end and not self._error:
                    self._decode(packet)
        except _pyav_errors() as error:
            self._error = self._error or str(error)
        self._mix()

    def _measure(self, packet: Any) -> None:
        """Tracks the end of the packets, by their times or durations."""
        if packet.time_base is None:
            return
        tick_seconds = float(packet.time_base)
        duration = (packet.duration or 0) * tick_seconds
        self._packets_seconds += duration
        if packet.pts is not None:
            begin = packet.pts * tick_seconds
            if self._first_packet_seconds is None:
                self._first_packet_seconds = begin
            end = begin + duration - self._first_packet_seconds
            self._packets_seconds = max(self._packets_seconds, end)

    def _decode(self, packet: Any) -> None:
        """Keeps the samples of a packet, up to an error.

        After an error nothing more is taken: it would come too early. Before
        the first sample there is nothing that it could be too early against.
        """
        try:
            for frame in packet.decode():
                layout = frame.sample_rate, frame.layout.nb_channels
                if not self._rate:
                    _check_sample_rate(frame.sample_rate)
                    self._rate, self._num_channels = layout
                    self._start, self._end = _bounds(
                        self._rate, self._max_seconds, self._start_seconds
                    )
                    self._delay_seconds = self._find_delay(frame)
                    num_silent = round(self._delay_seconds * self._rate)
                    if num_silent:
                        silence = np.zeros((layout[1], num_silent), np.float32)
                        self._keep(silence)
                if layout != (self._rate, self._num_channels):
                    raise ValueError("its rate or channels change on the way")
                # [num_channels, num_samples]
                self._keep(_frame_to_float(frame))
        except _pyav_errors() as error:
            if self._num_read:
                self._error = str(error)

    def _find_delay(self, first: Any) -> float:
        """Returns how late the audio starts in the file, by its first frame.

        FFmpeg takes what encoders put before the sound into account.
        """
        opened, stream = self._opened, self._stream
        if self._container in _WITHOUT_TIMES or first.time is None:
            return 0.0
        is_alone = len(opened.streams) == 1
        is_from_zero = is_alone and self._container in _FROM_ZERO
        origin = 0.0 if is_from_zero else (opened.start_time or 0) / 1e6
        delay = float(first.time) - origin
        if is_from_zero:
            # Times of a piece of a broadcast count from when that began.
            seconds = (opened.duration or 0) / 1e6 - delay
            if stream.duration and stream.time_base:
                seconds = float(stream.duration * stream.time_base)
            if delay >= seconds:
                return 0.0
        is_late = _MIN_DELAY_SECONDS < delay <= _MAX_DELAY_SECONDS
        return delay if is_late else 0.0

    def _keep(self, samples: np.ndarray) -> None:
        """Takes the wanted ones of float32 `[num_channels, num_samples]`."""
        num_left = self._end - self._num_read
        num_new = int(min(samples.shape[1], num_left))
        num_before = min(max(self._start - self._num_read, 0), num_new)
        self._waiting.append(samples[:, num_before:num_new])
        self._num_read += num_new
        self._num_waiting += num_new - num_before
        if self._num_waiting * self._num_channels >= _BLOCK_VALUES:
            self._mix()

    def _mix(self) -> None:
        """Passes the waiting samples to the mixer."""
        if self._waiting:
            # [num_channels, num_samples] -> [num_samples, num_channels]
            block = np.concatenate(self._waiting, axis=1).T
            self._mixer.add(np.ascontiguousarray(block))
        self._waiting, self._num_waiting = [], 0

    def result(self) -> ReadAudio:
        """Reports on the file once its packets are read."""
        has_claimed_seconds = self._container not in _WITHOUT_SECONDS
        if not self._rate:
            raise NotDecodableError(f"PyAV: nothing decodes {self._error}")
        found = self._num_read / self._rate
        # What was decoded, or was counted and not decoded.
        claimed = found
        if self._num_read >= self._end:
            claimed = max(found, self._packets_seconds + self._delay_seconds)
        stream, opened = self._stream, self._opened
        if has_claimed_seconds and stream.duration and stream.time_base:
            claimed = float(stream.duration * stream.time_base)
            claimed += self._delay_seconds
        elif (
            has_claimed_seconds and opened.duration and len(opened.streams) == 1
        ):
            claimed = float(opened.duration / 1e6)
            if self._container in ("webm", "matroska"):
                # Theirs is the time of the end; all before the delay is none.
                first_seconds = (opened.start_time or 0) / 1e6
                claimed -= max(first_seconds - self._delay_seconds, 0.0)
        expected = min(claimed, self._end / self._rate)
        truncation = ""
        if self._error:
            truncation = f"decoding ends after {found:.3f} s: {self._error}"
        elif found < expected - _PYAV_TOLERANCE_SECONDS:
            truncation = _missing_seconds(claimed, found)
        return ReadAudio(
            self._mixer, self._rate, self._num_channels, claimed, truncation
        )


def _frame_to_float(frame: Any) -> np.ndarray:
    """Returns the samples: float32 `[num_channels, num_samples]`."""
    if frame.format.is_planar and frame.layout.nb_channels > _MAX_PLANES:
        import av

        # Interleaved: all channels are in one plane.
        (frame,) = av.AudioResampler(format="flt").resample(frame)
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        # [1, num_samples * num_channels] -> [num_channels, num_samples]
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    # libsndfile's scale: the lowest integer is -1.
    if samples.dtype == np.uint8:
        return np.asarray((samples.astype(np.float32) - 128) / 128)
    if np.issubdtype(samples.dtype, np.integer):
        full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
        samples = samples / full_scale
    return np.asarray(samples, dtype=np.float32)

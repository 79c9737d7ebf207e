"""Mixes blocks of samples to mono, and sees what is wrong with them.

This is the only place where each sample of a file is looked at, so it counts:
each step here is one or two passes over contiguous memory.

Reads audio with libsndfile, block by block.

Reads audio with PyAV (FFmpeg's libraries), which is an optional extra.

For what libsndfile does not read: M4A, WebM, AAC, ... FFmpeg is told the format
that the content is of, and reads from an open file: it cannot be led to other
files or addresses by a playlist that is named like audio.

Decode and resample the audio of clips, in whatever state it is.

Conventions: a waveform is float32 `[num_samples]`, mono, in [-1, 1]. Decoding
is soundfile's (libsndfile), or PyAV's for what libsndfile does not read and
where PyAV is installed; resampling is soxr's, which low-passes (BUILD_NOTES.md
"Audio in any state").
"""

import contextlib
import importlib.util
import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import soundfile
import soxr

from audioset_strong.audio.formats import (
    HEAD_BYTES,
    SOUNDFILE_FORMATS,
    claimed_mp3_samples,
    find_truncation,
    id3_bytes,
    sniff_format,
)

# --- audio mixing ----------------------------------------------------------


# A sample counts as clipped from here, in runs of at least three: converters
# that clip often stop a step or two below full scale.
_FULL_SCALE = 0.999
_MIN_RUN = 3

# 120 dB over full scale: no sound, and the mean of several may overflow.
_MAX_SAMPLE = 1e6

_MIN_SAMPLE_RATE = 1000
_MAX_SAMPLE_RATE = 1_000_000


class NotDecodableError(Exception):
    """A decoder cannot read a file; another one may."""


class BadSamplesError(Exception):
    """What a file holds was read, and is no sound."""


def check_sample_rate(sample_rate: int) -> None:
    """Refuses rates that no sound has, which only damaged headers name.

    Resampling from them would take any amount of memory.

    Raises:
      BadSamplesError: The rate is not between 1 kHz and 1 MHz.
    """
    if not _MIN_SAMPLE_RATE <= sample_rate <= _MAX_SAMPLE_RATE:
        raise BadSamplesError(
            f"its sample rate is {sample_rate:,} Hz, expected "
            f"{_MIN_SAMPLE_RATE:,} to {_MAX_SAMPLE_RATE:,} Hz"
        )


def mix_to_mono(samples: np.ndarray) -> np.ndarray:
    """Averages the channels.

    Channels are added one after the other: NumPy's mean over the last of two
    axes takes 20 times as long for two channels, and gives the same bits.

    Args:
      samples: float32 `[num_samples, num_channels]`.

    Returns:
      float32 `[num_samples]`; a view of `samples` if there is one channel.
    """
    num_channels = samples.shape[1]
    if num_channels == 1:
        return samples[:, 0]
    mono = samples[:, 0] + samples[:, 1]
    for channel in range(2, num_channels):
        mono += samples[:, channel]
    mono /= np.float32(num_channels)
    return mono


def count_clipped(samples: np.ndarray) -> int:
    """Counts the samples at full scale that stand in runs within a channel.

    Args:
      samples: float32 `[num_samples, num_channels]`.

    Returns:
      Samples at 0.999 or more, of either sign, in runs of at least three.
    """
    is_full = np.abs(samples) >= _FULL_SCALE
    starts = len(samples) - _MIN_RUN + 1
    if starts <= 0:
        return 0
    begins_run = is_full[:starts].copy()
    for later in range(1, _MIN_RUN):
        begins_run &= is_full[later : later + starts]
    is_clipped = np.zeros_like(is_full)
    for later in range(_MIN_RUN):
        is_clipped[later : later + starts] |= begins_run
    return int(np.count_nonzero(is_clipped))


class Mixer:
    """Takes the blocks of a file, one after the other.

    Attributes:
      num_samples: Samples of a channel so far.
      file_peak: Largest sample of any channel so far, of either sign.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets all blocks."""
        self.num_samples = 0
        self.file_peak = 0.0
        self._blocks: list[np.ndarray] = []
        self._num_values = 0
        self._num_clipped = 0

    def add(self, samples: np.ndarray) -> None:
        """Mixes the next block; a run that goes on in it counts as two.

        Args:
          samples: float32 `[num_samples, num_channels]`, in [-1, 1]; not to be
            changed afterwards.

        Raises:
          BadSamplesError: A sample is not a number, or absurdly large.
        """
        if not len(samples):
            return
        # NumPy's minimum and maximum of what holds a NaN are NaN.
        low, high = float(samples.min()), float(samples.max())
        if not (low >= -_MAX_SAMPLE and high <= _MAX_SAMPLE):
            raise BadSamplesError("it holds NaN, infinite or absurd samples")
        peak = max(-low, high)
        if peak >= _FULL_SCALE:
            self._num_clipped += count_clipped(samples)
        self.file_peak = max(self.file_peak, peak)
        self._blocks.append(mix_to_mono(samples))
        self.num_samples += len(samples)
        self._num_values += samples.size

    @property
    def clipped_fraction(self) -> float:
        """Share of the samples of all channels that are clipped."""
        return self._num_clipped / max(self._num_values, 1)

    def waveform(self) -> np.ndarray:
        """Returns all blocks: float32 `[num_samples]`, mono."""
        if len(self._blocks) == 1:
            return self._blocks[0]
        return np.concatenate([np.zeros(0, np.float32), *self._blocks])


# --- soundfile audio -------------------------------------------------------


# Samples of all channels that are read at a time: 16 MB, more than ten seconds
# at 48 kHz in 5.1. Whatever a header claims, no more memory is taken.
_BLOCK_VALUES = 1 << 22

# libsndfile says this where a FLAC header leaves the length open, as that of a
# stream that was piped does.
_UNKNOWN = 1 << 62

# Samples read on a time where the length is not known.
_STEP_SAMPLES = 1 << 16

# Encoders and decoders of MP3 do not agree on the padding at the ends.
_MP3_TOLERANCE_SECONDS = 0.05

# An ID3v2.4 tag that holds ten bytes of padding.
_ID3_TAG = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)

# Fills a block, and returns how many of its samples there were.
_ReadBlock = Callable[[soundfile.SoundFile, np.ndarray], int]


class ReadAudio(NamedTuple):
    """What a decoder found; the samples are in the mixer.

    Attributes:
      sample_rate: Of the file, in Hz.
      num_channels: Of the file.
      file_seconds: Duration that the header claims, or what was found where it
        claims nothing.
      truncation: What the header promised and did not come, for people; "" if
        all came.
    """

    sample_rate: int
    num_channels: int
    file_seconds: float
    truncation: str


def read_with_soundfile(
    file: BinaryIO, container: str, max_seconds: float | None, mixer: Mixer
) -> ReadAudio:
    """Reads the samples of a file into a mixer.

    Args:
      file: The whole file. One that has a number is read by that, which is
        faster than through Python, and does not believe the extension.
      container: What `sniff_format` gives.
      max_seconds: Audio after this is not kept, and not read where the header
        says how long the file is; None for all of it.
      mixer: Takes the samples.

    Raises:
      NotDecodableError: libsndfile does not read the file.
      BadSamplesError: What it reads is no sound.
    """
    is_mp3 = container == "mp3"
    # Before libsndfile opens the file: both move one position in it.
    mp3_samples = claimed_mp3_samples(file) if is_mp3 else None
    if is_mp3:
        file = _with_id3_tag(file)

    def read_file(read: _ReadBlock) -> ReadAudio:
        with _open(file) as sound:
            claimed: int | None = sound.frames
            if is_mp3 and mp3_samples is None or sound.frames >= _UNKNOWN:
                claimed = None
            elif mp3_samples is not None:
                # Of some files that are cut libsndfile gives what is left.
                claimed = max(mp3_samples, sound.frames)
            reading = _Reading(sound, claimed, max_seconds, mixer)
            reading.read_blocks(read)
        return reading.result(_MP3_TOLERANCE_SECONDS if is_mp3 else 0.0)

    try:
        try:
            return read_file(_read_whole)
        except soundfile.SoundFileError:
            mixer.clear()  # and again, keeping what comes before the error
            return read_file(_read_until_error)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        message = getattr(error, "error_string", str(error)).rstrip(".")
        raise NotDecodableError(f"libsndfile: {message}") from error


def _open(file: BinaryIO) -> soundfile.SoundFile:
    """Opens a file from its start."""
    file.seek(0)
    try:
        return soundfile.SoundFile(file.fileno(), closefd=False)
    except io.UnsupportedOperation:  # it lies in memory
        return soundfile.SoundFile(file)


def _with_id3_tag(file: BinaryIO) -> BinaryIO:
    """Puts a tag before MP3 that has none, in memory.

    libsndfile knows MP3 without a tag only if it is given the file's name.
    """
    file.seek(0)
    if file.read(3) == b"ID3":
        return file
    file.seek(0)
    return io.BytesIO(_ID3_TAG + file.read())


class _Reading:
    """Reads an open file once."""

    def __init__(
        self,
        sound: soundfile.SoundFile,
        num_claimed: int | None,
        max_seconds: float | None,
        mixer: Mixer,
    ) -> None:
        check_sample_rate(sound.samplerate)
        self._sound, self._mixer = sound, mixer
        self._rate, self._num_channels = sound.samplerate, sound.channels
        self._num_claimed = num_claimed
        self._limit: int | None = None
        if max_seconds is not None:
            self._limit = int(max_seconds * self._rate)
        self._num_read = 0

    @property
    def _num_expected(self) -> int | None:
        """Samples to read; None for all that there are."""
        if self._num_claimed is None or self._limit is None:
            return self._num_claimed
        return min(self._num_claimed, self._limit)

    def read_blocks(self, read: _ReadBlock) -> None:
        """Reads blocks until the file ends, or has given what is wanted."""
        largest = max(1, _BLOCK_VALUES // self._num_channels)
        expected, limit = self._num_expected, self._limit
        while expected is None or self._num_read < expected:
            size = _STEP_SAMPLES
            if expected is not None:
                size = expected - self._num_read
            size = min(size, largest)
            block = np.empty((size, self._num_channels), np.float32)
            num_new = read(self._sound, block)
            num_kept = num_new
            if limit is not None:
                num_kept = min(num_new, max(limit - self._num_read, 0))
            self._mixer.add(block[:num_kept])
            self._num_read += num_new
            if num_new < size:
                return

    def result(self, tolerance_seconds: float) -> ReadAudio:
        """Says what was found."""
        found_seconds = self._num_read / self._rate
        if self._num_claimed is None:
            return ReadAudio(self._rate, self._num_channels, found_seconds, "")
        claimed_seconds = self._num_claimed / self._rate
        missing = (self._num_expected or 0) - self._num_read
        truncation = ""
        if missing > tolerance_seconds * self._rate:
            truncation = (
                f"its header promises {claimed_seconds:,.3f} s, decoding ends "
                f"after {found_seconds:.3f} s"
            )
        return ReadAudio(
            self._rate, self._num_channels, claimed_seconds, truncation
        )


def _read_whole(sound: soundfile.SoundFile, block: np.ndarray) -> int:
    """Fills a block, and returns how many of its samples there were."""
    return len(sound.read(out=block))


def _read_until_error(sound: soundfile.SoundFile, block: np.ndarray) -> int:
    """Does the same, and takes an error for the end of the file.

    libsndfile does not say how many samples it gave before an error, so they
    are told by what the block was filled with.
    """
    block.fill(np.nan)
    with contextlib.suppress(soundfile.SoundFileError):
        sound.read(out=block)
    is_empty = np.isnan(block[:, -1])
    return int(is_empty.argmax()) if is_empty.any() else len(block)


# --- pyav audio ------------------------------------------------------------


if TYPE_CHECKING:
    import av

# FFmpeg's names of the formats of `audio_formats.py`.
_DEMUXERS = {
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "mp3": "mp3",
    "aiff": "aiff",
    "au": "au",
    "caf": "caf",
    "w64": "w64",
    "mp4": "mp4",
    "webm": "matroska",
    "matroska": "matroska",
    "aac": "aac",
    "asf": "asf",
    "avi": "avi",
    "flv": "flv",
    "mpegts": "mpegts",
    "ac3": "ac3",
    "amr": "amr",
}

# Formats without a duration in the header: FFmpeg guesses that by the bit rate.
_WITHOUT_SECONDS = ("mp3", "aac", "ac3", "amr", "mpegts")

# An encoder's delay and padding, several frames of AAC at a low rate.
_TOLERANCE_SECONDS = 0.25

# PyAV looks for the end of the list of a frame's planes, one a channel. FFmpeg
# ends a list of eight or more with nothing, and PyAV reads on until it crashes.
_MAX_PLANES = 7

# Samples of all channels that are held before they are mixed.


def is_installed() -> bool:
    """Whether PyAV is there."""
    return importlib.util.find_spec("av") is not None


def read_with_pyav(
    file: BinaryIO, container: str, max_seconds: float | None, mixer: Mixer
) -> ReadAudio:
    """Reads the samples of a file's first audio stream into a mixer.

    Args:
      file: The whole file.
      container: What `sniff_format` gives.
      max_seconds: Audio after this is not decoded; None for all of it.
      mixer: Takes the samples.

    Raises:
      NotDecodableError: FFmpeg does not read the file, or it has no audio.
      BadSamplesError: What it reads is no sound.
    """
    import av

    if container not in _DEMUXERS:
        raise NotDecodableError("PyAV: not a format of audio")
    file.seek(0)
    try:
        with av.open(
            file, format=_DEMUXERS[container], metadata_errors="ignore"
        ) as opened:
            if not opened.streams.audio:
                raise NotDecodableError("PyAV: it has no audio stream")
            reading = _Reading_pyav_audio(opened, max_seconds, mixer)
            reading.read_packets()
            return reading.result(container not in _WITHOUT_SECONDS)
    except _damage() as error:
        message = getattr(error, "strerror", None) or str(error)
        raise NotDecodableError(f"PyAV: {message}") from error


class _Reading_pyav_audio:
    """Reads the first audio stream of an open file."""

    def __init__(
        self,
        opened: Any,
        max_seconds: float | None,
        mixer: Mixer,
    ) -> None:
        self._opened, self._mixer = opened, mixer
        self._stream = opened.streams.audio[0]
        self._max_seconds = max_seconds
        self._rate, self._num_channels = 0, 0
        self._num_read, self._num_waiting = 0, 0
        self._waiting: list[np.ndarray] = []
        self._packets_seconds = 0.0
        self._start_seconds: float | None = None
        self._error = ""

    @property
    def _is_done(self) -> bool:
        """Whether all that is wanted was decoded."""
        return (
            self._max_seconds is not None
            and self._rate > 0
            and self._num_read >= int(self._max_seconds * self._rate)
        )

    def read_packets(self) -> None:
        """Decodes packets; counts those after the last that is wanted."""
        try:
            for packet in self._opened.demux(self._stream):
                self._measure(packet)
                if not (self._is_done or self._error):
                    self._decode(packet)
        except _damage() as error:
            self._error = self._error or str(error)
        self._mix()

    def _measure(self, packet: Any) -> None:
        """Notes where a packet ends, by its time or the sum of durations."""
        if packet.time_base is None:
            return
        tick = float(packet.time_base)
        duration = (packet.duration or 0) * tick
        self._packets_seconds += duration
        if packet.pts is not None:
            if self._start_seconds is None:
                self._start_seconds = packet.pts * tick
            end = packet.pts * tick + duration - self._start_seconds
            self._packets_seconds = max(self._packets_seconds, end)

    def _decode(self, packet: Any) -> None:
        """Decodes a packet.

        After an error nothing more is taken: it would come too early. Before
        the first sample there is nothing to be early against.
        """
        try:
            for frame in packet.decode():
                self._take(frame)
        except _damage() as error:
            if self._num_read:
                self._error = str(error)

    def _take(self, frame: "av.AudioFrame") -> None:
        """Keeps the samples of a decoded frame."""
        num_channels = frame.layout.nb_channels
        if not self._rate:
            check_sample_rate(frame.sample_rate)
            self._rate, self._num_channels = frame.sample_rate, num_channels
        if (frame.sample_rate, num_channels) != (
            self._rate,
            self._num_channels,
        ):
            raise ValueError("its rate or channels change on the way")
        samples = _to_float(frame)
        if self._max_seconds is not None:
            limit = int(self._max_seconds * self._rate)
            samples = samples[:, : max(limit - self._num_read, 0)]
        self._waiting.append(samples)
        self._num_read += samples.shape[1]
        self._num_waiting += samples.size
        if self._num_waiting >= _BLOCK_VALUES:
            self._mix()

    def _mix(self) -> None:
        """Gives the mixer what waits for it."""
        if self._waiting:
            block = np.concatenate(self._waiting, axis=1)
            self._mixer.add(np.ascontiguousarray(block.T))
        self._waiting, self._num_waiting = [], 0

    def _claimed_seconds(self) -> float | None:
        """Returns the duration of the header; None if there is none."""
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self._opened.duration and len(self._opened.streams) == 1:
            return self._opened.duration / 1e6
        return None

    def result(self, claims_seconds: bool) -> ReadAudio:
        """Says what was found."""
        if not self._rate:
            raise NotDecodableError(f"PyAV: nothing decodes {self._error}")
        found = self._num_read / self._rate
        claimed = self._claimed_seconds() if claims_seconds else None
        if claimed is None:
            # What was decoded, or was counted and not decoded.
            claimed = max(found, self._packets_seconds if self._is_done else 0)
        expected = min(claimed, self._max_seconds or claimed)
        truncation = ""
        if self._error:
            truncation = f"decoding ends after {found:.3f} s: {self._error}"
        elif found < expected - _TOLERANCE_SECONDS:
            truncation = (
                f"its header promises {claimed:,.3f} s, decoding ends after "
                f"{found:.3f} s"
            )
        return ReadAudio(self._rate, self._num_channels, claimed, truncation)


def _damage() -> tuple[type[Exception], ...]:
    """Lists what PyAV raises for damaged files, its own slips included."""
    import av

    return av.FFmpegError, OSError, ValueError, LookupError, TypeError


def _to_float(frame: "av.AudioFrame") -> np.ndarray:
    """Returns the samples: float32 `[num_channels, num_samples]`."""
    if frame.format.is_planar and frame.layout.nb_channels > _MAX_PLANES:
        import av

        (frame,) = av.AudioResampler(format="flt").resample(frame)
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if np.issubdtype(samples.dtype, np.integer):
        full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
        return (samples / full_scale).astype(np.float32)
    return samples.astype(np.float32, copy=False)


# --- audio files -----------------------------------------------------------


class AudioError(Exception):
    """The audio of a clip cannot be used; the run goes on without the clip.

    Attributes:
      reason: One of a few words, to count by: "missing", "empty_file",
        "unreadable" here.
      detail: What was expected and what came.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        # Errors travel between processes; Exception's own way passes one text.
        return type(self), (self.reason, self.detail)


class DecodedAudio(NamedTuple):
    """A waveform and what the file was like before it was converted.

    Attributes:
      waveform: float32 `[num_samples]`, mono, in [-1, 1] (resampling may
        overshoot), at the rate that was asked for.
      file_sample_rate: Rate of the file, in Hz.
      num_channels: Channels of the file.
      file_seconds: Duration of the whole file, in seconds, by its header if
        that says.
      container: What the content is, as `sniff_format` names it.
      is_truncated: Whether the file ends before its own header says.
      clipped_fraction: Share of the samples, of all channels and at the file's
        own rate, that stand at full scale in runs.
      file_peak: Largest sample of any channel, of either sign, at the file's
        own rate.
      truncation: How it is seen that the file is truncated; "" if it is not.
    """

    waveform: np.ndarray
    file_sample_rate: int
    num_channels: int
    file_seconds: float
    container: str
    is_truncated: bool = False
    clipped_fraction: float = 0.0
    file_peak: float = 0.0
    truncation: str = ""


def decode_audio(
    path: str, sample_rate: int, max_seconds: float | None = None
) -> DecodedAudio:
    """Decodes an audio file, mixes it to mono and resamples it.

    Args:
      path: Any format that libsndfile reads, or PyAV if it is installed, by
        its content and not its name; any rate, any channels. Local, or in
        object storage (`s3://...`).
      sample_rate: Rate of the result, in Hz.
      max_seconds: Audio after this is not used; None for all of it.

    Returns:
      The waveform and what the file was like. A file whose end is missing gives
      what comes before.

    Raises:
      AudioError: The file is gone or empty, holds no samples or cannot be
        decoded, or a sample is not a finite number.
      OSError: Object storage does not answer.
    """
    mixer = Mixer()
    with _open_audio(path) as (file, num_bytes):
        try:
            container = _sniff(file)
            read = _read(file, container, max_seconds, mixer)
            truncation = find_truncation(file, container, num_bytes)
        except (NotDecodableError, BadSamplesError, OSError) as error:
            raise AudioError("unreadable", f"{path}: {error}") from error
    truncation = truncation or read.truncation
    if not mixer.num_samples:
        if truncation:
            raise AudioError("unreadable", f"{path}: {truncation}")
        raise AudioError("empty_file", f"{path} holds no samples")
    waveform = mixer.waveform()
    if read.sample_rate != sample_rate:
        waveform = soxr.resample(waveform, read.sample_rate, sample_rate)
    return DecodedAudio(
        waveform=np.ascontiguousarray(waveform, dtype=np.float32),
        file_sample_rate=read.sample_rate,
        num_channels=read.num_channels,
        file_seconds=read.file_seconds,
        container=container,
        is_truncated=bool(truncation),
        clipped_fraction=mixer.clipped_fraction,
        file_peak=mixer.file_peak,
        truncation=truncation,
    )


@contextlib.contextmanager
def _open_audio(path: str) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a file and says how many bytes it has."""
    if "://" in path:
        from audioset_strong import files

        if files.is_remote(path):
            yield _open_remote(path)
            return
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # reading a pipe may never end
            raise AudioError("unreadable", f"{path} is not a regular file")
        _check_size(path, status.st_size)
        file = open(path, "rb", buffering=0)  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError) as error:
        # Removed since it was indexed, or a dead link.
        raise AudioError("missing", f"{path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise AudioError("unreadable", f"{path}: {error}") from error
    with file:
        yield file, status.st_size


def _open_remote(path: str) -> tuple[BinaryIO, int]:
    """Reads a file from object storage: clips are small."""
    from audioset_strong import files

    try:
        content = files.read_bytes(path)
    except FileNotFoundError as error:
        raise AudioError("missing", f"{path}: {error}") from error
    _check_size(path, len(content))
    return io.BytesIO(content), len(content)


def _check_size(path: str, num_bytes: int) -> None:
    """Refuses empty files."""
    if num_bytes == 0:
        raise AudioError("empty_file", f"{path} has zero bytes")


def _sniff(file: BinaryIO) -> str:
    """Names the format of an open file; an ID3 tag may precede any."""
    head = file.read(HEAD_BYTES)
    if tag_bytes := id3_bytes(head):
        file.seek(tag_bytes)
        inner = sniff_format(file.read(HEAD_BYTES))
        # Encoders pad tags; what follows the padding is MP3.
        return "mp3" if inner == "unknown" else inner
    return sniff_format(head)


def _read(
    file: BinaryIO, container: str, max_seconds: float | None, mixer: Mixer
) -> ReadAudio:
    """Reads with libsndfile if that can, otherwise with PyAV."""
    if container in (*SOUNDFILE_FORMATS, "unknown"):
        try:
            return read_with_soundfile(file, container, max_seconds, mixer)
        except NotDecodableError as error:
            if container == "unknown":
                # libsndfile's own words are about the last format it tried.
                raise NotDecodableError(
                    "its content begins like no format of audio"
                ) from error
            failure = str(error)
    else:
        failure = f"libsndfile does not read {container}"
    if not is_installed():
        raise NotDecodableError(
            f"{failure}. PyAV reads more: pip install 'audioset_strong[av]'"
        )
    mixer.clear()
    return read_with_pyav(file, container, max_seconds, mixer)

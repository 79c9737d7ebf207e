"""Reads audio with libsndfile, block by block."""

import contextlib
import io
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile

from audioset_strong.features.audio_ends import claimed_mp3_samples
from audioset_strong.features.audio_mixing import (
    Mixer,
    NotDecodableError,
    check_sample_rate,
)

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

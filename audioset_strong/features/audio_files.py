"""Decode and resample the audio of clips, in whatever state it is.

Conventions: a waveform is float32 `[num_samples]`, mono, in [-1, 1]. Decoding
is soundfile's (libsndfile), or PyAV's for what libsndfile does not read and
where PyAV is installed; resampling is soxr's, which low-passes (BUILD_NOTES.md
"Audio in any state").
"""

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import soxr

from audioset_strong.features import pyav_audio
from audioset_strong.features.audio_ends import find_truncation
from audioset_strong.features.audio_formats import (
    HEAD_BYTES,
    SOUNDFILE_FORMATS,
    id3_bytes,
    sniff_format,
)
from audioset_strong.features.audio_mixing import (
    BadSamplesError,
    Mixer,
    NotDecodableError,
)
from audioset_strong.features.soundfile_audio import (
    ReadAudio,
    read_with_soundfile,
)


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
        from audioset_strong import storage

        if storage.is_remote(path):
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
    from audioset_strong import storage

    try:
        content = storage.read_bytes(path)
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
    if not pyav_audio.is_installed():
        raise NotDecodableError(
            f"{failure}. PyAV reads more: pip install 'audioset_strong[av]'"
        )
    mixer.clear()
    return pyav_audio.read_with_pyav(file, container, max_seconds, mixer)

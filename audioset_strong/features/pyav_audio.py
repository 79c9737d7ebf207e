"""Reads audio with PyAV (FFmpeg's libraries), which is an optional extra.

For what libsndfile does not read: M4A, WebM, AAC, ... FFmpeg is told the format
that the content is of, and reads from an open file: it cannot be led to other
files or addresses by a playlist that is named like audio.
"""

import importlib.util
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from audioset_strong.features.audio_mixing import (
    Mixer,
    NotDecodableError,
    check_sample_rate,
)
from audioset_strong.features.soundfile_audio import ReadAudio

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
_BLOCK_VALUES = 1 << 22


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
            reading = _Reading(opened, max_seconds, mixer)
            reading.read_packets()
            return reading.result(container not in _WITHOUT_SECONDS)
    except _damage() as error:
        message = getattr(error, "strerror", None) or str(error)
        raise NotDecodableError(f"PyAV: {message}") from error


class _Reading:
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

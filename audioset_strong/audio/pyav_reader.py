"""Reads with PyAV (FFmpeg) what libsndfile does not: M4A, WebM, AAC, ...

FFmpeg is told the format that the content has, so that a playlist that is named
like audio cannot lead it to other files.
"""

import math
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from audioset_strong.audio.formats import (
    EXTENSIONS_OF_FORMAT,
)
from audioset_strong.audio.samples import (
    BLOCK_VALUES,
    NotDecodableError,
    ReadAudio,
    check_sample_rate,
    missing_seconds,
    sample_bounds,
)

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


def read_with_pyav(
    file: BinaryIO,
    read: ReadAudio,
    max_seconds: float | None,
    start_seconds: float = 0.0,
) -> Iterator[np.ndarray]:
    """Reads the samples of a file's first audio stream.

    Args:
      file: The whole file.
      read: Knows its format (`sniff_format`), and learns all else.
      max_seconds: Audio after this is not decoded; None for all of it.
      start_seconds: Audio before this is not kept (`decode_audio`).

    Yields:
      float32 `[num_samples]`, mono.

    Raises:
      NotDecodableError: FFmpeg does not read the file, or it has no audio.
      BadSamplesError: What it reads is not sound.
    """
    import av

    container = read.container
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
            reader = _PyavReader(opened, read, max_seconds, start_seconds)
            yield from reader.read_packets()
            reader.finish()
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
        read: ReadAudio,
        max_seconds: float | None,
        start_seconds: float,
    ) -> None:
        self._opened, self._stream = opened, opened.streams.audio[0]
        self._read, self._container = read, read.container
        self._max_seconds, self._start_seconds = max_seconds, start_seconds
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

    def read_packets(self) -> Iterator[np.ndarray]:
        """Decodes what is wanted; later packets only tell the duration."""
        try:
            for packet in self._opened.demux(self._stream):
                self._measure(packet)
                if self._num_read < self._end and not self._error:
                    yield from self._decode(packet)
        except _pyav_errors() as error:
            self._error = self._error or str(error)
        yield from self._mix()

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

    def _decode(self, packet: Any) -> Iterator[np.ndarray]:
        """Keeps the samples of a packet, up to an error.

        After an error nothing more is taken: it would come too early. Before
        the first sample there is nothing that it could be too early against.
        """
        try:
            for frame in packet.decode():
                layout = frame.sample_rate, frame.layout.nb_channels
                if not self._rate:
                    check_sample_rate(frame.sample_rate)
                    self._rate, self._num_channels = layout
                    self._read.sample_rate, self._read.num_channels = layout
                    self._start, self._end = sample_bounds(
                        self._rate, self._max_seconds, self._start_seconds
                    )
                    self._delay_seconds = self._find_delay(frame)
                    self._read.claimed_seconds = self._claimed_seconds()
                    num_silent = round(self._delay_seconds * self._rate)
                    for start in range(0, num_silent, self._rate):
                        num_new = min(num_silent - start, self._rate)
                        silence = np.zeros((layout[1], num_new), np.float32)
                        yield from self._keep(silence)
                if layout != (self._rate, self._num_channels):
                    raise ValueError("its rate or channels change on the way")
                # [num_channels, num_samples]
                yield from self._keep(_frame_to_float(frame))
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

    def _keep(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Takes the wanted ones of float32 `[num_channels, num_samples]`."""
        num_left = self._end - self._num_read
        num_new = int(min(samples.shape[1], num_left))
        num_before = min(max(self._start - self._num_read, 0), num_new)
        if num_before < num_new:
            self._waiting.append(samples[:, num_before:num_new])
        self._num_read += num_new
        self._num_waiting += num_new - num_before
        if self._num_waiting * self._num_channels >= BLOCK_VALUES:
            yield from self._mix()

    def _mix(self) -> Iterator[np.ndarray]:
        """Mixes the waiting samples."""
        if self._waiting:
            # [num_channels, num_samples] -> [num_samples, num_channels]
            block = np.concatenate(self._waiting, axis=1).T
            self._waiting, self._num_waiting = [], 0
            yield self._read.add(np.ascontiguousarray(block))

    def _claimed_seconds(self) -> float | None:
        """Returns the duration by the header; None if that does not say."""
        stream, opened = self._stream, self._opened
        if self._container in _WITHOUT_SECONDS:
            return None
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
            return seconds + self._delay_seconds
        if not opened.duration or len(opened.streams) > 1:
            return None
        seconds = float(opened.duration / 1e6)
        if self._container in ("webm", "matroska"):
            # Theirs is the time of the end; all before the delay is none.
            first_seconds = (opened.start_time or 0) / 1e6
            seconds -= max(first_seconds - self._delay_seconds, 0.0)
        return seconds

    def finish(self) -> None:
        """Reports on the file once its packets are read."""
        if not self._rate:
            raise NotDecodableError(f"PyAV: nothing decodes {self._error}")
        found = self._num_read / self._rate
        # Fragments of MP4 add to what the header said.
        claimed = self._claimed_seconds()
        if claimed is None:
            # What was decoded, or was counted and not decoded.
            claimed = found
            if self._num_read >= self._end:
                counted = self._packets_seconds + self._delay_seconds
                claimed = max(found, counted)
        expected = min(claimed, self._end / self._rate)
        truncation = ""
        if self._error:
            truncation = f"decoding ends after {found:.3f} s: {self._error}"
        elif found < expected - _PYAV_TOLERANCE_SECONDS:
            truncation = missing_seconds(claimed, found)
        self._read.file_seconds = claimed
        self._read.truncation = truncation


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

"""What decoders share: blocks of samples -> mono, and how they fail.

blocks [num_samples, num_channels] -> mono [num_samples] -> another rate
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

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
BLOCK_VALUES = 1 << 22

_RESAMPLED_AT_ONCE = 1 << 16


class NotDecodableError(Exception):
    """A decoder cannot read a file; another one may."""


class PyavMissingError(NotDecodableError):
    """libsndfile cannot read a file, and PyAV is not installed."""


class BadSamplesError(Exception):
    """A file can be decoded, but to something that is not sound."""


def sample_bounds(
    sample_rate: int, max_seconds: float | None, start_seconds: float
) -> tuple[int, float]:
    """Returns the first sample of a part and the end of it, maybe infinite."""
    start = round(start_seconds * sample_rate)
    if max_seconds is None:
        return start, math.inf
    return start, start + int(max_seconds * sample_rate)


class ReadAudio:
    """What is known of a file, while a decoder reads it and after that.

    `add` is the only place that looks at each sample of a file: every step is
    one or two passes over contiguous memory.

    Attributes:
      container: Its format, as `sniff_format` names it.
      sample_rate: Of the file, in Hz; known from the first block on, and so is
        the next one.
      num_channels: Of the file.
      claimed_seconds: Its duration by the header; None if that does not say.
      file_seconds: The same, or what was decoded if the header does not say;
        known at the end, and so is the next one.
      truncation: The promise of the header that was not kept, or "".
      num_samples: Samples per channel so far.
      file_peak: Largest sample of any channel so far, of either sign.
      chatter: What the decoder wrote to stderr, in lines.
    """

    def __init__(self) -> None:
        self.container = ""
        self.sample_rate, self.num_channels = 0, 0
        self.file_seconds = 0.0
        self.truncation = ""
        self.chatter: list[bytes] = []
        self._num_given = 0
        self.begin()

    def begin(self) -> None:
        """Begins to read, or begins again: what was given is passed over."""
        self.claimed_seconds: float | None = None
        self.num_samples = 0
        self.file_peak = 0.0
        self._num_values = 0
        self._num_clipped = 0

    def add(self, samples: np.ndarray) -> np.ndarray:
        """Mixes the next block; a clipped run is counted within a block.

        Args:
          samples: float32 `[num_samples, num_channels]`, in [-1, 1]; not to be
            changed afterwards.

        Returns:
          float32 `[num_new_samples]`, mono, without what was given before
          reading began again.

        Raises:
          BadSamplesError: A sample is not a number, or absurdly large.
        """
        if not len(samples):
            return np.zeros(0, np.float32)
        # The minimum and maximum of what holds a NaN are NaN, which fails both
        # comparisons.
        low, high = float(samples.min()), float(samples.max())
        if not (low >= -_MAX_SAMPLE and high <= _MAX_SAMPLE):
            raise BadSamplesError("it holds NaN, infinite or absurd samples")
        peak = max(-low, high)
        if peak >= _FULL_SCALE:
            self._num_clipped += _count_clipped(samples)
        self.file_peak = max(self.file_peak, peak)
        self.num_samples += len(samples)
        self._num_values += samples.size
        mono = _mix_to_mono(samples)  # [num_samples]
        num_new = min(self.num_samples - self._num_given, len(mono))
        if num_new <= 0:
            return mono[:0]
        self._num_given = self.num_samples
        return mono[len(mono) - num_new :]

    def append(self, later: "ReadAudio", num_samples: int) -> None:
        """Counts a stream that follows in the same file.

        Args:
          later: What is known of it; its peak and clipped samples count.
          num_samples: Its length at this one's sample rate.
        """
        self.num_samples += num_samples
        self.num_channels = max(self.num_channels, later.num_channels)
        self.file_peak = max(self.file_peak, later.file_peak)
        self._num_values += later._num_values
        self._num_clipped += later._num_clipped

    @property
    def clipped_fraction(self) -> float:
        """Share of the samples of all channels that are clipped."""
        return self._num_clipped / max(self._num_values, 1)


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


def resample_blocks(
    blocks: Iterable[np.ndarray], read: ReadAudio, sample_rate: int
) -> Iterator[np.ndarray]:
    """Resamples what comes in blocks; the same bits as of one block.

    Args:
      blocks: float32 `[num_samples]` each, of `read`, whose rate is known with
        the first one.
      read: What they are read from.
      sample_rate: In Hz.

    Yields:
      float32 `[num_samples * sample_rate / read.sample_rate]` of each.
    """
    resampler: soxr.ResampleStream | None = None
    for block in blocks:
        if read.sample_rate == sample_rate:
            yield block
            continue
        if resampler is None:
            resampler = soxr.ResampleStream(read.sample_rate, sample_rate, 1)
        # Larger pieces leave the cache.
        for start in range(0, len(block), _RESAMPLED_AT_ONCE):
            piece = block[start : start + _RESAMPLED_AT_ONCE]
            yield resampler.resample_chunk(piece)
    if resampler:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def check_sample_rate(sample_rate: int) -> None:
    """Raises `BadSamplesError` for rates that only damaged headers have."""
    if not _MIN_SAMPLE_RATE <= sample_rate <= _MAX_SAMPLE_RATE:
        raise BadSamplesError(
            f"its sample rate is {sample_rate:,} Hz, expected "
            f"{_MIN_SAMPLE_RATE:,} to {_MAX_SAMPLE_RATE:,} Hz"
        )


def missing_seconds(claimed: float, found: float) -> str:
    """Says that decoding ended too soon."""
    return (
        f"its header promises {claimed:,.3f} s, decoding ends after "
        f"{found:.3f} s"
    )

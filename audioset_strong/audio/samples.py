"""What decoders share: blocks of samples -> mono, and how they fail.

blocks [num_samples, num_channels] -> mono [num_samples]
"""

import math
from typing import NamedTuple

import numpy as np

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

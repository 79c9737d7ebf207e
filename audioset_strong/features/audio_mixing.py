"""Mixes blocks of samples to mono, and sees what is wrong with them.

This is the only place where each sample of a file is looked at, so it counts:
each step here is one or two passes over contiguous memory.
"""

import numpy as np

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

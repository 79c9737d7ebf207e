"""Finds faults in audio that could be decoded, such as silence.

A file that cannot be used at all raises `AudioError` (`decode.py`). Faults are
listed in the manifest, and `AudioParams` decides which of them leave a clip
out. BUILD_NOTES.md "Audio in any state" gives the reasons for the limits.
"""

import math

import numpy as np

from audioset_strong.audio.containers import is_member
from audioset_strong.audio.decode import DecodedAudio
from audioset_strong.audio.formats import extension_matches
from audioset_strong.params import AudioParams

# The most telling first: of several, the first one names the clip's state.
FAULTS = ("truncated", "silent", "long", "short", "clipped", "low_rate")

# 0.1 s at 16 kHz; codecs spread a step over less.
_EDGE_SAMPLES = 1600


class Level:
    """Peak and mean of a waveform, which may come in blocks.

    Attributes:
      num_samples: How many there were.
      peak: Largest of them, of either sign.
    """

    def __init__(self) -> None:
        self.num_samples = 0
        self.peak = 0.0
        self._sum = 0.0
        # Without the edges.
        self._low, self._high = math.inf, -math.inf
        self._inner_sum, self._num_inner = 0.0, 0
        # What may belong to an edge.
        self._held = np.zeros(0, np.float32)

    def add(self, block: np.ndarray) -> None:
        """Measures the next block: float32 `[num_samples]`."""
        if not len(block):
            return
        self.peak = max(self.peak, float(block.max()), -float(block.min()))
        self._sum += float(block.sum())
        was_short = self.num_samples < 4 * _EDGE_SAMPLES
        self.num_samples += len(block)
        held = np.concatenate([self._held, block]) if len(self._held) else block
        if self.num_samples < 4 * _EDGE_SAMPLES:
            self._held = held
            return
        start = _EDGE_SAMPLES if was_short else 0
        self._add_inner(held[start : len(held) - _EDGE_SAMPLES])
        self._held = held[len(held) - _EDGE_SAMPLES :].copy()

    def _add_inner(self, samples: np.ndarray) -> None:
        if len(samples):
            self._low = min(self._low, float(samples.min()))
            self._high = max(self._high, float(samples.max()))
            self._inner_sum += float(samples.sum())
            self._num_inner += len(samples)

    @property
    def mean(self) -> float:
        """Mean of all samples."""
        return self._sum / max(self.num_samples, 1)

    def constant(self) -> tuple[float, float]:
        """Returns the mean without the edges, and the peak around it."""
        if not self._num_inner:  # a short one: a quarter at each end
            num_edge = self.num_samples // 4
            self._add_inner(self._held[num_edge : self.num_samples - num_edge])
        mean = self._inner_sum / max(self._num_inner, 1)
        return mean, max(self._high - mean, mean - self._low, 0.0)


def find_faults(
    audio: DecodedAudio,
    clip_seconds: float | None,
    sample_rate: int,
    params: AudioParams,
    level: Level | None = None,
) -> dict[str, str]:
    """Finds the faults of a clip's audio.

    Args:
      audio: The decoded file; at least `clip_seconds` of it, if it has them.
      clip_seconds: Length of the clip; None for a recording of any length.
      sample_rate: Rate of the features, in Hz.
      params: What counts as a fault.
      level: Of the waveform, if that is not in `audio`.

    Returns:
      For each fault, in the order of `FAULTS`, what was expected and what came,
      as text. A truncated file that is left out is not called short or silent
      as well: the missing part may be why.
    """
    faults: dict[str, str] = {}
    if level is None:
        level = Level()
        level.add(audio.waveform)
    is_all_there = not (audio.truncation and params.leave_out_truncated)
    if audio.truncation:
        faults["truncated"] = audio.truncation
    if is_all_there and (
        detail := _describe_silence(level, audio.file_peak, params)
    ):
        faults["silent"] = detail
    if clip_seconds is not None:
        tolerance = params.length_tolerance_seconds
        expected = f"{clip_seconds:g} s expected, within {tolerance:g} s"
        if audio.file_seconds > clip_seconds + tolerance:
            faults["long"] = f"{audio.file_seconds:,.3f} s, {expected}"
        # Truncated files claim more than they hold.
        seconds = min(level.num_samples / sample_rate, audio.file_seconds)
        if is_all_there and clip_seconds - seconds > tolerance:
            faults["short"] = f"{seconds:.3f} s, {expected}"
    if audio.clipped_fraction >= params.clipped_fraction:
        faults["clipped"] = (
            f"{audio.clipped_fraction:.2%} of the samples stand at full scale, "
            f"less than {params.clipped_fraction:.2%} expected"
        )
    if audio.file_sample_rate < sample_rate:
        faults["low_rate"] = (
            f"{audio.file_sample_rate:,} Hz, {sample_rate:,} Hz or more "
            f"expected: bands above {audio.file_sample_rate // 2:,} Hz are "
            f"empty"
        )
    return faults


def is_left_out(fault: str, params: AudioParams) -> bool:
    """Whether a clip with one of the `FAULTS` is left out.

    A low rate never leaves a clip out: the upper bands are empty, but the lower
    ones are right.
    """
    return bool(getattr(params, f"leave_out_{fault}", False))


def conversions(audio: DecodedAudio, path: str, sample_rate: int) -> list[str]:
    """Lists what was done to a file on the way to a waveform.

    Args:
      audio: The decoded file.
      path: Where it was.
      sample_rate: Rate of the waveform, in Hz.
    """
    done = {
        "mixed to mono": audio.num_channels > 1,
        "resampled": audio.file_sample_rate != sample_rate,
        # What a member of a container is called is not in its path.
        "extension of another format": not is_member(path)
        and not extension_matches(path, audio.container),
    }
    return [name for name, is_done in done.items() if is_done]


def _describe_silence(
    level: Level, file_peak: float, params: AudioParams
) -> str:
    """Judges the mono waveform, which is what the features see.

    A constant is no sound, and nor are the steps from nothing to it at the
    ends, which filters spread; so these are left out where there is a constant.
    """
    with np.errstate(divide="ignore"):  # silence is minus infinity
        mono_dbfs, file_dbfs, mean_dbfs = 20 * np.log10(
            [level.peak, file_peak, abs(level.mean)]
        )
        constant = ""
        if mean_dbfs > params.silent_peak_dbfs:
            mean, around = level.constant()
            mono_dbfs = 20 * np.log10(around)
            constant = f" around a constant of {mean:.3g}"
    if mono_dbfs > params.silent_peak_dbfs:
        return ""
    detail = (
        f"peak of {mono_dbfs:.1f} dBFS{constant}, more than "
        f"{params.silent_peak_dbfs:g} dBFS expected"
    )
    if constant:
        return detail
    if file_dbfs > params.silent_peak_dbfs:
        detail += (
            f"; its channels, which peak at {file_dbfs:.1f} dBFS, cancel each "
            f"other"
        )
    return detail

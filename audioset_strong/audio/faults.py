"""Finds faults in audio that could be decoded, such as silence.

A file that cannot be used at all raises `AudioError` (`decode.py`). Faults are
listed in the manifest, and `AudioParams` decides which of them leave a clip
out. BUILD_NOTES.md "Audio in any state" gives the reasons for the limits.
"""

import numpy as np

from audioset_strong.audio.containers import is_member
from audioset_strong.audio.decode import DecodedAudio
from audioset_strong.audio.formats import extension_matches
from audioset_strong.params import AudioParams

# The most telling first: of several, the first one names the clip's state.
FAULTS = ("truncated", "silent", "long", "short", "clipped", "low_rate")

# 0.1 s at 16 kHz; codecs spread a step over less.
_EDGE_SAMPLES = 1600


def find_faults(
    audio: DecodedAudio,
    clip_seconds: float,
    sample_rate: int,
    params: AudioParams,
) -> dict[str, str]:
    """Finds the faults of a clip's audio.

    Args:
      audio: The decoded file; at least `clip_seconds` of it, if it has them.
      clip_seconds: Length of the clip.
      sample_rate: Rate of the features, in Hz.
      params: What counts as a fault.

    Returns:
      For each fault, in the order of `FAULTS`, what was expected and what came,
      as text. A truncated file that is left out is not called short or silent
      as well: the missing part may be why.
    """
    faults: dict[str, str] = {}
    is_all_there = not (audio.truncation and params.leave_out_truncated)
    if audio.truncation:
        faults["truncated"] = audio.truncation
    if is_all_there and (detail := _describe_silence(audio, params)):
        faults["silent"] = detail
    tolerance = params.length_tolerance_seconds
    expected = f"{clip_seconds:g} s expected, within {tolerance:g} s"
    if audio.file_seconds > clip_seconds + tolerance:
        faults["long"] = f"{audio.file_seconds:,.3f} s, {expected}"
    # Truncated files claim more than they hold.
    seconds = min(len(audio.waveform) / sample_rate, audio.file_seconds)
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


def _describe_silence(audio: DecodedAudio, params: AudioParams) -> str:
    """Judges the mono waveform, which is what the features see.

    A constant is no sound, and nor are the steps from nothing to it at the
    ends, which filters spread; so these are left out where there is a constant.
    """
    peak = np.abs(audio.waveform).max(initial=0.0)  # of [num_samples]
    mean = float(audio.waveform.mean()) if audio.waveform.size else 0.0
    with np.errstate(divide="ignore"):  # silence is minus infinity
        mono_dbfs, file_dbfs, mean_dbfs = 20 * np.log10(
            [float(peak), audio.file_peak, abs(mean)]
        )
        constant = ""
        if mean_dbfs > params.silent_peak_dbfs:
            num_edge = min(_EDGE_SAMPLES, len(audio.waveform) // 4)
            inner = audio.waveform[num_edge : len(audio.waveform) - num_edge]
            level = float(inner.mean())
            around = max(float(inner.max()) - level, level - float(inner.min()))
            mono_dbfs = 20 * np.log10(max(around, 0.0))
            constant = f" around a constant of {level:.3g}"
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

"""What is wrong with the audio of a clip that could be decoded.

A file that cannot be used at all is an `AudioError` of `audio_files.py`. Here
are the faults that settings (`AudioParams`) decide about.
"""

import numpy as np

from audioset_strong.audio.decode import DecodedAudio
from audioset_strong.audio.formats import extension_matches
from audioset_strong.params import AudioParams

# The most telling first: of several, the first one names the clip's state.
FAULTS = ("truncated", "silent", "long", "short", "clipped", "low_rate")


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
      for people. A truncated file that is left out is not called short or
      silent as well: what it lacks may be why.
    """
    details = {
        "truncated": audio.truncation or "it ends before its header says"
        if audio.is_truncated
        else "",
        "silent": _silence(audio, params),
        **_wrong_length(audio, clip_seconds, sample_rate, params),
        "clipped": _clipping(audio, params),
        "low_rate": _low_rate(audio, sample_rate),
    }
    if audio.is_truncated and params.leave_out_truncated:
        details["short"] = details["silent"] = ""
    return {fault: details[fault] for fault in FAULTS if details[fault]}


def is_left_out(fault: str, params: AudioParams) -> bool:
    """Whether a clip with a fault is left out.

    Args:
      fault: One of `FAULTS`. A low rate is listed only: the upper bands are
        empty, and the lower ones right.
      params: The settings.
    """
    if fault == "low_rate":
        return False
    return bool(getattr(params, f"leave_out_{fault}"))


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
        "extension of another format": not extension_matches(
            path, audio.container
        ),
    }
    return [name for name, is_done in done.items() if is_done]


def _dbfs(peak: float) -> float:
    """Converts a peak to dB of full scale; silence is minus infinity."""
    return 20 * float(np.log10(peak)) if peak > 0 else -np.inf


def _silence(audio: DecodedAudio, params: AudioParams) -> str:
    """Judges what the features see: the mono waveform."""
    waveform = audio.waveform
    peak = float(max(waveform.max(), -waveform.min())) if len(waveform) else 0.0
    if _dbfs(peak) > params.silent_peak_dbfs:
        return ""
    detail = (
        f"peak of {_dbfs(peak):.1f} dBFS, more than "
        f"{params.silent_peak_dbfs:g} dBFS expected"
    )
    if _dbfs(audio.file_peak) > params.silent_peak_dbfs:
        detail += (
            f"; its channels, which peak at {_dbfs(audio.file_peak):.1f} dBFS, "
            f"cancel each other"
        )
    return detail


def _wrong_length(
    audio: DecodedAudio,
    clip_seconds: float,
    sample_rate: int,
    params: AudioParams,
) -> dict[str, str]:
    """Compares the length with the clip's."""
    tolerance = params.length_tolerance_seconds
    expected = f"{clip_seconds:g} s expected, within {tolerance:g} s"
    # Truncated files claim more than they hold.
    there = len(audio.waveform) / sample_rate
    short_by = clip_seconds - min(there, audio.file_seconds)
    return {
        "long": f"{audio.file_seconds:,.3f} s, {expected}"
        if audio.file_seconds > clip_seconds + tolerance
        else "",
        "short": f"{clip_seconds - short_by:.3f} s, {expected}"
        if short_by > tolerance
        else "",
    }


def _clipping(audio: DecodedAudio, params: AudioParams) -> str:
    """Compares the share of samples at full scale."""
    if audio.clipped_fraction < params.clipped_fraction:
        return ""
    return (
        f"{audio.clipped_fraction:.2%} of the samples stand at full scale, "
        f"less than {params.clipped_fraction:.2%} expected"
    )


def _low_rate(audio: DecodedAudio, sample_rate: int) -> str:
    """Compares the file's own rate."""
    if audio.file_sample_rate >= sample_rate:
        return ""
    return (
        f"{audio.file_sample_rate:,} Hz, {sample_rate:,} Hz or more expected: "
        f"bands above {audio.file_sample_rate // 2:,} Hz are empty"
    )

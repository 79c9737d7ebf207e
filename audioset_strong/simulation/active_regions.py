"""Finds where a recording sounds, so that onsets and offsets are true.

Times are in seconds from the start of the waveform. Thresholds are our choice
(BUILD_NOTES.md "Simulated release").
"""

import dataclasses

import numpy as np

from audioset_strong.simulation.synthesis import SAMPLE_RATE

# Level of silence: below the quantisation noise of 16 bits.
_SILENCE_DB = -120.0


@dataclasses.dataclass(frozen=True)
class ActivityParams:
    """What counts as sound.

    Attributes:
      frame_seconds: Length of the frames whose level is measured.
      hop_seconds: Hop between them.
      below_peak_db: A region starts where the level is at most this far below
        the loudest frame ...
      above_floor_db: ... and at least this far above the noise floor ...
      max_below_peak_db: ... but never nearer to the loudest frame than this,
        so that a steady texture, which is its own floor, is active throughout.
      hysteresis_db: How much further the level falls before the region ends.
      min_gap_seconds: Shorter silences belong to the region around them.
      min_region_seconds: Shorter regions are stretched into their decay.
    """

    frame_seconds: float = 0.02
    hop_seconds: float = 0.01
    below_peak_db: float = 26.0
    above_floor_db: float = 12.0
    max_below_peak_db: float = 14.0
    hysteresis_db: float = 6.0
    min_gap_seconds: float = 0.25
    min_region_seconds: float = 0.2


def frame_levels_db(
    waveform: np.ndarray, params: ActivityParams = ActivityParams()
) -> np.ndarray:
    """Measures the level of every frame.

    Args:
      waveform: float `[num_samples]`.
      params: Length and hop of the frames.

    Returns:
      float64 `[num_frames]`, RMS in dB re full scale; frame i is centred on
      (i + 0.5) hops, and the last one may reach past the end.
    """
    hop = round(params.hop_seconds * SAMPLE_RATE)
    frame = round(params.frame_seconds * SAMPLE_RATE)
    num_frames = -(-len(waveform) // hop)
    before = (frame - hop) // 2
    padded = np.zeros((num_frames - 1) * hop + frame + 1)
    padded[before + 1 : before + 1 + len(waveform)] = waveform
    energy = np.cumsum(padded**2)
    starts = np.arange(num_frames) * hop
    power = np.maximum(energy[starts + frame] - energy[starts], 0.0) / frame
    return 10 * np.log10(power + 10 ** (_SILENCE_DB / 10))


def runs_of_true(is_true: np.ndarray) -> np.ndarray:
    """Finds runs of True.

    Args:
      is_true: bool `[num_frames]`.

    Returns:
      int64 `[num_runs, 2]`: first frame of each run, and the one after it.
    """
    padded = np.concatenate([[False], is_true, [False]])
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)


def find_active_regions(
    waveform: np.ndarray, params: ActivityParams = ActivityParams()
) -> list[tuple[float, float]]:
    """Finds the parts of a waveform in which something sounds.

    Args:
      waveform: float `[num_samples]`.
      params: What counts as sound.

    Returns:
      (onset, offset) of each region in seconds, in order, not overlapping;
      none if the waveform is silent.
    """
    if not len(waveform):
        return []
    levels = frame_levels_db(waveform, params)
    peak = float(levels.max())
    if peak < -80.0:
        return []
    floor = float(np.percentile(levels, 10))
    start_level = max(
        peak - params.below_peak_db, floor + params.above_floor_db
    )
    start_level = min(start_level, peak - params.max_below_peak_db)
    runs = runs_of_true(levels > start_level - params.hysteresis_db)
    loud = [r for r in runs if (levels[r[0] : r[1]] > start_level).any()]
    return _merge(np.array(loud) * params.hop_seconds, waveform, params)


def _merge(
    runs: np.ndarray, waveform: np.ndarray, params: ActivityParams
) -> list[tuple[float, float]]:
    """Joins runs across short gaps and stretches the shortest."""
    end_seconds = len(waveform) / SAMPLE_RATE
    regions: list[tuple[float, float]] = []
    for start, end in runs:
        onset = float(start)
        shortest_end = onset + params.min_region_seconds
        offset = min(max(float(end), shortest_end), end_seconds)
        if regions and onset - regions[-1][1] < params.min_gap_seconds:
            onset, offset = regions[-1][0], max(offset, regions[-1][1])
            regions[-1] = (onset, offset)
        else:
            regions.append((onset, offset))
    return regions

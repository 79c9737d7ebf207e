"""One clip: its audio becomes features and what is wrong with it is told.

A clip whose audio is missing, unreadable or too short is left out with the
reason; nothing is ever padded or written empty. Other faults are told, and
leave the clip out where `AudioParams` says so.
"""

import dataclasses

import numpy as np

from audioset_strong.features.audio_backends import compute_log_mel
from audioset_strong.features.audio_faults import (
    conversions,
    find_faults,
    is_left_out,
)
from audioset_strong.features.audio_files import AudioError, DecodedAudio
from audioset_strong.records.schema import ClassEvents, ClipRecord
from audioset_strong.records.shard_tasks import Clip, ShardSettings


@dataclasses.dataclass(frozen=True)
class CheckedRecord:
    """A record, and what is to be said of its audio.

    Attributes:
      record: The record.
      faults: What is wrong with the audio: fault -> detail.
      notes: How the audio was converted.
    """

    record: ClipRecord
    faults: dict[str, str]
    notes: list[str]


def make_record(clip: Clip, settings: ShardSettings) -> CheckedRecord:
    """Decodes a clip and computes its features.

    Args:
      clip: The clip.
      settings: Front end, decoding, and which faults are left out.

    Raises:
      AudioError: The audio is missing, unreadable or shorter than one patch, or
        has a fault that is left out.
    """
    if not clip.audio_path:
        raise AudioError("missing", "no audio file for this clip")
    features = settings.features
    audio, log_mel = compute_log_mel(
        clip.audio_path,
        clip.clip_seconds,
        features,
        settings.audio.audio_backend,
    )
    faults = find_faults(
        audio, clip.clip_seconds, features.sample_rate, settings.audio
    )
    for fault, detail in faults.items():
        if is_left_out(fault, settings.audio):
            raise AudioError(fault, f"{clip.audio_path}: {detail}")
    _check_length(clip, audio, log_mel, settings)
    record = ClipRecord(
        segment_id=clip.segment_id,
        log_mel=log_mel,
        audio_seconds=len(audio.waveform) / features.sample_rate,
        events={name: class_events(e) for name, e in clip.events.items()},
    )
    notes = conversions(audio, clip.audio_path, features.sample_rate)
    return CheckedRecord(record, faults, notes)


def _check_length(
    clip: Clip,
    audio: DecodedAudio,
    log_mel: np.ndarray,
    settings: ShardSettings,
) -> None:
    """Raises `AudioError` if there is not one patch."""
    features = settings.features
    if len(log_mel) < features.patch_stft_frames:
        found = len(audio.waveform) / features.sample_rate
        needed = features.patch_window_samples / features.sample_rate
        raise AudioError(
            "too_short",
            f"{clip.audio_path} has {found:.3f} s of the clip, one patch needs "
            f"{needed:.3f} s",
        )


def class_events(events: list[tuple[int, float, float]]) -> ClassEvents:
    """Turns a list of (class index, onset, offset) into parallel arrays."""
    table = np.array(events, dtype=np.float64).reshape(-1, 3)
    return ClassEvents(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.float32),
        table[:, 2].astype(np.float32),
    )

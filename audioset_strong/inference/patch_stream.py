"""Cuts a recording of any length into patches, in memory that does not grow.

    blocks of samples -> log-mel [256, 64] at a time -> patches [32, 96, 64]

**Frames.** Scores over time are frames of a hop: frame i stands for the audio
from second i * hop to second (i + 1) * hop. It is scored from one patch, 0.96 s
of audio around the middle of the frame; before the start and after the end of
the audio there is silence. With a hop of 0.96 s patches do not overlap, and
frames are the label frames of a clip. All audio is heard.

**Bits.** Both steps work on blocks of one size, at places counted from the
start of the recording, because a product of matrices may round differently if
it has other rows. So patches do not depend on how the samples were cut.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams

# The block of the front end itself.
_BLOCK_STFT_FRAMES = 256

# Patches at a time. The first layers of the full network take 1.5 MB for each,
# and larger batches are not faster on a CPU.
BATCH_PATCHES = 32

_MIN_HOP_SECONDS = 0.1


def check_hop(hop_seconds: float, features: FeatureParams) -> int:
    """Converts a hop to STFT frames.

    Raises:
      InputError: It is not a multiple of the hop of the STFT, or is shorter
        than 0.1 s or longer than a patch.
    """
    unit = features.stft_hop_seconds
    longest = features.patch_window_seconds
    hop = round(hop_seconds / unit) if math.isfinite(hop_seconds) else 0
    is_multiple = math.isclose(hop * unit, hop_seconds, abs_tol=1e-6)
    is_in_range = _MIN_HOP_SECONDS - 1e-6 <= hop_seconds <= longest + 1e-6
    if not (is_multiple and is_in_range):
        raise InputError(
            f"hop_seconds must be a multiple of {unit:g} from "
            f"{_MIN_HOP_SECONDS:g} to {longest:g}. Received: {hop_seconds:g}."
        )
    return hop


def num_frames(
    num_samples: int, features: FeatureParams, hop_stft_frames: int
) -> int:
    """Number of frames that hear all of a waveform, at least 1.

    What the last STFT window of a patch reaches into the next is heard.
    """
    hop_samples = hop_stft_frames * features.stft_hop_samples
    overlap = features.stft_window_samples - features.stft_hop_samples
    return max(1, math.ceil((num_samples - overlap) / hop_samples))


def samples_before(features: FeatureParams, hop_stft_frames: int) -> int:
    """Number of zeros before the waveform, so that patches are centred."""
    num_before = features.patch_stft_frames - hop_stft_frames
    return num_before * features.stft_hop_samples // 2


def stream_patches(
    blocks: Iterable[np.ndarray],
    features: FeatureParams,
    hop_stft_frames: int,
    batch_patches: int = BATCH_PATCHES,
) -> Iterator[np.ndarray]:
    """Cuts a waveform that comes in blocks into the patches of its frames.

    Args:
      blocks: float32 `[num_samples]` each, of any sizes.
      features: The front end.
      hop_stft_frames: Hop of the frames (`check_hop`).
      batch_patches: Patches at a time.

    Yields:
      float32 `[batch_patches, patch_stft_frames, mel_bands]`, the last one
      maybe shorter; `num_frames` in all.
    """
    length, hop = features.patch_stft_frames, hop_stft_frames
    log_mel = np.zeros((0, features.mel_bands), np.float32)

    def cut(count: int) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(
            log_mel, length, axis=0
        )  # [num_windows, mel_bands, length]
        patches = windows[: (count - 1) * hop + 1 : hop].swapaxes(1, 2)
        return np.ascontiguousarray(patches)  # [count, length, mel_bands]

    for rows in _stream_log_mel(blocks, features, hop):
        log_mel = np.concatenate([log_mel, rows])
        while len(log_mel) >= (batch_patches - 1) * hop + length:
            yield cut(batch_patches)
            log_mel = log_mel[batch_patches * hop :]
    if len(log_mel) >= length:
        yield cut((len(log_mel) - length) // hop + 1)


def _stream_log_mel(
    blocks: Iterable[np.ndarray], features: FeatureParams, hop: int
) -> Iterator[np.ndarray]:
    """Computes the STFT frames of all patches, and no more.

    Yields:
      float32 `[num_stft_frames, mel_bands]`.
    """
    block_samples = _BLOCK_STFT_FRAMES * features.stft_hop_samples
    # What the last window of a block reaches into the next one.
    overlap = features.stft_window_samples - features.stft_hop_samples
    before = samples_before(features, hop)
    # Samples whose STFT frames are still to come.
    waiting = np.zeros(before, np.float32)
    num_samples, num_rows = 0, 0
    for block in blocks:
        num_samples += len(block)
        waiting = np.concatenate([waiting, block])
        start = 0
        while len(waiting) - start >= block_samples + overlap:
            part = waiting[start : start + block_samples + overlap]
            yield waveform_to_log_mel(part, features)
            start += block_samples
            num_rows += _BLOCK_STFT_FRAMES
        waiting = waiting[start:]
    # No sample that came is in more rows than these: all audio is heard.
    count = num_frames(num_samples, features, hop)
    num_left = (count - 1) * hop + features.patch_stft_frames - num_rows
    num_blocks = math.ceil(num_left / _BLOCK_STFT_FRAMES)
    after = num_blocks * block_samples + overlap - len(waiting)
    waiting = np.pad(waiting, (0, max(after, 0)))
    for number in range(num_blocks):
        start = number * block_samples
        part = waiting[start : start + block_samples + overlap]
        rows = waveform_to_log_mel(part, features)
        yield rows[: num_left - number * _BLOCK_STFT_FRAMES]

"""Streams of clips read from records.

Two readings of the same shards:
  * training examples: one random window of 96 STFT frames per clip and pass,
    with its targets, computed from the events in the graph
    (`example_blocks.py`);
  * label frames: all label frames of a clip, for scoring.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import TrainingSet
from audioset_strong.params import FeatureParams, LabelFrameParams
from audioset_strong.records.example_blocks import (
    Reading,
    decode_block,
    example_blocks,
    read_buffer_bytes,
)
from audioset_strong.records.log_mel_bytes import (
    decode_first_rows,
    to_float32,
)
from audioset_strong.records.manifest import Records
from audioset_strong.records.parsed_records import parse_records
from audioset_strong.records.window_targets import window_targets

# Examples decoded at a time before they are given out one by one.
_DECODED_EXAMPLES = 64
# Clips parsed and scored at a time: 160 patches, enough to keep a CPU or a GPU
# busy; and how many such batches are parsed at once.
_CLIPS_PER_BATCH = 16
_PARALLEL_BATCHES = 2


def without_tuner(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Switches tf.data's tuner off.

    Its model of the pipeline grows with every pass; on small sources it then
    takes longer than the training it should speed up.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def training_examples(
    records: Records, training_set: TrainingSet, reading: Reading
) -> tf.data.Dataset:
    """Streams training examples of one source, one by one and without end.

    `mixture.training_stream` is faster: it never takes blocks apart.

    Args:
      records: The records.
      training_set: Which clips, and how their labels are read.
      reading: Order, and what to skip.

    Returns:
      Dataset of (patch, float32 `[patch_stft_frames, mel_bands]`; targets,
      float32 `[num_classes]`). Each pass gives one example of every clip.

    Raises:
      InputError: There is no clip for this training set.
    """
    blocks = example_blocks(records, training_set, reading)
    decoded = blocks.rebatch(_DECODED_EXAMPLES).map(decode_block)
    return without_tuner(decoded.unbatch())


def num_label_frames_of(
    num_stft_frames: tf.Tensor,
    features: FeatureParams,
    label_frames: LabelFrameParams,
) -> tf.Tensor:
    """Label frames wholly inside the audio, at most those of a clip."""
    return tf.minimum(
        num_stft_frames // features.patch_stft_frames,
        label_frames.num_label_frames,
    )


def _make_label_frames(
    serialized: tf.Tensor, records: Records, label_set: str
) -> dict[str, tf.Tensor]:
    """Makes what `label_frame_batches` gives of some records."""
    features, label_frames = records.features, records.label_frames
    clips = parse_records(
        serialized, label_set, features, records.log_mel_dtype
    )
    num_patches = label_frames.num_label_frames
    sizes = [num_patches, features.patch_stft_frames, features.mel_bands]
    values = decode_first_rows(
        clips.log_mel.values,
        num_patches * features.patch_stft_frames,
        features,
        records.log_mel_dtype,
    )
    log_mel = to_float32(clips.log_mel._replace(values=values))
    num_inside = num_label_frames_of(
        clips.num_stft_frames, features, label_frames
    )
    is_inside = tf.sequence_mask(num_inside, num_patches)
    starts_ms = np.rint(
        np.arange(num_patches) * label_frames.label_frame_seconds * 1000
    ).astype(np.int64)
    return {
        "segment_id": clips.segment_id,
        "patches": tf.where(
            is_inside[:, :, tf.newaxis, tf.newaxis],
            tf.reshape(log_mel, [-1, *sizes]),
            0.0,
        ),
        "targets": window_targets(
            clips.events,
            tf.tile(starts_ms[np.newaxis], [tf.shape(serialized)[0], 1]),
            records.class_map.num_classes,
            label_frames,
        ),
        "num_label_frames": num_inside,
    }


def label_frame_batches(
    records: Records, groups: Sequence[str], label_set: str = "strong"
) -> tf.data.Dataset:
    """Reads all label frames of each clip, once, in a fixed order.

    Args:
      records: The records.
      groups: Groups of shards to read.
      label_set: Whose events make the targets.

    Returns:
      Dataset of dicts of 16 clips, fewer at the end: segment_id, string
      `[num_clips]`; patches, float32 `[num_clips, num_label_frames,
      patch_stft_frames, mel_bands]`; targets, float32 `[num_clips,
      num_label_frames, num_classes]`; num_label_frames, int64 `[num_clips]`.
      Label frames beyond the audio are zeros and not counted in
      num_label_frames.

    Raises:
      InputError: The groups hold no clip.
    """
    paths = [records.path_of(shard) for shard in records.shards_of(*groups)]
    if not paths:
        found = sorted({shard.group for shard in records.shards})
        raise InputError(
            f"{records.records_dir} holds no clip in the groups "
            f"{list(groups)}; it has {found}."
        )
    clips = tf.data.TFRecordDataset(
        paths, buffer_size=read_buffer_bytes(paths[0])
    )
    batches = clips.batch(_CLIPS_PER_BATCH).map(
        lambda serialized: _make_label_frames(serialized, records, label_set),
        num_parallel_calls=_PARALLEL_BATCHES,
        deterministic=True,
    )
    return without_tuner(batches.prefetch(_PARALLEL_BATCHES))


def label_frame_examples(
    records: Records, groups: Sequence[str], label_set: str = "strong"
) -> tf.data.Dataset:
    """Reads what `label_frame_batches` does, clip by clip.

    Args:
      records: The records.
      groups: Groups of shards to read.
      label_set: Whose events make the targets.

    Returns:
      Dataset of dicts as those of the batches, each of one clip.

    Raises:
      InputError: The groups hold no clip.
    """
    return label_frame_batches(records, groups, label_set).unbatch()

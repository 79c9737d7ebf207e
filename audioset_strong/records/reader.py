"""Streams of clips read from records.

Two readings of the same shards:
  * training examples: one random window of 96 STFT frames per clip and pass,
    with its targets, computed from the events in the graph;
  * label frames: all label frames of a clip, for scoring.

The training stream of a source is a pure function of (seed, pass, position in
the pass): the order of shards and clips and every window come from stateless
generators, so that a run can go on where it stopped by skipping.
"""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import TrainingSet
from audioset_strong.params import FeatureParams, LabelFrameParams
from audioset_strong.records.manifest import Records, Shard
from audioset_strong.records.schema import (
    ClassEvents,
    ParsedRecord,
    cut_patch,
    decode_log_mel,
    parse_record,
)
from audioset_strong.records.window_targets import window_targets

# Shards read at the same time, so that one pass mixes them: our choice.
_INTERLEAVED_SHARDS = 8
_READ_BUFFER_BYTES = 1 << 20


@contextlib.contextmanager
def clear_data_errors(records: Records) -> Iterator[None]:
    """Turns TensorFlow's error about a corrupt shard into a clear one.

    Raises:
      InputError: A record read inside this context is corrupt.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise InputError(
            f"A shard in {records.records_dir} is corrupt ({error.message}). "
            f"Delete it and run prepare_records again."
        ) from error


def stretch_to_clip(
    events: ClassEvents, label_frames: LabelFrameParams
) -> ClassEvents:
    """Reads events as Diffuse: each spans the clip."""
    clip_end = tf.fill(
        tf.shape(events.onset_seconds), label_frames.clip_seconds
    )
    return ClassEvents(events.event_class, tf.zeros_like(clip_end), clip_end)


def draw_window(
    record: ParsedRecord,
    seed: int,
    pass_number: tf.Tensor,
    features: FeatureParams,
) -> tf.Tensor:
    """Draws the first STFT frame of a random window inside the audio.

    Args:
      record: The clip.
      seed: Of the source.
      pass_number: int64 scalar: which pass over the source this is.
      features: Size of a patch.

    Returns:
      int64 scalar, the same for the same (seed, pass, clip).
    """
    key = tf.strings.join(
        [record.segment_id, tf.strings.as_string(pass_number)], separator="/"
    )
    clip_seed = tf.strings.to_hash_bucket_strong(key, 2**62, [seed, 0])
    num_starts = record.num_stft_frames - features.patch_stft_frames + 1
    return tf.random.stateless_uniform(
        [], tf.stack([tf.constant(seed, tf.int64), clip_seed]),
        minval=0, maxval=num_starts, dtype=tf.int64,
    )  # fmt: skip


def _shuffled_clips(
    paths: Sequence[str], seed: int, block_clips: int, pass_number: tf.Tensor
) -> tf.data.Dataset:
    """Reads all records of some shards in the order of one pass.

    Shards are read in a random order, several at a time, and what comes is
    shuffled block by block. Both orders are stateless functions of (seed,
    pass), which those of `Dataset.shuffle` are not.

    Args:
      paths: The shards.
      seed: Of the source.
      block_clips: Records of a block, all in memory at a time.
      pass_number: int64 scalar.

    Returns:
      Dataset of serialized records, string scalars.
    """

    def shuffle(items: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
        # Shards count as block 0; no pass has 2**32 blocks.
        stream = pass_number * 2**32 + block
        return tf.random.experimental.stateless_shuffle(
            items, tf.stack([tf.constant(seed, tf.int64), stream])
        )

    shards = tf.data.Dataset.from_tensors(list(paths))
    shards = shards.map(lambda all_paths: shuffle(all_paths, 0)).unbatch()
    clips = shards.interleave(
        lambda path: tf.data.TFRecordDataset(
            path, buffer_size=_READ_BUFFER_BYTES
        ),
        cycle_length=min(_INTERLEAVED_SHARDS, len(paths)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    blocks = clips.batch(block_clips).enumerate(start=1)
    return blocks.map(lambda block, records: shuffle(records, block)).unbatch()


def _source_shards(
    records: Records, training_set: TrainingSet
) -> tuple[list[Shard], int]:
    """Shards of a training set and the clips of one pass over it."""
    groups = ("strong",)
    if not training_set.needs_strong_labels:
        groups = ("weak", "strong")
    shards = records.shards_of(*groups)
    num_clips = sum(s.num_clips_with(training_set.label_set) for s in shards)
    if not num_clips:
        raise InputError(
            f"{records.records_dir} holds no clip for the training set "
            f"{training_set.name!r}: it needs clips with "
            f"{training_set.label_set} labels in {' or '.join(groups)} shards. "
            f"Prepare records with such labels."
        )
    return shards, num_clips


def training_examples(
    records: Records,
    training_set: TrainingSet,
    seed: int,
    shuffle_block_clips: int,
    num_skipped: int = 0,
) -> tf.data.Dataset:
    """Streams training examples of one source, without end.

    Args:
      records: The records.
      training_set: Which clips, and how their labels are read.
      seed: Of order and windows.
      shuffle_block_clips: Records that are shuffled at a time.
      num_skipped: Examples to leave out at the start: those a run has used.

    Returns:
      Dataset of (patch, float32 `[patch_stft_frames, mel_bands]`; targets,
      float32 `[num_classes]`). Each pass gives one example of every clip.

    Raises:
      InputError: There is no clip for this training set.
    """
    shards, num_clips = _source_shards(records, training_set)
    paths = [records.path_of(shard) for shard in shards]
    features, label_frames = records.features, records.label_frames
    num_classes = records.class_map.num_classes
    first_pass, num_skipped_of_pass = divmod(num_skipped, num_clips)

    def is_known(serialized: tf.Tensor) -> tf.Tensor:
        record = parse_record(serialized, training_set.label_set, features)
        return tf.reduce_any(record.label_source == training_set.label_set)

    def clips_of_pass(pass_number: tf.Tensor) -> tf.data.Dataset:
        clips = _shuffled_clips(paths, seed, shuffle_block_clips, pass_number)
        if any(
            shard.num_clips_with(training_set.label_set) < shard.num_clips
            for shard in shards
        ):
            clips = clips.filter(is_known)
        return clips.map(lambda serialized: (serialized, pass_number))

    def make_example(
        serialized: tf.Tensor, pass_number: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        record = parse_record(serialized, training_set.label_set, features)
        start = draw_window(record, seed, pass_number, features)
        events = record.events
        if training_set.is_stretched:
            events = stretch_to_clip(events, label_frames)
        hop_ms = round(features.stft_hop_seconds * 1000)
        targets = window_targets(
            events, start[tf.newaxis] * hop_ms, num_classes, label_frames
        )  # [1, num_classes]
        patch = cut_patch(record, start, features)
        return patch, tf.ensure_shape(targets[0], [num_classes])

    passes = tf.data.Dataset.counter(start=first_pass)
    clips = passes.flat_map(clips_of_pass).skip(num_skipped_of_pass)
    return clips.map(
        make_example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


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


def label_frame_examples(
    records: Records, groups: Sequence[str], label_set: str = "strong"
) -> tf.data.Dataset:
    """Reads all label frames of each clip, once, in a fixed order.

    Args:
      records: The records.
      groups: Groups of shards to read.
      label_set: Whose events make the targets.

    Returns:
      Dataset of dicts: segment_id, string scalar; patches, float32
      `[num_label_frames, patch_stft_frames, mel_bands]`; targets, float32
      `[num_label_frames, num_classes]`; num_label_frames, int64 scalar. Label
      frames beyond the audio are zeros and not counted in num_label_frames.

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
    features, label_frames = records.features, records.label_frames
    num_classes = records.class_map.num_classes
    starts_ms = np.rint(
        np.arange(label_frames.num_label_frames)
        * label_frames.label_frame_seconds
        * 1000
    ).astype(np.int64)

    def make_example(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        record = parse_record(serialized, label_set, features)
        log_mel = decode_log_mel(record, features)
        num_inside = num_label_frames_of(
            record.num_stft_frames, features, label_frames
        )
        patches = tf.reshape(
            log_mel[: num_inside * features.patch_stft_frames],
            [num_inside, features.patch_stft_frames, features.mel_bands],
        )
        missing = label_frames.num_label_frames - num_inside
        patches = tf.pad(patches, [[0, missing], [0, 0], [0, 0]])
        shape = [label_frames.num_label_frames, *patches.shape[1:]]
        return {
            "segment_id": record.segment_id,
            "patches": tf.ensure_shape(patches, shape),
            "targets": window_targets(
                record.events, tf.constant(starts_ms), num_classes, label_frames
            ),
            "num_label_frames": num_inside,
        }

    return tf.data.TFRecordDataset(paths).map(
        make_example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )

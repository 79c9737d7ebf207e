"""Turns records into training examples and label frames, in the graph.

    records -> parsed -> one random window a clip -> its patch and its targets
    records -> parsed -> all label frames -> their patches and their targets

Every function works on many clips at once, because a TensorFlow graph costs
about as much for 32 clips as for one. Patches are cut out of the stored bytes,
so that a shuffled block of examples holds 12 KB a clip instead of 128 KB.

Targets follow the frame rule of `labels/frame_rule.py`, here for windows at any
offset; a property test compares the two.

Source: Section 4 of the paper: "for each epoch, we selected a random 960 ms
frame of the 10 sec clip"; labels by "the same 50% overlap principle".
"""

import numpy as np
import tensorflow as tf

from audioset_strong.labels.training_sets import TrainingSet
from audioset_strong.params import FeatureParams, LabelFrameParams
from audioset_strong.records.manifest import Records
from audioset_strong.records.parse import (
    EventsOfClips,
    cut_bytes,
    decode_first_rows,
    parse_records,
    to_float32,
)
from audioset_strong.records.schema import StoredLogMel

# Tensors of several examples, by name: "values" and, of uint8 records,
# "minimum" and "step", as in `StoredLogMel`; "targets"; and whatever a stream
# adds.
Block = dict[str, tf.Tensor]

# Many more than a clip has windows, so that taking the remainder favours none:
# with 903 windows, their probabilities differ by less than one part in 10^15.
_NUM_HASHES = 2**62


def draw_windows(
    segment_id: tf.Tensor,
    num_stft_frames: tf.Tensor,
    seed: int,
    pass_number: tf.Tensor,
    params: FeatureParams,
    copy_number: tf.Tensor | None = None,
) -> tf.Tensor:
    """Draws the first STFT frame of a random window inside each clip's audio.

    A hash of (segment id, seed, pass) takes the place of a random generator, so
    that a clip's window depends neither on its place in the stream nor on the
    other clips, and one operation draws all of them.

    Args:
      segment_id: string `[num_clips]`.
      num_stft_frames: int64 `[num_clips]`, at least those of a patch.
      seed: Of the source.
      pass_number: int64 scalar: which pass over the source this is.
      params: Size of a patch.
      copy_number: int64 `[num_clips]`, from 0: which example of its clip in
        this pass each is, each with its own window; None if all are the first.

    Returns:
      int64 `[num_clips]`, uniform in [0, num_stft_frames - patch_stft_frames].
    """
    keys = tf.strings.join(
        [segment_id, tf.strings.as_string(pass_number)], separator="/"
    )  # [num_clips]
    if copy_number is not None:
        keys_of_copies = tf.strings.join(
            [keys, tf.strings.as_string(copy_number)], separator="/"
        )
        keys = tf.where(copy_number > 0, keys_of_copies, keys)
    # SipHash, whose outputs for similar keys are unrelated; the seed is its
    # secret.
    hashes = tf.strings.to_hash_bucket_strong(keys, _NUM_HASHES, [seed, 0])
    return hashes % (num_stft_frames - params.patch_stft_frames + 1)


def _to_milliseconds(seconds: tf.Tensor) -> tf.Tensor:
    """Rounds seconds to int64 milliseconds, same shape."""
    return tf.cast(tf.round(tf.cast(seconds, tf.float64) * 1000.0), tf.int64)


def stretch_to_clip(
    events: EventsOfClips, label_frames: LabelFrameParams
) -> EventsOfClips:
    """Reads events as Diffuse does: each spans its whole clip."""
    start = tf.zeros_like(events.onset_seconds)
    return events._replace(
        onset_seconds=start, offset_seconds=start + label_frames.clip_seconds
    )


def window_targets(
    events: EventsOfClips,
    window_start_ms: tf.Tensor,
    num_classes: int,
    params: LabelFrameParams,
) -> tf.Tensor:
    """Applies the frame rule to the events of several clips.

    Args:
      events: Tensors `[num_events]`; classes in [0, num_classes).
      window_start_ms: int64 `[num_clips, num_windows]`, starts of the windows
        of each clip.
      num_classes: Number of classes.
      params: Window length and least overlap.

    Returns:
      float32 `[num_clips, num_windows, num_classes]`, 1 where one single event
      of the class satisfies the rule.
    """
    # In whole milliseconds, so that exactly half a window is enough.
    window_ms = tf.constant(
        round(params.label_frame_seconds * 1000), dtype=tf.int64
    )
    onset_ms = _to_milliseconds(events.onset_seconds)[:, tf.newaxis]
    offset_ms = _to_milliseconds(events.offset_seconds)[:, tf.newaxis]
    # [num_events, 1]
    start_ms = tf.gather(window_start_ms, events.clip_number)
    # [num_events, num_windows], those of the event's clip
    overlap_ms = tf.minimum(offset_ms, start_ms + window_ms) - tf.maximum(
        onset_ms, start_ms
    )  # [num_events, num_windows], negative where they do not meet
    shorter_ms = tf.minimum(window_ms, offset_ms - onset_ms)
    least_ms = params.min_overlap * tf.cast(shorter_ms, tf.float64)
    # [num_events, 1]
    is_positive = (overlap_ms > 0) & (
        tf.cast(overlap_ms, tf.float64) >= least_ms
    )  # [num_events, num_windows]

    # Each event counts alone: events of a class are never pooled.
    num_clips, num_windows = tf.unstack(tf.shape(window_start_ms))
    num_positive_events = tf.math.unsorted_segment_sum(
        tf.cast(is_positive, tf.float32),
        events.clip_number * num_classes + events.event_class,
        num_clips * num_classes,
    )  # [num_clips * num_classes, num_windows]
    targets = tf.reshape(
        tf.minimum(num_positive_events, 1.0),
        [num_clips, num_classes, num_windows],
    )
    return tf.transpose(targets, [0, 2, 1])


def make_examples(
    serialized: tf.Tensor,
    pass_number: tf.Tensor,
    records: Records,
    training_set: TrainingSet,
    seed: int,
    with_segment_ids: bool = False,
    copy_number: tf.Tensor | None = None,
) -> Block:
    """Makes one training example of each record.

    Args:
      serialized: string `[num_clips]`.
      pass_number: int64 scalar: which pass over the source this is.
      records: Where they come from.
      training_set: Whose labels, and how they are read.
      seed: Of the source.
      with_segment_ids: Whether the block holds them.
      copy_number: As in `draw_windows`.

    Returns:
      Block of `num_clips` examples, with `is_known`, bool `[num_clips]`:
      whether the label set knows the clip, which is no example otherwise.
    """
    features, label_frames = records.features, records.label_frames
    num_classes = records.class_map.num_classes
    clips = parse_records(
        serialized, training_set.label_set, features, records.log_mel_dtype
    )
    start = draw_windows(
        clips.segment_id,
        clips.num_stft_frames,
        seed,
        pass_number,
        features,
        copy_number,
    )  # [num_clips]
    events = clips.events
    if training_set.is_stretched:
        events = stretch_to_clip(events, label_frames)
    targets = window_targets(
        events,
        start[:, tf.newaxis] * round(features.stft_hop_seconds * 1000),
        num_classes,
        label_frames,
    )  # [num_clips, 1, num_classes]
    block = {
        "values": cut_bytes(
            clips.log_mel.values, start, features, records.log_mel_dtype
        ),  # [num_clips, patch_stft_frames, mel_bands]
        "targets": tf.reshape(targets, [-1, num_classes]),
        "is_known": clips.is_known,
    }
    if with_segment_ids:
        block["segment_id"] = clips.segment_id  # [num_clips]
    if clips.log_mel.step is not None:
        block["minimum"] = clips.log_mel.minimum  # [num_clips]
        block["step"] = clips.log_mel.step  # [num_clips]
    return block


def decode_patches(block: Block) -> tf.Tensor:
    """Decodes the features of a block, or of one example out of it.

    Returns:
      float32 `[..., patch_stft_frames, mel_bands]`.
    """
    return to_float32(
        StoredLogMel(block["values"], block.get("minimum"), block.get("step"))
    )


def make_label_frames(
    serialized: tf.Tensor, records: Records, label_set: str
) -> dict[str, tf.Tensor]:
    """Makes all label frames of each record.

    Args:
      serialized: string `[num_clips]`.
      records: Where they come from.
      label_set: "weak" or "strong": whose events make the targets.

    Returns:
      Dict of segment_id, string `[num_clips]`; patches, float32 `[num_clips,
      num_label_frames, patch_stft_frames, mel_bands]`; targets, float32
      `[num_clips, num_label_frames, num_classes]`; num_label_frames, int64
      `[num_clips]`, those whose STFT windows are all inside the audio (the
      last reaches 15 ms beyond its label frame, so that a clip of exactly 9.6 s
      has 9 of 10); audio_seconds, float32 `[num_clips]`; is_known, bool
      `[num_clips]`, whether the label set knows the clip. There are as many
      label frames as the longest of these clips has; patches beyond the audio
      are zeros.
    """
    features, label_frames = records.features, records.label_frames
    clips = parse_records(
        serialized, label_set, features, records.log_mel_dtype
    )
    num_inside = tf.minimum(
        clips.num_stft_frames // features.patch_stft_frames,
        label_frames.num_label_frames,
    )  # [num_clips]
    num_patches = tf.cast(tf.reduce_max(num_inside), tf.int32)
    values = decode_first_rows(
        clips.log_mel.values,
        num_patches * features.patch_stft_frames,
        features,
        records.log_mel_dtype,
    )  # [num_clips, num_patches * patch_stft_frames, mel_bands]
    patches = tf.reshape(
        to_float32(clips.log_mel._replace(values=values)),
        [-1, num_patches, features.patch_stft_frames, features.mel_bands],
    )
    is_inside = tf.sequence_mask(num_inside, num_patches)
    # [num_clips, num_patches]
    starts_ms = np.rint(
        np.arange(label_frames.num_label_frames)
        * label_frames.label_frame_seconds
        * 1000
    ).astype(np.int64)  # [num_label_frames]
    starts_ms = tf.constant(starts_ms)[:num_patches]
    targets = window_targets(
        clips.events,
        tf.tile(starts_ms[tf.newaxis], [tf.shape(serialized)[0], 1]),
        records.class_map.num_classes,
        label_frames,
    )  # [num_clips, num_patches, num_classes]
    return {
        "segment_id": clips.segment_id,
        "patches": tf.where(
            is_inside[:, :, tf.newaxis, tf.newaxis], patches, 0.0
        ),
        "targets": targets,
        "num_label_frames": num_inside,
        "audio_seconds": clips.audio_seconds,
        "is_known": clips.is_known,
    }

"""Random windows of clips: one a clip and pass, a function of both."""

import tensorflow as tf

from audioset_strong.params import FeatureParams
from audioset_strong.records.parsed_records import ParsedRecords


def draw_windows(
    records: ParsedRecords,
    seed: int,
    pass_number: tf.Tensor,
    features: FeatureParams,
    max_clips: int,
) -> tf.Tensor:
    """Draws the first STFT frame of a random window inside each clip's audio.

    Each clip has a generator of its own, so that its window depends neither on
    its place in the stream nor on the other clips.

    Args:
      records: The clips.
      seed: Of the source.
      pass_number: int64 scalar: which pass over the source this is.
      features: Size of a patch.
      max_clips: Clips that `records` holds at most; so many draws are in the
        graph.

    Returns:
      int64 `[num_clips]`, the same for the same (seed, pass, clip).
    """
    keys = tf.strings.join(
        [records.segment_id, tf.strings.as_string(pass_number)], separator="/"
    )
    clip_seeds = tf.strings.to_hash_bucket_strong(keys, 2**62, [seed, 0])
    num_starts = records.num_stft_frames - features.patch_stft_frames + 1
    num_clips = tf.shape(clip_seeds)[0]
    # TensorFlow draws many numbers with one seed, but not one number each with
    # many seeds; a loop in the graph would cost more than all other work.
    padding = [[0, max_clips - num_clips]]
    clip_seeds = tf.ensure_shape(tf.pad(clip_seeds, padding), [max_clips])
    num_starts = tf.ensure_shape(
        tf.pad(num_starts, padding, constant_values=1), [max_clips]
    )
    seeds = tf.stack(
        [tf.fill([max_clips], tf.constant(seed, tf.int64)), clip_seeds], axis=1
    )
    starts = [
        tf.random.stateless_uniform(
            [], clip_seed, minval=0, maxval=maxval, dtype=tf.int64
        )
        for clip_seed, maxval in zip(
            tf.unstack(seeds), tf.unstack(num_starts), strict=True
        )
    ]
    return tf.stack(starts)[:num_clips]

"""Records of AudioSet's shape with made-up features, for benchmarks.

Ten-second clips of 998 x 64 features, 527 classes; as in AudioSet about two
weak and nine strong events a clip. Written once as our records (float16 and
uint8) and in the usual way, with the features as a float list.
"""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from audioset_strong.labels.class_map import ClassMap
from audioset_strong.params import FeatureParams, LabelFrameParams
from audioset_strong.records.manifest import Records, Shard
from audioset_strong.records.schema import (
    ClassEvents,
    ClipRecord,
    serialize_record,
)

NUM_CLASSES = 527
_NUM_STFT_FRAMES = 998


def _clips(num_clips: int, seed: int) -> Iterator[ClipRecord]:
    """Makes clips: smoothed noise in the range of log-mel features."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(-2, 2, [3 * _NUM_STFT_FRAMES, 64]).astype(np.float32)
    for number in range(num_clips):
        start = rng.integers(2 * _NUM_STFT_FRAMES)
        gain = rng.normal(0, 1, [_NUM_STFT_FRAMES, 1]).astype(np.float32)
        num_strong, num_weak = rng.poisson(8.8), 1 + rng.poisson(1.0)
        onset = rng.uniform(0, 9.5, num_strong).astype(np.float32)
        length = 0.05 + rng.exponential(2.0, num_strong).astype(np.float32)
        strong = ClassEvents(
            rng.integers(0, NUM_CLASSES, num_strong),
            onset,
            np.minimum(onset + length, np.float32(10)),
        )
        weak = ClassEvents(
            rng.integers(0, NUM_CLASSES, num_weak),
            np.zeros(num_weak, np.float32),
            np.full(num_weak, 10, np.float32),
        )
        yield ClipRecord(
            f"s{seed:03d}c{number:06d}_30000",
            noise[start : start + _NUM_STFT_FRAMES] + gain,
            10.0,
            {"weak": weak, "strong": strong},
        )


def serialize_float_list(record: ClipRecord) -> bytes:
    """Writes a clip in the usual way: log_mel as a float list."""
    example = tf.train.Example.FromString(serialize_record(record))
    feature = example.features.feature["log_mel"]
    feature.float_list.value.extend(
        record.log_mel.astype(np.float16).ravel().tolist()
    )
    return example.SerializeToString(deterministic=True)


def write_records(
    folder: str, kind: str, num_shards: int, clips_per_shard: int
) -> Records:
    """Writes shards of the same clips, unless they are there.

    Args:
      folder: Where; one folder of its own is made inside.
      kind: "float16", "uint8" or "float_list".
      num_shards: How many.
      clips_per_shard: Clips of each.

    Returns:
      The records; of "float_list" only the paths are of use.
    """
    folder = os.path.join(folder, f"{kind}_{num_shards}x{clips_per_shard}")
    os.makedirs(folder, exist_ok=True)
    shards = []
    for index in range(num_shards):
        name = f"strong-{index:05d}-of-{num_shards:05d}.tfrecord"
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            with tf.io.TFRecordWriter(f"{path}.tmp") as writer:
                for clip in _clips(clips_per_shard, index):
                    if kind == "float_list":
                        writer.write(serialize_float_list(clip))
                    else:
                        writer.write(serialize_record(clip, kind))
            os.replace(f"{path}.tmp", path)
        counts = [clips_per_shard] * 3
        shards.append(Shard("strong", name, os.path.getsize(path), *counts))
    names = tuple(f"/m/{number}" for number in range(NUM_CLASSES))
    return Records(
        folder,
        FeatureParams(),
        LabelFrameParams(),
        ClassMap(names, names),
        tuple(shards),
        {"weak": [1] * NUM_CLASSES, "strong": [1] * NUM_CLASSES},
        log_mel_dtype="float16" if kind == "float_list" else kind,
    )

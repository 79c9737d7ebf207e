"""Records made by arithmetic alone, the same on every machine, for tests.

Features are multiples of 1/64 in [-16, 16), which float16 holds exactly; no
audio and no FFT stand behind them. The shards have what real ones have: clips
of one label set and of both, without events, and shorter ones.
"""

import os

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
from audioset_strong.records.shard import class_events

# Clips of each shard, by group; more shards than are read at a time.
_SHARDS = {"weak": (5, 9, 2, 3, 1, 4, 6, 2, 3), "strong": (11, 4)}
_NUM_CLASSES = 4


def _hashed(number):
    """Knuth's multiplicative hash: uint32, by 64-bit arithmetic."""
    return (np.uint64(number) * np.uint64(2654435761)) % np.uint64(2**32)


def _log_mel(clip_number):
    num_stft_frames = 998 if clip_number % 5 else 96 + clip_number
    values = np.arange(num_stft_frames * 64, dtype=np.uint64)
    values = _hashed(values + np.uint64(clip_number * 1000003))
    # Squared, because rows of two clips would be equal otherwise.
    levels = (values * values >> np.uint64(20)) % np.uint64(2048)
    levels = levels.reshape(-1, 64).astype(np.float32)
    return (levels - 1024) / 64


def _strong_events(clip_number, num_classes):
    """Up to four events, on and off the 10 ms grid."""
    rows = []
    for number in range(clip_number % 5):
        draw = int(_hashed(clip_number * 31 + number))
        onset_ms = draw % 9000
        length_ms = 1 + draw // 9000 % (10000 - onset_ms)
        rows.append((draw % num_classes, onset_ms, onset_ms + length_ms))
    table = np.array(rows, np.int64).reshape(-1, 3)
    seconds = (table[:, 1:] / 1000).astype(np.float32)
    return ClassEvents(table[:, 0], seconds[:, 0], seconds[:, 1])


def _weak_events(clip_number, num_classes):
    classes = np.arange(clip_number % 3) + clip_number
    whole = np.full(len(classes), 10, np.float32)
    return ClassEvents(classes % num_classes, 0 * whole, whole)


def _record(group, clip_number, num_classes):
    events = {}
    # Every fourth clip of a strong shard has no weak labels.
    if group == "weak" or clip_number % 4:
        events["weak"] = _weak_events(clip_number, num_classes)
    if group == "strong":
        events["strong"] = _strong_events(clip_number, num_classes)
    return ClipRecord(
        f"{group}{clip_number:03d}_30000", _log_mel(clip_number), 10.0, events
    )


def write_pinned_records(folder, log_mel_dtype="float16"):
    """Writes the shards into an empty folder; returns them as `Records`."""
    shards, clip_number = [], 0
    for group, sizes in _SHARDS.items():
        for index, size in enumerate(sizes):
            name = f"{group}-{index:05d}-of-{len(sizes):05d}.tfrecord"
            path = os.path.join(folder, name)
            clips = [
                _record(group, number, _NUM_CLASSES)
                for number in range(clip_number, clip_number + size)
            ]
            clip_number += size
            with tf.io.TFRecordWriter(path) as writer:
                for clip in clips:
                    writer.write(serialize_record(clip, log_mel_dtype))
            knowing = [
                sum(label_set in clip.events for clip in clips)
                for label_set in ("weak", "strong")
            ]
            num_bytes = os.path.getsize(path)
            shards.append(Shard(group, name, num_bytes, size, *knowing))
    names = tuple(f"/m/{index}" for index in range(_NUM_CLASSES))
    return Records(
        records_dir=str(folder),
        features=FeatureParams(),
        label_frames=LabelFrameParams(),
        class_map=ClassMap(names, names),
        shards=tuple(shards),
        # As if the last class had no strong label.
        events_per_class={"weak": [1, 1, 1, 1], "strong": [1, 1, 1, 0]},
        log_mel_dtype=log_mel_dtype,
    )


def write_clips(folder, clips):
    """Writes clips of any length, of group "strong"; returns the `Records`.

    `clips` are (segment id, seconds, events of each label set), where events
    are rows of (class index, onset, offset). Each STFT frame of a clip holds
    its own number.
    """
    path = os.path.join(folder, "strong-00000-of-00001.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for segment_id, seconds, events in clips:
            num_stft_frames = FeatureParams().num_stft_frames(
                round(seconds * 16000)
            )
            numbers = np.arange(num_stft_frames, dtype=np.float32)
            log_mel = np.repeat(numbers[:, np.newaxis], 64, axis=1)
            of_set = {name: class_events(rows) for name, rows in events.items()}
            record = ClipRecord(segment_id, log_mel, seconds, of_set)
            writer.write(serialize_record(record))
    counts = [
        sum(label_set in events for _, _, events in clips)
        for label_set in ("weak", "strong")
    ]
    shard = Shard(
        "strong",
        os.path.basename(path),
        os.path.getsize(path),
        len(clips),
        *counts,
    )
    names = tuple(f"class_{index}" for index in range(_NUM_CLASSES))
    longest = max(seconds for _, seconds, _ in clips)
    return Records(
        records_dir=str(folder),
        features=FeatureParams(),
        label_frames=LabelFrameParams(
            num_label_frames=int(longest / 0.96), clip_seconds=longest
        ),
        class_map=ClassMap(names, names),
        shards=(shard,),
        events_per_class={"weak": [1] * 4, "strong": [1] * 4},
    )

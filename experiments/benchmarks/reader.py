r"""How fast records are read, compared with raw bytes and the usual way.

    python -m experiments.benchmarks.reader --work_dir=runs/reader

Writes generated records to --work_dir (once), then times, in turns and
--num_repeats times, how many clips a second each of these reads:

  raw_*          TFRecordDataset alone over the same files: in sequence, several
                 files at a time, and with 16 records a step, which saves
                 tf.data's work per element; the records are only counted
  examples       our training examples, one by one
  batches        `training_stream`: batches of 128, ready for a network; also
                 without order, mixed of two training sets, and of uint8 records
  usual          the same clips with features as a float list, each parsed whole
                 by tf.io.parse_single_example, then sliced, with AUTOTUNE; as
                 batches of 128, with the targets of each window and without
  label_frames   all label frames of each clip, batches of 16

Each timing leaves out the start of its pipeline and reads from a warm page
cache. Prints JSON: median clips/s, CPU time in us per clip, and the medians of
the ratios within each repeat.
"""

import functools
import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import flags

from audioset_strong import run_flags
from audioset_strong.labels.training_sets import get_training_set
from audioset_strong.params import TrainParams
from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import (
    Reading,
    label_frame_batches,
    training_examples,
    training_stream,
    without_tuner,
)
from experiments.benchmarks.generated_records import (
    NUM_CLASSES,
    write_records,
)

_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Folder for the generated records.", required=True
)
_NUM_SHARDS = flags.DEFINE_integer("num_shards", 16, "Shards of each kind.")
_CLIPS_PER_SHARD = flags.DEFINE_integer("clips_per_shard", 250, "Their clips.")
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 16000, "Clips of a timing.")
_NUM_REPEATS = flags.DEFINE_integer("num_repeats", 5, "Timings of each.")

_BATCH = 128
# Makes a dataset; and the number of clips that one element holds.
_Case = tuple[Callable[[], tf.data.Dataset], int]


def _paths(records: Records) -> list[str]:
    return [records.path_of(shard) for shard in records.shards]


def _raw(records: Records, clips_per_step: int = 1) -> tf.data.Dataset:
    clips = tf.data.TFRecordDataset(
        _paths(records), buffer_size=1 << 20
    ).repeat()
    if clips_per_step > 1:
        clips = clips.batch(clips_per_step, drop_remainder=True)
    return without_tuner(clips)


def _raw_parallel(
    records: Records, num_shards: int, clips_per_step: int = 1
) -> tf.data.Dataset:
    def read(path: tf.Tensor) -> tf.data.Dataset:
        clips = tf.data.TFRecordDataset(path, buffer_size=1 << 20)
        if clips_per_step > 1:
            clips = clips.batch(clips_per_step, drop_remainder=True)
        return clips

    shards = tf.data.Dataset.from_tensor_slices(_paths(records)).repeat()
    return without_tuner(
        shards.interleave(
            read,
            cycle_length=num_shards,
            num_parallel_calls=2,
            deterministic=False,
        )
    )


def _usual(records: Records, with_targets: bool) -> tf.data.Dataset:
    """Float lists parsed whole, clip by clip, as tutorials do."""
    names = ("class", "onset_seconds", "offset_seconds")
    dtypes = (tf.int64, tf.float32, tf.float32)
    parsed_features = {"log_mel": tf.io.FixedLenFeature([998, 64], tf.float32)}
    if with_targets:
        for name, dtype in zip(names, dtypes, strict=True):
            feature = tf.io.VarLenFeature(dtype)
            parsed_features[f"strong_event_{name}"] = feature

    def make_example(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = tf.io.parse_single_example(serialized, parsed_features)
        start = tf.random.uniform([], 0, 998 - 96 + 1, tf.int32)
        patch = parsed["log_mel"][start : start + 96]
        if not with_targets:
            return (patch,)
        event_class, onset, offset = (
            parsed[f"strong_event_{name}"].values for name in names
        )
        window = tf.cast(start, tf.float32) * 0.01
        overlap = tf.minimum(offset, window + 0.96) - tf.maximum(onset, window)
        least = 0.5 * tf.minimum(offset - onset, 0.96)
        positive = event_class[(overlap > 0) & (overlap >= least)]
        one_hot = tf.one_hot(positive, NUM_CLASSES)
        return patch, tf.reduce_max(one_hot, axis=0)

    shards = tf.data.Dataset.from_tensor_slices(_paths(records)).repeat()
    clips = shards.interleave(
        tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE
    )
    examples = clips.shuffle(256).map(
        make_example, num_parallel_calls=tf.data.AUTOTUNE
    )
    return examples.batch(_BATCH, drop_remainder=True).prefetch(
        tf.data.AUTOTUNE
    )


def _batches(records: Records, **settings: object) -> tf.data.Dataset:
    params = TrainParams(training_set="strong", **settings)  # type: ignore[arg-type]
    return training_stream(records, params)


def _examples(records: Records, is_deterministic: bool) -> tf.data.Dataset:
    reading = Reading(0, 1024, is_deterministic=is_deterministic)
    return training_examples(records, get_training_set("strong"), reading)


def _cases(
    records: Records, quantised: Records, usual: Records
) -> dict[str, _Case]:
    part = functools.partial
    return {
        "raw_sequential": (part(_raw, records), 1),
        "raw_parallel": (part(_raw_parallel, records, 2), 1),
        "raw_sequential_by_16": (part(_raw, records, 16), 16),
        "raw_parallel_by_16": (part(_raw_parallel, records, 2, 16), 16),
        "raw_uint8_by_16": (part(_raw, quantised, 16), 16),
        "raw_float_list_by_16": (part(_raw, usual, 16), 16),
        "examples": (part(_examples, records, True), 1),
        "examples_unordered": (part(_examples, records, False), 1),
        "batches": (part(_batches, records), _BATCH),
        "batches_unordered": (
            part(_batches, records, deterministic_input=False),
            _BATCH,
        ),
        "batches_mixed": (
            part(_batches, records, mixed_training_set="diffuse", mu=0.5),
            _BATCH,
        ),
        "batches_uint8": (part(_batches, quantised), _BATCH),
        "usual": (part(_usual, usual, True), _BATCH),
        "usual_no_targets": (part(_usual, usual, False), _BATCH),
        "label_frames": (
            lambda: label_frame_batches(records, ["strong"]).repeat(),
            16,
        ),
    }


def _count(dataset: tf.data.Dataset, num_elements: int) -> tuple[float, float]:
    """Reads elements: seconds, and CPU seconds of this process."""
    counted = dataset.take(num_elements)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.monotonic()
    found = counted.reduce(np.int64(0), lambda count, *_: count + 1)
    if int(found) != num_elements:
        raise AssertionError("The stream ended.")
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu


def _measure(case: _Case) -> tuple[float, float]:
    """Returns clips/s and CPU us a clip, past the start of the pipeline."""
    make, clips_per_element = case
    dataset = make()
    short, long = (
        number // clips_per_element for number in (2048, _NUM_CLIPS.value)
    )
    first, whole = _count(dataset, short), _count(dataset, short + long)
    num_clips = long * clips_per_element
    return (
        num_clips / (whole[0] - first[0]),
        1e6 * (whole[1] - first[1]) / num_clips,
    )


def main(argv: Sequence[str]) -> None:
    """Times the cases in turns and prints JSON."""
    run_flags.refuse_arguments(argv)
    size = (_NUM_SHARDS.value, _CLIPS_PER_SHARD.value)
    kinds = ("float16", "uint8", "float_list")
    folders = [write_records(_WORK_DIR.value, kind, *size) for kind in kinds]
    cases = _cases(*folders)
    runs = [
        {name: _measure(case) for name, case in cases.items()}
        for _ in range(_NUM_REPEATS.value)
    ]

    def ratio(name: str, *others: str) -> float:
        ratios = [r[name][0] / max(r[o][0] for o in others) for r in runs]
        return round(statistics.median(ratios), 2)

    by_one = ("raw_sequential", "raw_parallel")
    by_16 = ("raw_sequential_by_16", "raw_parallel_by_16")
    streams = [n for n in cases if n.startswith(("examples", "batches"))]
    results = {
        "bytes": {
            kind: sum(shard.num_bytes for shard in records.shards)
            for kind, records in zip(kinds, folders, strict=True)
        },
        "clips_per_second": {
            name: round(statistics.median(run[name][0] for run in runs))
            for name in cases
        },
        "cpu_us_per_clip": {
            name: round(statistics.median(run[name][1] for run in runs), 1)
            for name in cases
        },
        "ratio_to_raw": {name: ratio(name, *by_one) for name in streams},
        "ratio_to_raw_by_16": {name: ratio(name, *by_16) for name in streams},
        "ratio_to_usual": {name: ratio(name, "usual") for name in streams},
        "ratio_to_usual_no_targets": {
            name: ratio(name, "usual_no_targets") for name in streams
        },
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    run_flags.run(main)

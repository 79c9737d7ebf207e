"""Training examples of one source, in shuffled blocks.

    shards in the order of the pass -> records -> parsed, drawn and cut, some at
    a time -> blocks, shuffled -> without the clips that have no such labels

Everything works on many clips at once, because a TensorFlow graph costs about
as much for 32 clips as for one. Patches are cut before the shuffle, so that a
block holds 12 KB a clip and not 128 KB; windows do not depend on the order.

The stream is a pure function of (seed, pass, position in the pass): the order
of shards and clips and every window come from stateless generators, so that a
run can go on where it stopped by skipping. Published numbers were made with it:
tests pin its bits.
"""

import dataclasses

import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import TrainingSet
from audioset_strong.records.input_workers import (
    InputWorker,
    ShardPart,
    parts_of_worker,
)
from audioset_strong.records.log_mel_bytes import (
    StoredLogMel,
    cut_bytes,
    to_float32,
)
from audioset_strong.records.manifest import Records
from audioset_strong.records.parsed_records import parse_records
from audioset_strong.records.window_targets import (
    stretch_to_clip,
    window_targets,
)
from audioset_strong.records.windows import draw_windows
from audioset_strong.storage import is_remote

# Shards read at the same time, so that one pass mixes them: our choice. Part of
# the definition of the stream: do not change.
_INTERLEAVED_SHARDS = 8
# Records parsed at a time: 4 MB, so that a second copy still fits in a cache.
_CHUNK_CLIPS = 32
# Enough for 20,000 clips/s and more; the tuner is off (mixture.py).
_PARALLEL_CHUNKS = 4
_PARALLEL_SHARDS = 2
# Read ahead in each shard: small ones stay in the cache; each read of object
# storage is a request, which costs more than its bytes.
_LOCAL_BUFFER_BYTES = 1 << 18
_REMOTE_BUFFER_BYTES = 1 << 23

# Tensors of several examples, by name: "values" and, of uint8 records,
# "minimum" and "step", as in `StoredLogMel`; "targets"; "is_known" within this
# module.
Block = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a source is read.

    Attributes:
      seed: Of order and windows.
      shuffle_block_clips: Records that are shuffled at a time.
      num_skipped: Examples to leave out at the start: those a run has used.
      is_deterministic: Whether equal readings have the same order; else clips
        come as they are ready.
      worker: Whose share to read.
    """

    seed: int
    shuffle_block_clips: int
    num_skipped: int = 0
    is_deterministic: bool = True
    worker: InputWorker = InputWorker()


def read_buffer_bytes(path: str) -> int:
    """Returns how much of a shard to read ahead."""
    return _REMOTE_BUFFER_BYTES if is_remote(path) else _LOCAL_BUFFER_BYTES


def decode_block(block: Block) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes examples.

    Returns:
      Patches, float32 `[..., patch_stft_frames, mel_bands]`; targets, float32
      `[..., num_classes]`.
    """
    stored = StoredLogMel(
        block["values"], block.get("minimum"), block.get("step")
    )
    return to_float32(stored), block["targets"]


def _stateless_shuffle(block: Block, seed: int, stream: tf.Tensor) -> Block:
    """Shuffles the rows of tensors alike, as (seed, stream) says."""
    num_rows = tf.shape(next(iter(block.values())))[0]
    order = tf.random.experimental.stateless_shuffle(
        tf.range(num_rows), tf.stack([tf.constant(seed, tf.int64), stream])
    )
    return {name: tf.gather(rows, order) for name, rows in block.items()}


def _clips_of_pass(
    records: Records,
    parts: list[ShardPart],
    reading: Reading,
    pass_number: tf.Tensor,
) -> tf.data.Dataset:
    """Reads the records of one pass, several shards at a time.

    Returns:
      Dataset of serialized records, string scalars.
    """
    paths = [records.path_of(part.shard) for part in parts]
    buffer_bytes = read_buffer_bytes(paths[0])

    def read_part(part: Block) -> tf.data.Dataset:
        clips = tf.data.TFRecordDataset(part["path"], buffer_size=buffer_bytes)
        if all(p.is_whole for p in parts):
            return clips
        return clips.skip(part["first_clip"]).take(part["num_clips"])

    all_parts = {
        "path": tf.constant(paths),
        "first_clip": tf.constant([p.first_clip for p in parts], tf.int64),
        "num_clips": tf.constant([p.num_clips for p in parts], tf.int64),
    }
    # Blocks are streams 1, 2, ... of the pass; no pass has 2**32.
    shuffled = tf.data.Dataset.from_tensors(all_parts).map(
        lambda items: _stateless_shuffle(
            items, reading.seed, pass_number * 2**32
        )
    )
    cycle_length = min(_INTERLEAVED_SHARDS, len(parts))
    return shuffled.unbatch().interleave(
        read_part,
        cycle_length=cycle_length,
        num_parallel_calls=min(_PARALLEL_SHARDS, cycle_length),
        deterministic=reading.is_deterministic,
    )


def _make_block(
    serialized: tf.Tensor,
    pass_number: tf.Tensor,
    records: Records,
    training_set: TrainingSet,
    seed: int,
) -> Block:
    """Makes the examples of several records."""
    features, label_frames = records.features, records.label_frames
    dtype = records.log_mel_dtype
    clips = parse_records(serialized, training_set.label_set, features, dtype)
    start = draw_windows(clips, seed, pass_number, features, _CHUNK_CLIPS)
    events = clips.events
    if training_set.is_stretched:
        events = stretch_to_clip(events, label_frames)
    targets = window_targets(
        events,
        start[:, tf.newaxis] * round(features.stft_hop_seconds * 1000),
        records.class_map.num_classes,
        label_frames,
    )
    block = {
        "values": cut_bytes(clips.log_mel.values, start, features, dtype),
        "targets": tf.reshape(targets, [-1, records.class_map.num_classes]),
        "is_known": clips.is_known,
    }
    if clips.log_mel.step is not None:
        block["minimum"] = clips.log_mel.minimum
        block["step"] = clips.log_mel.step
    return block


def _keep_known(block: Block) -> Block:
    """Leaves out the clips that the label set does not know."""
    is_known = block.pop("is_known")
    return {
        name: tf.boolean_mask(rows, is_known) for name, rows in block.items()
    }


def _drop_first(num_left: tf.Tensor, block: Block) -> tuple[tf.Tensor, Block]:
    """Leaves out the first examples, of which `num_left` are still to go."""
    num_rows = tf.shape(block["targets"], tf.int64)[0]
    num_dropped = tf.minimum(num_left, num_rows)
    kept = {name: rows[num_dropped:] for name, rows in block.items()}
    return num_left - num_dropped, kept


def _parts_of_source(
    records: Records, training_set: TrainingSet, worker: InputWorker
) -> list[ShardPart]:
    """What a worker reads of a training set."""
    groups = ("strong",)
    if not training_set.needs_strong_labels:
        groups = ("weak", "strong")
    shards = records.shards_of(*groups)
    if not any(s.num_clips_with(training_set.label_set) for s in shards):
        raise InputError(
            f"{records.records_dir} holds no clip for the training set "
            f"{training_set.name!r}: it needs clips with "
            f"{training_set.label_set} labels in {' or '.join(groups)} shards. "
            f"Prepare records with such labels."
        )
    return parts_of_worker(shards, worker)


def _count_known(records: Records, part: ShardPart, label_set: str) -> int:
    """Counts the clips of a part that a label set knows."""
    num_known = part.shard.num_clips_with(label_set)
    if part.is_whole:
        return num_known
    if num_known == part.shard.num_clips:
        return part.num_clips
    # Only of the first and the last part of a worker.
    clips = tf.data.TFRecordDataset(records.path_of(part.shard))
    clips = clips.skip(part.first_clip).take(part.num_clips)
    known = clips.batch(_CHUNK_CLIPS).map(
        lambda serialized: tf.math.count_nonzero(
            parse_records(
                serialized, label_set, records.features, records.log_mel_dtype
            ).is_known
        )
    )
    return int(known.reduce(tf.constant(0, tf.int64), tf.add))


def example_blocks(
    records: Records, training_set: TrainingSet, reading: Reading
) -> tf.data.Dataset:
    """Streams the training examples of one source in blocks, without end.

    Args:
      records: The records.
      training_set: Which clips, and how their labels are read.
      reading: Order, and what to skip.

    Returns:
      Dataset of `Block` of any number of examples, for `decode_block`.

    Raises:
      InputError: There is no clip for this training set or this worker.
    """
    parts = _parts_of_source(records, training_set, reading.worker)
    num_known = [
        _count_known(records, part, training_set.label_set) for part in parts
    ]
    num_clips = sum(num_known)
    if not num_clips:
        raise InputError(
            f"Input worker {reading.worker.index} of "
            f"{reading.worker.num_workers} has no clip of the training set "
            f"{training_set.name!r}. Use fewer workers."
        )
    all_known = num_clips == sum(part.num_clips for part in parts)
    first_pass, num_skipped = divmod(reading.num_skipped, num_clips)

    def blocks_of_pass(pass_number: tf.Tensor) -> tf.data.Dataset:
        clips = _clips_of_pass(records, parts, reading, pass_number)
        chunks = clips.batch(_CHUNK_CLIPS).map(
            lambda serialized: _make_block(
                serialized, pass_number, records, training_set, reading.seed
            ),
            num_parallel_calls=_PARALLEL_CHUNKS,
            deterministic=reading.is_deterministic,
        )
        blocks = chunks.rebatch(reading.shuffle_block_clips).enumerate(start=1)
        return blocks.map(
            lambda number, block: _stateless_shuffle(
                block, reading.seed, pass_number * 2**32 + number
            )
        )

    passes = tf.data.Dataset.counter(start=first_pass)
    blocks = passes.flat_map(blocks_of_pass)
    if all_known:
        blocks = blocks.map(
            lambda block: {k: v for k, v in block.items() if k != "is_known"}
        )
    else:
        blocks = blocks.map(_keep_known)
    if num_skipped:
        blocks = blocks.scan(tf.constant(num_skipped, tf.int64), _drop_first)
    return blocks

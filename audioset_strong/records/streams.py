"""What goes wrong while records are read, said clearly.

Shares the clips of a pass among several input workers.

The clips of all shards, in the order of the manifest, are one long list, and
each worker reads one stretch of it: some whole shards and parts of two others.
So shares are disjoint, are together every clip, and differ by one clip at most,
for any number of workers and shards; and a worker reads little but its share.
Dealing out whole shards would give a worker of two with three shards half of
the other's clips, and it would show each twice as often; reading every n-th
clip would have each worker read all bytes.

A local copy of shards, for records in object storage.

Training reads its shards again and again; from object storage every pass would
go through the network. What a run needs is copied once, before its first step.
A shard is copied under a temporary name, compared with the size in the manifest
and renamed, so it is there whole or not at all. Copies lie in a folder named
after the manifest's content, so that other records never mix with them.

Training examples of one source, in shuffled blocks.

    shards in the order of the pass -> records -> parsed, drawn and cut, some at
    a time -> blocks, shuffled -> without the clips that have no such labels

Everything works on many clips at once, because a TensorFlow graph costs about
as much for 32 clips as for one. Patches are cut before the shuffle, so that a
block holds 12 KB a clip and not 128 KB; windows do not depend on the order.

The stream is a pure function of (seed, pass, position in the pass): the order
of shards and clips and every window come from stateless generators, so that a
run can go on where it stopped by skipping. Published numbers were made with it:
tests pin its bits.

Streams of clips read from records.

Two readings of the same shards:
  * training examples: one random window of 96 STFT frames per clip and pass,
    with its targets, computed from the events in the graph
    (`example_blocks.py`);
  * label frames: all label frames of a clip, for scoring.

Mixing training sets by mu.

Per source: shuffle, repeat. Then sample by mu, example by example; then batch;
then prefetch. Sampling comes after repeating, so that the share of the small
source stays mu for as long as one trains (sampling first would run it dry).

The choice of source at example i is a pure function of (seed, i), so a resumed
run can count how many examples of each source it has used.

Source: Section 4 of the paper: mu in [0, 1], 0 selects only Weak and 1 selects
only Diffuse or Strong.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm
from absl import logging

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.files import is_remote
from audioset_strong.labels.training_sets import TrainingSet, get_training_set
from audioset_strong.params import FeatureParams, LabelFrameParams, TrainParams
from audioset_strong.records.examples import (
    draw_windows,
    parse_records,
    stretch_to_clip,
    window_targets,
)
from audioset_strong.records.manifest import MANIFEST_NAME, Records, Shard
from audioset_strong.records.parse import (
    cut_bytes,
    decode_first_rows,
    to_float32,
)
from audioset_strong.records.schema import StoredLogMel

# --- data errors -----------------------------------------------------------


# Which operation failed is of no use to people.
_NOISE = re.compile(r"\{\{.*?\}\}|\[\[.*?\]\]|\[Op:\w+\]")


def _one_line(message: str) -> str:
    """Returns the first line that says something."""
    lines = [" ".join(_NOISE.sub("", li).split()) for li in message.split("\n")]
    useful = [
        li for li in lines if li and not li.startswith(("Error in", "\t"))
    ]
    return (useful or ["no reason given"])[0].rstrip(".")


@contextlib.contextmanager
def clear_data_errors(records: Records) -> Iterator[None]:
    """Turns TensorFlow's errors while records are read into clear ones.

    Only reading belongs inside this context: an error of a model would be
    taken for one of the data.

    Raises:
      InputError: A record read inside this context is corrupt, is no record of
        this kind, or cannot be read.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise InputError(
            f"A shard in {records.records_dir} is corrupt "
            f"({_one_line(error.message)}). Delete it and run prepare_records "
            f"again."
        ) from error
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"A record in {records.records_dir} is not one of clips with "
            f"{records.log_mel_dtype} features ({_one_line(error.message)}). "
            f"Prepare the records again."
        ) from error
    except tf.errors.OpError as error:
        raise InputError(
            f"The records in {records.records_dir} could not be read to the "
            f"end ({type(error).__name__}: {_one_line(error.message)}). See "
            f"that the folder can be reached, and run the same command again."
        ) from error


def read_batches(dataset: Iterable[Any], records: Records) -> Iterator[Any]:
    """Iterates over what is read from records, with clear errors.

    Only the reading is inside `clear_data_errors`, not what the caller does
    with a batch.

    Raises:
      InputError: As `clear_data_errors`.
    """
    with clear_data_errors(records):
        batches = iter(dataset)
    while True:
        with clear_data_errors(records):
            try:
                batch = next(batches)
            except StopIteration:
                return
        yield batch


# --- input workers ---------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class InputWorker:
    """One of several processes or hosts that read the same records.

    Attributes:
      index: Which one, from 0.
      num_workers: How many there are.
    """

    index: int = 0
    num_workers: int = 1

    def __post_init__(self) -> None:
        """Checks that there is such a worker."""
        if not 0 <= self.index < self.num_workers:
            raise InputError(
                f"Expected an input worker of 0 to {self.num_workers - 1}. "
                f"Received: {self.index}."
            )

    def share_of(self, global_batch_size: int) -> int:
        """Examples that this worker gives to a global batch.

        Raises:
          InputError: They cannot be shared evenly.
        """
        if global_batch_size % self.num_workers:
            raise InputError(
                f"A global batch of {global_batch_size} cannot be shared "
                f"evenly by {self.num_workers} input workers. Give a multiple."
            )
        return global_batch_size // self.num_workers


@dataclasses.dataclass(frozen=True)
class ShardPart:
    """A stretch of the clips of one shard.

    Attributes:
      shard: The shard.
      first_clip: Number of its first clip.
      num_clips: Clips of the stretch.
    """

    shard: Shard
    first_clip: int
    num_clips: int

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole shard."""
        return self.num_clips == self.shard.num_clips


def parts_of_worker(
    shards: Sequence[Shard], worker: InputWorker
) -> list[ShardPart]:
    """Returns what one worker reads of some shards; see the module docstring.

    Raises:
      InputError: There are fewer clips than workers.
    """
    num_clips = sum(shard.num_clips for shard in shards)
    if num_clips < worker.num_workers:
        raise InputError(
            f"{num_clips} clips cannot be shared by {worker.num_workers} input "
            f"workers. Use fewer."
        )
    first = num_clips * worker.index // worker.num_workers
    end = num_clips * (worker.index + 1) // worker.num_workers
    parts, shard_first = [], 0
    for shard in shards:
        start = max(first - shard_first, 0)
        stop = min(end - shard_first, shard.num_clips)
        if start < stop:
            parts.append(ShardPart(shard, start, stop - start))
        shard_first += shard.num_clips
    return parts


# --- shard cache -----------------------------------------------------------


# Shards copied at a time; each waits for the network, not for a core.
_PARALLEL_COPIES = 8


def _is_copied(path: str, shard: Shard) -> bool:
    return os.path.exists(path) and os.path.getsize(path) == shard.num_bytes


def _copy_shard(source: str, path: str, shard: Shard) -> None:
    """Copies one shard, whole or not at all."""
    with files.replace_when_whole(path) as temporary_path:
        with files.clear_storage_errors(source):
            tf.io.gfile.copy(source, temporary_path, overwrite=True)
        num_bytes = os.path.getsize(temporary_path)
        if num_bytes != shard.num_bytes:
            raise InputError(
                f"Shard {source} should have {shard.num_bytes} bytes, its copy "
                f"has {num_bytes}. Run the same command again; if it stays so, "
                f"prepare the shard again."
            )


def cache_shards(records: Records, cache_dir: str) -> Records:
    """Copies the shards of records to a local folder, once.

    Args:
      records: Local or in object storage.
      cache_dir: Local folder; copies go to a folder inside it.

    Returns:
      The same records, to be read from the copies.

    Raises:
      InputError: The folder is not local, or a shard is not as long as the
        manifest says.
      OSError: Something cannot be read or written, as on a full disk.
    """
    if files.is_remote(cache_dir):
        raise InputError(
            f"Expected a local folder for --cache_dir. Received: {cache_dir}."
        )
    files.connect(records.records_dir)
    manifest = files.read_bytes(
        os.path.join(records.records_dir, MANIFEST_NAME)
    )
    folder = os.path.join(cache_dir, hashlib.sha256(manifest).hexdigest()[:16])
    os.makedirs(folder, exist_ok=True)
    missing = [
        shard
        for shard in records.shards
        if not _is_copied(os.path.join(folder, shard.name), shard)
    ]
    num_bytes = sum(shard.num_bytes for shard in missing)
    if missing:
        logging.info(
            "Copying %d of %d shards (%.1f GB) of %s to %s.",
            len(missing),
            len(records.shards),
            num_bytes / 1e9,
            records.records_dir,
            folder,
        )
    with (
        tqdm.tqdm(
            total=num_bytes, unit="B", unit_scale=True, desc="cache"
        ) as progress,
        concurrent.futures.ThreadPoolExecutor(_PARALLEL_COPIES) as executor,
    ):
        copies = {
            executor.submit(
                _copy_shard,
                records.path_of(shard),
                os.path.join(folder, shard.name),
                shard,
            ): shard
            for shard in missing
        }
        try:
            for copy in concurrent.futures.as_completed(copies):
                copy.result()
                progress.update(copies[copy].num_bytes)
        except BaseException:
            # What is under way ends well or leaves nothing; the rest can wait.
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return dataclasses.replace(records, records_dir=folder)


# --- example blocks --------------------------------------------------------


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


# --- reader ----------------------------------------------------------------


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


# --- mixture ---------------------------------------------------------------


# Choices are drawn in blocks of this many, so that counting hundreds of
# millions of them takes seconds. Part of the definition of the stream: do not
# change.
_BLOCK = 1 << 16
# Enough to hide the pause in which a source reads its next block of clips.
_PREFETCHED_BATCHES = 8


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Two sources and how often the second is drawn.

    Attributes:
      mu: Probability of the second source, in [0, 1].
      seed: Of the choices.
      worker_index: Which input worker draws; each has its own choices.
    """

    mu: float
    seed: int
    worker_index: int = 0

    def __post_init__(self) -> None:
        """Checks the range of mu."""
        if not 0.0 <= self.mu <= 1.0:
            raise InputError(f"Expected 0 <= mu <= 1. Received: {self.mu}.")

    def _draw_block(self, block: tf.Tensor) -> tf.Tensor:
        """Draws the choices of one block: int64 `[_BLOCK]`, 0 or 1."""
        # No run has 2**32 blocks.
        stream = self.worker_index * 2**32 + tf.cast(block, tf.int64)
        seed = tf.stack([tf.constant(self.seed, tf.int64), stream])
        uniform = tf.random.stateless_uniform([_BLOCK], seed, dtype=tf.float64)
        return tf.cast(uniform < self.mu, tf.int64)

    def choices(self, first_example: int) -> tf.data.Dataset:
        """Streams the source of each example from `first_example` on."""
        block, position = divmod(first_example, _BLOCK)
        blocks = tf.data.Dataset.counter(start=block)
        return blocks.flat_map(
            lambda number: tf.data.Dataset.from_tensor_slices(
                self._draw_block(number)
            )
        ).skip(position)

    def count_second(self, num_examples: int) -> int:
        """Counts how many of the first examples come from the second source."""
        num_blocks, position = divmod(num_examples, _BLOCK)
        total = sum(
            int(tf.reduce_sum(self._draw_block(tf.constant(block))))
            for block in range(num_blocks)
        )
        last = self._draw_block(tf.constant(num_blocks))
        return total + int(tf.reduce_sum(last[:position]))


def class_mask(
    records: Records, training_set: TrainingSet, mask_unlabelled_classes: bool
) -> np.ndarray:
    """Says which classes count in the loss of examples of a training set.

    Returns:
      float32 `[num_classes]`: 0 for classes without any strong label, if they
      are to be masked and the set reads strong labels; 1 otherwise.
    """
    mask = np.ones(records.class_map.num_classes, dtype=np.float32)
    if mask_unlabelled_classes and training_set.label_set == "strong":
        counts = np.array(records.events_per_class["strong"])
        mask = (counts > 0).astype(np.float32)
    return mask


def _source(
    records: Records,
    params: TrainParams,
    source_index: int,
    num_skipped: int,
    worker: InputWorker,
) -> tf.data.Dataset:
    """Streams one source in blocks, each with the index of the source."""
    names = (params.training_set, params.mixed_training_set)
    reading = Reading(
        # Two sources of the same clips must not draw the same windows.
        seed=2 * params.seed + source_index,
        shuffle_block_clips=params.shuffle_block_clips,
        num_skipped=num_skipped,
        is_deterministic=params.deterministic_input,
        worker=worker,
    )
    blocks = example_blocks(
        records, get_training_set(names[source_index]), reading
    )
    return blocks.map(
        lambda block: {
            **block,
            "source": tf.fill(
                tf.shape(block["targets"])[:1], float(source_index)
            ),
        }
    )


def _mixed(
    records: Records,
    params: TrainParams,
    num_used: int,
    batch_size: int,
    worker: InputWorker,
) -> tf.data.Dataset:
    """Streams batches that are chosen example by example from two sources."""
    mixture = Mixture(params.mu, params.seed, worker.index)
    num_second = mixture.count_second(num_used)
    sources = [
        _source(records, params, index, num_skipped, worker).unbatch()
        for index, num_skipped in enumerate((num_used - num_second, num_second))
    ]
    stream = tf.data.Dataset.choose_from_datasets(
        sources, mixture.choices(num_used), stop_on_empty_dataset=True
    )
    return stream.batch(batch_size, drop_remainder=True)


def _source_masks(records: Records, params: TrainParams) -> np.ndarray:
    """Masks of the loss, float32 `[num_sources, num_classes]`."""
    names = [params.training_set]
    if params.mixed_training_set:
        names.append(params.mixed_training_set)
    return np.stack(
        [
            class_mask(
                records, get_training_set(name), params.mask_unlabelled_classes
            )
            for name in names
        ]
    )


def training_stream(
    records: Records,
    params: TrainParams,
    first_step: int = 0,
    worker: InputWorker = InputWorker(),
    num_splits: int = 1,
) -> tf.data.Dataset:
    """Streams the batches of a training run, without end.

    Args:
      records: Where the clips are.
      params: Training sets, mu, batch size and seed.
      first_step: Step to start from; earlier batches are skipped, and what
        follows is what an unbroken run would have seen.
      worker: Which of the processes or hosts that read the records this is.
      num_splits: Batches that the worker's part of a global batch is split
        into: one for each of its replicas.

    Returns:
      Dataset of dicts: patches, float32 `[batch_size, patch_stft_frames,
      mel_bands]`; targets and target_mask, float32 `[batch_size, num_classes]`;
      source, float32 `[batch_size]`, 1 for the mixed-in training set. All of
      static shape; batch_size is `global_batch_size`, divided by the number of
      workers and by `num_splits`.

    Raises:
      InputError: A training set is unknown or has no clips, mu is not in
        [0, 1], or a batch cannot be shared evenly.
    """
    share = worker.share_of(params.global_batch_size)
    if share % num_splits:
        raise InputError(
            f"A batch of {share} cannot be shared evenly by {num_splits} "
            f"replicas. Give a --global_batch_size that can."
        )
    batch_size = share // num_splits
    num_used = first_step * share
    if params.mixed_training_set:
        batches = _mixed(records, params, num_used, batch_size, worker)
    else:
        blocks = _source(records, params, 0, num_used, worker)
        batches = blocks.rebatch(batch_size, drop_remainder=True)
    masks = _source_masks(records, params)

    def finish(block: Block) -> dict[str, tf.Tensor]:
        patches, targets = decode_block(block)
        source = block["source"]
        return {
            "patches": patches,
            "targets": targets,
            "target_mask": tf.gather(masks, tf.cast(source, tf.int32)),
            "source": source,
        }

    batches = batches.map(finish, num_parallel_calls=1, deterministic=True)
    return without_tuner(batches.prefetch(_PREFETCHED_BATCHES))

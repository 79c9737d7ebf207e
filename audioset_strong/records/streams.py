"""Streams of training examples and of label frames, read from records.

Training examples. Each pass over a source has one example of every clip:

    shards in the order of the pass -> records, eight shards at a time
      -> examples, 32 at a time (`examples.py`) -> shuffled in blocks
      -> without the clips that the label set does not know

With balanced classes a clip is read once and is none, one or several examples
of a pass (`balance.py`), each with a window of its own. With a share of the
clips with strong labels (`strong_fraction`), the others are dropped unparsed.

Passes follow one another without end. Two sources are then mixed by mu, example
by example; then batched; then prefetched. Mixing comes after repeating, so that
the share of the small source stays mu for as long as training lasts (if mixed
first, it would run dry).

The stream is a pure function of its seed: the order of shards and clips, the
windows and the choices of a source come from hashes and stateless generators of
(seed, pass, position). So a run resumes by skipping the examples that it has
used. Published numbers were made with this stream: tests pin its bits.

Source: Section 4 of the paper: mu in [0, 1], "where 0 selects only Weak and 1
selects only Diffuse/Strong". Blocks, interleaving, order: our choices.
"""

import contextlib
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.labels.ids import group_of_segment
from audioset_strong.labels.training_sets import (
    TrainingSet,
    get_training_set,
    is_in_strong_fraction,
)
from audioset_strong.params import TrainParams
from audioset_strong.records.balance import (
    clip_weights,
    describe_balance,
    draw_copies,
)
from audioset_strong.records.examples import (
    Block,
    decode_patches,
    make_examples,
    make_label_frames,
)
from audioset_strong.records.manifest import (
    Records,
    Shard,
    read_given_groups,
)
from audioset_strong.records.parse import parse_records
from audioset_strong.records.shard_cache import NUM_AHEAD

# The next two are part of the definition of the stream: do not change.
# Shards read at the same time, so that one pass mixes them.
_INTERLEAVED_SHARDS = 8
# Choices of a source drawn at a time, so that counting hundreds of millions of
# them takes seconds.
_CHOICES_PER_BLOCK = 1 << 16

# The rest changes speed only. tf.data's own tuner is off (`without_tuner`).
# Records parsed at a time: 4 MB, so that a second copy still fits in a cache.
_CHUNK_CLIPS = 32
# Long clips are parsed fewer at a time, so that memory is bounded: this many
# label frames, 50 MB of patches, whatever the longest clip is.
_LABEL_FRAMES_AT_ONCE = 2048
# Enough for 20,000 clips/s and more.
_PARALLEL_CHUNKS = 4
_PARALLEL_SHARDS = 2
# Examples decoded at a time before they are handed out one by one.
_DECODED_EXAMPLES = 64
# Read ahead in each shard; so little stays in the CPU's cache.
_BUFFER_BYTES = 1 << 18
# Enough to hide the pause in which a source reads its next block of clips.
_PREFETCHED_BATCHES = 8
# Batches augmented at a time.
_PARALLEL_AUGMENTED = 2
# Clips parsed and scored at a time: 160 patches, if clips are of 10 s; and how
# many such batches are parsed at once.
_CLIPS_PER_BATCH = 16
_PARALLEL_BATCHES = 2

# What TensorFlow's messages say about the graph, of no use to people.
_GRAPH_NAMES = re.compile(
    r"\{\{.*?\}\}|\[\[.*?\]\]|\[Op:\w+\]|Error in .* with iterator: \S+"
)

# --- reading -----------------------------------------------------------------


def read_batches(dataset: Iterable[Any], records: Records) -> Iterator[Any]:
    """Iterates over a dataset of records, with errors that say what to do.

    Errors of the caller, such as those of a model that gets a batch, stay as
    they are.

    Raises:
      InputError: As from `reading`.
      OSError: As from `reading`.
    """
    iterator = iter(dataset)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise _explain(error, records) from error
        yield batch


@contextlib.contextmanager
def reading(records: Records) -> Iterator[None]:
    """Turns errors of reading records inside a graph into those that say why.

    Others, such as those of a model in the same graph, stay as they are.

    Raises:
      InputError: A record is corrupt, is no record of this kind, or cannot be
        read.
      OSError: A shard could not be copied from object storage.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if "IteratorGetNext" not in error.message:
            raise
        raise _explain(error, records) from error


def _explain(error: tf.errors.OpError, records: Records) -> Exception:
    """Says what an error of reading records means, and what to do."""
    if records.cache and records.cache.error:
        return records.cache.error
    # The first line that says something.
    lines = _GRAPH_NAMES.sub("", error.message).split("\n")
    words = (" ".join(line.split()) for line in lines)
    reason = next(filter(None, words), "no reason given").rstrip(".")
    if isinstance(error, tf.errors.DataLossError):
        return InputError(
            f"A shard in {records.records_dir} is corrupt ({reason}). Delete "
            f"it and run prepare_records again."
        )
    if isinstance(error, tf.errors.InvalidArgumentError):
        return InputError(
            f"A record in {records.records_dir} does not hold a clip with "
            f"{records.log_mel_dtype} features ({reason}). Prepare the records "
            f"again."
        )
    return InputError(
        f"The records in {records.records_dir} could not be read to the end "
        f"({type(error).__name__}: {reason}). Check that the folder can be "
        f"reached, and run the same command again."
    )


def without_tuner(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Switches tf.data's tuner off.

    Its model of the pipeline grows with every pass; on small sources it then
    takes longer than the training that it should speed up.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


# --- input workers -----------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class InputWorker:
    """One of several processes or hosts that read the same records.

    The clips of all shards, in the order of the manifest, are one long list,
    and each worker reads one stretch of it: some whole shards and parts of two
    others. So the shares are disjoint, together hold every clip and differ by
    one clip at most, for any number of workers and shards.

    Attributes:
      index: Which one, from 0.
      num_workers: How many there are.
    """

    index: int = 0
    num_workers: int = 1

    def __post_init__(self) -> None:
        """Checks the index."""
        if not 0 <= self.index < self.num_workers:
            raise InputError(
                f"Expected an input worker of 0 to {self.num_workers - 1}. "
                f"Received: {self.index}."
            )

    def stretch_of(self, num_units: int) -> tuple[int, int]:
        """Returns the first of its units and that after its last."""
        first, end = (
            num_units * index // self.num_workers
            for index in (self.index, self.index + 1)
        )
        return first, end


@dataclasses.dataclass(frozen=True)
class ShardPart:
    """A stretch of the clips of one shard."""

    shard: Shard
    first_clip: int
    num_clips: int

    @property
    def is_whole(self) -> bool:
        """Whether the stretch is the whole shard."""
        return self.num_clips == self.shard.num_clips


def parts_of_worker(
    shards: Sequence[Shard], worker: InputWorker, clips_per_unit: int = 1
) -> list[ShardPart]:
    """Returns what one worker reads of some shards, nothing perhaps.

    Whole shards alone would not do: of three shards, one of two workers would
    read twice as many clips as the other, and show each half as often. Every
    n-th clip would not do either: each worker would read all bytes.

    Args:
      shards: Where the clips are.
      worker: Whose part to return.
      clips_per_unit: Clips that stay together, counted from the first.
    """
    num_clips = sum(shard.num_clips for shard in shards)
    num_units = -(-num_clips // clips_per_unit)
    first, end = (
        unit * clips_per_unit for unit in worker.stretch_of(num_units)
    )
    parts, shard_first = [], 0
    for shard in shards:
        start = max(first - shard_first, 0)
        stop = min(end - shard_first, shard.num_clips)
        if start < stop:
            parts.append(ShardPart(shard, start, stop - start))
        shard_first += shard.num_clips
    return parts


# --- shards ------------------------------------------------------------------


def _describe_parts(
    records: Records, parts: Sequence[ShardPart]
) -> dict[str, tf.Tensor]:
    """Returns where parts lie, as tensors `[num_parts]`.

    `place` is that of a part's first clip among the clips of all parts.
    """
    num_clips = np.array([p.num_clips for p in parts], np.int64)
    return {
        "place": tf.constant(np.cumsum(num_clips) - num_clips),
        "path": tf.constant([records.path_of(p.shard) for p in parts]),
        "first_clip": tf.constant([p.first_clip for p in parts], tf.int64),
        "num_clips": tf.constant(num_clips),
    }


def _copied_ahead(parts: tf.data.Dataset, records: Records) -> tf.data.Dataset:
    """Has the shards of parts copied, some of them ahead of the reader.

    `parts` are those of `_describe_parts`, one by one, in the order of reading;
    `_read_part` can read the elements of what is returned.
    """
    cache = records.cache
    if cache is None:
        return parts  # local shards are read where they are

    def after(method: Callable[[str], None], part: Block) -> Block:
        def call(path: bytes) -> bytes:
            method(os.path.basename(path.decode()))
            return path

        path = tf.numpy_function(call, [part["path"]], tf.string)
        return {**part, "path": tf.ensure_shape(path, [])}

    asked = parts.map(functools.partial(after, cache.ask))
    return asked.prefetch(NUM_AHEAD).map(functools.partial(after, cache.wait))


def _read_part(
    part: dict[str, tf.Tensor], records: Records, is_whole: bool
) -> tf.data.Dataset:
    """Reads the serialized records of a part, string scalars."""
    clips = tf.data.TFRecordDataset(part["path"], buffer_size=_BUFFER_BYTES)
    if not is_whole:
        clips = clips.skip(part["first_clip"]).take(part["num_clips"])
    cache = records.cache
    if cache is None:
        return clips

    def release(path: bytes) -> np.bool_:
        cache.release(os.path.basename(path.decode()))
        return np.False_

    # An empty dataset that is evaluated once everything before it was read.
    end = tf.data.Dataset.from_tensors(part["path"]).filter(
        lambda path: tf.ensure_shape(
            tf.numpy_function(release, [path], tf.bool), []
        )
    )
    return clips.concatenate(end)


def _read_in_order(
    records: Records, parts: Sequence[ShardPart]
) -> tf.data.Dataset:
    """Reads the serialized records of parts, one part after another."""
    described = tf.data.Dataset.from_tensor_slices(
        _describe_parts(records, parts)
    )
    is_whole = all(part.is_whole for part in parts)
    return _copied_ahead(described, records).flat_map(
        lambda part: _read_part(part, records, is_whole)
    )


def _read_copies(
    part: dict[str, tf.Tensor],
    records: Records,
    is_whole: bool,
    copies: tf.Tensor,
) -> tf.data.Dataset:
    """Reads the clips of a part as often as `copies` says, some at a time.

    Args:
      part: As in `_read_part`, with `place`.
      records: Where it is.
      is_whole: Whether it is a whole shard.
      copies: int64 `[num_clips]`, of the clips of all parts.

    Returns:
      Dataset of the serialized records, string `[num_examples]`, and which copy
      of its clip each is, int64 `[num_examples]`, from 0.
    """
    num_at_once = _num_at_once(records, _CHUNK_CLIPS)
    place = part["place"]
    numbers = tf.data.Dataset.from_tensor_slices(
        copies[place : place + part["num_clips"]]
    )

    def repeat(serialized: tf.Tensor, number: tf.Tensor) -> tf.data.Dataset:
        # Not all copies of a chunk at once, since a clip of a rare class can
        # have thousands, of 128 KB each.
        clip = tf.repeat(tf.range(tf.size(number)), number)  # [num_examples]
        first = tf.gather(tf.cumsum(number, exclusive=True), clip)
        copy = tf.range(tf.size(clip, tf.int64)) - first
        examples = tf.data.Dataset.from_tensor_slices((clip, copy))
        return examples.batch(num_at_once).map(
            lambda clip, copy: (tf.gather(serialized, clip), copy)
        )

    clips = tf.data.Dataset.zip(_read_part(part, records, is_whole), numbers)
    return clips.batch(num_at_once).flat_map(repeat)


def _num_at_once(records: Records, most: int) -> int:
    """How many clips to parse at a time: `most`, unless they are long."""
    longest = max(1, records.label_frames.num_label_frames)
    return max(1, min(most, _LABEL_FRAMES_AT_ONCE // longest))


# --- one source --------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a source is read.

    Attributes:
      seed: Of order and windows.
      shuffle_block_clips: Examples that are shuffled at a time.
      num_skipped: Examples to skip at the start: those a run has used.
      is_deterministic: Whether equal readings have the same order; otherwise
        clips come as soon as they are ready.
      worker: Whose share to read.
      with_segment_ids: Whether examples name their clip.
      balance_classes: Whether clips are drawn by the weights of `balance.py`.
    """

    seed: int
    shuffle_block_clips: int
    num_skipped: int = 0
    is_deterministic: bool = True
    worker: InputWorker = InputWorker()
    with_segment_ids: bool = False
    balance_classes: bool = False


def _stateless_shuffle(block: Block, seed: int, stream: tf.Tensor) -> Block:
    """Shuffles the rows of all tensors alike; a function of (seed, stream)."""
    num_rows = tf.shape(next(iter(block.values())))[0]
    order = tf.random.experimental.stateless_shuffle(
        tf.range(num_rows), tf.stack([tf.constant(seed, tf.int64), stream])
    )  # [num_rows]
    return {name: tf.gather(rows, order) for name, rows in block.items()}


def _masked(block: Block, is_kept: tf.Tensor) -> Block:
    """Keeps some rows of all tensors; `is_kept` is bool `[num_rows]`."""
    return {
        name: tf.boolean_mask(rows, is_kept) for name, rows in block.items()
    }


def _clips_of_pass(
    records: Records,
    parts: list[ShardPart],
    reading: Reading,
    pass_number: tf.Tensor,
    copies: tf.Tensor | None,
) -> tf.data.Dataset:
    """Streams the serialized records of one pass, several shards at a time.

    With `copies`, what `_read_copies` does.
    """
    # Blocks are streams 1, 2, ... of the pass; no pass has 2**32.
    all_parts = tf.data.Dataset.from_tensors(_describe_parts(records, parts))
    shuffled = all_parts.map(
        lambda rows: _stateless_shuffle(rows, reading.seed, pass_number * 2**32)
    )
    is_whole = all(part.is_whole for part in parts)
    cycle_length = min(_INTERLEAVED_SHARDS, len(parts))
    return _copied_ahead(shuffled.unbatch(), records).interleave(
        lambda part: (
            _read_part(part, records, is_whole)
            if copies is None
            else _read_copies(part, records, is_whole, copies)
        ),
        cycle_length=cycle_length,
        num_parallel_calls=min(_PARALLEL_SHARDS, cycle_length),
        deterministic=reading.is_deterministic,
    )


class _ClipLabels(NamedTuple):
    """Which labels clips have.

    Attributes:
      is_known: bool `[num_clips]`, whether a clip is in the training set.
      clip_of_event: int64 `[num_events]`, place of each label's clip.
      class_of_event: int64 `[num_events]`.
    """

    is_known: np.ndarray
    clip_of_event: np.ndarray
    class_of_event: np.ndarray


def _read_labels(
    records: Records, parts: Sequence[ShardPart], training_set: TrainingSet
) -> _ClipLabels:
    """Reads which labels clips have, and nothing of their features.

    Clips are in the order of the parts. Those that the label set does not know,
    or that are outside of the share, have no labels.
    """

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        clips = parse_records(
            serialized,
            training_set.label_set,
            records.features,
            records.log_mel_dtype,
        )
        return (
            clips.segment_id,
            clips.is_known,
            clips.events.clip_number,
            clips.events.event_class,
        )

    chunks = _read_in_order(records, parts).batch(
        _num_at_once(records, _CHUNK_CLIPS)
    )
    chunks = chunks.map(parse, num_parallel_calls=_PARALLEL_CHUNKS)
    given_groups = {}
    if not training_set.is_whole:
        given_groups = read_given_groups(records.records_dir)
    is_known, clip_of_event, class_of_event, num_clips = [], [], [], 0
    for chunk in read_batches(without_tuner(chunks), records):
        segment_id, known, clip, event_class = (part.numpy() for part in chunk)
        if not training_set.is_whole:
            known &= [
                _is_in_share(name.decode(), given_groups, training_set)
                for name in segment_id
            ]
        is_known.append(known)
        clip_of_event.append(clip[known[clip]] + num_clips)
        class_of_event.append(event_class[known[clip]])
        num_clips += len(known)
    return _ClipLabels(
        np.concatenate(is_known),
        np.concatenate(clip_of_event),
        np.concatenate(class_of_event),
    )


def _is_in_share(
    segment_id: str, given_groups: dict[str, str], training_set: TrainingSet
) -> bool:
    """Whether a clip with strong labels is in the share of a training set."""
    return is_in_strong_fraction(
        given_groups.get(segment_id) or group_of_segment(segment_id),
        training_set.strong_fraction,
        training_set.strong_fraction_seed,
    )


def _shards_of(records: Records, training_set: TrainingSet) -> list[Shard]:
    """Returns the shards that can hold clips of a training set."""
    groups = ["weak", "strong"][training_set.needs_strong_labels :]
    return records.shards_of(*groups)


# Read once for all that needs it: a run has two training sets at most.
@functools.lru_cache(maxsize=2)
def _read_share(records: Records, training_set: TrainingSet) -> _ClipLabels:
    """Reads all labels of a training set that needs strong ones.

    It takes as long as reading their shards.

    Raises:
      InputError: The share holds no clip.
    """
    shards = _shards_of(records, training_set)
    parts = parts_of_worker(shards, InputWorker())
    labels = _read_labels(records, parts, training_set)
    if not labels.is_known.any():
        num_clips = sum(
            s.num_clips_with(training_set.label_set) for s in shards
        )
        raise InputError(
            f"strong_fraction {training_set.strong_fraction:g} with "
            f"strong_fraction_seed {training_set.strong_fraction_seed} leaves "
            f"none of the {num_clips} clips of the training set "
            f"{training_set.name!r}. Use a larger share."
        )
    return labels


def count_clips(records: Records, training_set: TrainingSet) -> int:
    """Counts the clips of a training set, those of all input workers."""
    if not training_set.is_whole:
        return int(_read_share(records, training_set).is_known.sum())
    return sum(
        shard.num_clips_with(training_set.label_set)
        for shard in _shards_of(records, training_set)
    )


def _count_known(records: Records, part: ShardPart, label_set: str) -> int:
    """Counts the clips of a part that a label set knows."""
    num_known = part.shard.num_clips_with(label_set)
    if part.is_whole:
        return num_known
    if num_known == part.shard.num_clips:
        return part.num_clips
    # The manifest counts whole shards; only a worker's first and last part can
    # come here.
    clips = _read_in_order(records, [part])
    known = clips.batch(_num_at_once(records, _CHUNK_CLIPS)).map(
        lambda serialized: tf.math.count_nonzero(
            parse_records(
                serialized, label_set, records.features, records.log_mel_dtype
            ).is_known
        )
    )
    return int(known.reduce(tf.constant(0, tf.int64), tf.add))


def _labels_per_class(
    records: Records, training_set: TrainingSet
) -> np.ndarray:
    """Counts the labels of a share of Strong: int64 `[num_classes]`."""
    labels = _read_share(records, training_set)
    return np.bincount(
        labels.class_of_event, minlength=records.class_map.num_classes
    )


def _weigh_clips(
    records: Records,
    training_set: TrainingSet,
    parts: Sequence[ShardPart],
    worker: InputWorker,
) -> np.ndarray:
    """Weighs the clips of a worker's parts: int64 `[num_clips]`.

    All their labels are read, which takes as long as reading the shards.
    """
    label_set = training_set.label_set
    num_labels = np.array(records.events_per_class[label_set])
    if not training_set.is_whole or (
        label_set == "weak" and training_set.needs_strong_labels
    ):
        # The manifest counts the labels of all clips together.
        num_labels = _labels_per_class(records, training_set)
    return clip_weights(
        *_read_labels(records, parts, training_set),
        num_labels,
        worker.num_workers,
    )


def _example_blocks(
    records: Records, training_set: TrainingSet, reading: Reading
) -> tf.data.Dataset:
    """Streams one source without end, in blocks of any number of examples."""
    label_set = training_set.label_set
    shards = _shards_of(records, training_set)
    if not any(shard.num_clips_with(label_set) for shard in shards):
        groups = "weak or " * (not training_set.needs_strong_labels) + "strong"
        raise InputError(
            f"{records.records_dir} holds no clip for the training set "
            f"{training_set.name!r}: it needs clips with {label_set} labels in "
            f"{groups} shards. Prepare records with such labels."
        )
    parts = parts_of_worker(shards, reading.worker)
    num_clips = sum(shard.num_clips for shard in shards)
    num_workers = reading.worker.num_workers
    if num_clips < num_workers:
        raise InputError(
            f"{num_clips} clips cannot be shared by {num_workers} input "
            f"workers. Use fewer."
        )
    # Of each clip of the parts: its weight, or whether it is in the share.
    weights = None
    if reading.balance_classes:
        weights = _weigh_clips(records, training_set, parts, reading.worker)
        num_examples = int(np.count_nonzero(weights))
    elif not training_set.is_whole:
        first, end = reading.worker.stretch_of(num_clips)
        is_known = _read_share(records, training_set).is_known[first:end]
        weights = is_known.astype(np.int64)
        num_examples = int(weights.sum())
    else:
        num_examples = sum(
            _count_known(records, part, label_set) for part in parts
        )
    if not num_examples:
        raise InputError(
            f"Input worker {reading.worker.index} of "
            f"{reading.worker.num_workers} has no clip of the training set "
            f"{training_set.name!r}. Use fewer workers."
        )
    all_known = weights is not None or num_examples == sum(
        part.num_clips for part in parts
    )
    if weights is not None:
        if reading.balance_classes:
            logging.info(
                "Balanced classes of the training set %s: %s.",
                training_set.name,
                describe_balance(weights, num_examples),
            )
        # Not an array, which each pass would hold a copy of in its graph.
        weights = tf.constant(weights)
    # Whole passes are skipped unread; in the pass that is left, the examples
    # that were used are read and dropped.
    first_pass, num_skipped = divmod(reading.num_skipped, num_examples)

    def blocks_of_pass(pass_number: tf.Tensor) -> tf.data.Dataset:
        copies = weights
        if reading.balance_classes:
            copies = draw_copies(
                weights, num_examples, reading.seed, pass_number
            )
        clips = _clips_of_pass(records, parts, reading, pass_number, copies)
        if copies is None:
            clips = clips.batch(_num_at_once(records, _CHUNK_CLIPS))
        chunks = clips.map(
            lambda serialized, copy_number=None: make_examples(
                serialized,
                pass_number,
                records,
                training_set,
                reading.seed,
                reading.with_segment_ids,
                copy_number,
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

    def keep_known(block: Block) -> Block:
        is_known = block.pop("is_known")
        return block if all_known else _masked(block, is_known)

    def drop_first(
        num_left: tf.Tensor, block: Block
    ) -> tuple[tf.Tensor, Block]:
        """Drops the examples of which `num_left` are still to go."""
        num_rows = tf.shape(block["targets"], tf.int64)[0]
        num_dropped = tf.minimum(num_left, num_rows)
        kept = {name: rows[num_dropped:] for name, rows in block.items()}
        return num_left - num_dropped, kept

    passes = tf.data.Dataset.counter(start=first_pass)
    blocks = passes.flat_map(blocks_of_pass).map(keep_known)
    if num_skipped:
        blocks = blocks.scan(tf.constant(num_skipped, tf.int64), drop_first)
    return blocks


def training_examples(
    records: Records, training_set: TrainingSet, reading: Reading
) -> tf.data.Dataset:
    """Streams training examples of one source, one by one and without end.

    `training_stream` is faster, because it does not take blocks apart.

    Returns:
      Dataset of (patch, float32 `[patch_stft_frames, mel_bands]`; targets,
      float32 `[num_classes]`). Each pass gives one example of every clip, or,
      with balanced classes, as many of some clips and none of others.

    Raises:
      InputError: There is no clip for this training set or this worker.
    """
    blocks = _example_blocks(records, training_set, reading)
    decoded = blocks.rebatch(_DECODED_EXAMPLES).map(
        lambda block: (decode_patches(block), block["targets"])
    )
    return without_tuner(decoded.unbatch())


# --- mixing by mu ------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Mixture:
    """How often the second of two sources is drawn.

    The choice at example i is a pure function of (seed, worker_index, i), so a
    resumed run can count how many examples of each source it has used.

    Attributes:
      mu: Probability of the second source, in [0, 1].
      seed: Of the choices.
      worker_index: Which input worker draws.
    """

    mu: float
    seed: int
    worker_index: int = 0

    def __post_init__(self) -> None:
        """Checks the range of mu."""
        if not 0.0 <= self.mu <= 1.0:
            raise InputError(f"Expected 0 <= mu <= 1. Received: {self.mu}.")

    def _draw_block(self, block: tf.Tensor) -> tf.Tensor:
        """Draws the choices of a block: int64 `[_CHOICES_PER_BLOCK]`."""
        # No run has 2**32 blocks.
        stream = self.worker_index * 2**32 + tf.cast(block, tf.int64)
        uniform = tf.random.stateless_uniform(
            [_CHOICES_PER_BLOCK],
            seed=tf.stack([tf.constant(self.seed, tf.int64), stream]),
            dtype=tf.float64,
        )
        return tf.cast(uniform < self.mu, tf.int64)

    def choices(self, first_example: int) -> tf.data.Dataset:
        """Streams the source, 0 or 1, of each example from the first on."""
        block, position = divmod(first_example, _CHOICES_PER_BLOCK)
        blocks = tf.data.Dataset.counter(start=block).map(self._draw_block)
        return blocks.unbatch().skip(position)

    def count_second(self, num_examples: int) -> int:
        """Counts how many of the first examples come from the second source."""
        num_blocks, position = divmod(num_examples, _CHOICES_PER_BLOCK)
        total = sum(
            int(tf.reduce_sum(self._draw_block(tf.constant(block))))
            for block in range(num_blocks)
        )
        last = self._draw_block(tf.constant(num_blocks))
        return total + int(tf.reduce_sum(last[:position]))


def class_mask(
    records: Records, training_set: TrainingSet, mask_unlabelled_classes: bool
) -> np.ndarray:
    """Says which classes count in the loss of a training set's examples.

    Returns:
      float32 `[num_classes]`: 0 for classes that the set's labels, weak or
      strong, mark in no training clip, or in none of a share, if they are to be
      masked; 1 otherwise.
    """
    mask = np.ones(records.class_map.num_classes, dtype=np.float32)
    if mask_unlabelled_classes:
        num_labels = np.array(records.events_per_class[training_set.label_set])
        if not training_set.is_whole:
            num_labels = _labels_per_class(records, training_set)
        mask[num_labels == 0] = 0.0
    return mask


def training_sets_of(params: TrainParams) -> list[TrainingSet]:
    """Returns the training set of a run, and the one that is mixed in."""
    share = params.strong_fraction, params.strong_fraction_seed
    names = (params.training_set, params.mixed_training_set)
    return [get_training_set(name, *share) for name in names if name]


def training_stream(
    records: Records,
    params: TrainParams,
    first_step: int = 0,
    worker: InputWorker = InputWorker(),
    num_splits: int = 1,
    augment: Callable[[Block, tf.Tensor], Block] | None = None,
    with_segment_ids: bool = False,
    balance_classes: bool = False,
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
      augment: Changes the worker's part of a global batch, given the step, an
        int64 scalar from 0.
      with_segment_ids: Whether batches have segment_id, string `[batch_size]`,
        too.
      balance_classes: As in `RecipeParams`.

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
    num_shares = worker.num_workers * num_splits
    if params.global_batch_size % num_shares:
        raise InputError(
            f"A global batch of {params.global_batch_size} cannot be shared "
            f"evenly by {worker.num_workers} input workers with {num_splits} "
            f"replicas each. Choose a multiple of {num_shares}."
        )
    # Of this worker, for all of its replicas.
    batch_size = params.global_batch_size // worker.num_workers
    num_used = first_step * batch_size
    training_sets = training_sets_of(params)
    masks = np.stack(
        [
            class_mask(records, training_set, params.mask_unlabelled_classes)
            for training_set in training_sets
        ]
    )  # [num_sources, num_classes]

    def source_blocks(index: int, num_skipped: int) -> tf.data.Dataset:
        reading = Reading(
            # Two sources of the same clips must not draw the same windows.
            seed=2 * params.seed + index,
            shuffle_block_clips=params.shuffle_block_clips,
            num_skipped=num_skipped,
            is_deterministic=params.deterministic_input,
            worker=worker,
            with_segment_ids=with_segment_ids,
            balance_classes=balance_classes,
        )
        blocks = _example_blocks(records, training_sets[index], reading)
        return blocks.map(
            lambda block: {
                **block,
                "source": tf.fill(tf.shape(block["targets"])[:1], float(index)),
            }
        )

    if len(training_sets) == 1:
        batches = source_blocks(0, num_used).rebatch(
            batch_size, drop_remainder=True
        )
    else:
        mixture = Mixture(params.mu, params.seed, worker.index)
        num_second = mixture.count_second(num_used)
        sources = [
            source_blocks(0, num_used - num_second).unbatch(),
            source_blocks(1, num_second).unbatch(),
        ]
        batches = tf.data.Dataset.choose_from_datasets(
            sources, mixture.choices(num_used), stop_on_empty_dataset=True
        ).batch(batch_size, drop_remainder=True)

    def finish(block: Block) -> dict[str, tf.Tensor]:
        source = block["source"]  # [batch_size]
        names = {n: block[n] for n in block if n == "segment_id"}
        return {
            "patches": decode_patches(block),
            "targets": block["targets"],
            "target_mask": tf.gather(masks, tf.cast(source, tf.int32)),
            "source": source,
            **names,
        }

    batches = batches.map(finish, num_parallel_calls=1, deterministic=True)
    if augment:
        batches = batches.enumerate(first_step).map(
            lambda step, batch: augment(batch, step),
            num_parallel_calls=_PARALLEL_AUGMENTED,
            deterministic=True,
        )
    if num_splits > 1:
        batches = batches.rebatch(batch_size // num_splits, drop_remainder=True)
    return without_tuner(batches.prefetch(_PREFETCHED_BATCHES))


# --- label frames ------------------------------------------------------------


def label_frame_batches(
    records: Records,
    groups: Sequence[str],
    label_set: str = "strong",
    only_known: bool = False,
    worker: InputWorker = InputWorker(),
    num_splits: int = 1,
) -> tf.data.Dataset:
    """Reads all label frames of each clip, once, in a fixed order.

    Args:
      records: Where the clips are.
      groups: Groups of shards to read.
      label_set: "weak" or "strong": whose events make the targets.
      only_known: Whether to leave out clips that the label set does not know.
      worker: Whose share to read. Those of all workers, one after the other,
        are what one would read, batch by batch.
      num_splits: Parts that batches will be split into.

    Returns:
      Dataset of the dicts of `make_label_frames`, of up to 16 clips for each of
      `num_splits`; of fewer if clips are longer than two minutes.

    Raises:
      InputError: The groups hold no clip.
    """
    shards = records.shards_of(*groups)
    if not shards:
        found = sorted({shard.group for shard in records.shards})
        raise InputError(
            f"{records.records_dir} holds no clip in the groups "
            f"{list(groups)}; it has {found}."
        )
    clips_per_batch = num_splits * _num_at_once(records, _CLIPS_PER_BATCH)
    parts = parts_of_worker(shards, worker, clips_per_batch)
    clips = _read_in_order(records, parts or [ShardPart(shards[0], 0, 0)])
    all_known = not only_known or all(
        shard.num_clips_with(label_set) == shard.num_clips for shard in shards
    )

    def make_batch(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = make_label_frames(serialized, records, label_set)
        is_known = batch.pop("is_known")
        return batch if all_known else _masked(batch, is_known)

    batches = clips.batch(clips_per_batch).map(
        make_batch, num_parallel_calls=_PARALLEL_BATCHES, deterministic=True
    )
    if not all_known:
        batches = batches.filter(lambda batch: tf.size(batch["segment_id"]) > 0)
    return without_tuner(batches.prefetch(_PARALLEL_BATCHES))

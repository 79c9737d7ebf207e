"""Class-balanced sampling: how often a pass draws each clip.

A clip's weight is the sum, over its labels, of 1 / (number of labels of the
class), so that each class has the same share of a pass. A label is an event: a
class that is marked three times in a clip counts three times. Clips without any
label, negatives of every class, count as those of one class more; otherwise
they would never be drawn. Clips that the label set does not know never are.

A pass draws as many examples as without balancing. Clips are put in random
order and their weights on a line, one after the other; it is cut into as many
equal pieces as there are examples, and each clip is drawn once for each cut
within its stretch. So a clip whose weight is worth 2.3 examples is drawn two or
three times, never else. All in whole numbers: a pure function of (seed, pass),
equal on every machine.

Source: the weights are AST's and PSLA's (`gen_weight_file.py`); PretrainedSED
counts strong labels with their number, as here, and adds 100 to the counts, as
PaSST does. Drawing by equal pieces is systematic sampling (Madow, "On the
theory of systematic sampling, II", 1949); the peers draw with replacement.
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_Ints = npt.NDArray[np.int64]

# Tells the keys of random numbers from those of windows and shuffling.
_KEY = -1
# Products of weights and numbers of examples stay below this, half of what
# int64 holds.
_MOST = 2**62


def clip_weights(
    is_known: npt.NDArray[np.bool_],
    clip_of_event: _Ints,
    class_of_event: _Ints,
    num_labels: npt.ArrayLike,
    num_workers: int = 1,
) -> _Ints:
    """Weighs the clips of one input worker.

    Args:
      is_known: bool `[num_clips]`, whether the label set knows the clip.
      clip_of_event: int64 `[num_events]`, the clip of each label.
      class_of_event: int64 `[num_events]`, its class index.
      num_labels: int `[num_classes]`, labels of each class in the training set,
        those of all workers.
      num_workers: Input workers, which have about as many clips each.

    Returns:
      int64 `[num_clips]`, in proportion to the weights; 0 for unknown clips.
    """
    counts = np.maximum(1, np.asarray(num_labels, np.int64))  # [num_classes]
    has_label = np.zeros(len(is_known), bool)
    has_label[clip_of_event] = True
    is_unlabelled = is_known & ~has_label
    # The total of all weights times the number of examples stays in range,
    # since no class weighs more than `unit`.
    unit = _MOST // 2 // (max(1, int(is_known.sum())) * (len(counts) + 1))
    weights = np.zeros(len(is_known), np.int64)
    np.add.at(
        weights, clip_of_event, np.maximum(1, unit // counts)[class_of_event]
    )
    num_unlabelled = max(1, int(is_unlabelled.sum())) * num_workers
    weights[is_unlabelled] = max(1, unit // num_unlabelled)
    return np.where(is_known, weights, 0)


def draw_copies(
    weights: tf.Tensor, num_examples: int, seed: int, pass_number: tf.Tensor
) -> tf.Tensor:
    """Draws how often each clip is an example of a pass.

    Args:
      weights: int64 `[num_clips]` of `clip_weights`, not all 0.
      num_examples: Examples of a pass.
      seed: Of the source.
      pass_number: int64 scalar.

    Returns:
      int64 `[num_clips]`, whose sum is `num_examples`.
    """
    key = tf.random.fold_in(tf.constant([seed, _KEY], tf.int64), pass_number)
    order = tf.random.experimental.stateless_shuffle(
        tf.range(tf.size(weights)), tf.random.fold_in(key, 0)
    )  # [num_clips]
    ends = tf.cumsum(tf.gather(weights, order))  # [num_clips]
    total = ends[-1]
    offset = tf.random.stateless_uniform(
        [], tf.random.fold_in(key, 1), 0, total, tf.int64
    )
    num_cuts = (ends * num_examples + offset) // total  # [num_clips]
    copies = num_cuts - tf.concat([[tf.zeros([], tf.int64)], num_cuts[:-1]], 0)
    return tf.scatter_nd(
        order[:, tf.newaxis], copies, tf.shape(weights, tf.int32)
    )


def describe_balance(weights: _Ints, num_examples: int) -> str:
    """Says for people how unequal the draws are."""
    draws = weights * (num_examples / weights.sum())  # a pass, on average
    return (
        f"a clip is drawn up to {draws.max():.1f} times a pass, "
        f"{np.count_nonzero(draws > 1):,} of {num_examples:,} clips more than "
        f"once, {np.count_nonzero((draws > 0) & (draws < 0.5)):,} less than "
        f"every second pass"
    )

"""Changes training examples at random: gain, mixup, SpecAugment, smoothing.

Everything is a pure function of its arguments: random numbers come from
stateless generators with a key of (seed, option, worker, step). So a resumed
run draws what an unbroken one does, one device draws what two do (a worker's
part of the global batch is changed before it is split), and an option changes
no draw of another. Each option changes only training examples, never those of
validation, in this order: gain, mixup, masks, label smoothing.

Features are log(mel + log_offset) of magnitudes. What waveforms would do to
them is done here by undoing the logarithm.
"""

import enum
from collections.abc import Callable

import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams, RecipeParams
from audioset_strong.records.streams import InputWorker
from audioset_strong.training.settings import check_values

Batch = dict[str, tf.Tensor]


class _Option(enum.IntEnum):
    """What keys of random numbers are told apart by: do not renumber."""

    GAIN = 0
    MIXUP_CHOICE = 1
    MIXUP_PARTNER = 2
    MIXUP_WEIGHT = 3
    TIME_MASK = 4
    FREQUENCY_MASK = 5


def random_gain(
    log_mel: tf.Tensor, max_gain_db: float, log_offset: float, key: tf.Tensor
) -> tf.Tensor:
    """Makes each example louder or softer, as if its waveform was.

    Exact, since magnitudes are proportional to the waveform; where nothing is
    heard nothing appears. The gain is uniform in dB.

    Source: Koutini et al., "Efficient training of audio transformers with
    patchout" (PaSST), whose code draws gains of up to 7 dB.

    Args:
      log_mel: float32 `[batch, num_stft_frames, mel_bands]`.
      max_gain_db: Most that the level changes, in dB.
      log_offset: That of the features.
      key: int64 `[2]`.
    """
    gain_db = tf.random.stateless_uniform(
        [log_mel.shape[0], 1, 1], key, -max_gain_db, max_gain_db
    )
    mel = _to_mel(log_mel, log_offset) * 10.0 ** (gain_db / 20.0)
    return tf.math.log(mel + log_offset)


def mixup(
    batch: Batch,
    share: float,
    alpha: float,
    log_offset: float,
    keys: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
) -> Batch:
    """Mixes some examples of a batch with another one, and their targets too.

    With weight w, of Beta(alpha, alpha), an example becomes w times itself and
    1 - w times its partner, as waveforms: the powers w^2 a^2 and (1 - w)^2 b^2
    of sounds that have nothing to do with each other add up. Its targets become
    w and 1 - w times those of the two. The larger weight is the example's own,
    so that its `source` and its segment id stay true. A class counts only if
    its label counts in both: whether it is in the mixture is unknown otherwise.

    Source: Zhang et al., "mixup: beyond empirical risk minimization". AST and
    PSLA mix waveforms, with alpha 10 for half of the examples of AudioSet;
    PaSST and PretrainedSED mix waveforms with alpha 2, log-mels with 0.3 and
    0.2, both with the larger weight for the example itself. Adding powers comes
    close to waveforms: on 200 pairs of ESC-50 the features differ by 0.12 RMS
    from those of the mixed waveforms (bias 0.01), with added magnitudes by 0.21
    (0.11), with mixed log-mels by 1.00 (-0.60).

    Args:
      batch: `patches`, `targets` and `target_mask` of `training_stream`, of two
        examples at least, and more, which stays as it is.
      share: Probability that an example is mixed, in [0, 1].
      alpha: Both parameters of the Beta distribution, above 0.
      log_offset: That of the features.
      keys: int64 `[2]` each: for whether, with which partner, and how much.
    """
    size = batch["patches"].shape[0]
    is_mixed = tf.random.stateless_uniform([size], keys[0]) < share
    # Examples come in random order, so the one a few places on is any.
    shift = tf.random.stateless_uniform([], keys[1], 1, size, tf.int32)
    first, second = tf.unstack(
        tf.random.stateless_gamma([2, size], keys[2], alpha, dtype=tf.float64)
    )  # [batch] each
    # 0 / 0 where a small alpha gives two numbers below the smallest float.
    weight = tf.math.divide_no_nan(first, first + second)
    weight = tf.cast(tf.maximum(weight, 1.0 - weight), tf.float32)
    weight = tf.where(is_mixed, weight, 1.0)[:, tf.newaxis]  # [batch, 1]

    def with_partner(name: str) -> tuple[tf.Tensor, tf.Tensor]:
        return batch[name], tf.roll(batch[name], shift, axis=0)

    own, other = with_partner("patches")
    by_cell = weight[:, tf.newaxis]  # [batch, 1, 1]
    mel = tf.sqrt(
        (by_cell * _to_mel(own, log_offset)) ** 2
        + ((1.0 - by_cell) * _to_mel(other, log_offset)) ** 2
    )
    targets, other_targets = with_partner("targets")
    mask, other_mask = with_partner("target_mask")
    return {
        **batch,
        "patches": tf.where(
            is_mixed[:, tf.newaxis, tf.newaxis],
            tf.math.log(mel + log_offset),
            own,
        ),
        "targets": weight * targets + (1.0 - weight) * other_targets,
        "target_mask": tf.where(
            is_mixed[:, tf.newaxis], mask * other_mask, mask
        ),
    }


def mask_stretch(
    log_mel: tf.Tensor, axis: int, max_width: int, key: tf.Tensor
) -> tf.Tensor:
    """Hides one stretch of STFT frames, or of mel bands, of each example.

    Its width is uniform in 0, 1, ..., `max_width`, its place uniform where it
    fits. It is filled with the example's mean: "setting the masked value to
    zero is equivalent to setting it to the mean value", of normalised features.
    Silence instead would be an event of its own, with an onset and an offset.

    Source: Park et al., "SpecAugment: a simple data augmentation method for
    automatic speech recognition"; one mask of each kind as in AST, PSLA (192 of
    1,024 STFT frames, 48 of 128 bands) and PaSST. Targets stay as they are.

    Args:
      log_mel: float32 `[batch, num_stft_frames, mel_bands]`.
      axis: 1 for STFT frames, 2 for mel bands.
      max_width: Most that are hidden, less than there are.
      key: int64 `[2]`.
    """
    batch_size, size = log_mel.shape[0], log_mel.shape[axis]
    draws = tf.random.stateless_uniform([2, batch_size, 1], key)
    width = tf.floor(draws[0] * (max_width + 1))
    start = tf.floor(draws[1] * (size - width + 1))  # [batch, 1]
    places = tf.range(size, dtype=tf.float32)
    is_hidden = (places >= start) & (places < start + width)  # [batch, size]
    is_hidden = tf.expand_dims(is_hidden, 3 - axis)
    mean = tf.reduce_mean(log_mel, axis=[1, 2], keepdims=True)  # [batch, 1, 1]
    return tf.where(is_hidden, mean, log_mel)


def smooth_targets(targets: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    """Moves targets, of any shape, from 0 and 1 towards 0.5.

    Source: Szegedy et al., "Rethinking the Inception architecture for computer
    vision", for two outcomes a class, as in Keras's `BinaryCrossentropy`.
    """
    return targets * (1.0 - label_smoothing) + 0.5 * label_smoothing


def make_augment(
    features: FeatureParams,
    recipe: RecipeParams,
    seed: int,
    worker: InputWorker = InputWorker(),
) -> Callable[[Batch, tf.Tensor], Batch] | None:
    """Chooses what happens to the examples of a run.

    Args:
      features: Size of a patch, and the logarithm's offset.
      recipe: The options.
      seed: Of the run.
      worker: Whose part of each global batch is changed.

    Returns:
      A function from a batch of `training_stream`, the worker's whole part of
      the global batch, and its step, int64 scalar, to the changed batch of the
      same shapes. None if every option is off.

    Raises:
      InputError: An option is out of range.
    """
    _check_masks(features, recipe)
    check_values(recipe)
    if not any(
        (
            recipe.max_gain_db,
            recipe.mixup_share,
            recipe.max_masked_stft_frames,
            recipe.max_masked_mel_bands,
            recipe.label_smoothing,
        )
    ):
        return None

    def augment(batch: Batch, step: tf.Tensor) -> Batch:
        def key(option: _Option) -> tf.Tensor:
            # int64 [2]; hashed twice, so that no two keys are related.
            base = tf.constant([seed, option], tf.int64)
            base = tf.random.fold_in(base, worker.index)
            return tf.random.fold_in(base, step)

        patches = batch["patches"]
        if recipe.max_gain_db:
            patches = random_gain(
                patches,
                recipe.max_gain_db,
                features.log_offset,
                key(_Option.GAIN),
            )
        if recipe.mixup_share:
            batch = mixup(
                {**batch, "patches": patches},
                recipe.mixup_share,
                recipe.mixup_alpha,
                features.log_offset,
                (
                    key(_Option.MIXUP_CHOICE),
                    key(_Option.MIXUP_PARTNER),
                    key(_Option.MIXUP_WEIGHT),
                ),
            )
            patches = batch["patches"]
        for axis, max_width, option in (
            (1, recipe.max_masked_stft_frames, _Option.TIME_MASK),
            (2, recipe.max_masked_mel_bands, _Option.FREQUENCY_MASK),
        ):
            if max_width:
                patches = mask_stretch(patches, axis, max_width, key(option))
        targets = smooth_targets(batch["targets"], recipe.label_smoothing)
        return {**batch, "patches": patches, "targets": targets}

    return augment


def _check_masks(features: FeatureParams, recipe: RecipeParams) -> None:
    """Checks that masks leave something of a patch.

    Raises:
      InputError: One may not.
    """
    for name, size in (
        ("max_masked_stft_frames", features.patch_stft_frames),
        ("max_masked_mel_bands", features.mel_bands),
    ):
        width = getattr(recipe, name)
        if not 0 <= width < size:
            raise InputError(
                f"Expected {name} of 0 to {size - 1}, as a patch has {size}. "
                f"Received: {width}."
            )


def _to_mel(log_mel: tf.Tensor, log_offset: float) -> tf.Tensor:
    """Undoes the logarithm; not below 0, since stored features are rounded."""
    return tf.maximum(tf.exp(log_mel) - log_offset, 0.0)

"""Augmentation: known answers of each option, and what its draws depend on."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.params import FeatureParams, RecipeParams
from audioset_strong.records.streams import InputWorker
from audioset_strong.training.augmentation import (
    make_augment,
    mask_stretch,
    mixup,
    random_gain,
    smooth_targets,
)

_FEATURES = FeatureParams()
_OFFSET = _FEATURES.log_offset
_ALL = RecipeParams(
    mixup_share=0.7,
    mixup_alpha=2.0,
    max_masked_stft_frames=30,
    max_masked_mel_bands=16,
    max_gain_db=6.0,
    label_smoothing=0.1,
)


def _key(number):
    return tf.constant([number, 17], tf.int64)


def _keys(number):
    return tuple(_key(10 * number + i) for i in range(3))


def _batch(size=8, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "patches": tf.constant(rng.normal(0, 2, [size, 96, 64]), tf.float32),
        "targets": tf.constant(rng.integers(0, 2, [size, 5]), tf.float32),
        "target_mask": tf.ones([size, 5]),
        "source": tf.constant(np.arange(size) % 2, tf.float32),
    }


def _noise(rng, seconds=1.0):
    return rng.normal(0, 0.1, round(seconds * 16000)).astype(np.float32)


# --- Gain --------------------------------------------------------------------


def test_gain_is_that_of_the_waveform():
    rng = np.random.default_rng(1)
    waveforms = [_noise(rng) * level for level in (1, 0.1, 0.001, 0)]
    log_mel = np.stack([waveform_to_log_mel(w, _FEATURES) for w in waveforms])
    found = random_gain(tf.constant(log_mel), 12.0, _OFFSET, _key(5))
    gain_db = tf.random.stateless_uniform([4, 1, 1], _key(5), -12.0, 12.0)
    for waveform, gain, row in zip(waveforms, gain_db[:, 0, 0], found):
        louder = waveform * 10 ** (float(gain) / 20)
        # Of float32 and the FFT.
        np.testing.assert_allclose(
            row, waveform_to_log_mel(louder, _FEATURES), atol=2e-4
        )
    np.testing.assert_allclose(found[3], np.log(_OFFSET), rtol=1e-6)


def test_gains_are_uniform_in_db():
    loud = tf.fill([4000, 1, 1], 8.0)  # where the offset is nothing
    found = random_gain(loud, 7.0, _OFFSET, _key(2))[:, 0, 0] - 8.0
    gains_db = found.numpy() * 20 / np.log(10)
    assert np.abs(gains_db).max() <= 7.001
    quarters, _ = np.histogram(gains_db, 4, (-7.0, 7.0))
    assert np.abs(quarters - 1000).max() < 4 * np.sqrt(750)


# --- Mixup -------------------------------------------------------------------


def test_mixup_is_nearly_that_of_waveforms():
    rng = np.random.default_rng(2)
    time = np.arange(16000) / 16000
    tone = np.float32(0.3) * np.sin(2 * np.pi * 700 * time, dtype=np.float32)
    waveforms = [_noise(rng), tone]
    log_mel = [waveform_to_log_mel(w, _FEATURES) for w in waveforms]
    batch = {
        "patches": tf.constant(np.stack(log_mel)),
        "targets": tf.eye(2),
        "target_mask": tf.ones([2, 2]),
    }
    mixed = mixup(batch, 1.0, 10.0, _OFFSET, _keys(1))
    for index in range(2):
        weight = float(mixed["targets"][index, index])
        assert 0.5 <= weight < 1
        expected = waveform_to_log_mel(
            weight * waveforms[index] + (1 - weight) * waveforms[1 - index],
            _FEATURES,
        )
        error = mixed["patches"][index] - expected
        assert np.sqrt(np.mean(np.square(error))) < 0.15


def test_mixup_mixes_targets_with_the_same_weight():
    batch = _batch(64)
    mixed = mixup(batch, 1.0, 0.5, _OFFSET, _keys(3))
    mel, found = (
        np.exp(b["patches"].numpy().astype(np.float64)) - _OFFSET
        for b in (batch, mixed)
    )
    mel = np.maximum(mel, 0)
    shift = int(tf.random.stateless_uniform([], _keys(3)[1], 1, 64, tf.int32))
    own, other = batch["targets"].numpy(), np.roll(batch["targets"], shift, 0)
    weights = []
    for index in range(64):
        is_different = own[index] != other[index]
        if not is_different.any():
            continue
        of_own = np.where(own[index] == 1, 1, -1) * (
            mixed["targets"][index] - other[index]
        )
        [weight] = np.unique(np.round(of_own[is_different], 6))
        weights.append(weight)
        expected = np.hypot(
            weight * mel[index], (1 - weight) * mel[(index - shift) % 64]
        )
        np.testing.assert_allclose(found[index], expected, rtol=1e-3, atol=1e-4)
    # Beta(0.5, 0.5) is mostly near its ends.
    assert min(weights) >= 0.5
    assert np.mean(np.array(weights) > 0.9) > 0.3


def test_only_a_share_is_mixed_and_the_rest_stays_in_bits():
    batch = _batch(500)
    mixed = mixup(batch, 0.3, 10.0, _OFFSET, _keys(4))
    is_same = [
        np.array_equal(one, other)
        for one, other in zip(batch["patches"], mixed["patches"])
    ]
    # Standard error 0.02.
    assert 0.62 < np.mean(is_same) < 0.78
    np.testing.assert_array_equal(
        mixed["targets"][np.flatnonzero(is_same)[0]],
        batch["targets"][np.flatnonzero(is_same)[0]],
    )
    np.testing.assert_array_equal(mixed["source"], batch["source"])


def test_a_class_counts_where_both_labels_do():
    batch = _batch(6)
    is_mixed_in = batch["source"].numpy() == 1
    mask = np.ones([6, 5], np.float32)
    mask[is_mixed_in, 3] = 0
    mixed = mixup(
        {**batch, "target_mask": tf.constant(mask)}, 1.0, 1, _OFFSET, _keys(5)
    )
    shift = int(tf.random.stateless_uniform([], _keys(5)[1], 1, 6, tf.int32))
    np.testing.assert_array_equal(
        mixed["target_mask"], mask * np.roll(mask, shift, axis=0)
    )


def test_weights_of_a_tiny_alpha_are_numbers():
    mixed = mixup(_batch(400), 1.0, 1e-4, _OFFSET, _keys(6))
    assert np.isfinite(mixed["targets"].numpy()).all()
    assert np.isfinite(mixed["patches"].numpy()).all()


# --- SpecAugment -------------------------------------------------------------


@pytest.mark.parametrize(("axis", "max_width"), [(1, 10), (2, 7), (1, 95)])
def test_masks_hide_one_stretch_with_the_mean(axis, max_width):
    patches = _batch(600)["patches"].numpy()
    found = mask_stretch(tf.constant(patches), axis, max_width, _key(1)).numpy()
    is_hidden = found != patches
    widths, starts = [], []
    for patch, changed, hidden in zip(patches, found, is_hidden):
        # The same cells in every row of the other axis, side by side.
        lines = hidden.all(axis=2 - axis)
        assert (hidden.any(axis=2 - axis) == lines).all()
        places = np.flatnonzero(lines)
        widths.append(len(places))
        if len(places):
            starts.append(places[0])
            assert places[-1] - places[0] == len(places) - 1
            np.testing.assert_allclose(changed[hidden], patch.mean(), atol=1e-5)
    # All widths alike: 600 / (max_width + 1) each.
    assert (min(widths), max(widths)) == (0, max_width)
    spread = np.sqrt((max_width**2 + 2 * max_width) / 12 / 600)
    assert abs(np.mean(widths) - max_width / 2) < 4 * spread
    assert min(starts) == 0


# --- Smoothing, and all at once ----------------------------------------------


def test_smoothing():
    smooth = smooth_targets(tf.constant([0.0, 1.0, 0.3]), 0.2)
    np.testing.assert_allclose(smooth, [0.1, 0.9, 0.34], rtol=1e-6)


def test_no_option_is_no_function():
    assert make_augment(_FEATURES, RecipeParams(), 0) is None


def _augmented(recipe=_ALL, seed=3, worker=InputWorker(), step=7):
    batch = _batch()
    augment = make_augment(_FEATURES, recipe, seed, worker)
    return augment(batch, tf.constant(step, tf.int64))


def test_draws_depend_on_seed_worker_and_step():
    found = [
        _augmented(**changes)["patches"].numpy()
        for changes in (
            {}, {}, {"seed": 4}, {"worker": InputWorker(1, 2)}, {"step": 8},
        )
    ]  # fmt: skip
    np.testing.assert_array_equal(found[0], found[1])
    for other in found[2:]:
        assert not np.array_equal(found[0], other)


def test_options_do_not_change_each_others_draws():
    alone = dataclasses.replace(RecipeParams(), max_masked_mel_bands=16)
    is_hidden = [
        _augmented(recipe)["patches"].numpy().std(axis=1) < 1e-6
        for recipe in (
            alone,
            dataclasses.replace(alone, max_gain_db=6.0, label_smoothing=0.1),
            dataclasses.replace(alone, mixup_share=0.7),
        )
    ]  # [batch, mel_bands] each
    assert is_hidden[0].any()
    for other in is_hidden[1:]:
        np.testing.assert_array_equal(is_hidden[0], other)


def test_shapes_stay_static_in_the_graph():
    augment = make_augment(_FEATURES, _ALL, 0)
    dataset = tf.data.Dataset.from_tensors(_batch()).repeat().enumerate(5)
    dataset = dataset.map(lambda step, batch: augment(batch, step))
    assert dataset.element_spec == {
        name: tf.TensorSpec(values.shape, tf.float32)
        for name, values in _batch().items()
    }
    [first] = dataset.take(1)
    # In the graph and without it: float tolerance, the same draws.
    for name, values in _augmented(seed=0, step=5).items():
        np.testing.assert_allclose(first[name], values, atol=1e-5)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_gain_db", -1.0),
        ("max_gain_db", float("nan")),
        ("mixup_share", 1.5),
        ("mixup_alpha", 0.0),
        ("max_masked_stft_frames", 96),
        ("max_masked_mel_bands", -2),
        ("label_smoothing", 1.0),
    ],
)
def test_options_out_of_range(option, value):
    recipe = dataclasses.replace(RecipeParams(), **{option: value})
    with pytest.raises(InputError, match=f"Expected {option} .*{value}"):
        make_augment(_FEATURES, recipe, 0)

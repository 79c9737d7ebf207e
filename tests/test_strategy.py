"""Choosing the hardware."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.training.strategy import get_strategy, make_reproducible


def _has_gpu():
    return bool(tf.config.list_logical_devices("GPU"))


def test_an_unknown_choice_is_refused():
    with pytest.raises(InputError, match=r"'auto', 'cpu'.*found 'cuda'"):
        get_strategy("cuda")


def test_the_cpu():
    strategy = get_strategy("cpu")
    assert strategy.num_replicas_in_sync == 1
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)


def test_without_a_gpu():
    if _has_gpu():
        pytest.skip("this machine has a GPU")
    assert isinstance(get_strategy("auto"), tf.distribute.OneDeviceStrategy)
    with pytest.raises(InputError, match="sees no GPU"):
        get_strategy("gpu")


def test_with_a_gpu():
    if not _has_gpu():
        pytest.skip("this machine has no GPU")
    for choice in ("auto", "gpu"):
        strategy = get_strategy(choice)
        assert isinstance(strategy, tf.distribute.MirroredStrategy)


def test_the_seed_decides_the_first_weights():
    weights = []
    for seed in (1, 1, 2):
        make_reproducible(seed, deterministic=False)
        weights.append(keras.random.normal([5]).numpy())
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])

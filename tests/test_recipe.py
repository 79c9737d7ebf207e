"""Recipe options in a run: averages, selection, first scores, and resuming."""

import dataclasses
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.models.frame_classifier import HEAD_NAME
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import read_records
from audioset_strong.training import first_scores, state, trainer, workdir
from audioset_strong.training import run as run_module
from audioset_strong.training.averaging import make_average
from audioset_strong.training.first_scores import positive_shares
from audioset_strong.training.metrics_log import MetricsLog, read_metrics
from audioset_strong.training.selection import Selection
from audioset_strong.training.trainer import train

_NETWORK = ModelParams()
_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    num_steps=8,
    global_batch_size=6,
    checkpoint_interval_steps=4,
    log_interval_steps=1,
    shuffle_block_clips=4,
    strategy="cpu",
    deterministic=False,
)
_ALL = RecipeParams(
    weight_decay=0.01,
    clip_norm=1.0,
    ema_decay=0.9,
    initial_scores_from_labels=True,
    label_smoothing=0.1,
    mixup_share=0.5,
    max_masked_stft_frames=20,
    max_masked_mel_bands=10,
    max_gain_db=6.0,
    balance_classes=True,
    patience_validations=5,
)


def _build(num_classes, *_):
    """Stands in for the ResNet: batch norm, a hidden layer and the last one."""
    patches = keras.Input((96, 64))
    hidden = keras.layers.GlobalAveragePooling1D()(patches)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dense(8, activation="relu")(hidden)
    logits = keras.layers.Dense(num_classes, name=HEAD_NAME)(hidden)
    return keras.Model(patches, {"logits": logits})


def _make_small(patch):
    for module in (state, workdir):
        patch.setattr(module, "build_frame_classifier", _build)
    patch.setattr(first_scores, "_NUM_EXAMPLES", 512)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    _make_small(monkeypatch)


def _variables(folder):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(folder))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(("_CHECKPOINTABLE", "save_counter"))
    }


def _metrics(folder):
    timed = ("examples_per_second", "input_share")
    return [
        {name: value for name, value in line.items() if name not in timed}
        for line in read_metrics(os.path.join(folder, "metrics.jsonl"))
    ]


# --- A run with everything on ------------------------------------------------


@pytest.fixture(scope="module")
def whole_dir(tiny_records_dir, tmp_path_factory):
    """A finished run with every option."""
    folder = str(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        _make_small(patch)
        train(tiny_records_dir, folder, _NETWORK, _PARAMS, _ALL)
    return folder


@pytest.mark.slow
def test_a_broken_run_with_every_option_ends_in_the_same_bits(
    whole_dir, tiny_records_dir, tmp_path, monkeypatch
):
    write = MetricsLog.write

    def write_or_break(log, step, metrics):
        if step == 7:
            raise RuntimeError("power cut")
        write(log, step, metrics)

    run = tiny_records_dir, str(tmp_path), _NETWORK, _PARAMS, _ALL
    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", write_or_break)
        with pytest.raises(RuntimeError, match="power cut"):
            train(*run)
    train(*run)
    for folder in ("checkpoints", "best"):
        whole = _variables(os.path.join(whole_dir, folder))
        broken = _variables(tmp_path / folder)
        assert set(whole) == set(broken)
        for name, values in whole.items():
            np.testing.assert_array_equal(values, broken[name], err_msg=name)
    assert _metrics(whole_dir) == _metrics(str(tmp_path))


def test_averages_are_what_is_validated_and_loaded(whole_dir):
    saved = _variables(os.path.join(whole_dir, "checkpoints"))
    models = {}
    for name in ("model", "trained"):
        model = _build(4)
        checkpoint = tf.train.Checkpoint(**{name: model})
        checkpoint.restore(
            tf.train.latest_checkpoint(os.path.join(whole_dir, "checkpoints"))
        ).expect_partial()
        models[name] = model.get_weights()
    assert len(saved) > 2 * len(models["model"])
    for averaged, trained in zip(models["model"], models["trained"]):
        assert not np.array_equal(averaged, trained)
    # "last" is what "best" would be: the averages.
    loaded, _, _ = workdir.load_classifier(whole_dir, "last")
    for expected, found in zip(models["model"], loaded.get_weights()):
        np.testing.assert_array_equal(expected, found)


# --- Averages ----------------------------------------------------------------


def test_averages_by_hand():
    model, averaged = _build(3), _build(3)
    averaged.set_weights(model.get_weights())
    average = make_average(model, averaged, 0.3)
    expected = [weights.astype(np.float64) for weights in model.get_weights()]
    for step in range(1, 6):
        model.set_weights([w + step for w in model.get_weights()])
        average(tf.constant(step, tf.int64))
        decay = min(0.3, (1 + step) / (10 + step))
        expected = [
            decay * old + (1 - decay) * new
            for old, new in zip(expected, model.get_weights())
        ]
    for old, new in zip(expected, averaged.get_weights()):
        np.testing.assert_allclose(old, new, rtol=1e-5, atol=1e-5)
    assert make_average(model, averaged, 0.0) is None


# --- Selection ---------------------------------------------------------------


def _select(values, patience=0):
    selection = Selection("mAP", patience)
    found = []
    for step, value in enumerate(values):
        found.append(selection.is_best(value, step))
        if selection.is_over():
            break
    return found, selection.result()


def test_the_last_of_equal_checkpoints_is_the_best():
    found, result = _select([0.5, 0.4, 0.5, 0.1])
    assert found == [True, False, True, False]
    assert result == {
        "best_step": 2, "selection_metric": "mAP", "best_value": 0.5,
    }  # fmt: skip
    # Without a value there is no choice.
    assert _select([None, None])[1]["best_step"] == 1
    assert _select([None])[1]["best_value"] is None


@pytest.mark.parametrize(
    ("values", "num_validations"),
    [
        ([0.1, 0.2, 0.1, 0.15, 0.3, 0.9], 4),
        ([0.1, 0.1, 0.1, 0.9], 3),
        ([0.3, 0.2, 0.4, 0.3, 0.5, 0.4], 6),
        ([None, None, None, None], 4),
    ],
)
def test_patience(values, num_validations):
    assert len(_select(values, patience=2)[0]) == num_validations


def test_a_run_that_ended_early_stays_ended(
    tiny_records_dir, tmp_path, monkeypatch, caplog
):
    values = iter([0.5, 0.4, 0.45, 0.9])
    monkeypatch.setattr(trainer, "validate", lambda *_: ({}, next(values)))
    params = dataclasses.replace(
        _PARAMS, checkpoint_interval_steps=1, selection_metric="lwlrap"
    )
    recipe = RecipeParams(patience_validations=2)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level("INFO", logger="absl"):
            found = train(
                tiny_records_dir, str(tmp_path), _NETWORK, params, recipe
            )
        assert found == {
            "best_step": 1, "selection_metric": "lwlrap", "best_value": 0.5,
        }  # fmt: skip
        assert (
            "ends early: 2 validations in a row without a lwlrap above 0.500, "
            "that of step 1." in caplog.text
        )
    assert next(values) == 0.9


def test_patience_needs_validation(tiny_records_dir, tmp_path, monkeypatch):
    records = read_records(tiny_records_dir)
    shards = tuple(records.shards_of("weak", "strong"))
    monkeypatch.setattr(
        run_module,
        "read_records",
        lambda *_: dataclasses.replace(records, shards=shards),
    )
    recipe = RecipeParams(patience_validations=2)
    with pytest.raises(InputError, match="no held-out clip.*held_out_fraction"):
        train(
            tiny_records_dir, str(tmp_path / "run"), _NETWORK, _PARAMS, recipe
        )
    assert not (tmp_path / "run").exists()


# --- First scores ------------------------------------------------------------


def test_first_scores_are_the_shares_of_the_labels(
    tiny_records_dir, tmp_path, monkeypatch
):
    records = read_records(tiny_records_dir)
    params = dataclasses.replace(
        _PARAMS, mixed_training_set="", mu=0.0, training_set="diffuse"
    )
    shares = positive_shares(records, params, balance_classes=False)
    # Every clip has noise, three of six the low tone, three the high one; 512
    # examples are whole passes, but for two.
    np.testing.assert_allclose(shares, [1 / 2, 1 / 2, 1, 0], atol=4e-3)
    assert ((shares > 0) & (shares < 1)).all()
    masked = dataclasses.replace(params, mask_unlabelled_classes=True)
    assert np.isnan(positive_shares(records, masked, False)[3])

    def stop(model, *_):
        biases.append(model.get_layer(HEAD_NAME).bias.numpy())
        raise RuntimeError

    biases = []
    monkeypatch.setattr(trainer, "make_score_patches", stop)
    with pytest.raises(RuntimeError):
        train(
            tiny_records_dir, str(tmp_path), _NETWORK, masked,
            RecipeParams(initial_scores_from_labels=True),
        )  # fmt: skip
    [bias] = biases
    scores = 1 / (1 + np.exp(-bias))
    np.testing.assert_allclose(scores[:3], shares[:3], rtol=1e-3)
    assert bias[3] == 0  # as it was


def test_balance_changes_first_scores(tiny_records_dir):
    records = read_records(tiny_records_dir)
    params = dataclasses.replace(_PARAMS, mixed_training_set="", mu=0.0)
    # Nine clips: two with the low tone, three with the high one, two with the
    # low one and noise, two with the high one and noise.
    for balance_classes, expected in (
        (False, [4 / 9, 5 / 9, 4 / 9]),
        (True, [1 / 2, 1 / 2, (2 * (1 / 4 + 1 / 4) + 2 * (1 / 5 + 1 / 4)) / 3]),
    ):
        shares = positive_shares(records, params, balance_classes)
        # 512 examples: within a standard error of what draws add at most.
        np.testing.assert_allclose(shares[:3], expected, atol=0.025)

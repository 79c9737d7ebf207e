"""The folder of a run: settings, metrics and weights."""

import dataclasses
import json
import os
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    ModelParams,
    TrainParams,
)
from audioset_strong.training.warm_start import (
    check_start,
    model_params_of_start,
)
from audioset_strong.training.workdir import (
    RecordsUsed,
    RunParams,
    begin,
    hash_run,
    load_classifier,
    open_checkpoints,
    read_run,
    restore_weights,
    resume,
    weights_hash,
)

_MAP = ClassMap(("/m/x", "/m/y"), ("X", "Y"))
_SWAPPED = ClassMap(("/m/y", "/m/x"), ("Y", "X"))
_PARAMS = RunParams(
    FeatureParams(),
    LabelFrameParams(),
    ModelParams(width=1 / 64, stem_stride=4),
    TrainParams(mu=0.8),
)


def _begin(workdir, params=_PARAMS, class_map=_MAP):
    with begin(workdir, params, class_map):
        pass


def _resume(workdir, params=_PARAMS, class_map=_MAP):
    with resume(workdir, params, class_map):
        pass


def _open(workdir, checkpoint, **state):
    run_hash = hash_run(_PARAMS, _MAP)
    return open_checkpoints(workdir, checkpoint, run_hash, **state)


def _model(seed_bias=0.0):
    model = build_frame_classifier(2, _PARAMS.model, _PARAMS.features)
    for variable in model.trainable_variables:
        variable.assign_add(seed_bias + np.zeros(variable.shape))
    return model


def test_settings_and_classes_are_read_back(tmp_path):
    workdir = str(tmp_path / "new" / "run")
    _begin(workdir)
    assert read_run(workdir) == (_PARAMS, _MAP)
    _resume(workdir)
    # Where shards are cached may change.
    train = dataclasses.replace(_PARAMS.train, cache_dir="/elsewhere")
    _resume(workdir, dataclasses.replace(_PARAMS, train=train))


def test_other_settings_and_records_are_named(tmp_path):
    params = dataclasses.replace(_PARAMS, records=RecordsUsed("0123abcd"))
    _begin(str(tmp_path), params)
    other = RunParams(
        FeatureParams(log_offset=0.001),
        LabelFrameParams(min_overlap=0.4),
        dataclasses.replace(_PARAMS.model, width=0.5),
        TrainParams(mu=0.7),
        RecordsUsed("4567cdef"),
    )
    differences = (
        "(features.log_offset: 0.01 there, 0.001 now; "
        "label_frames.min_overlap: 0.5 there, 0.4 now; "
        "model.width: 0.015625 there, 0.5 now; "
        "train.mu: 0.8 there, 0.7 now; "
        "records.records_hash: 0123abcd there, 4567cdef now)"
    )
    with pytest.raises(InputError, match=re.escape(differences)):
        _resume(str(tmp_path), other)
    assert read_run(str(tmp_path))[0] == params


def test_a_run_that_does_not_name_its_records_goes_on(tmp_path, caplog):
    _begin(str(tmp_path))
    path = tmp_path / "params.json"
    saved = json.loads(path.read_text())
    # As earlier versions wrote it.
    del saved["records"], saved["train"]["warm_start_classes"]
    path.write_text(json.dumps(saved))
    assert read_run(str(tmp_path)) == (_PARAMS, _MAP)
    params = dataclasses.replace(_PARAMS, records=RecordsUsed("0123abcd"))
    with caplog.at_level("INFO", logger="absl"):
        _resume(str(tmp_path), params)
    assert "does not say which records" in caplog.text


def test_one_process_at_a_time(tmp_path):
    workdir = str(tmp_path / "run")
    again = pytest.raises(
        InputError, match=rf"process {os.getpid()} on .* does"
    )
    with begin(workdir, _PARAMS, _MAP), again:
        _resume(workdir)
    with resume(workdir, _PARAMS, _MAP), again:
        _resume(workdir)
    # Of two that start at once, the second finds the run of the first.
    with pytest.raises(InputError, match="begun a run in .* just now"):
        _begin(workdir)


def test_other_classes_are_named(tmp_path):
    _begin(str(tmp_path))
    with pytest.raises(InputError) as error:
        _resume(str(tmp_path), class_map=_SWAPPED)
    for text in (
        f"class hash {_MAP.content_hash} (2 classes) in {tmp_path}, ",
        f"{_SWAPPED.content_hash} (2 classes) in the records",
        "class 0 is /m/x there, /m/y here",
    ):
        assert text in str(error.value)


@pytest.mark.parametrize(
    ("classes", "changes", "class_map", "message"),
    [
        (
            "same",
            {},
            _SWAPPED,
            "source, .*class 0 is /m/x there, /m/y here.* p",
        ),
        (
            "match",
            {},
            ClassMap(("dog_bark",), ("Dog",)),
            "share .*dog_bark and /",
        ),
        (
            "new",
            {"model": ModelParams()},
            _MAP,
            r"width: 0\.01\d* there, 1\.0 in",
        ),
        (
            "match",
            {"features": FeatureParams(mel_bands=80)},
            _MAP,
            "front end .mel_bands: 64 there, 80 in this run.* Prepare",
        ),
    ],
)
def test_a_start_that_does_not_fit(
    tmp_path, classes, changes, class_map, message
):
    source = str(tmp_path / "source")
    _begin(source)
    check_start(source, "same", _PARAMS, _MAP)
    check_start(source, "match", _PARAMS, _SWAPPED)
    params = dataclasses.replace(_PARAMS, **changes)
    with pytest.raises(InputError, match=message):
        check_start(source, classes, params, class_map)


def test_a_warm_start_has_the_network_of_its_source(tmp_path):
    source, workdir = str(tmp_path / "source"), str(tmp_path / "new")
    _begin(source)
    assert model_params_of_start({"width": 0.5}, workdir, "") == (
        ModelParams(width=0.5)
    )
    for given in ({}, {"stem_stride": 4}):
        assert model_params_of_start(given, workdir, source) == _PARAMS.model
    given = {"stem_stride": 2, "initial_score": 0.01, "width": 0.25}
    with pytest.raises(InputError) as error:
        model_params_of_start(given, workdir, source)
    assert "(stem_stride: 4 there, 2 now; width: 0.015625 there, 0.25" in str(
        error.value
    )
    # Once begun, the run has them itself, and its source may be gone.
    _begin(workdir)
    found = model_params_of_start({}, workdir, str(tmp_path / "gone"))
    assert found == _PARAMS.model


def test_a_class_map_that_was_changed_later_is_found(tmp_path):
    _begin(str(tmp_path))
    write_class_map(_SWAPPED, tmp_path / "class_map.csv")
    with pytest.raises(
        InputError, match=rf"class_map.csv .* {_MAP.content_hash}\. .*restore"
    ):
        read_run(str(tmp_path))


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match=r"holds no params\.json"):
        read_run(str(tmp_path))
    _begin(str(tmp_path))
    with pytest.raises(InputError, match="has no best checkpoint yet"):
        load_classifier(str(tmp_path))


def test_settings_of_another_version(tmp_path):
    _begin(str(tmp_path))
    path = tmp_path / "params.json"
    saved = json.loads(path.read_text())
    saved["model"]["depth"] = 101
    path.write_text(json.dumps(saved))
    with pytest.raises(InputError, match="'depth'.*another version"):
        read_run(str(tmp_path))


def test_weights_are_restored(tmp_path):
    workdir = str(tmp_path)
    _begin(workdir)
    best, last = _model(0.5), _model(-0.5)
    _open(workdir, "best", model=best).save(3)
    _open(workdir, "last", model=last, step=tf.Variable(7)).save(7)
    for name, expected in (("best", best), ("last", last)):
        restored, params, class_map = load_classifier(workdir, name)
        assert (params, class_map) == (_PARAMS, _MAP)
        for found, variable in zip(restored.variables, expected.variables):
            np.testing.assert_array_equal(found, variable)
    assert restore_weights(workdir, last).endswith("ckpt-3")


@pytest.mark.slow
def test_a_damaged_best_checkpoint(tmp_path, caplog):
    workdir = str(tmp_path)
    _begin(workdir)
    models = _model(0.5), _model(-0.5)
    for step, model in enumerate(models, 1):
        _open(workdir, "best", model=model).save(step)
    before = weights_hash(workdir)
    [path] = (tmp_path / "best").glob("ckpt-2.data-*")
    path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level("INFO", logger="absl"):
        restored, _, _ = load_classifier(workdir)
    assert "ckpt-2: it is damaged" in caplog.text
    for found, variable in zip(restored.variables, models[0].variables):
        np.testing.assert_array_equal(found, variable)
    assert weights_hash(workdir) != before
    [path] = (tmp_path / "best").glob("ckpt-1.data-*")
    path.write_bytes(path.read_bytes()[:1000])
    for function in load_classifier, weights_hash:
        with pytest.raises(InputError, match="ckpt-1: it is damaged"):
            function(workdir)


@pytest.mark.slow
def test_a_run_of_an_earlier_version(tmp_path):
    workdir = str(tmp_path)
    _begin(workdir)
    path = tmp_path / "params.json"
    saved = json.loads(path.read_text())
    del saved["recipe"], saved["start"], saved["train"]["precision"]
    path.write_text(json.dumps(saved))
    model = _model(0.5)
    for folder in ("best", "checkpoints"):
        tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model), str(tmp_path / folder), 1
        ).save(checkpoint_number=7)
    restored, _, _ = load_classifier(workdir)
    for found, variable in zip(restored.variables, model.variables):
        np.testing.assert_array_equal(found, variable)
    assert weights_hash(workdir, "last") == weights_hash(workdir)
    last = _open(workdir, "last", model=model, optimizer=tf.Variable(0))
    with pytest.raises(InputError, match="ckpt-7: .*another version of this"):
        last.restore()


def test_a_checkpoint_of_another_network(tmp_path):
    workdir = str(tmp_path)
    _begin(workdir)
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    _open(workdir, "best", model=other).save(3)
    with pytest.raises(InputError, match="ckpt-3: it is of another network"):
        restore_weights(workdir, _model())

"""The folder of a run: settings, metrics and weights."""

import dataclasses
import json
import re

import numpy as np
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    ModelParams,
    TrainParams,
)
from audioset_strong.training.workdir import (
    MetricsLog,
    RunParams,
    begin_or_resume,
    best_manager,
    last_manager,
    load_classifier,
    read_metrics,
    read_run,
    restore_weights,
)

_MAP = ClassMap(("/m/x", "/m/y"), ("X", "Y"))
_SWAPPED = ClassMap(("/m/y", "/m/x"), ("Y", "X"))
_PARAMS = RunParams(
    FeatureParams(),
    LabelFrameParams(),
    ModelParams(width=1 / 64, stem_stride=4),
    TrainParams(mu=0.8),
)


def _model(seed_bias=0.0):
    model = build_frame_classifier(2, _PARAMS.model, _PARAMS.features)
    for variable in model.trainable_variables:
        variable.assign_add(seed_bias + np.zeros(variable.shape))
    return model


def test_settings_and_classes_are_read_back(tmp_path):
    workdir = str(tmp_path / "new" / "run")
    begin_or_resume(workdir, _PARAMS, _MAP)
    assert read_run(workdir) == (_PARAMS, _MAP)
    begin_or_resume(workdir, _PARAMS, _MAP)  # the same again resumes
    # Where shards are cached may change.
    train = dataclasses.replace(_PARAMS.train, cache_dir="/elsewhere")
    moved = dataclasses.replace(_PARAMS, train=train)
    begin_or_resume(workdir, moved, _MAP)


def test_other_settings_are_named(tmp_path):
    begin_or_resume(str(tmp_path), _PARAMS, _MAP)
    other = RunParams(
        FeatureParams(log_offset=0.001),
        LabelFrameParams(min_overlap=0.4),
        dataclasses.replace(_PARAMS.model, width=0.5),
        TrainParams(mu=0.7),
    )
    differences = (
        "(features.log_offset: 0.01 there, 0.001 now; "
        "label_frames.min_overlap: 0.5 there, 0.4 now; "
        "model.width: 0.015625 there, 0.5 now; "
        "train.mu: 0.8 there, 0.7 now)"
    )
    with pytest.raises(InputError, match=re.escape(differences)):
        begin_or_resume(str(tmp_path), other, _MAP)
    assert read_run(str(tmp_path))[0] == _PARAMS


def test_other_classes_are_named(tmp_path):
    begin_or_resume(str(tmp_path), _PARAMS, _MAP)
    with pytest.raises(InputError) as error:
        begin_or_resume(str(tmp_path), _PARAMS, _SWAPPED)
    for text in (
        f"class hash {_MAP.content_hash} (2 classes) in {tmp_path}, ",
        f"{_SWAPPED.content_hash} (2 classes) in the records",
        "class 0 is /m/x there, /m/y here",
    ):
        assert text in str(error.value)


def test_a_start_from_a_run_with_other_classes_is_refused(tmp_path):
    source, new = str(tmp_path / "source"), str(tmp_path / "new")
    begin_or_resume(source, _PARAMS, _MAP)
    params = dataclasses.replace(
        _PARAMS, train=TrainParams(warm_start_workdir=source)
    )
    with pytest.raises(
        InputError, match="source, .*class 0 is /m/x there, /m/y here.* prepare"
    ):
        begin_or_resume(new, params, _SWAPPED)
    # Nothing was begun, so that the corrected command finds nothing odd.
    assert not (tmp_path / "new").exists()
    begin_or_resume(new, params, _MAP)


def test_a_class_map_that_was_changed_later_is_found(tmp_path):
    begin_or_resume(str(tmp_path), _PARAMS, _MAP)
    write_class_map(_SWAPPED, tmp_path / "class_map.csv")
    with pytest.raises(
        InputError, match=rf"class_map.csv .* {_MAP.content_hash}\. .*restore"
    ):
        read_run(str(tmp_path))


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match=r"holds no params\.json"):
        read_run(str(tmp_path))
    begin_or_resume(str(tmp_path), _PARAMS, _MAP)
    with pytest.raises(InputError, match="has no best checkpoint yet"):
        load_classifier(str(tmp_path))


def test_settings_of_another_version(tmp_path):
    begin_or_resume(str(tmp_path), _PARAMS, _MAP)
    path = tmp_path / "params.json"
    saved = json.loads(path.read_text())
    saved["model"]["depth"] = 101
    path.write_text(json.dumps(saved))
    with pytest.raises(InputError, match="'depth'.*another version"):
        read_run(str(tmp_path))


def test_weights_are_restored(tmp_path):
    workdir = str(tmp_path)
    begin_or_resume(workdir, _PARAMS, _MAP)
    best, last = _model(0.5), _model(-0.5)
    best_manager(workdir, best).save(checkpoint_number=3)
    last_manager(workdir, model=last).save(checkpoint_number=7)
    for name, expected in (("best", best), ("last", last)):
        restored, params, class_map = load_classifier(workdir, name)
        assert (params, class_map) == (_PARAMS, _MAP)
        for found, variable in zip(restored.variables, expected.variables):
            np.testing.assert_array_equal(found, variable)
    assert restore_weights(workdir, last).endswith("ckpt-3")


def test_lines_after_the_resumed_step_are_dropped(tmp_path):
    log = MetricsLog(str(tmp_path), 0)
    for step in (5, 10, 15):
        log.write(step, {"loss": 1.0 / step})
    log.write(10, {"validation_d_prime": 1.5})
    path = tmp_path / "metrics.jsonl"
    with open(path, "a") as file:
        file.write('{"step": 20, "lo')  # killed while writing
    assert [m["step"] for m in read_metrics(str(path))] == [5, 10, 15, 10]
    log = MetricsLog(str(tmp_path), 10)
    log.write(15, {"loss": 0.25})
    assert read_metrics(str(path)) == [
        {"step": 5, "loss": 0.2},
        {"step": 10, "loss": 0.1},
        {"step": 10, "validation_d_prime": 1.5},
        {"step": 15, "loss": 0.25},
    ]
    MetricsLog(str(tmp_path), 0)
    assert path.read_text() == ""

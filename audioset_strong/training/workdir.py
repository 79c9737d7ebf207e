"""The workdir: the folder of one training run, written and read back.

    params.json     settings of every stage, and the hash of the classes
    class_map.csv   the classes of the last layer
    metrics.jsonl   training and validation metrics, one JSON object a line
    tensorboard/    the same for TensorBoard
    checkpoints/    the last states, to resume from
    best/           the weights with the best validation d'

A run can be resumed with the same settings only, and a model is always loaded
with the settings and classes that it was trained with.
"""

import dataclasses
import json
import os
import typing
from typing import Any

import keras
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.files import open_output, refuse_remote
from audioset_strong.labels.class_map import (
    ClassMap,
    check_class_hash,
    check_same_classes,
    describe_other_classes,
    read_class_map,
    write_class_map,
)
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    ModelParams,
    TrainParams,
    load_params,
    save_params,
)

_PARAMS = "params.json"
_CLASS_MAP = "class_map.csv"
_METRICS = "metrics.jsonl"
_TENSORBOARD = "tensorboard"
# Folder of each kind of checkpoint.
_CHECKPOINTS = {"best": "best", "last": "checkpoints"}

# Settings that say where things are and not what is made, so that a run may go
# on with others.
_PLACES = ("cache_dir",)


@dataclasses.dataclass(frozen=True)
class RunParams:
    """Settings of every stage that a run depends on."""

    features: FeatureParams
    label_frames: LabelFrameParams
    model: ModelParams
    train: TrainParams


@dataclasses.dataclass(frozen=True)
class _Classes:
    """Which classes a run has, in `params.json`."""

    class_map_hash: str


_PARAMS_CLASSES = typing.get_type_hints(RunParams)


def read_run(workdir: str) -> tuple[RunParams, ClassMap]:
    """Reads the settings and the classes of a run.

    Raises:
      InputError: The folder is not that of a training run or not local, or its
        class map is not the one that it was trained with.
    """
    refuse_remote(workdir)
    params_path = os.path.join(workdir, _PARAMS)
    if not os.path.exists(params_path):
        raise InputError(
            f"{workdir} holds no {_PARAMS}, so no training run. Give a folder "
            f"that the train command wrote."
        )
    stages = load_params(params_path, {**_PARAMS_CLASSES, "classes": _Classes})
    class_map_path = os.path.join(workdir, _CLASS_MAP)
    class_map = read_class_map(class_map_path)
    check_class_hash(
        class_map.mids,
        stages.pop("classes").class_map_hash,
        class_map_path,
        "The run was trained with other classes: restore the file.",
    )
    return RunParams(**stages), class_map


def begin_or_resume(
    workdir: str, params: RunParams, class_map: ClassMap
) -> None:
    """Saves the settings in a new workdir, or compares them in an old one.

    Raises:
      InputError: The workdir, or the run that it is to start from, was trained
        with other settings or classes; or the workdir is not local.
    """
    refuse_remote(workdir)
    if not os.path.exists(os.path.join(workdir, _PARAMS)):
        if params.train.warm_start_workdir:
            check_start_classes(params.train.warm_start_workdir, class_map)
        os.makedirs(workdir, exist_ok=True)
        write_class_map(class_map, os.path.join(workdir, _CLASS_MAP))
        classes = _Classes(class_map.content_hash)
        # Last: a folder without it is no run, and is begun again.
        save_params(
            os.path.join(workdir, _PARAMS), {**vars(params), "classes": classes}
        )
        return
    saved_params, saved_class_map = read_run(workdir)
    saved, given = map(dataclasses.asdict, (saved_params, params))
    differing = [
        f"{stage}.{name}: {value} there, {given[stage][name]} now"
        for stage, settings in saved.items()
        for name, value in settings.items()
        if given[stage][name] != value and name not in _PLACES
    ]
    other_classes = describe_other_classes(
        saved_class_map.mids, class_map.mids, workdir, "the records"
    )
    if other_classes:
        differing.append(other_classes)
    # All at once, so that one correction is enough.
    if differing:
        raise InputError(
            f"{workdir} was trained with other settings "
            f"({'; '.join(differing)}). Give another workdir, or the same "
            f"settings to resume."
        )


def check_start_classes(warm_start_workdir: str, class_map: ClassMap) -> None:
    """Checks that a run with these classes can start from another's weights.

    Raises:
      InputError: The other run has other classes or another order, so that its
        last layer would mean other things; or the folder is not that of a run.
    """
    check_same_classes(
        read_run(warm_start_workdir)[1].mids,
        class_map.mids,
        warm_start_workdir,
        "the records",
        "Start from a run on records with the same class map, or prepare the "
        "records again with that of the run.",
    )


def best_manager(
    workdir: str, model: keras.Model
) -> tf.train.CheckpointManager:
    """Keeps the weights with the best validation d'."""
    folder = os.path.join(workdir, _CHECKPOINTS["best"])
    checkpoint = tf.train.Checkpoint(model=model)
    return tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1)


def last_manager(
    workdir: str, **state: tf.Module
) -> tf.train.CheckpointManager:
    """Keeps the last states of a run, whole, to resume from."""
    folder = os.path.join(workdir, _CHECKPOINTS["last"])
    checkpoint = tf.train.Checkpoint(**state)
    return tf.train.CheckpointManager(checkpoint, folder, max_to_keep=2)


def restore_weights(
    workdir: str, model: keras.Model, checkpoint: str = "best"
) -> str:
    """Restores the weights of a run, "best" or "last"; returns their path.

    Raises:
      InputError: The run has no checkpoint yet.
    """
    path: str | None = tf.train.latest_checkpoint(
        os.path.join(workdir, _CHECKPOINTS[checkpoint])
    )
    if path is None:
        raise InputError(
            f"{workdir} has no {checkpoint} checkpoint yet. Train until its "
            f"first checkpoint."
        )
    restored = tf.train.Checkpoint(model=model).restore(path)
    # A last checkpoint holds an optimizer too; the weights must all be there.
    restored.expect_partial().assert_existing_objects_matched()
    return path


def load_classifier(
    workdir: str, checkpoint: str = "best"
) -> tuple[keras.Model, RunParams, ClassMap]:
    """Loads the trained model of a run with its settings and classes.

    Raises:
      InputError: The folder is not that of a run with a checkpoint.
    """
    params, class_map = read_run(workdir)
    model = build_frame_classifier(
        class_map.num_classes, params.model, params.features
    )
    restore_weights(workdir, model, checkpoint)
    return model, params, class_map


class MetricsLog:
    """Metrics of a run, as JSON lines and for TensorBoard."""

    def __init__(self, workdir: str, resumed_step: int) -> None:
        """Opens the log; lines after `resumed_step` belong to a killed run."""
        self._path = os.path.join(workdir, _METRICS)
        if os.path.exists(self._path):
            saved = read_metrics(self._path)
            with open_output(self._path) as file:
                file.writelines(
                    json.dumps(metrics) + "\n"
                    for metrics in saved
                    if metrics["step"] <= resumed_step
                )
        self._summaries = tf.summary.create_file_writer(
            os.path.join(workdir, _TENSORBOARD)
        )

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Writes one line of metrics."""
        # Opened for each line, so that a killed run loses one line at most.
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
        with self._summaries.as_default():
            for name, value in metrics.items():
                tf.summary.scalar(name, value, step=step)
        self._summaries.flush()


def read_metrics(path: str) -> list[dict[str, Any]]:
    """Reads JSON lines, without a last one that a kill cut short."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]

"""The workdir: the folder of one training run, written and read back.

    params.json     settings of every stage, hashes of the classes and records
    class_map.csv   the classes of the last layer
    metrics.jsonl   training and validation metrics (`metrics_log.py`)
    tensorboard/    the same for TensorBoard, and images of a few clips
    checkpoints/    the last states, to resume from
    best/           the weights with the best validation d'

A run can be resumed with the same settings and records only, by one process at
a time, and a model is always loaded with the settings and classes that it was
trained with.
"""

import contextlib
import dataclasses
import hashlib
import os
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    check_class_hash,
    check_same_classes,
    describe_other_classes,
    read_class_map,
    write_class_map,
)
from audioset_strong.labels.problems import listed
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    ModelParams,
    RecipeParams,
    TrainParams,
    load_params,
    save_params,
)

_PARAMS = "params.json"
_CLASS_MAP = "class_map.csv"
# Folder of each kind of checkpoint.
_CHECKPOINTS = {"best": "best", "last": "checkpoints"}

# Settings that say where things are and not what is made, so that a run may go
# on with others.
_PLACES = ("cache_dir",)


@dataclasses.dataclass(frozen=True)
class RecordsUsed:
    """Which records a run has, in `params.json`.

    Attributes:
      records_hash: Of the records; "" where an earlier version did not save it.
    """

    records_hash: str = ""


@dataclasses.dataclass(frozen=True)
class RunParams:
    """Settings of every stage that a run depends on."""

    features: FeatureParams
    label_frames: LabelFrameParams
    model: ModelParams
    train: TrainParams
    records: RecordsUsed = RecordsUsed()
    recipe: RecipeParams = RecipeParams()


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
    params_path = os.path.join(workdir, _PARAMS)
    if not is_run(workdir):
        raise InputError(
            f"{workdir} holds no {_PARAMS}, so no training run. Give a folder "
            f"that the train command wrote."
        )
    stages = load_params(
        params_path,
        {**_PARAMS_CLASSES, "classes": _Classes},
        optional=["records", "recipe"],
    )
    class_map_path = os.path.join(workdir, _CLASS_MAP)
    class_map = read_class_map(class_map_path)
    check_class_hash(
        class_map.mids,
        stages.pop("classes").class_map_hash,
        class_map_path,
        "The run was trained with other classes: restore the file.",
    )
    return RunParams(**stages), class_map


def is_run(workdir: str) -> bool:
    """Whether a local folder holds a run; there may be no such folder."""
    files.refuse_remote(workdir)
    return os.path.exists(os.path.join(workdir, _PARAMS))


@contextlib.contextmanager
def begin(
    workdir: str, params: RunParams, class_map: ClassMap
) -> Iterator[None]:
    """Makes the folder of a new run and keeps other processes out of it.

    Raises:
      InputError: Another process holds the folder, or has begun a run in it.
    """
    files.make_output_folder(workdir)
    with files.hold_lock(workdir):
        if is_run(workdir):
            raise InputError(
                f"Another process has begun a run in {workdir} just now. Run "
                f"the same command again to resume it, or give another folder."
            )
        write_class_map(class_map, os.path.join(workdir, _CLASS_MAP))
        classes = _Classes(class_map.content_hash)
        # Last: a folder without it is no run, and is begun again.
        save_params(
            os.path.join(workdir, _PARAMS), {**vars(params), "classes": classes}
        )
        yield


@contextlib.contextmanager
def resume(
    workdir: str, params: RunParams, class_map: ClassMap
) -> Iterator[None]:
    """Compares the settings of an old run and keeps other processes out of it.

    Raises:
      InputError: The run was trained with other settings, classes or records,
        or another process holds its folder.
    """
    saved_params, saved_class_map = read_run(workdir)
    saved, given = map(dataclasses.asdict, (saved_params, params))
    if not saved_params.records.records_hash:
        logging.info(
            "%s does not say which records it was trained on; going on with "
            "those given.",
            workdir,
        )
        del saved["records"]
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
            f"settings and records to resume."
        )
    with files.hold_lock(workdir):
        yield


def model_params_of_start(
    given: Mapping[str, Any], workdir: str, warm_start_workdir: str
) -> ModelParams:
    """Returns the network of a run, which a warm start takes from its source.

    Args:
      given: The settings that somebody has chosen, by field of `ModelParams`.
      workdir: Folder of the run. If it is there already, it has the settings.
      warm_start_workdir: Run to start from; "" for none.

    Raises:
      InputError: A chosen setting is another than that of the source.
    """
    if not warm_start_workdir:
        return ModelParams(**given)
    source = workdir if is_run(workdir) else warm_start_workdir
    model_params = read_run(source)[0].model
    differing = [
        f"{name}: {getattr(model_params, name)} there, {value} now"
        for name, value in given.items()
        if getattr(model_params, name) != value
    ]
    if differing:
        raise InputError(
            f"A warm start takes the network from {source}, which has other "
            f"settings ({'; '.join(differing)}). Leave them out."
        )
    return model_params


def check_start(
    warm_start_workdir: str,
    warm_start_classes: str,
    params: RunParams,
    class_map: ClassMap,
) -> None:
    """Checks that a run can start from another's weights.

    Args:
      warm_start_workdir: The other run.
      warm_start_classes: As in `TrainParams`.
      params: Settings of the run that is to start.
      class_map: Its classes.

    Raises:
      InputError: The other run has another network or front end, or classes
        that `warm_start_classes` does not allow; or the folder is not that of a
        run.
    """
    source, source_classes = read_run(warm_start_workdir)
    for what, there, here, advice in (
        (
            "another network",
            source.model,
            params.model,
            "Use the same settings, or leave them out",
        ),
        (
            "another front end",
            source.features,
            params.features,
            "Prepare the records again with that of the run",
        ),
    ):
        found = dataclasses.asdict(here)
        differing = [
            f"{name}: {value} there, {found[name]} in this run"
            for name, value in dataclasses.asdict(there).items()
            if value != found[name]
        ]
        if differing:
            raise InputError(
                f"Cannot start from {warm_start_workdir}: it has {what} "
                f"({'; '.join(differing)}). {advice}."
            )
    if warm_start_classes == "same":
        # Other classes would give the outputs of the last layer another
        # meaning.
        check_same_classes(
            source_classes.mids,
            class_map.mids,
            warm_start_workdir,
            "the records",
            "Start from a run on records with the same class map, prepare the "
            "records again with that of the run, or let the last layer start "
            "anew where classes differ: warm_start_classes match.",
        )
    elif warm_start_classes == "match" and not (
        set(source_classes.mids) & set(class_map.mids)
    ):
        raise InputError(
            f"Expected a class that the records share with "
            f"{warm_start_workdir}, found none among "
            f"{listed(class_map.mids)} and {listed(source_classes.mids)}. "
            f"Class ids are compared, not names; or let the whole last layer "
            f"start anew: warm_start_classes new."
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
      InputError: The run has no checkpoint yet, or that of another network.
    """
    path: str | None = tf.train.latest_checkpoint(
        os.path.join(workdir, _CHECKPOINTS[checkpoint])
    )
    if path is None:
        raise InputError(
            f"{workdir} has no {checkpoint} checkpoint yet. Train until its "
            f"first checkpoint."
        )
    try:
        restored = tf.train.Checkpoint(model=model).restore(path)
        # A last checkpoint holds an optimizer too; the weights must all be
        # there.
        restored.expect_partial().assert_existing_objects_matched()
    except Exception as error:  # IndexError, AssertionError, OpError, ...
        reason = next(iter(str(error).splitlines()), "no reason given")
        raise InputError(
            f"The checkpoint {path} cannot be read ({reason}). It is damaged "
            f"or of another network than {workdir} says; give another run."
        ) from error
    return path


def weights_hash(workdir: str, checkpoint: str = "best") -> str:
    """Hashes the weights of a run, "best" or "last": 16 hex digits.

    Equal for the same weights, wherever the folder lies.

    Raises:
      InputError: The run has no checkpoint yet, or one that cannot be read.
    """
    path = tf.train.latest_checkpoint(
        os.path.join(workdir, _CHECKPOINTS[checkpoint])
    )
    if path is None:
        raise InputError(f"{workdir} has no {checkpoint} checkpoint yet.")
    content = hashlib.sha256()
    try:
        reader = tf.train.load_checkpoint(path)
        for name in sorted(reader.get_variable_to_shape_map()):
            if name.startswith("model/"):
                tensor = reader.get_tensor(name)
                content.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
                content.update(tensor.tobytes())
    except Exception as error:  # OpError, ValueError, RuntimeError, ...
        reason = next(iter(str(error).splitlines()), "no reason given")
        raise InputError(f"{path} cannot be read ({reason}).") from error
    return content.hexdigest()[:16]


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

"""The workdir: the folder of one training run, written and read back.

    params.json     settings of every stage, hashes of the classes and records
    class_map.csv   the classes of the last layer
    metrics.jsonl   training and validation metrics (`metrics_log.py`)
    tensorboard/    the same for TensorBoard, and images of a few clips
    checkpoints/    the last states, to resume from
    best/           the weights that are best by validation

A run is resumed by one process at a time, with the records and settings that it
was begun with; only what cannot change its result may change. The folder may be
moved, and so may the run that it started from: weights are compared, not paths.
A model is always loaded with the settings and classes that it was trained with.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import typing
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    check_class_hash,
    describe_other_classes,
    parse_class_map,
    write_class_map,
)
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
from audioset_strong.training.checkpoints import (
    Checkpoints,
    hash_tensors,
    restore_newest,
    steps_in,
)
from audioset_strong.training.metrics_log import last_step_logged

_PARAMS = "params.json"
_CLASS_MAP = "class_map.csv"
# Folder of each kind of checkpoint.
_CHECKPOINTS = {"best": "best", "last": "checkpoints"}

# Settings that a run may go on with others of: where things are, how often one
# looks, on what it runs. The weights that it started from are compared by hash.
_MAY_CHANGE = frozenset(
    {
        "cache_dir",
        "checkpoint_interval_steps",
        "log_interval_steps",
        "patience_validations",
        "steps_per_call",
        "strategy",
        "warm_start_workdir",
    }
)


@dataclasses.dataclass(frozen=True)
class RecordsUsed:
    """Which records a run has, in `params.json`.

    Attributes:
      records_hash: Of the records; "" where an earlier version did not save it.
    """

    records_hash: str = ""


@dataclasses.dataclass(frozen=True)
class StartUsed:
    """Which weights a run has started from, in `params.json`.

    Attributes:
      weights_hash: Of those in `warm_start_workdir` (`weights_hash`); "" for
        random ones.
    """

    weights_hash: str = ""


@dataclasses.dataclass(frozen=True)
class RunParams:
    """Settings of every stage that a run depends on."""

    features: FeatureParams
    label_frames: LabelFrameParams
    model: ModelParams
    train: TrainParams
    records: RecordsUsed = RecordsUsed()
    recipe: RecipeParams = RecipeParams()
    start: StartUsed = StartUsed()


@dataclasses.dataclass(frozen=True)
class _Classes:
    """Which classes a run has, in `params.json`."""

    class_map_hash: str


_PARAMS_CLASSES = typing.get_type_hints(RunParams)


def _read_settings(workdir: str) -> tuple[RunParams, str]:
    """Reads `params.json`: the settings and the hash of the classes."""
    path = os.path.join(workdir, _PARAMS)
    if not is_run(workdir):
        raise InputError(
            f"{workdir} holds no {_PARAMS}, so no training run. Give a folder "
            f"that the train command wrote."
        )
    try:
        stages = load_params(
            path,
            {**_PARAMS_CLASSES, "classes": _Classes},
            optional=["records", "recipe", "start"],
        )
        class_map_hash: str = stages.pop("classes").class_map_hash
    except (InputError, TypeError) as error:
        raise InputError(
            f"The settings of the run cannot be read ({error}). If {path} is "
            f"damaged, restore it from a copy; or remove it and give the "
            f"command that began the run, whose settings are then compared "
            f"with those in its checkpoints."
        ) from error
    return RunParams(**stages), class_map_hash


def _read_classes(workdir: str, expected_hash: str) -> ClassMap:
    """Reads `class_map.csv`."""
    path = os.path.join(workdir, _CLASS_MAP)
    advice = (
        "The run was trained with other classes: restore the file, which is "
        "the same as in the folder of its records."
    )
    try:
        class_map = parse_class_map(files.read_bytes(path).decode(), path)
    except (OSError, ValueError) as error:  # InputError is a ValueError
        raise InputError(f"{path} cannot be read ({error}). {advice}") from None
    check_class_hash(class_map.mids, expected_hash, path, advice)
    return class_map


def read_run(workdir: str) -> tuple[RunParams, ClassMap]:
    """Reads the settings and the classes of a run.

    Raises:
      InputError: The folder is not that of a training run, a file is damaged,
        or the class map is not the one that the run was trained with.
    """
    params, class_map_hash = _read_settings(workdir)
    return params, _read_classes(workdir, class_map_hash)


def is_run(workdir: str) -> bool:
    """Whether a folder holds a run; there may be no such folder."""
    return files.exists(os.path.join(workdir, _PARAMS))


def _may_change(params: RunParams) -> frozenset[str]:
    """Names the settings that may change when a run goes on."""
    if params.train.learning_rate_decay == "cosine":
        return _MAY_CHANGE
    # The learning rate does not depend on the end.
    return _MAY_CHANGE | {"num_steps"}


def hash_run(params: RunParams, class_map: ClassMap) -> str:
    """Hashes what may not change when a run goes on: 16 hex digits.

    Settings that have their default do not count, so that a later version may
    have more of them.
    """
    free = _may_change(params)
    settings = {
        # 1 and 1.0 are the same setting.
        f"{stage}.{field.name}": (float(value) if type(value) is int else value)
        for stage, of_stage in vars(params).items()
        for field in dataclasses.fields(of_stage)
        if field.name not in free
        and (value := getattr(of_stage, field.name)) != field.default
    }
    content = json.dumps([class_map.content_hash, settings], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _save(workdir: str, params: RunParams, class_map: ClassMap) -> None:
    """Writes settings and classes."""
    write_class_map(class_map, os.path.join(workdir, _CLASS_MAP))
    classes = _Classes(class_map.content_hash)
    # Last: a folder without it is no run, and is begun again.
    save_params(
        os.path.join(workdir, _PARAMS), {**vars(params), "classes": classes}
    )


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
        _save(workdir, params, class_map)
        yield


@contextlib.contextmanager
def resume(
    workdir: str, params: RunParams, class_map: ClassMap
) -> Iterator[None]:
    """Compares the settings of an old run and keeps other processes out of it.

    Settings that may change are saved, and named in one line.

    Raises:
      InputError: The run was trained with other settings, classes, records or
        first weights; it has taken more steps than are asked for; or another
        process holds its folder.
    """
    saved_params, class_map_hash = _read_settings(workdir)
    saved, given = map(dataclasses.asdict, (saved_params, params))
    if not saved_params.records.records_hash:
        logging.info(
            "%s does not say which records it was trained on; going on with "
            "those given.",
            workdir,
        )
        del saved["records"]
    free = _may_change(saved_params)
    changed: list[str] = []
    differing: list[str] = []
    for stage, settings in saved.items():
        for name, value in settings.items():
            now = given[stage][name]
            if now != value:
                difference = f"{stage}.{name}: {value} there, {now} now"
                (changed if name in free else differing).append(difference)
    if class_map_hash != class_map.content_hash:
        there = _read_classes(workdir, class_map_hash)
        differing.append(
            describe_other_classes(
                there.mids, class_map.mids, workdir, "the records"
            )
        )
    # All at once, so that one correction is enough.
    if differing:
        raise InputError(
            f"{workdir} was trained with other settings "
            f"({'; '.join(differing)}). Give another workdir, or the same "
            f"settings and records to resume."
        )
    reached = max(steps_in(_folder_of(workdir, "last")), default=0)
    logged = last_step_logged(workdir)
    if not reached and logged > saved_params.train.checkpoint_interval_steps:
        raise InputError(
            f"{_folder_of(workdir, 'last')} holds no checkpoint, but the run "
            f"has come to step {logged}. Restore the folder from a copy; or, "
            f"to begin again, remove {workdir} or give another workdir."
        )
    if params.train.num_steps < reached:
        raise InputError(
            f"{workdir} has taken {reached} steps. Expected num_steps of at "
            f"least as many. Received: {params.train.num_steps}."
        )
    with files.hold_lock(workdir):
        _restore_files(workdir, params, class_map, changed)
        yield


def _restore_files(
    workdir: str, params: RunParams, class_map: ClassMap, changed: list[str]
) -> None:
    """Saves changed settings, and the class map if its file is damaged."""
    files.remove_temporary_files(workdir)
    try:
        _read_classes(workdir, class_map.content_hash)
        is_damaged = False
    except InputError as error:
        logging.warning("%s It was written anew.", error)
        is_damaged = True
    if changed:
        logging.info("%s goes on with %s.", workdir, "; ".join(changed))
    if changed or is_damaged:
        _save(workdir, params, class_map)


def find_start(workdir: str, warm_start_workdir: str) -> StartUsed:
    """Hashes the weights that a run starts from.

    Args:
      workdir: Folder of the run, new or begun.
      warm_start_workdir: Folder of the run to start from; "" for none. Once the
        run has weights of its own, it may be gone.

    Raises:
      InputError: There are no weights to start from.
    """
    if not warm_start_workdir:
        return StartUsed()
    try:
        return StartUsed(weights_hash(warm_start_workdir))
    except InputError as error:
        if not is_run(workdir) or not steps_in(_folder_of(workdir, "last")):
            raise
        saved, _ = _read_settings(workdir)
        if saved.train.warm_start_workdir != warm_start_workdir:
            raise
        logging.info(
            "Going on without the run that this one started from: %s", error
        )
        return saved.start


def _folder_of(workdir: str, checkpoint: str) -> str:
    return os.path.join(workdir, _CHECKPOINTS[checkpoint])


def open_checkpoints(
    workdir: str,
    checkpoint: str,
    run_hash: str,
    interval_steps: int = 1,
    **state: Any,
) -> Checkpoints:
    """Opens a folder of checkpoints, "best" or "last".

    `best` has the weights that are best by validation, `last` the whole state,
    to resume from. Other arguments are those of `Checkpoints`.
    """
    folder = _folder_of(workdir, checkpoint)
    return Checkpoints(folder, run_hash, state, interval_steps)


def _restore(
    workdir: str, checkpoint: str, state: tf.train.Checkpoint | None
) -> tuple[str, int]:
    """Restores a part of a checkpoint; returns its folder and step."""
    folder = _folder_of(workdir, checkpoint)
    run_hash = hash_run(*read_run(workdir))
    step, _ = restore_newest(folder, state, run_hash, is_partial=True)
    if not step:
        raise InputError(
            f"{workdir} has no {checkpoint} checkpoint yet. Train until its "
            f"first checkpoint."
        )
    return folder, step


def restore_weights(
    workdir: str, model: keras.Model, checkpoint: str = "best"
) -> str:
    """Restores the weights of a run, "best" or "last"; returns their path.

    Raises:
      InputError: The run has no checkpoint yet, none that is not damaged, or
        that of another network.
    """
    state = tf.train.Checkpoint(model=model)
    folder, step = _restore(workdir, checkpoint, state)
    return os.path.join(folder, f"ckpt-{step}")


def weights_hash(workdir: str, checkpoint: str = "best") -> str:
    """Hashes the weights of a run, "best" or "last": 16 hex digits.

    Equal for the same weights, wherever the folder lies.

    Raises:
      InputError: As from `restore_weights`.
    """
    return hash_tensors(*_restore(workdir, checkpoint, None), "model/")


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

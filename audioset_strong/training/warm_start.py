"""Starts from another run: its network, and its weights class by class.

Source: fine-tuning a network trained on Weak is Section 4 of the paper; to
other classes: our choice (BUILD_NOTES.md "Model and training").
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, check_same_classes
from audioset_strong.labels.problems import listed
from audioset_strong.models.frame_classifier import HEAD_NAME
from audioset_strong.params import ModelParams
from audioset_strong.training.workdir import (
    RunParams,
    is_run,
    load_classifier,
    read_run,
    restore_weights,
)


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


def warm_start(
    model: keras.Model, run_params: RunParams, class_map: ClassMap
) -> None:
    """Starts from the best weights of another run.

    Raises:
      InputError: The other run does not fit (`check_start`) or has no
        checkpoint.
    """
    source_dir = run_params.train.warm_start_workdir
    classes = run_params.train.warm_start_classes
    check_start(source_dir, classes, run_params, class_map)
    if classes == "same":
        path = restore_weights(source_dir, model)
        logging.info("Starting from the weights in %s.", path)
        return
    source, _, source_map = load_classifier(source_dir)
    kept = {
        index: source_map.index_of_mid[mid]
        for index, mid in enumerate(class_map.mids)
        if classes == "match" and mid in source_map.index_of_mid
    }
    # Layers are in the order of the network; only their names may differ.
    for layer, source_layer in zip(model.layers, source.layers, strict=True):
        weights = source_layer.get_weights()
        if layer.name == HEAD_NAME:
            # Kernel [embedding_size, num_classes] and bias [num_classes].
            of_source, weights = weights, layer.get_weights()
            for new, old in zip(weights, of_source, strict=True):
                new[..., list(kept)] = old[..., list(kept.values())]
        layer.set_weights(weights)
    names = class_map.display_names
    logging.info(
        "Starting from the network of %s; of the last layer %d classes keep "
        "their weights (%s) and %d start anew (%s).",
        source_dir,
        len(kept),
        listed(repr(names[index]) for index in kept),
        len(names) - len(kept),
        listed(repr(name) for i, name in enumerate(names) if i not in kept),
    )

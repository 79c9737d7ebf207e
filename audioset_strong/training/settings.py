"""Checks of all settings of a training run, before anything is made.

Values that come from flags, from Python and from files meet here: the type of
each, its range or the words that it can be, and which settings need or exclude
each other. What only the records, the network or the hardware can tell is
checked where they are opened.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import TRAINING_SETS
from audioset_strong.params import ModelParams, RecipeParams, TrainParams

# The words that a setting can be.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "training_set": tuple(sorted(TRAINING_SETS)),
    "mixed_training_set": ("", "diffuse", "strong"),
    "learning_rate_decay": ("constant", "cosine", "step"),
    "selection_metric": ("strong_d_prime", "lwlrap", "mAP"),
    "precision": ("float32", "bfloat16", "float16"),
    "strategy": ("auto", "cpu", "gpu", "multi_worker", "tpu"),
    "warm_start_classes": ("same", "match", "new"),
}

# NaN is in no range.
_RANGES: Mapping[str, tuple[Callable[[Any], bool], tuple[str, ...]]] = {
    "of at least 1": (
        lambda value: value >= 1,
        (
            "stem_stride",
            "num_steps",
            "global_batch_size",
            "shuffle_block_clips",
            "checkpoint_interval_steps",
            "log_interval_steps",
            "steps_per_call",
        ),
    ),
    "of at least 0": (
        lambda value: 0 <= value < math.inf,
        (
            "decay_interval_steps",
            "warmup_steps",
            "seed",
            "strong_fraction_seed",
            "weight_decay",
            "clip_norm",
            "max_masked_stft_frames",
            "max_masked_mel_bands",
            "max_gain_db",
            "patience_validations",
        ),
    ),
    "above 0": (
        lambda value: 0 < value < math.inf,
        ("width", "batch_norm_epsilon", "learning_rate", "mixup_alpha"),
    ),
    "in [0, 1]": (lambda value: 0 <= value <= 1, ("mu", "mixup_share")),
    "in [0, 1)": (
        lambda value: 0 <= value < 1,
        ("batch_norm_momentum", "ema_decay", "label_smoothing"),
    ),
    "in (0, 1)": (lambda value: 0 < value < 1, ("initial_score",)),
    "in (0, 1]": (
        lambda value: 0 < value <= 1,
        ("decay_factor", "strong_fraction"),
    ),
}
_RANGE_OF = {
    name: (expected, is_inside)
    for expected, (is_inside, names) in _RANGES.items()
    for name in names
}
# What TensorFlow and NumPy take as seeds and as sizes.
_INT_LIMIT = 2**31
_TYPES = {int: "a whole number", float: "a number", str: "text"}


def check_settings(
    model_params: ModelParams, params: TrainParams, recipe: RecipeParams
) -> None:
    """Checks the settings that depend on nothing but each other.

    Raises:
      InputError: One has the wrong type, is out of range or none of its
        choices, or two do not fit each other.
    """
    for settings in (model_params, params, recipe):
        check_values(settings)
    _check_mixing(params)
    _check_schedule(params)
    if params.deterministic and not params.deterministic_input:
        raise InputError(
            "Without deterministic_input every run sees other examples, so "
            "deterministic kernels are of no use. Turn deterministic off too."
        )
    if params.deterministic and params.jit_compile:
        raise InputError(
            "jit_compile needs deterministic off: XLA has no deterministic "
            "gradient of max pooling."
        )
    if params.warm_start_classes != "same" and not params.warm_start_workdir:
        raise InputError(
            f"warm_start_classes {params.warm_start_classes!r} is about a "
            f"start from another run. Give its folder as warm_start_workdir."
        )


def check_values(settings: ModelParams | TrainParams | RecipeParams) -> None:
    """Checks each setting of a stage by itself.

    Raises:
      InputError: One has the wrong type, is out of range or none of its
        choices.
    """
    for field in dataclasses.fields(settings):
        _check_value(
            field.name, getattr(settings, field.name), type(field.default)
        )


def _check_value(name: str, value: Any, expected_type: type) -> None:
    """Checks one setting by itself."""
    if expected_type is bool:
        if not isinstance(value, bool):
            raise InputError(
                f"Expected {name} True or False. Received: {value!r}."
            )
        return
    allowed: Any = (int, float) if expected_type is float else expected_type
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise InputError(
            f"Expected {name} to be {_TYPES[expected_type]}. Received: "
            f"{value!r}."
        )
    if name in CHOICES and value not in CHOICES[name]:
        raise InputError(
            f"Expected {name} of {CHOICES[name]}. Received: {value!r}."
        )
    if name in _RANGE_OF:
        expected, is_inside = _RANGE_OF[name]
        if not is_inside(value):
            raise InputError(f"Expected {name} {expected}. Received: {value}.")
    if expected_type is int and value >= _INT_LIMIT:
        raise InputError(
            f"Expected {name} below {_INT_LIMIT}. Received: {value}."
        )


def _check_mixing(params: TrainParams) -> None:
    """Checks that mu, the sets and their share come together."""
    mixed, mu = params.mixed_training_set, params.mu
    if mixed and not mu:
        raise InputError(
            f"mixed_training_set {mixed!r} needs mu above 0, the share of its "
            f"examples; mu is {mu}. To train on {params.training_set!r} alone, "
            f"leave mixed_training_set out."
        )
    if mu and not mixed:
        raise InputError(
            f"mu {mu} needs mixed_training_set, the set whose share it is. To "
            f"train on {params.training_set!r} alone, leave mu out."
        )
    if (
        params.strong_fraction != 1.0
        and not mixed
        and (params.training_set == "weak")
    ):
        raise InputError(
            f"strong_fraction {params.strong_fraction} is the share of "
            f"weak_small, diffuse and strong, and this run has only weak. Give "
            f"one of these sets, or leave it out."
        )
    if mixed == params.training_set:
        raise InputError(
            f"Expected two different sets. Received: {mixed!r} both as "
            f"training_set and as mixed_training_set."
        )


def _check_schedule(params: TrainParams) -> None:
    """Checks that the parts of the learning rate's schedule fit."""
    is_stepwise = params.learning_rate_decay == "step"
    if is_stepwise != bool(params.decay_interval_steps):
        raise InputError(
            f"learning_rate_decay 'step' and decay_interval_steps of at least "
            f"1 need each other. Received: {params.learning_rate_decay!r} and "
            f"{params.decay_interval_steps}."
        )
    if params.warmup_steps > params.num_steps:
        raise InputError(
            f"Expected warmup_steps of at most num_steps, {params.num_steps}. "
            f"Received: {params.warmup_steps}."
        )

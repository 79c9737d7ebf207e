"""Every setting of a run is checked, alone and with the others."""

import dataclasses

import pytest

from audioset_strong.errors import InputError
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.training.settings import CHOICES, check_settings

_CLASSES = (ModelParams, TrainParams, RecipeParams)
_NAN = float("nan")
_INF = float("inf")
# Of each setting, values just inside its range and just outside.
_RANGES = {
    **dict.fromkeys(
        (
            "stem_stride",
            "num_steps",
            "global_batch_size",
            "shuffle_block_clips",
            "checkpoint_interval_steps",
            "log_interval_steps",
            "steps_per_call",
        ),
        ([1, 2**31 - 1], [0, -1, 2**31, 1.5, "1", True, None]),
    ),
    **dict.fromkeys(
        (
            "warmup_steps",
            "seed",
            "strong_fraction_seed",
            "max_masked_stft_frames",
            "max_masked_mel_bands",
            "patience_validations",
        ),
        ([0, 1], [-1, 2**31, 0.5, "0"]),
    ),
    **dict.fromkeys(
        ("weight_decay", "clip_norm", "max_gain_db"),
        ([0, 0.0, 1e-9, 1e9], [-1e-9, _NAN, _INF, "0.1", True]),
    ),
    **dict.fromkeys(
        ("width", "batch_norm_epsilon", "learning_rate", "mixup_alpha"),
        ([1e-9, 2], [0, 0.0, -0.5, _NAN, _INF, "1", False]),
    ),
    **dict.fromkeys(
        ("batch_norm_momentum", "ema_decay", "label_smoothing"),
        ([0, 0.999], [1, 1.0, -0.1, _NAN, "0.5"]),
    ),
    "mixup_share": ([0, 1, 0.5], [1.01, -0.01, _NAN]),
    "initial_score": ([1e-9, 0.999], [0, 1.0, _NAN]),
    "decay_factor": ([1e-9, 1], [0, 1.5, _NAN]),
}
_APART = {
    "mu",
    "mixed_training_set",
    "strong_fraction",
    "decay_interval_steps",
}


def _check(**changes):
    settings = []
    for params_class in _CLASSES:
        names = {field.name for field in dataclasses.fields(params_class)}
        settings.append(
            params_class(**{n: v for n, v in changes.items() if n in names})
        )
    check_settings(*settings)


def test_defaults_are_right_and_every_number_has_a_range():
    _check()
    fields = [f for c in _CLASSES for f in dataclasses.fields(c)]
    numbers = {f.name for f in fields if type(f.default) in (int, float)}
    assert numbers - _APART == set(_RANGES)
    # No name twice: ranges are by name.
    assert len({field.name for field in fields}) == len(fields)


@pytest.mark.parametrize("name", _RANGES)
def test_ranges(name):
    inside, outside = _RANGES[name]
    for value in inside:
        _check(**{name: value})
    for value in outside:
        with pytest.raises(InputError, match=rf"^Expected {name} .*eceived"):
            _check(**{name: value})


@pytest.mark.parametrize("name", sorted(set(CHOICES) - _APART))
def test_choices(name):
    for value in CHOICES[name]:
        _check(
            **{name: value},
            **({"warm_start_workdir": "other"} if "warm" in name else {}),
            **({"decay_interval_steps": 5} if value == "step" else {}),
        )
    for value in ("loud", "", "STRONG", 1, None):
        with pytest.raises(InputError, match=f"Expected {name} .*{value!r}"):
            _check(**{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixed_training_set": "strong"}, "'strong' needs mu above 0"),
        (
            {
                "mixed_training_set": "diffuse",
                "mu": 0,
                "training_set": "strong",
            },
            "train on 'strong' alone, leave mixed",
        ),
        ({"mu": 0.3}, "mu 0.3 needs mixed_training_set"),
        (
            {
                "training_set": "diffuse",
                "mixed_training_set": "diffuse",
                "mu": 1,
            },
            "two different sets.* 'diffuse' both",
        ),
        ({"mixed_training_set": "weak", "mu": 0.5}, r"'strong'.*: 'weak'"),
        ({"mixed_training_set": "strong", "mu": _NAN}, "mu in .0, 1.*nan"),
        ({"mixed_training_set": "strong", "mu": 1.1}, "mu in .0, 1.*1.1"),
        ({"mixed_training_set": "strong", "mu": -0.1}, "mu in .0, 1.*-0.1"),
        ({"strong_fraction": 0.1}, "strong_fraction 0.1 .* run has only weak"),
        ({"training_set": "strong", "strong_fraction": 0}, "in .0, 1.*: 0"),
        ({"training_set": "strong", "strong_fraction": 1.5}, "in .0, 1.*1.5"),
        ({"learning_rate_decay": "step"}, "need each other.*'step' and 0"),
        ({"decay_interval_steps": 9}, "need each other.*'constant' and 9"),
        ({"decay_interval_steps": -9}, "at least 0. Received: -9"),
        ({"warmup_steps": 11, "num_steps": 10}, "most num_steps, 10. .* 11"),
        ({"deterministic_input": False}, "Turn deterministic off too"),
        ({"jit_compile": True}, "jit_compile needs deterministic off"),
        ({"deterministic_input": 1}, "True or False. Received: 1"),
        ({"warm_start_classes": "new"}, "Give its folder"),
        ({"cache_dir": None}, "cache_dir to be text. Received: None"),
        ({"model": 50}, "model to be text. Received: 50"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(InputError, match=message):
        _check(**changes)

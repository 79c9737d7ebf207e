"""Settings: their JSON round trip and what follows from them."""

import dataclasses
import json

import pytest

from audioset_strong import params
from audioset_strong.errors import InputError
from audioset_strong.params import (
    FeatureParams,
    ModelParams,
    RecordParams,
    TrainParams,
    from_dict,
    load_params,
    save_params,
)

_ALL = [
    value
    for name, value in vars(params).items()
    if name.endswith("Params") and dataclasses.is_dataclass(value)
]


@pytest.mark.parametrize("params_class", _ALL)
def test_every_field_survives_json(params_class):
    fields = dataclasses.fields(params_class)
    others = {bool: True, int: 7, float: 0.125, str: "x"}
    changes = {f.name: others[type(f.default)] for f in fields}
    for values in (params_class(), params_class(**changes)):
        saved = json.loads(json.dumps(dataclasses.asdict(values)))
        assert from_dict(params_class, saved) == values
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(params_class(), fields[0].name, 1)


def test_files(tmp_path):
    path = tmp_path / "params.json"
    stages = {"train": TrainParams(mu=0.8), "features": FeatureParams()}
    save_params(path, stages)
    classes = {"train": TrainParams, "features": FeatureParams}
    assert load_params(path, classes) == stages
    assert [p.name for p in tmp_path.iterdir()] == ["params.json"]
    with pytest.raises(InputError, match=r"expected settings of \['model'\]"):
        load_params(path, {**classes, "model": ModelParams})


def test_unknown_and_missing_fields():
    with pytest.raises(InputError, match="'epochs'.*another version"):
        from_dict(TrainParams, {"mu": 0.5, "epochs": 3})
    assert from_dict(TrainParams, {"mu": 0.5}) == TrainParams(mu=0.5)


def test_retired_settings_that_did_nothing_are_read():
    old = {"strong_fraction": 1.0, "strong_fraction_seed": 0}
    saved = {**old, "held_out_fraction": 0.25}
    assert from_dict(RecordParams, saved) == RecordParams(0.25)
    for name, value in (("strong_fraction", 0.3), ("strong_fraction_seed", 2)):
        with pytest.raises(
            InputError, match=f"{name}={value} chose .* train chooses.* anew"
        ):
            from_dict(RecordParams, {**saved, name: value})
    # A setting of the same name is none of the retired ones.
    assert from_dict(TrainParams, {"strong_fraction": 0.3}) == TrainParams(
        strong_fraction=0.3
    )


def test_sizes_of_the_front_end():
    params = FeatureParams()
    assert params.stft_window_samples == 400
    assert params.stft_hop_samples == 160
    assert params.fft_length == 512
    assert params.patch_window_samples == 15600
    assert params.patch_window_seconds == pytest.approx(0.96)
    # Nothing is padded: 400 samples are one STFT frame.
    assert [params.num_stft_frames(n) for n in (399, 400, 559, 560)] == [
        0,
        1,
        1,
        2,
    ]
    assert params.num_stft_frames(160000) == 998

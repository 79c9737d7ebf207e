"""Settings: their JSON round trip and what follows from them."""

import dataclasses
import json

import pytest

from audioset_strong import params
from audioset_strong.params import FeatureParams, from_dict, to_dict

_ALL = [
    value
    for name, value in vars(params).items()
    if name.endswith("Params") and dataclasses.is_dataclass(value)
]


@pytest.mark.parametrize("params_class", _ALL)
def test_every_field_survives_json(params_class):
    default = params_class()
    changes = {
        field.name: {bool: True, int: 7, float: 0.125, str: "x"}[
            type(field.default)
        ]
        for field in dataclasses.fields(params_class)
    }
    for values in (default, params_class(**changes)):
        saved = json.loads(json.dumps(to_dict(values)))
        assert from_dict(params_class, saved) == values


@pytest.mark.parametrize("params_class", _ALL)
def test_settings_are_frozen(params_class):
    field = dataclasses.fields(params_class)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(params_class(), field.name, 1)


def test_sizes_of_the_front_end():
    params = FeatureParams()
    assert params.stft_window_samples == 400
    assert params.stft_hop_samples == 160
    assert params.fft_length == 512
    assert params.patch_window_samples == 15600
    assert params.patch_window_seconds == pytest.approx(0.96)

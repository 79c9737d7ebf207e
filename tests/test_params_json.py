"""Settings as JSON files."""

import pytest

from audioset_strong.errors import InputError
from audioset_strong.params import (
    FeatureParams,
    ModelParams,
    TrainParams,
    from_dict,
    load_params,
    save_params,
)


def test_files(tmp_path):
    path = tmp_path / "params.json"
    stages = {"train": TrainParams(mu=0.8), "features": FeatureParams()}
    save_params(path, stages)
    classes = {"train": TrainParams, "features": FeatureParams}
    assert load_params(path, classes) == stages
    assert [p.name for p in tmp_path.iterdir()] == ["params.json"]
    with pytest.raises(InputError, match=r"expected settings of \['model'\]"):
        load_params(path, {**classes, "model": ModelParams})
    found = load_params(path, {**classes, "model": ModelParams}, ["model"])
    assert found == {**stages, "model": ModelParams()}


def test_unknown_fields_are_refused():
    with pytest.raises(InputError, match="'epochs'.*another version"):
        from_dict(TrainParams, {"mu": 0.5, "epochs": 3})


def test_fields_that_came_later_have_their_default():
    assert from_dict(TrainParams, {"mu": 0.5}) == TrainParams(mu=0.5)

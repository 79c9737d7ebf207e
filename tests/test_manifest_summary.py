"""Settings of a folder of records, and sums over its shards."""

import collections

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.records.clip_plan import Plan
from audioset_strong.records.manifest_summary import (
    check_settings,
    sum_up,
    written_segment_ids,
)
from audioset_strong.records.writer import Clip

_MAP = ClassMap(("/m/x", "/m/y"), ("X", "Y"))


def _settings(class_map, **changes):
    return {"class_map_hash": class_map.content_hash, **changes}


def test_a_new_folder_keeps_its_settings(tmp_path):
    settings = _settings(_MAP, features={"log_offset": 0.01})
    for _ in range(2):
        check_settings(str(tmp_path), settings, _MAP)
    other = {**settings, "features": {"log_offset": 0.001}}
    with pytest.raises(InputError, match="features: .*0.01} there, .*0.001} n"):
        check_settings(str(tmp_path), other, _MAP)


def test_other_classes_are_named(tmp_path):
    check_settings(str(tmp_path), _settings(_MAP), _MAP)
    other = ClassMap(("/m/y", "/m/x"), ("Y", "X"))
    both = f"{_MAP.content_hash} there, {other.content_hash} now"
    with pytest.raises(InputError, match=both) as error:
        check_settings(str(tmp_path), _settings(other), other)
    assert "class 0" not in str(error.value)
    write_class_map(_MAP, tmp_path / "class_map.csv")
    with pytest.raises(InputError, match="class 0 is /m/x there, /m/y here"):
        check_settings(str(tmp_path), _settings(other), other)


def test_sums():
    clips = {
        name: Clip(f"{name}_0", "", 10.0, {"strong": [(1, 0.0, 1.0)]})
        for name in "abcd"
    }
    plan = Plan(
        {
            "weak": [],
            "strong": [clips["a"], clips["b"], clips["c"]],
            "held_out": [clips["d"]],
        },
        collections.Counter({"/m/u": 2}),
        [("e_0", "eval_clip", "why")],
        collections.Counter({"note": 1}),
    )
    reports = [
        {"shard": 1, "left_out": [["b_0", "missing", "x"]], "notes": {"n": 2}},
        {"shard": 2, "left_out": [], "notes": {"n": 1, "note": 1}},
    ]
    found = sum_up(plan, 2, reports)
    assert found == {
        "shards": [1, 2],
        "clips": {"weak": 0, "strong": 2, "held_out": 1},
        # Held-out clips are no training data.
        "events_per_class": {"weak": [0, 0], "strong": [0, 2]},
        "unmapped_mids": {"/m/u": 2},
        "notes": {"note": 2, "n": 3},
        "left_out_by_reason": {"missing": 1, "eval_clip": 1},
        "left_out": [("b_0", "missing", "x"), ("e_0", "eval_clip", "why")],
    }
    assert written_segment_ids(plan, found["left_out"]) == ["a_0", "c_0", "d_0"]

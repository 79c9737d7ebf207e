"""Sums over shards, and the same in words."""

import collections

from audioset_strong.records.plan import Clip, Plan
from audioset_strong.records.prepare import (
    ClipFault,
    describe,
    sum_up,
    written_segment_ids,
)


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
        {
            "shard": 1,
            "left_out": [["b_0", "missing", "x"]],
            "faults": [["a_0", "short", "y"]],
            "notes": {"n": 2},
        },
        {
            "shard": 2,
            "left_out": [],
            "faults": [["c_0", "clipped", "y"], ["a_0", "clipped", "z"]],
            "notes": {"n": 1, "note": 1},
        },
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
        "left_out": {"eval_clip": ["e_0"], "missing": ["b_0"]},
        "faults": {"clipped": ["a_0", "c_0"], "short": ["a_0"]},
    }
    left_out = [ClipFault("b_0", "missing", "x")]
    assert written_segment_ids(plan, left_out) == ["a_0", "c_0", "d_0"]
    lines = []
    describe(found, lines.append)
    assert lines == [
        "3 clips written (0 weak, 2 strong, 1 held_out).",
        "2 clips left out (1 eval_clip, 1 missing); left_out.csv lists each "
        "with the reason.",
        "Clips written although something is wrong with their audio: 2 "
        "clipped, 1 short; faults.csv lists them.",
        "2 clips: note.",
        "3 clips: n.",
        "2 events of 1 mids that are not in the class map were left out; "
        "their clips were kept.",
    ]

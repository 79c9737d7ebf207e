"""What was lost: lists, counts, files, and when it is too much."""

import csv

import pytest

from audioset_strong.errors import InputError
from audioset_strong.records.plan import Plan
from audioset_strong.records.prepare import (
    Audit,
    ClipFault,
    audit_clips,
    check_loss,
    count_reasons,
    segment_ids_by_reason,
    write_audit,
)

_LEFT_OUT = [
    ClipFault("b_0", "missing", "no audio file for this clip"),
    ClipFault("a_0", "missing", "no audio file for this clip"),
    ClipFault("c_0", "silent", 'a "quoted", detail\nof two lines'),
]


def test_what_plan_and_shards_left_out_comes_together():
    plan = Plan({}, {}, [("z_0", "eval_clip", "its id is in --eval_labels")])
    reports = [
        {"left_out": [["b_0", "missing", "x"]], "faults": []},
        {"left_out": [], "faults": [["d_0", "short", "y"]]},
    ]
    audit = audit_clips(plan, reports)
    assert audit.left_out == [
        ("b_0", "missing", "x"),
        ("z_0", "eval_clip", "its id is in --eval_labels"),
    ]
    assert audit.faults == [("d_0", "short", "y")]


def test_counts_and_lists():
    assert list(count_reasons(_LEFT_OUT).items()) == [
        ("missing", 2),
        ("silent", 1),
    ]
    assert segment_ids_by_reason(_LEFT_OUT) == {
        "missing": ["a_0", "b_0"],
        "silent": ["c_0"],
    }


def test_files_are_read_back_by_any_csv_reader(tmp_path):
    write_audit(Audit(_LEFT_OUT, []), str(tmp_path))
    with open(tmp_path / "left_out.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["segment_id", "reason", "detail"]
    assert [tuple(row) for row in rows] == _LEFT_OUT
    assert (tmp_path / "faults.csv").read_text() == "segment_id,reason,detail\n"


def test_loss_up_to_the_threshold_is_accepted():
    check_loss(5, 10, 0.5, "")
    check_loss(10, 10, 1.0, "")
    check_loss(0, 0, 0.0, "")
    with pytest.raises(
        InputError, match=r"6 of 10 clips \(60.0%\) .* --max_loss=0.5 .*: here"
    ):
        check_loss(6, 10, 0.5, "here")

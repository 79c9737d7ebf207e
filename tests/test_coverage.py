"""What is there of label files, against counting by hand and by loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.label_analysis.coverage import (
    all_segment_ids,
    cover_set,
    make_labelled_set,
    missing_clips,
    read_labelled_sets,
    share_of,
)
from audioset_strong.labels.problems import ProblemLog


def _weak(labels):
    return pd.DataFrame(
        {
            "segment_id": list(labels),
            "start_seconds": 0.0,
            "end_seconds": 10.0,
            "mids": [tuple(mids) for mids in labels.values()],
        }
    )


def _strong(events):
    table = pd.DataFrame(events, columns=["segment_id", "mid"])
    return table.assign(onset_seconds=0.0, offset_seconds=1.0)


def _framed(rows):
    columns = ["segment_id", "label_frame", "mid", "is_present"]
    return pd.DataFrame(rows, columns=columns)


def _counts(covered):
    """Rows of the per-class table: clips, positives, negatives, each there."""
    columns = [
        f"num_{what}{ending}"
        for what in ("clips", "positives", "negatives")
        for ending in ("", "_present")
    ]
    table = covered.per_class[columns]
    assert (table.dtypes == "int64").all()
    return {mid: list(row) for mid, row in zip(table.index, table.to_numpy())}


def _reasons(covered):
    return [tuple(row) for row in covered.unevaluable().to_numpy()]


def test_weak_by_hand():
    labels = {"a_0": "xy", "b_0": "x", "c_0": "xz", "d_0": "x"}
    covered = cover_set(
        make_labelled_set("w.csv", "weak", _weak(labels)), {"a_0", "b_0", "q_0"}
    )
    assert (covered.num_clips, covered.num_present) == (4, 2)
    assert covered.share == 0.5
    # a and b are there. Negatives: the clips without the class.
    assert _counts(covered) == {
        "x": [4, 2, 4, 2, 0, 0],
        "y": [1, 1, 1, 1, 3, 1],
        "z": [1, 0, 1, 0, 3, 2],
    }
    assert _reasons(covered) == [
        ("x", False, "never had a negative"),
        ("z", True, "no positive left"),
    ]


def test_strong_by_hand():
    # Two events of a class in a clip are one positive clip.
    events = [("a_0", "x"), ("a_0", "x"), ("a_0", "y"), ("b_0", "y")]
    labelled = make_labelled_set("s.tsv", "strong", _strong(events))
    assert labelled.segment_ids.tolist() == ["a_0", "b_0"]
    assert _counts(cover_set(labelled, {"a_0"})) == {
        "x": [1, 1, 1, 1, 1, 0],
        "y": [2, 1, 2, 1, 0, 0],
    }
    assert _reasons(cover_set(labelled, {"a_0"})) == [
        ("x", True, "no negative left"),
        ("y", False, "never had a negative"),
    ]


def test_framed_by_hand():
    rows = [
        ("a_0", 0, "x", True),
        ("a_0", 1, "x", True),
        ("a_0", 1, "x", True),  # stands twice
        ("a_0", 2, "x", False),
        ("b_0", 0, "x", False),
        ("a_0", 0, "y", True),
        ("b_0", 0, "y", False),
        ("b_0", 0, "z", False),
        ("c_0", 0, "z", True),
        ("b_0", 0, "n", False),
        ("c_0", 0, "p", True),
    ]
    labelled = make_labelled_set("f.tsv", "framed", _framed(rows))
    covered = cover_set(labelled, {"b_0"})
    assert (covered.num_clips, covered.num_present) == (3, 1)
    assert _counts(covered) == {
        "n": [0, 0, 0, 0, 1, 1],
        "p": [1, 0, 1, 0, 0, 0],
        "x": [1, 0, 2, 0, 2, 1],
        "y": [1, 0, 1, 0, 1, 1],
        "z": [1, 0, 1, 0, 1, 1],
    }
    assert _reasons(covered) == [
        ("n", False, "never had a positive"),
        ("p", False, "no positive left; never had a negative"),
        ("x", True, "no positive left"),
        ("y", True, "no positive left"),
        ("z", True, "no positive left"),
    ]
    assert _reasons(cover_set(labelled, {"a_0"})) == [
        ("n", False, "never had a positive; no negative left"),
        ("p", False, "no positive left; never had a negative"),
        ("y", True, "no negative left"),
        ("z", True, "no positive left; no negative left"),
    ]


@pytest.mark.parametrize(
    ("kind", "table"),
    [("weak", _weak({})), ("strong", _strong([])), ("framed", _framed([]))],
)
def test_files_without_labels(kind, table):
    covered = cover_set(make_labelled_set("e", kind, table), {"a_0"})
    assert (covered.num_clips, covered.num_present) == (0, 0)
    assert np.isnan(covered.share)
    assert covered.per_class.empty
    assert covered.unevaluable().empty


def test_a_weak_clip_without_labels_is_a_clip():
    labelled = make_labelled_set("w", "weak", _weak({"a_0": "", "b_0": "x"}))
    covered = cover_set(labelled, {"a_0", "b_0"})
    assert (covered.num_clips, covered.num_present) == (2, 2)
    assert _counts(covered) == {"x": [1, 1, 1, 1, 1, 1]}


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a_0", "b_0", "c_0", "d_0"]),
            st.integers(0, 2),
            st.sampled_from("xyz"),
            st.booleans(),
        ),
        max_size=40,
    ),
    present=st.sets(st.sampled_from(["a_0", "b_0", "c_0", "q_0"])),
)
def test_framed_against_loops(rows, present):
    covered = cover_set(
        make_labelled_set("f.tsv", "framed", _framed(rows)), present
    )
    distinct = set(rows)
    expected = {}
    for mid in {row[2] for row in rows}:
        counts = []
        for clips in ({row[0] for row in rows}, present):
            of_mid = [r for r in distinct if r[2] == mid and r[0] in clips]
            positives = [r for r in of_mid if r[3]]
            num_negatives = len(of_mid) - len(positives)
            clips_of_mid = {r[0] for r in positives}
            counts.append([len(clips_of_mid), len(positives), num_negatives])
        expected[mid] = [n for pair in zip(*counts) for n in pair]
    assert _counts(covered) == expected
    # Whoever has all clips has lost no class.
    everything = cover_set(
        make_labelled_set("f.tsv", "framed", _framed(rows)),
        {row[0] for row in rows},
    )
    assert not everything.unevaluable()["was_evaluable"].any()


@settings(deadline=None, max_examples=50)
@given(
    labels=st.dictionaries(
        st.sampled_from(["a_0", "b_0", "c_0", "d_0"]),
        st.sets(st.sampled_from("xyz")),
    ),
    present=st.sets(st.sampled_from(["a_0", "b_0", "c_0", "q_0"])),
)
def test_weak_against_loops(labels, present):
    covered = cover_set(make_labelled_set("w", "weak", _weak(labels)), present)
    expected = {}
    for mid in set().union(*labels.values()):
        row = []
        for clips in (set(labels), present & set(labels)):
            num_with = sum(mid in labels[clip] for clip in clips)
            row.append([num_with, num_with, len(clips) - num_with])
        expected[mid] = [n for pair in zip(*row) for n in pair]
    assert _counts(covered) == expected
    assert covered.num_present == len(present & set(labels))


def test_missing_clips_name_their_sets():
    sets = [
        make_labelled_set("w", "weak", _weak({"b_0": "x", "a_0": "x"})),
        make_labelled_set("s", "strong", _strong([("b_0", "x"), ("c_0", "x")])),
    ]
    assert all_segment_ids(sets).tolist() == ["a_0", "b_0", "c_0"]
    clips = all_segment_ids(sets)
    missing = missing_clips(clips, sets, {"a_0", "z_0"})
    assert missing.to_numpy().tolist() == [["b_0", "w;s"], ["c_0", "s"]]
    assert missing_clips(clips, sets, {"a_0", "b_0", "c_0"}).empty
    assert all_segment_ids([]).tolist() == []


def test_shares():
    assert share_of(1, 4) == 0.25
    assert np.isnan(share_of(0, 0))


def test_sets_are_named_after_files(tmp_path):
    header = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
    line = "abcdefghijk_0\t0.000\t1.000\t/m/x\n"
    paths = [tmp_path / "1" / "s.tsv", tmp_path / "2" / "s.tsv", tmp_path / "t"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(header + line)
    names = [str(path) for path in paths]
    sets = read_labelled_sets({"strong": names}, ProblemLog())
    assert [s.name for s in sets] == [*names[:2], "t"]
    assert {s.kind for s in sets} == {"strong"}


def test_real_weak_labels(audioset_labels, strong_excerpts):
    """Counts of the released file that were made by somebody else."""
    path = str(audioset_labels / "eval_segments.csv")
    [labelled] = read_labelled_sets({"weak": [path]}, ProblemLog())
    covered = cover_set(labelled, labelled.segment_ids.tolist())
    published = pd.read_csv(
        strong_excerpts / "class_counts.full_release.tsv",
        sep="\t",
        index_col="class_id",
    )
    num_clips = covered.per_class["num_clips"]
    assert covered.share == 1
    assert len(num_clips) == 527
    assert (num_clips == published["weak_eval_count"][num_clips.index]).all()
    assert covered.unevaluable().empty


def test_real_strong_labels(strong_excerpts):
    path = str(strong_excerpts / "audioset_eval_strong.gun.tsv")
    [labelled] = read_labelled_sets({"strong": [path]}, ProblemLog())
    present = set(labelled.segment_ids[::2])
    covered = cover_set(labelled, present)
    with open(path, encoding="utf-8") as file:
        rows = [line.split() for line in file.read().splitlines()[1:]]
    for mid in {row[3] for row in rows}:
        clips = {row[0] for row in rows if row[3] == mid}
        counts = covered.per_class.loc[mid]
        assert counts["num_clips"] == len(clips)
        assert counts["num_clips_present"] == len(clips & present)

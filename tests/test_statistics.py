"""Label statistics: by hand, by plain loops, against the release's counts."""

import collections
import csv

import numpy as np
import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.label_analysis.statistics import (
    class_priors,
    count_classes,
    count_framed,
    match_clips,
    strong_clip_labels,
    summarise_counts,
    weak_clip_labels,
)
from audioset_strong.labels.label_files import (
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog

X, Y, Z, W = "/m/x", "/m/y", "/m/z", "/m/w"


def _weak(mids_of_clip):
    rows = [(s, 0.0, 10.0, tuple(mids)) for s, mids in mids_of_clip]
    columns = ["segment_id", "start_seconds", "end_seconds", "mids"]
    return pd.DataFrame(rows, columns=columns)


def _strong(pairs):
    rows = [(segment_id, 0.0, 1.0, mid) for segment_id, mid in pairs]
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    return pd.DataFrame(rows, columns=columns)


def test_repeated_labels_count_once():
    # A mid twice in a row, and a clip in two rows, as of two files.
    labels = weak_clip_labels(
        _weak([("b_0", [X]), ("a_0", [X, X]), ("a_0", [X, Y])])
    )
    assert labels.segment_ids.tolist() == ["a_0", "b_0"]
    assert labels.mids.tolist() == [X, Y]
    assert labels.matrix.toarray().tolist() == [[1, 1], [1, 0]]
    assert labels.clips_per_class.tolist() == [2, 1]
    # Two events of a class in a clip are one instance.
    labels = strong_clip_labels(_strong([("a_0", "/m/x"), ("a_0", "/m/x")]))
    assert labels.matrix.toarray().tolist() == [[1]]


def test_common_clips_are_matched_by_segment_id():
    weak = weak_clip_labels(
        _weak([("c_0", ["/m/x"]), ("b_0", ["/m/y"]), ("a_0", ["/m/x"])])
    )
    strong = strong_clip_labels(
        _strong([("b_0", "/m/u"), ("d_0", "/m/v"), ("c_0", "/m/w")])
    )
    common = match_clips(weak, strong)
    assert common.weak.segment_ids.tolist() == ["b_0", "c_0"]
    assert common.strong.segment_ids.tolist() == ["b_0", "c_0"]
    # Columns x, y and u, v, w: class v, of d_0 only, stays with no clip.
    assert common.weak.matrix.toarray().tolist() == [[0, 1], [1, 0]]
    assert common.strong.matrix.toarray().tolist() == [[1, 0, 0], [0, 0, 1]]
    assert common.strong.clips_per_class.tolist() == [1, 0, 1]
    assert (common.num_weak_only, common.num_strong_only) == (1, 1)


def test_nothing_in_common_is_an_error_with_an_example():
    weak = weak_clip_labels(_weak([("a_0", ["/m/x"])]))
    strong = strong_clip_labels(_strong([("b_0", "/m/x")]))
    with pytest.raises(InputError, match="such as a_0.*such as b_0.*none"):
        match_clips(weak, strong)


def _hand_weak():
    return _weak([("a_0", (X, Y)), ("b_0", (X,)), ("c_0", (X, Z))])


def _hand_strong():
    pairs = [("a_0", X), ("a_0", X), ("a_0", W), ("b_0", W), ("d_0", Y)]
    return _strong(pairs)


def _hand_framed():
    frames = {
        ("a_0", X): [True, False, True],
        ("b_0", X): [False, False, False],
        ("c_0", X): [False, False],  # one label frame is not listed
        ("a_0", W): [True],
        ("c_0", W): [True, False, False],
    }
    rows = [
        (segment_id, label_frame, mid, is_present)
        for (segment_id, mid), listed in frames.items()
        for label_frame, is_present in enumerate(listed)
    ]
    columns = ["segment_id", "label_frame", "mid", "is_present"]
    return pd.DataFrame(rows, columns=columns)


def test_counts_by_hand():
    strong = _hand_strong()
    counts = count_classes(
        weak_clip_labels(_hand_weak()),
        strong_clip_labels(strong),
        strong,
        count_framed(_hand_framed()),
        more_mids=["/m/never"],
    )
    # clips weak, clips strong, events; then framed: clips with positives,
    # positive label frames, explicit negative clips, complementary negatives.
    assert counts.to_numpy().tolist() == [
        ["/m/never", 0, 0, 0, 0, 0, 0, 0],
        [W, 0, 2, 2, 2, 2, 0, 2],
        [X, 3, 1, 2, 1, 2, 2, 1],
        [Y, 1, 1, 1, 0, 0, 0, 0],
        [Z, 1, 0, 0, 0, 0, 0, 0],
    ]


def test_explicit_negatives_that_list_fewer_label_frames_are_known():
    counts = count_framed(_hand_framed())
    # c_0 lists two label frames of x, b_0 three, as most do.
    assert counts.loc[X, "num_partly_listed_clips"] == 1
    # a_0 lists one of w, but that pair is not an explicit negative.
    assert counts.loc[W, "num_partly_listed_clips"] == 0
    assert count_framed(_hand_framed().iloc[:0]).empty


def test_repeated_label_frames_count_once_as_present():
    framed = _hand_framed()
    contrary = framed.assign(is_present=False)
    repeated = pd.concat([contrary, framed], ignore_index=True)
    pd.testing.assert_frame_equal(
        count_framed(repeated).sort_index(), count_framed(framed).sort_index()
    )


def test_summary_by_hand():
    counts = pd.DataFrame({"mid": [W, X, Y, Z], "n": [2, 0, 2, 7]})
    # Over 2, 2 and 7: zero is not a minimum.
    assert summarise_counts(counts, "n") == {
        "num_classes": 3,
        "num_classes_without": 1,
        "total": 11,
        "minimum": 2,
        "maximum": 7,
        "mean": pytest.approx(11 / 3),
        "median": 2.0,
        "minimum_mids": [W, Y],
        "maximum_mids": [Z],
    }
    nothing = summarise_counts(counts.iloc[1:2], "n")
    assert (nothing["num_classes"], nothing["num_classes_without"]) == (0, 1)
    assert nothing["minimum"] is nothing["mean"] is None
    assert nothing["minimum_mids"] == []


def _hand_common():
    return match_clips(
        weak_clip_labels(_hand_weak()), strong_clip_labels(_hand_strong())
    )


def test_priors_by_hand():
    priors = class_priors(_hand_common(), more_mids=["/m/never"])
    assert priors["mid"].tolist() == ["/m/never", W, X, Y, Z]
    assert priors["weak_prior"].tolist() == [0, 0, 1, 0.5, 0]
    assert priors["strong_prior"].tolist() == [0, 1, 0.5, 0, 0]
    # z is in c_0 only, which has no strong labels: nothing to compare.
    np.testing.assert_array_equal(
        priors["prior_ratio"], [np.nan, np.inf, 0.5, 0, np.nan]
    )


def _release_counts(strong_excerpts):
    with open(strong_excerpts / "class_counts.full_release.tsv") as file:
        return {
            row["class_id"]: row for row in csv.DictReader(file, delimiter="\t")
        }


@pytest.mark.parametrize("part", ["train", "eval"])
def test_strong_counts_are_those_of_the_release(strong_excerpts, part):
    path = strong_excerpts / f"audioset_{part}_strong.gun.tsv"
    table = read_strong_labels(path, ProblemLog())
    counts = count_classes(
        weak_clip_labels(_weak([])), strong_clip_labels(table), table
    ).set_index("mid")
    assert len(counts) == 3
    release = _release_counts(strong_excerpts)
    for column, name in (
        (f"{part}_event_count", "num_events"),
        (f"{part}_file_count", "num_strong_clips"),
    ):
        assert counts[name].to_dict() == {
            mid: int(release[mid][column]) for mid in counts.index
        }


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("eval_segments.csv", "weak_eval_count"),
        ("balanced_train_segments.csv", "weak_train_balanced_count"),
    ],
)
def test_weak_counts_are_those_of_the_release(
    strong_excerpts, audioset_labels, name, column
):
    labels = weak_clip_labels(
        read_weak_labels(audioset_labels / name, ProblemLog())
    )
    release = _release_counts(strong_excerpts)
    counted = dict(zip(labels.mids, labels.clips_per_class, strict=True))
    assert len(counted) == 527
    assert counted == {mid: int(release[mid][column]) for mid in counted}


def test_instances_against_plain_python(strong_excerpts, audioset_labels):
    weak_path = audioset_labels / "eval_segments.csv"
    strong_path = strong_excerpts / "audioset_eval_strong.top110.tsv"
    common = match_clips(
        weak_clip_labels(read_weak_labels(weak_path)),
        strong_clip_labels(read_strong_labels(strong_path, ProblemLog())),
    )
    strong = collections.defaultdict(set)
    for line in strong_path.read_text().splitlines()[1:]:
        segment_id, _, _, mid = line.split("\t")
        strong[segment_id].add(mid)
    weak = {}
    for line in weak_path.read_text().splitlines()[3:]:
        ytid, start, _, quoted = line.split(", ")
        segment_id = f"{ytid}_{round(float(start) * 1000)}"
        weak[segment_id] = set(quoted.strip('"').split(","))
    both = weak.keys() & strong.keys()
    assert common.num_clips == len(both)
    assert common.num_weak_only == len(weak) - len(both)
    assert common.num_strong_only == len(strong) - len(both)
    assert common.weak.num_instances == sum(len(weak[s]) for s in both)
    assert common.strong.num_instances == sum(len(strong[s]) for s in both)

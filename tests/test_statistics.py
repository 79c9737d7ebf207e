"""Label statistics: by hand, by plain loops, against the release's counts."""

import collections
import csv

import numpy as np
import pandas as pd
import pytest

from audioset_strong.label_analysis.statistics import (
    class_priors,
    compare_instances,
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


def _hand_weak():
    rows = [
        ("a_0", 0.0, 10.0, (X, Y)),
        ("b_0", 0.0, 10.0, (X,)),
        ("c_0", 0.0, 10.0, (X, Z)),
    ]
    columns = ["segment_id", "start_seconds", "end_seconds", "mids"]
    return pd.DataFrame(rows, columns=columns)


def _hand_strong():
    rows = [
        ("a_0", 0.0, 1.0, X),
        ("a_0", 2.0, 3.0, X),
        ("a_0", 2.0, 3.0, W),
        ("b_0", 0.0, 1.0, W),
        ("d_0", 0.0, 1.0, Y),
    ]
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    return pd.DataFrame(rows, columns=columns)


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


def test_counts_without_framed_labels():
    strong = _hand_strong()
    counts = count_classes(
        weak_clip_labels(_hand_weak()), strong_clip_labels(strong), strong
    )
    assert counts.columns.tolist() == [
        "mid",
        "num_weak_clips",
        "num_strong_clips",
        "num_events",
    ]
    assert counts["mid"].tolist() == [W, X, Y, Z]


def test_explicit_negatives_that_list_fewer_label_frames_are_known():
    counts = count_framed(_hand_framed())
    # c_0 lists two label frames of x, b_0 three, as most do.
    assert counts.loc[X, "num_partly_listed_clips"] == 1
    # a_0 lists one of w, but that pair is not an explicit negative.
    assert counts.loc[W, "num_partly_listed_clips"] == 0


def test_repeated_label_frames_count_once_as_present():
    framed = _hand_framed()
    contrary = framed.assign(is_present=False)
    repeated = pd.concat([contrary, framed], ignore_index=True)
    pd.testing.assert_frame_equal(
        count_framed(repeated).sort_index(), count_framed(framed).sort_index()
    )


def test_empty_framed_labels():
    assert count_framed(_hand_framed().iloc[:0]).empty


def test_summary_by_hand():
    counts = pd.DataFrame({"mid": [W, X, Y, Z], "n": [2, 0, 2, 7]})
    summary = summarise_counts(counts, "n")
    # Over 2, 2 and 7: zero is not a minimum.
    assert (summary.num_classes, summary.num_classes_without) == (3, 1)
    assert (summary.minimum, summary.minimum_mids) == (2, (W, Y))
    assert (summary.maximum, summary.maximum_mids) == (7, (Z,))
    assert summary.mean == pytest.approx(11 / 3)
    assert (summary.median, summary.total) == (2.0, 11)


def test_summary_of_nothing():
    summary = summarise_counts(pd.DataFrame({"mid": [X], "n": [0]}), "n")
    assert (summary.num_classes, summary.num_classes_without) == (0, 1)
    assert summary.minimum is summary.mean is None
    assert summary.minimum_mids == ()


def _hand_common():
    return match_clips(
        weak_clip_labels(_hand_weak()), strong_clip_labels(_hand_strong())
    )


def test_instances_by_hand():
    instances = compare_instances(_hand_common())
    # a_0 and b_0: weak x, y and x; strong x, w and w.
    assert instances.num_clips == 2
    assert (instances.num_weak_only, instances.num_strong_only) == (1, 1)
    assert instances.num_weak_instances == 3
    assert instances.num_strong_instances == 3
    assert instances.weak_labels_per_clip == 1.5
    assert instances.strong_to_weak == 1.0


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


def _count_strong(path):
    strong_table = read_strong_labels(path, ProblemLog())
    counts = count_classes(
        weak_clip_labels(_hand_weak().iloc[:0]),
        strong_clip_labels(strong_table),
        strong_table,
    )
    return counts.set_index("mid")[["num_events", "num_strong_clips"]]


def _strong_release_counts(strong_excerpts, part, mids):
    release = _release_counts(strong_excerpts)
    columns = (f"{part}_event_count", f"{part}_file_count")
    rows = [[int(release[mid][column]) for column in columns] for mid in mids]
    names = ["num_events", "num_strong_clips"]
    return pd.DataFrame(rows, index=mids, columns=names)


@pytest.mark.parametrize("part", ["train", "eval"])
def test_strong_counts_are_those_of_the_release(strong_excerpts, part):
    counts = _count_strong(strong_excerpts / f"audioset_{part}_strong.gun.tsv")
    expected = _strong_release_counts(strong_excerpts, part, counts.index)
    assert counts.to_dict() == expected.to_dict()
    assert len(counts) == 3


def test_the_large_excerpt_lacks_clips_of_the_release(strong_excerpts):
    # It was made of a copy of the release in which 2.7 % of the clips are
    # missing whole: 9 of the 209 clips of the gun excerpt, for example. So
    # only 18 of its 110 classes have the counts of the release.
    counts = _count_strong(strong_excerpts / "audioset_eval_strong.top110.tsv")
    release = _strong_release_counts(strong_excerpts, "eval", counts.index)
    assert len(counts) == 110
    assert (counts <= release).all(axis=None)
    assert (counts == release).all(axis=1).sum() == 18
    assert counts.sum().tolist() == [103_207, 45_167]
    assert release.sum().tolist() == [106_042, 46_424]


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
    instances = compare_instances(common)
    assert instances.num_clips == len(both)
    assert instances.num_weak_only == len(weak) - len(both)
    assert instances.num_strong_only == len(strong) - len(both)
    assert instances.num_weak_instances == sum(len(weak[s]) for s in both)
    assert instances.num_strong_instances == sum(len(strong[s]) for s in both)

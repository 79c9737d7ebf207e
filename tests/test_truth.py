"""Which evaluations labels allow, and what mapping makes of labels."""

import numpy as np
import pandas as pd
import pytest
from eval_examples import (
    X,
    Y,
    Z,
    framed_table,
    hand_framed,
    hand_weak,
    make_score_file,
    weak_table,
)

from audioset_strong.errors import InputError
from audioset_strong.evaluation.truth import _frame_pairs, map_truth, read_truth
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import (
    write_framed_labels,
    write_pairs,
    write_strong_labels,
    write_weak_labels,
)
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.labels.ontology import Ontology
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelMappingParams

STRONG = pd.DataFrame(
    {
        "segment_id": ["a_0", "a_0", "b_0"],
        "onset_seconds": [0.0, 3.0, 0.0],
        "offset_seconds": [2.0, 3.2, 10.0],
        "mid": [X, Y, X],
    }
)
# The first has events.
PAIRS = pd.DataFrame({"segment_id": ["a_0", "b_0", "b_0"], "mid": [X, Y, Z]})
WEAK = weak_table({"a_0": [X, Y], "b_0": [X]})

STRONG_KINDS = [
    ("strong", "explicit"),
    ("strong", "explicit_only"),
    ("strong", "complementary_only"),
    ("strong", "implied"),
]


@pytest.mark.parametrize(
    ("labels", "without"),
    [
        ({"framed_labels": hand_framed()}, ["weak"]),
        ({"strong_labels": STRONG}, ["weak", "explicit_only"]),
        (
            {"strong_labels": STRONG, "explicit_negatives": PAIRS},
            ["weak"],
        ),
        ({"weak_labels": WEAK}, ["strong", "explicit"]),
        (
            {"weak_labels": WEAK, "explicit_negatives": PAIRS},
            ["strong"],
        ),
        ({"weak_labels": hand_weak(), "framed_labels": hand_framed()}, []),
        (
            {"weak_labels": WEAK, "strong_labels": STRONG},
            ["weak explicit", "explicit_only"],
        ),
        (
            {
                "weak_labels": WEAK,
                "strong_labels": STRONG,
                "explicit_negatives": PAIRS,
            },
            [],
        ),
    ],
)
def test_what_labels_allow(labels, without):
    everything = {*STRONG_KINDS, ("weak", "explicit"), ("weak", "implied")}
    expected = {
        (evaluation, kind)
        for evaluation, kind in everything
        if not {evaluation, kind, f"{evaluation} {kind}"} & set(without)
    }
    truth = read_truth(**labels)
    found = truth.evaluations()
    assert set(found) == expected
    assert len(found) == len(expected)
    # Each gives items.
    score_file = make_score_file(
        np.random.default_rng(0).random((3, 10, 3), dtype=np.float32),
        ["a_0", "b_0", "c_0"],
        [X, Y, Z],
    )
    for evaluation, kind in found:
        items = truth.items(score_file, evaluation, kind)
        assert items.is_positive.any()
        assert items.is_negative.any()


def test_the_papers_two_come_first():
    truth = read_truth(framed_labels=hand_framed(), weak_labels=hand_weak())
    assert truth.evaluations()[:2] == [
        ("strong", "explicit"),
        ("weak", "explicit"),
    ]
    assert truth.evaluations(["implied"]) == [
        ("strong", "implied"),
        ("weak", "implied"),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "weak labels or both; found none. Give framed_labels"),
        (["explicit_negatives"], "found explicit negatives only"),
        (["framed_labels", "strong_labels"], "found both. Give one of"),
        (
            ["framed_labels", "explicit_negatives"],
            "Leave out explicit_negatives, or give strong_labels instead",
        ),
    ],
)
def test_labels_that_contradict(given, message):
    # Before anything is read.
    with pytest.raises(InputError, match=message):
        read_truth(**{name: "no_such_file" for name in given})


def test_truth_of_listed_clips():
    truth = read_truth(framed_labels=hand_framed(), weak_labels=hand_weak())
    listed = truth.of_clips(["a_0", "d_0", "x_0"])
    assert set(listed.framed["segment_id"]) == {"a_0", "d_0"}
    assert listed.weak["segment_id"].tolist() == ["a_0", "d_0"]
    assert listed.evaluations() == truth.evaluations()
    with pytest.raises(InputError, match="framed labels of listed clips"):
        truth.of_clips(["x_0"])


def test_a_table_of_another_kind():
    with pytest.raises(InputError, match=r"framed_labels must .* found no \["):
        read_truth(framed_labels=hand_weak())


def test_negatives_that_labels_do_not_allow():
    truth = read_truth(weak_labels=WEAK)
    with pytest.raises(InputError, match="those given allow none of them"):
        truth.evaluations(["explicit"])
    with pytest.raises(InputError, match="Received: 'hard'"):
        truth.evaluations(["hard"])


def test_strong_labels_are_framed(caplog):
    truth = read_truth(strong_labels=STRONG, explicit_negatives=PAIRS)
    pd.testing.assert_frame_equal(
        truth.framed, frame_strong_labels(STRONG, PAIRS)
    )
    # X of a in 2 label frames (1.92 is 0.08 s short of the third), of b in
    # all; Y of a is in one, since the event of 0.2 s is in one; then the
    # others of these pairs, and two pairs that are absent.
    assert truth.notes == (
        "strong labels were framed here: 3 events became 13 PRESENT and 37 "
        "NOT_PRESENT label frames, with 3 explicit negatives, of which 1 have "
        "events, which hold",
    )
    alone = read_truth(strong_labels=STRONG)
    assert alone.notes[0].endswith("complementary negatives only")
    assert set(alone.framed["mid"]) == {X, Y}


def weak_negatives(truth):
    score_file = make_score_file(
        np.zeros((2, 10, 3), dtype=np.float32), ["a_0", "b_0"], [X, Y, Z]
    )
    items = truth.items(score_file, "weak", "explicit")
    clips, classes = np.nonzero(items.is_negative)
    return {
        (str(items.segment_ids[clip]), str(items.mids[column]))
        for clip, column in zip(clips, classes, strict=True)
    }


def test_explicit_negatives_of_the_weak_eval():
    # a has the weak positive X, which holds over the pair.
    pairs = {("b_0", Y), ("b_0", Z)}
    of_pairs = read_truth(weak_labels=WEAK, explicit_negatives=PAIRS)
    assert weak_negatives(of_pairs) == pairs
    # Beside a framed file too, whose absent pair is another.
    framed = framed_table({("a_0", Z): set(), ("a_0", X): {1}})
    beside = read_truth(
        framed_labels=framed, weak_labels=WEAK, explicit_negatives=PAIRS
    )
    assert weak_negatives(beside) == pairs
    alone = read_truth(framed_labels=framed, weak_labels=WEAK)
    assert weak_negatives(alone) == {("a_0", Z)}
    # With events, which hold over pairs: a has X by its events alone.
    of_events = read_truth(
        strong_labels=STRONG,
        weak_labels=weak_table({"a_0": [Y], "b_0": [X]}),
        explicit_negatives=PAIRS,
    )
    assert weak_negatives(of_events) == pairs


def test_files(tmp_path):
    write_strong_labels(STRONG, tmp_path / "S.tsv")
    write_weak_labels(WEAK, tmp_path / "W.csv")
    write_pairs(PAIRS, tmp_path / "P.tsv")
    with open(tmp_path / "P.tsv", "a") as file:
        file.write("broken\n")
    with pytest.raises(InputError, match="expected 2 tab-separated fields"):
        read_truth(weak_labels=WEAK, explicit_negatives=tmp_path / "P.tsv")
    problems = ProblemLog(skip_bad_lines=True)
    truth = read_truth(
        strong_labels=tmp_path / "S.tsv",
        weak_labels=tmp_path / "W.csv",
        explicit_negatives=tmp_path / "P.tsv",
        problems=problems,
    )
    given = read_truth(
        strong_labels=STRONG, weak_labels=WEAK, explicit_negatives=PAIRS
    )
    pd.testing.assert_frame_equal(truth.framed, given.framed)
    assert weak_negatives(truth) == weak_negatives(given)
    assert problems.num_left_out == 1
    # Pairs can come from a framed file.
    write_framed_labels(_frame_pairs(PAIRS), tmp_path / "F.tsv")
    of_framed = read_truth(
        weak_labels=WEAK, explicit_negatives=tmp_path / "F.tsv"
    )
    assert weak_negatives(of_framed) == weak_negatives(given)


def test_mapped_pairs():
    # y is a kind of z; what is absent as z does not become absent as y, and
    # what is absent as y stays so.
    graph = Ontology({X: "X", Y: "Y", Z: "Z"}, {Z: (Y,)})
    mapping = LabelMapping(LabelMappingParams(smear_labels=True), graph)
    truth = read_truth(
        weak_labels=weak_table({"a_0": [Y], "b_0": [X]}),
        explicit_negatives=pd.DataFrame(
            {"segment_id": ["a_0", "b_0", "b_0"], "mid": [Z, Y, Z]}
        ),
    )
    mapped, text = map_truth(truth, mapping)
    # a has z because it has y, which holds over the pair.
    assert weak_negatives(mapped) == {("b_0", Y), ("b_0", Z)}
    assert "2 weak labels became 3; 3 explicit negatives became 3" in text

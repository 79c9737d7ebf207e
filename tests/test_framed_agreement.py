"""Agreement of framed tables, counted by hand; explicit negatives."""

import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.framed_agreement import (
    agreement_lines,
    compare_framed_labels,
    disagreement_lines,
    note_lines,
    overlap_text,
)
from audioset_strong.labels.label_files import (
    absent_pairs,
    read_explicit_negatives,
    write_framed_labels,
    write_pairs,
)
from audioset_strong.labels.problems import ProblemLog

X, Y = "/m/x", "/m/y"


def _strong(*rows):
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    return pd.DataFrame(rows, columns=columns)


def _framed(*rows):
    columns = ["segment_id", "label_frame", "mid", "is_present"]
    return pd.DataFrame(rows, columns=columns)


_STRONG = _strong(
    ("a_0", 0.0, 1.0, X),  # label frame 0
    ("a_0", 5.0, 5.4, Y),  # label frame 5
    ("b_0", 2.0, 2.5, X),  # label frame 2
    ("c_0", 0.0, 1.0, X),  # not in the reference
)
_NAMES = {X: "Bark"}


@pytest.fixture
def reference():
    """Ours but for: a_0 x also in frame 1; b_0 x in 3 for 2; d_0 y absent."""
    framed = frame_strong_labels(
        _STRONG, pd.DataFrame([("d_0", Y)], columns=["segment_id", "mid"])
    )
    framed = framed[framed["segment_id"] != "c_0"]
    framed = framed[(framed["segment_id"] != "a_0") | (framed["mid"] == X)]
    is_x = framed["mid"] == X
    is_a, is_b = (framed["segment_id"] == clip for clip in ("a_0", "b_0"))
    at = framed["label_frame"]
    framed.loc[is_a & is_x & (at == 1), "is_present"] = True
    framed.loc[is_b & (at == 2), "is_present"] = False
    framed.loc[is_b & (at == 3), "is_present"] = True
    return framed.reset_index(drop=True)


def test_agreement_by_hand(reference):
    agreement = compare_framed_labels(frame_strong_labels(_STRONG), reference)
    # Class y: the reference lists only d_0, all absent, which ours lacks.
    assert agreement.per_class.to_dict("records") == [
        {
            "mid": X,
            "num_pairs": 2,
            "num_both_present": 1,  # a_0, label frame 0
            "num_reference_present": 3,
            "num_ours_present": 2,
            "num_both_not_present": 8 + 8,
            "num_reference_not_present": 8 + 9,
            "num_ours_not_present": 9 + 9,
        },
        {
            "mid": Y,
            "num_pairs": 1,
            "num_both_present": 0,
            "num_reference_present": 0,
            "num_ours_present": 0,
            "num_both_not_present": 0,
            "num_reference_not_present": 10,
            "num_ours_not_present": 0,
        },
    ]
    assert agreement.disagreements.to_numpy().tolist() == [
        ["a_0", 1, X, "NOT_PRESENT", "PRESENT"],
        ["b_0", 2, X, "PRESENT", "NOT_PRESENT"],
        ["b_0", 3, X, "NOT_PRESENT", "PRESENT"],
    ]
    assert agreement.num_pairs_only_ours == 1  # a_0 y
    assert agreement.num_clips_only_ours == 1  # c_0
    assert agreement.num_negatives_not_given == 1  # d_0 y
    assert agreement.num_present_pairs_only_ours == 1  # a_0 y
    assert agreement.has_negatives

    table = agreement_lines(agreement, _NAMES)
    assert table[2].split("  ")[1:2] == ["all classes"]
    assert "1 of 3 (33.33 %)" in table[3]
    assert table[3].startswith("  Bark (/m/x)")
    assert note_lines(agreement, _STRONG) == [
        "1 pairs of the reference are explicit negatives that ours were not "
        "given.",
        "1 pairs of ours with PRESENT rows, of clips and classes that the "
        "reference has, are not listed there: a whole reference would have "
        "them.",
        "1 clips of ours are not in the reference.",
    ]
    assert disagreement_lines(agreement, _STRONG, _NAMES, 2) == [
        "3 label frames differ:",
        "  a_0 0.96-1.92 s Bark (/m/x): NOT_PRESENT in ours, PRESENT in the "
        "reference; 0.000-1.000 s has 0.040 s here (4% of it)",
        "  b_0 1.92-2.88 s Bark (/m/x): PRESENT in ours, NOT_PRESENT in the "
        "reference; 2.000-2.500 s has 0.500 s here (100% of it)",
        "  ... and 1 more",
    ]


def test_a_table_agrees_with_itself(reference):
    agreement = compare_framed_labels(reference, reference)
    for value in ("present", "not_present"):
        both = agreement.per_class[f"num_both_{value}"].tolist()
        for whose in ("reference", "ours"):
            counts = agreement.per_class[f"num_{whose}_{value}"]
            assert counts.tolist() == both
    assert agreement.num_negatives_not_given == 0
    assert disagreement_lines(agreement, _STRONG, {}, 5) == [
        "No label frame differs."
    ]


def test_an_excerpt_of_positives_says_nothing_of_negatives():
    ours = frame_strong_labels(_STRONG)
    excerpt = _framed(("a_0", 0, X, True), ("b_0", 2, X, True))
    agreement = compare_framed_labels(ours, excerpt)
    assert not agreement.has_negatives
    assert not len(agreement.disagreements)
    missing = compare_framed_labels(ours, excerpt.iloc[:1])
    assert not len(missing.disagreements)  # b_0 is not in the excerpt
    extra = compare_framed_labels(ours.iloc[:0], excerpt)
    assert extra.disagreements["ours"].tolist() == ["not listed"] * 2


def test_missing_negatives_of_a_listed_pair_are_disagreements():
    ours = frame_strong_labels(_STRONG)
    reference = ours[(ours["mid"] == X) & (ours["label_frame"] < 9)]
    agreement = compare_framed_labels(ours, reference)
    assert agreement.disagreements["label_frame"].tolist() == [9, 9, 9]
    assert set(agreement.disagreements["reference"]) == {"not listed"}


def test_negatives_are_compared_class_by_class():
    # The reference has negatives of y only; of x it lists positives alone.
    ours = frame_strong_labels(_STRONG)
    reference = ours[(ours["mid"] == Y) | ours["is_present"]]
    agreement = compare_framed_labels(ours, reference)
    assert not len(agreement.disagreements)
    assert agreement.has_negatives


def test_a_known_pair_without_rows_disagrees_with_listed_negatives():
    # The event of x reaches no label frame, so ours have no row of the pair.
    strong = _strong(("a_0", 9.7, 9.9, X))
    reference = _framed(*(("a_0", f, X, False) for f in range(10)))
    ours = frame_strong_labels(strong)
    unknown = compare_framed_labels(ours, reference)
    assert unknown.num_negatives_not_given == 1
    assert not len(unknown.disagreements)
    known = compare_framed_labels(ours, reference, strong)
    assert known.num_negatives_not_given == 0
    assert known.disagreements["label_frame"].tolist() == list(range(10))
    assert set(known.disagreements["ours"]) == {"not listed"}


def test_a_reference_without_rows_is_refused():
    ours = frame_strong_labels(_STRONG)
    with pytest.raises(InputError, match="lists no label frame"):
        compare_framed_labels(ours, ours.iloc[:0])


def test_present_holds_where_a_reference_contradicts_itself():
    ours = frame_strong_labels(_STRONG)
    both = _framed(("a_0", 0, X, True), ("a_0", 0, X, False))
    for reference in (both, both.iloc[::-1]):
        agreement = compare_framed_labels(ours, reference)
        assert not len(agreement.disagreements)


@pytest.mark.parametrize(
    ("label_frame", "mid", "text"),
    [
        (
            1,
            X,
            "0.500-1.500 s has 0.540 s here (54% of it); "
            "1.900-2.100 s has 0.020 s here (10% of it)",
        ),
        (5, X, "no event of this class reaches it"),
        (1, Y, "the clip has no event of this class"),
    ],
)
def test_overlaps_in_words(label_frame, mid, text):
    strong = _strong(("a_0", 0.5, 1.5, X), ("a_0", 1.9, 2.1, X))
    assert overlap_text("a_0", label_frame, mid, strong) == text


# --- Explicit negatives -----------------------------------------------------


def test_explicit_negatives_are_read_from_pairs_or_framed_files(tmp_path):
    pairs = [["b_0", Y], ["d_0", X]]
    absent = pd.DataFrame(pairs, columns=["segment_id", "mid"])
    write_pairs(absent, tmp_path / "pairs.tsv")
    framed = frame_strong_labels(_STRONG, absent)
    write_framed_labels(framed, tmp_path / "framed.tsv")
    for name in ("pairs.tsv", "framed.tsv"):
        found = read_explicit_negatives(tmp_path / name)
        assert found.to_numpy().tolist() == pairs
    assert absent_pairs(framed).to_numpy().tolist() == pairs
    assert not len(absent_pairs(framed[framed["label_frame"] < 9]))


def test_partly_listed_negatives_are_noted(tmp_path):
    framed = _framed(*(("a_0", f, X, False) for f in range(7)))
    write_framed_labels(framed, tmp_path / "framed.tsv")
    problems = ProblemLog(skip_bad_lines=True)
    absent = read_explicit_negatives(tmp_path / "framed.tsv", problems)
    assert len(absent) == 0
    [problem] = problems.problems
    assert "found fewer of 1 (clip, class) pairs" in problem.message


def test_other_files_of_explicit_negatives_are_refused(tmp_path):
    (tmp_path / "n.tsv").write_text("mid\nx\n")
    with pytest.raises(InputError, match="n.tsv:1: expected the header"):
        read_explicit_negatives(tmp_path / "n.tsv")

"""Which evaluations labels allow, and what mapping makes of labels."""

import dataclasses

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
from audioset_strong.evaluation.evaluating import (
    EvalSettings,
    ResamplingSettings,
    evaluate,
)
from audioset_strong.evaluation.report import headline_text
from audioset_strong.evaluation.truth import _frame_pairs, map_truth, read_truth
from audioset_strong.labels.clips import make_clips_table
from audioset_strong.labels.frame_rule import (
    frame_strong_labels,
    num_label_frames_of,
)
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
        ({"strong_labels": STRONG}, ["weak", "explicit", "explicit_only"]),
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
            ["explicit", "explicit_only"],
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


def test_no_negative_has_two_names(caplog):
    rows_of = hand_framed()
    has_class = rows_of.groupby(["segment_id", "mid"])["is_present"]
    complementary = rows_of[has_class.transform("any")]
    for truth in (
        read_truth(strong_labels=STRONG),
        # Framed labels that rule nothing out are no better.
        read_truth(framed_labels=complementary),
    ):
        kinds = [kind for _, kind in truth.evaluations()]
        assert kinds == ["complementary_only", "implied"]
        with caplog.at_level("INFO", logger="absl"):
            assert truth.evaluations(["explicit"]) == [
                ("strong", "complementary_only")
            ]
        assert "instead of explicit negatives" in caplog.text
    # Clips that were listened to, without any event, are explicit negatives.
    clips = pd.DataFrame(
        {"segment_id": ["a_0", "b_0", "n_0"], "duration_seconds": 10.0}
    )
    kinds = read_truth(strong_labels=STRONG, clips=clips).evaluations()
    assert ("strong", "explicit") in kinds


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
    # No label of these two rules a class out in all of a clip.
    kinds = [("strong", "complementary_only"), ("strong", "implied")]
    assert listed.evaluations() == [*kinds, ("weak", "implied")]
    assert truth.of_clips(["a_0", "b_0"]).evaluations() == truth.evaluations()
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


# --- Annotated clips --------------------------------------------------------


def annotated(seed=5, num_with=13, num_without=9):
    """Makes scores, strong labels and a list of clips of 2 to 25 s.

    Clips without events are scored higher than most with one. Their scores are
    padded, and one clip is neither labelled nor listed.
    """
    rng = np.random.default_rng(seed)
    num_clips = num_with + num_without
    names = [f"rec {i:02d}" for i in range(num_clips)]
    seconds = rng.uniform(2, 25, num_clips).round(3)
    groups = [f"site {i % 7}" for i in range(num_clips)]
    rows = [
        (name, onset, onset + 1.5, mid)
        for name, length in zip(names[:num_with], seconds, strict=False)
        for mid, onset in (("dog", 0.2), ("cat", length / 2))
        if rng.random() < 0.8 or mid == "dog"
    ]
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    strong = pd.DataFrame(rows, columns=columns)
    scores = rng.random((num_clips + 1, 30, 3), dtype=np.float32)
    scores[num_with:] += 0.3
    score_file = make_score_file(
        scores, [*names, "unknown"], ["cat", "bird", "dog"]
    )
    return score_file, strong, make_clips_table(names, seconds.tolist(), groups)


def by_hand(score_file, strong, clips):
    """Makes the score, truth and clip of each label frame of listed clips."""
    scores, truth, clip_of_item = [], [], []
    for row, (name, seconds, _) in enumerate(clips.to_numpy().tolist()):
        for frame in range(int(seconds * 1000 + 0.5) // 960):
            scores.append(score_file.scores[row, frame])
            start = frame * 0.96
            own = strong[strong["segment_id"] == name]
            overlap = np.minimum(own["offset_seconds"], start + 0.96)
            overlap -= np.maximum(own["onset_seconds"], start)
            heard = set(own["mid"][overlap >= 0.48 - 1e-9])
            truth.append([mid in heard for mid in score_file.mids])
            clip_of_item.append(row)
    return np.array(scores), np.array(truth), np.array(clip_of_item)


def test_events_after_the_last_label_frame_leave_a_clip_of_negatives():
    # 20 whole label frames end at 19.2 s.
    rows = [("rec 1", 19.3, 19.9, "dog"), ("rec 2", 0.0, 1.0, "dog")]
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    names = ["rec 1", "rec 2", "rec 3"]
    score_file = make_score_file(
        np.zeros((3, 20, 2), np.float32), names, ["cat", "dog"]
    )
    truth = read_truth(
        strong_labels=pd.DataFrame(rows, columns=columns),
        clips=make_clips_table(names, [19.95, 5.0, 8.0], names),
    )
    items = truth.items(score_file, "strong", "implied")
    assert items.alignment.clips_without_labels == ()
    assert np.bincount(items.clip_of_item).tolist() == [20, 5, 8]
    assert items.is_positive.sum() == 1


def test_clips_without_events_are_negatives_of_every_class():
    score_file, strong, clips = annotated()
    truth = read_truth(strong_labels=strong, clips=clips)
    assert truth.notes[0] == (
        "22 annotated clips are listed, 9 of them without any event, which "
        "are negatives of every class"
    )
    assert truth.sources["clips"] == "a table"
    scores, is_positive, clip_of_item = by_hand(score_file, strong, clips)
    names = clips["segment_id"].to_numpy()
    is_empty = ~np.isin(names, strong["segment_id"])[clip_of_item]
    items = truth.items(score_file, "strong", "implied")
    np.testing.assert_array_equal(items.scores, scores)
    np.testing.assert_array_equal(items.is_positive, is_positive)
    np.testing.assert_array_equal(items.is_negative, ~is_positive)
    assert items.alignment.clips_without_labels == ("unknown",)
    assert items.alignment.num_clips_labelled == 22
    assert items.alignment.num_label_frames_not_scored == 0

    # Explicit ones: clips without events, and clips with the class elsewhere.
    has_class = np.zeros((len(names), 3), dtype=bool)
    np.logical_or.at(has_class, clip_of_item, is_positive)
    is_complementary = has_class[clip_of_item] & ~is_positive
    is_explicit = is_complementary | is_empty[:, np.newaxis]
    for kind, expected in [
        ("explicit", is_explicit),
        ("complementary_only", is_complementary),
    ]:
        items = truth.items(score_file, "strong", kind)
        np.testing.assert_array_equal(items.is_negative, expected)
    with pytest.raises(InputError, match="those given allow none"):
        truth.evaluations(["explicit_only"])  # Nobody marked a pair.
    with_pairs = read_truth(
        strong_labels=strong,
        clips=clips,
        explicit_negatives=PAIRS.assign(segment_id="rec 00", mid="bird"),
    )
    items = with_pairs.items(score_file, "strong", "explicit_only")
    is_explicit = is_empty[:, np.newaxis] & np.ones((1, 3), dtype=bool)
    is_explicit[clip_of_item == 0, 1] = True
    np.testing.assert_array_equal(items.is_negative, is_explicit)


def test_metrics_of_all_annotated_clips_are_those_of_an_oracle():
    metrics = pytest.importorskip("sklearn.metrics")
    score_file, strong, clips = annotated(seed=11, num_with=15, num_without=6)
    scores, is_positive, _ = by_hand(score_file, strong, clips)
    settings = EvalSettings(negatives=["implied"], has_details=False)

    def result_of(**options):
        truth = read_truth(strong_labels=strong, **options)
        return evaluate(score_file, truth, settings).results[0]

    result = result_of(clips=clips)
    for mid, column in (("cat", 0), ("dog", 2)):
        row = result.per_class[result.per_class["mid"] == mid].iloc[0]
        arrays = is_positive[:, column], scores[:, column]
        assert row["average_precision"] == pytest.approx(
            metrics.average_precision_score(*arrays)
        )
        assert row["auc"] == pytest.approx(metrics.roc_auc_score(*arrays))
    assert result.num_items == len(scores)
    # Without the list half of the negatives, and those that matter, are lost.
    assert result_of(clip_seconds=30).mean_auc > result.mean_auc + 0.1
    # And of clips of more than 10 s their later events would be.
    with pytest.raises(InputError, match="start after the end, such as cat"):
        result_of()

    weak = weak_table(
        {n: set(t["mid"]) for n, t in strong.groupby("segment_id")}
    )
    truth = read_truth(weak_labels=weak, clips=clips)
    [(evaluation, kind)] = truth.evaluations()
    assert (evaluation, kind) == ("weak", "implied")
    items = truth.items(score_file, evaluation, kind)
    frames = num_label_frames_of(clips["duration_seconds"])
    assert items.scores == pytest.approx(
        np.stack(
            [score_file.scores[i, :n].mean(0) for i, n in enumerate(frames)]
        )
    )
    assert items.is_negative[15:].all()
    # An explicit negative of another clip makes explicit ones of them too.
    pairs = pd.DataFrame({"segment_id": ["rec 03"], "mid": ["bird"]})
    truth = read_truth(weak_labels=weak, clips=clips, explicit_negatives=pairs)
    items = truth.items(score_file, "weak", "explicit")
    assert np.argwhere(items.is_negative[:15]).tolist() == [[3, 1]]
    assert items.is_negative[15:].all()


def test_a_model_that_hears_events_in_empty_clips_is_seen_through():
    # It separates the clips with an event well, and scores the others higher.
    num_with, num_without = 14, 11
    scores = np.full((num_with + num_without, 10, 1), 0.1, np.float32)
    scores[:num_with, 3], scores[num_with:, 3] = 0.8, 0.9
    names = [f"clip {i}" for i in range(len(scores))]
    score_file = make_score_file(scores, names, ["dog_bark"])
    strong = pd.DataFrame(
        {
            "segment_id": names[:num_with],
            "onset_seconds": 2.88,
            "offset_seconds": 3.84,
            "mid": "dog_bark",
        }
    )
    clips = make_clips_table(names, [10.0] * len(names), names)
    settings = EvalSettings(negatives=["explicit"], has_details=False)
    for options, precision, auc in [
        ({}, 1.0, 1.0),
        # 14 of the 25 highest; 11 of 250 - 14 negatives are above each.
        ({"clips": clips}, 14 / 25, 1 - 11 / 236),
    ]:
        truth = read_truth(strong_labels=strong, **options)
        [result] = evaluate(score_file, truth, settings).results
        assert result.mean_average_precision == pytest.approx(precision)
        assert result.mean_auc == pytest.approx(auc)


def test_scored_clips_that_no_label_names_are_counted_on_the_console(caplog):
    score_file, strong, clips = annotated()
    settings = EvalSettings(has_details=False)
    truth = read_truth(strong_labels=strong, clip_seconds=12.0)
    evaluate(score_file, truth, settings)
    # 12 label frames of 30, of 23 clips.
    assert f"{18 * 23} scored label frames lie after the end" in caplog.text
    [message] = [m for m in caplog.messages if "scored clips have no" in m]
    assert message.startswith(
        "Left out of the Strong eval of the scores: 10 scored clips have no "
        "strong labels (if somebody listened to them and heard nothing, a list "
        "of annotated clips says so), such as "
    )
    caplog.clear()
    truth = read_truth(strong_labels=strong, clips=clips)
    report = evaluate(score_file, truth, settings)
    assert (
        "1 scored clips have no strong labels, such as unknown" in caplog.text
    )
    num_after = (30 - num_label_frames_of(clips["duration_seconds"])).sum()
    num_after += 30 - 10  # Of the clip that is not listed.
    assert report.inputs["scores_notes"] == (
        f"{num_after} scored label frames lie after the end of their clip (of "
        f"10 s, unless a list says otherwise) and were left out"
    )
    caplog.clear()
    few = make_score_file(
        score_file.scores[:9, :2], score_file.segment_ids[:9], score_file.mids
    )
    report = evaluate(few, truth, settings)
    assert "13 labelled clips are not scored, such as rec 09" in caplog.text
    # Labels of label frames that were not scored are lost, and counted.
    [explicit] = report.results[:1]
    num_lost = explicit.alignment.labels_left_out["label_frame_not_scored"]
    frames = num_label_frames_of(clips["duration_seconds"])[:9]
    assert num_lost >= (frames - 2).sum()
    assert f"{num_lost} labels are of label frames that were not" in caplog.text
    num_unscored = (frames - 2).sum()
    assert explicit.alignment.num_label_frames_not_scored == num_unscored
    assert f"{num_unscored} label frames of listed clips that" in caplog.text


def test_clips_that_labels_name_must_be_listed():
    _, strong, clips = annotated()
    short = clips[clips["segment_id"] != "rec 04"]
    weak = weak_table({"rec 04": ["dog"], "rec 05": ["dog"]})
    framed = frame_strong_labels(strong, clips=clips, known_mids=())
    for labels in (
        {"strong_labels": strong},
        {"weak_labels": weak},
        {"framed_labels": framed},
    ):
        with pytest.raises(InputError, match="of 21; 1 are not: 'rec 04'"):
            read_truth(**labels, clips=short)
    with pytest.raises(InputError, match="each clip once; 1 rows repeat one"):
        read_truth(weak_labels=weak, clips=pd.concat([clips, clips[:1]]))
    with pytest.raises(InputError, match="found no .'duration_seconds'"):
        read_truth(weak_labels=weak, clips=clips[["segment_id"]])


def test_labels_of_one_kind_make_no_negatives_for_the_other():
    # Clip w has weak labels only, s strong ones only, n none.
    score_file = make_score_file(
        np.ones((3, 10, 1), np.float32), ["w", "s", "n"], ["dog"]
    )
    strong = STRONG.iloc[:1].assign(segment_id="s", mid="dog")
    truth = read_truth(
        strong_labels=strong,
        weak_labels=weak_table({"w": ["dog"]}),
        clips=make_clips_table(["w", "s", "n"], [10.0] * 3, ["w", "s", "n"]),
    )
    assert truth.clips["has_event"].tolist() == [True, True, False]
    for evaluation, unknown in (("strong", "w"), ("weak", "s")):
        items = truth.items(score_file, evaluation, "implied")
        assert items.alignment.clips_without_labels == (unknown,)
        assert items.is_negative[items.clip_of_item == 1].all()


@pytest.mark.parametrize("kind", ["strong", "weak"])
def test_clips_whose_lines_are_skipped_are_unknown(tmp_path, caplog, kind):
    """Not a negative of every class, which the skipped line denies."""
    ids = ["a b", "007", "n", "c", "d"]
    score_file = make_score_file(np.ones((5, 10, 1), np.float32), ids, ["dog"])
    path = tmp_path / "labels"
    path.write_text(
        'segment_id,labels\n007,dog\nc,dog\nd,dog\n"a b",a dog\n007,cat\n'
        if kind == "weak"
        else "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "007\t0\t5\tdog\nc\t0\t5\tdog\nd\t0\t5\tdog\na b\t0\t5\n"
        "007\t7\t6\tdog\n"
    )
    truth = read_truth(
        **{f"{kind}_labels": path},
        clips=make_clips_table(ids, [10.0] * 5, ids),
        problems=ProblemLog(skip_bad_lines=True),
    )
    assert truth.clips["segment_id"].tolist() == ["007", "n", "c", "d"]
    assert truth.clips["has_event"].tolist() == [True, False, True, True]
    assert "1 annotated clips are left out" in " ".join(truth.notes)
    items = truth.items(score_file, kind, "implied")
    assert items.alignment.clips_without_labels == ("a b",)
    assert "skipped label lines name no clip" not in caplog.text


def test_clips_are_resampled_by_the_groups_of_the_list():
    score_file, strong, clips = annotated()
    truth = read_truth(strong_labels=strong, clips=clips)
    items = truth.items(score_file, "strong", "implied")
    assert items.group_of_clip.tolist() == clips["group"].tolist()
    settings = EvalSettings(
        negatives=["explicit"], resampling=ResamplingSettings(num_resamples=50)
    )
    report = evaluate(score_file, truth, settings)
    assert report.details[0].intervals.num_groups == 7
    assert "50 random halves of the 7 groups of clips" in headline_text(report)
    singles = dataclasses.replace(
        truth, clips=truth.clips.assign(group=truth.clips["segment_id"])
    )
    report = evaluate(score_file, singles, settings)
    assert "50 random halves of the clips" in headline_text(report)


def test_mapped_labels_of_clips_of_any_length():
    # y is a kind of z.
    graph = Ontology({X: "X", Y: "Y", Z: "Z"}, {Z: (Y,)})
    mapping = LabelMapping(LabelMappingParams(smear_labels=True), graph)
    strong = STRONG[:2].assign(
        segment_id=["long", "short"], mid=Y, onset_seconds=[28.0, 0.1]
    )
    strong["offset_seconds"] = strong["onset_seconds"] + 1.5
    clips = make_clips_table(["long", "short"], [30.0, 3.0], ["g", "g"])
    truth = read_truth(strong_labels=strong, clips=clips)
    mapped, _ = map_truth(truth, mapping)
    for mid in (Y, Z):
        framed = mapped.framed[mapped.framed["mid"] == mid]
        present = framed.loc[
            framed["is_present"], ["segment_id", "label_frame"]
        ]
        assert present.to_numpy().tolist() == [
            ["long", 29],
            ["long", 30],
            ["short", 0],
            ["short", 1],
        ]
        assert framed.groupby("segment_id").size().tolist() == [31, 3]

"""Thresholds, their files, the binary, and reliability curves."""

import dataclasses
import json
import logging
import sys

import forked
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from eval_examples import (
    X,
    Y,
    Z,
    hand_framed,
    hand_score_file,
    hand_weak,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.evaluation import thresholds
from audioset_strong.evaluation.items import (
    EvalItems,
    strong_items,
    warn_of_gaps,
    weak_items,
)
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.evaluation.thresholds import (
    ThresholdParams,
    accepted_at,
    best_f1_threshold,
    choose_item_thresholds,
    choose_thresholds,
    pooled_reliability,
    read_model_thresholds,
    read_threshold_file,
    reliability_curve,
    threshold_items,
    warn_of_defaults,
    write_threshold_file,
)
from audioset_strong.evaluation.truth import Truth, read_truth
from audioset_strong.labels.class_map import hash_of_mids
from audioset_strong.labels.label_files import (
    write_display_names,
    write_framed_labels,
)


def make_items(scores, is_positive, is_negative=None):
    """Items of one clip; negative wherever not positive unless given."""
    scores, is_positive = np.asarray(scores), np.asarray(is_positive, bool)
    return EvalItems(
        scores=scores,
        is_positive=is_positive,
        is_negative=~is_positive if is_negative is None else is_negative,
        clip_of_item=np.zeros(len(scores), dtype=np.int64),
        segment_ids=np.array(["a_0"]),
        mids=np.array([f"/m/{i}" for i in range(scores.shape[1])]),
        alignment=None,
    )


def _floats(*values):
    return np.array(values, dtype=np.float32)


def slow_best_f1(positive, negative):
    """F1 of every way to cut, by definition; the highest score holds a tie."""
    best = -1.0, np.nan
    for lowest in sorted({*positive, *negative}, reverse=True):
        tp = sum(s >= lowest for s in positive)
        fp = sum(s >= lowest for s in negative)
        f1 = 2 * tp / (2 * tp + fp + len(positive) - tp)
        if f1 > best[0]:
            best = f1, lowest
    return best


def test_by_hand():
    # Accepting .9, .8 and .6: 2 of 3 right, 2 of 2 found, F1 .8. Accepting .9
    # alone: 1 of 1 and 1 of 2, F1 2/3.
    accepted = best_f1_threshold(_floats(0.9, 0.6), _floats(0.8, 0.4, 0.1))
    assert accepted.threshold == pytest.approx(0.5)  # between .6 and .4
    assert accepted[1:] == (0.8, 2 / 3, 1.0)


@pytest.mark.parametrize("score", [0.0, 0.25, 1.0])
def test_equal_scores_accept_everything(score):
    accepted = best_f1_threshold(_floats(score, score), _floats(score))
    assert accepted == (score, 0.8, 2 / 3, 1.0)


_SCORES = st.lists(st.integers(-3, 6), max_size=12)


@settings(deadline=None, max_examples=50)
@given(_SCORES.filter(len), _SCORES, st.sampled_from([np.float16, np.float32]))
def test_no_cut_has_a_higher_f1(positive, negative, dtype):
    scores = [np.array(s, dtype=dtype) / 7 for s in (positive, negative)]
    accepted = best_f1_threshold(*scores)
    best_f1, lowest = slow_best_f1(*scores)
    assert accepted.f1 == pytest.approx(best_f1)
    both = np.concatenate(scores)
    # The threshold splits the scores where the slow one does.
    assert both[both >= np.array([accepted.threshold])].min() == lowest
    assert both.min() <= accepted.threshold <= both.max()


def test_neighbouring_float32_are_told_apart():
    high = np.float32(0.3)
    low = np.nextafter(high, np.float32(0))
    accepted = best_f1_threshold(np.array([high]), np.array([low]))
    assert accepted.f1 == 1
    assert low < accepted.threshold <= high


def test_accepted_at_a_threshold():
    accepted = accepted_at(0.5, _floats(0.9, 0.5, 0.1), _floats(0.6, 0.2))
    assert accepted == (0.5, 2 / 3, 2 / 3, 2 / 3)
    nothing = accepted_at(0.5, _floats(0.1), _floats(0.2))
    np.testing.assert_equal(tuple(nothing), (0.5, 0.0, np.nan, 0.0))
    no_positive = accepted_at(0.5, _floats(), _floats(0.6))
    np.testing.assert_equal(tuple(no_positive), (0.5, np.nan, 0.0, np.nan))


def test_classes_that_f1_says_nothing_of_get_the_default(caplog):
    items = make_items(
        [[0.9, 0.9, 0.9, 0.9], [0.1, 0.1, 0.1, 0.8], [0.2, 0.2, 0.2, 0.1]],
        [[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]],
    )
    table = choose_item_thresholds(
        items, ThresholdParams(0.4, min_positives=2), {"/m/0": "Dog"}
    )
    assert table["mid"].tolist() == ["/m/0", "/m/1", "/m/2", "/m/3"]
    assert table["display_name"].tolist() == ["Dog", "", "", ""]
    assert table["reason"].tolist() == [
        "fewer than 2 positives",
        "no positives",
        "no negatives",
        "",
    ]
    np.testing.assert_allclose(table["threshold"], [0.4, 0.4, 0.4, 0.45])
    # At .4 class 2 accepts one of its three positives.
    np.testing.assert_allclose(table["f1"], [1, np.nan, 0.5, 1])
    np.testing.assert_allclose(table["precision"], [1, 0, 1, 1])
    assert table["num_positives"].tolist() == [1, 0, 3, 2]
    assert table["num_negatives"].tolist() == [2, 3, 0, 1]
    warn_of_defaults(table)
    assert (
        "1 classes get the default threshold 0.4: no negatives, such as /m/2"
        in caplog.text
    )


def test_label_frames_and_clips_by_hand():
    strong = choose_item_thresholds(
        strong_items(hand_score_file(), hand_framed(), "implied")
    ).set_index("mid")
    # eval_examples.py: x present at a 0 (.6); others .8, .5, .4, .3: accepting
    # .8 and .6 gives F1 2/3. y at a 0 (.2) and b 0 (.3); others .6, .4, .1:
    # accepting all but .1 gives 2 of 4 and 2 of 2.
    np.testing.assert_allclose(
        strong.loc[[X, Y], "threshold"], [0.55, 0.15], rtol=1e-6
    )
    np.testing.assert_allclose(strong.loc[[X, Y], "f1"], [2 / 3, 2 / 3])
    assert strong.loc[Z, "reason"] == "no positives"
    explicit = choose_item_thresholds(
        strong_items(hand_score_file(), hand_framed(), "explicit")
    ).set_index("mid")
    # x: only .4, .5 and .8 are NOT_PRESENT, so that .3 counts no more.
    assert explicit.loc[X, "num_negatives"] == 3
    weak = choose_item_thresholds(weak_items(hand_score_file(), hand_weak()))
    # z: .5 in c, others .1 and .3.
    assert weak.set_index("mid").loc[Z, "threshold"] == pytest.approx(0.4)


def test_of_scores_and_truth():
    truth = Truth(framed=hand_framed())
    scores = hand_score_file()
    table = choose_thresholds(scores, truth).set_index("mid")
    np.testing.assert_allclose(
        table.loc[[X, Y], "threshold"], [0.55, 0.15], rtol=1e-6
    )
    # Of logits they are between probabilities, as those of predict are.
    logits = dataclasses.replace(
        scores, scores=scores.scores * 10 - 4, is_logits=True
    )
    table = choose_thresholds(logits, truth).set_index("mid")
    assert table.loc[X, "threshold"] == pytest.approx((0.880797 + 0.731059) / 2)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"default_threshold": np.nan}, "default_threshold must be finite"),
        ({"min_positives": 0}, "min_positives must be 1 or more. Received: 0"),
    ],
)
def test_bad_params(params, message):
    with pytest.raises(InputError, match=message):
        ThresholdParams(**params)


def _table():
    scores = np.array([[0.3, 0.2], [0.1, 0.7]], dtype=np.float32)
    return choose_item_thresholds(
        make_items(scores, [[1, 0], [0, 0]]), display_names={"/m/1": 'A "b", c'}
    )


def _settings(**others):
    return {"class_map_hash": hash_of_mids(["/m/0", "/m/1"]), **others}


def _read(tmp_path, text):
    path = tmp_path / "T.csv"
    path.write_text(text)
    return read_threshold_file(path)


def test_round_trip_is_exact(tmp_path):
    table = _table()
    path = tmp_path / "T.csv"
    write_threshold_file(table, _settings(scores="S.npz"), path)
    comment, header, *lines = path.read_text().splitlines()
    assert json.loads(comment.removeprefix("#"))["scores"] == "S.npz"
    assert header == (
        "mid,display_name,threshold,f1,precision,recall,num_positives,"
        "num_negatives,reason"
    )
    # Between float32 .3 and .1; not one digit is lost.
    middle = (float(np.float32(0.3)) + float(np.float32(0.1))) / 2
    assert lines[0] == f"/m/0,,{middle!r},1.0,1.0,1.0,1,1,"
    assert lines[1] == '/m/1,"A ""b"", c",0.5,,0.0,,0,2,no positives'
    file = read_threshold_file(path)
    assert list(file.thresholds.items()) == list(
        zip(table["mid"], table["threshold"], strict=True)
    )
    assert file.settings == _settings(scores="S.npz")


def test_hand_written_file(tmp_path):
    file = _read(tmp_path, "threshold,mid\n0.25,/m/x\n1,/m/y\n")
    assert file.thresholds == {"/m/x": 0.25, "/m/y": 1.0}
    assert file.settings == {}
    # Joined on mid, in the model's order.
    thresholds = read_model_thresholds(tmp_path / "T.csv", ["/m/y", "/m/x"])
    assert thresholds.tolist() == [1.0, 0.25]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a CSV of thresholds"),
        ("mid,f1\n/m/x,1\n", "columns mid and threshold, found .'mid', 'f1'"),
        ("mid,threshold\n", "expected at least one class, found none"),
        ("mid,threshold\n/m/x,nan\n", "threshold of /m/x, found 'nan'"),
        ("mid,threshold\n/m/x,half\n", "threshold of /m/x, found 'half'"),
        ("mid,threshold\n/m/x,1\n/m/x,1\n", "more than once: /m/x"),
        ("mid,threshold\n/m/x,1,2,3\n/m/y,4\n/m/z,1,2,3,4\n", "as one"),
        ("# notes\nmid,threshold\n/m/x,1\n", "T.csv:1: expected the settings"),
        ("# [1]\nmid,threshold\n/m/x,1\n", "as a JSON object after '#'"),
        (
            '# {"class_map_hash": "00"}\nmid,threshold\n/m/x,1\n',
            "1 classes, the first are /m/x.*expected 00. Lines were",
        ),
    ],
)
def test_bad_files_are_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as raised:
        _read(tmp_path, text)
    assert "T.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_classes_are_an_error_unless_they_get_a_threshold(
    tmp_path, caplog
):
    path = tmp_path / "T.csv"
    path.write_text("mid,threshold\n/m/x,0.25\n/m/gone,1\n")
    with pytest.raises(InputError, match="2 have none: /m/y, /m/z. Choose"):
        read_model_thresholds(path, ["/m/y", "/m/x", "/m/z"])
    caplog.set_level(logging.WARNING)
    thresholds = read_model_thresholds(path, ["/m/y", "/m/x", "/m/z"], 0.75)
    assert thresholds.tolist() == [0.75, 0.25, 0.75]
    assert "2 of 3 classes have no threshold" in caplog.text
    assert "get 0.75: /m/y, /m/z." in caplog.text
    assert "1 classes that the model lacks are not used: /m/gone" in caplog.text


def test_thresholds_on_logits_do_not_fit_probabilities(tmp_path, caplog):
    path = tmp_path / "T.csv"
    path.write_text("mid,threshold\n/m/x,0.5\n/m/y,-1.5\n")
    with pytest.raises(InputError, match="1 lie outside: /m/y has -1.5"):
        read_model_thresholds(path, ["/m/x", "/m/y"])
    # Outside, but not a class of the model.
    assert read_model_thresholds(path, ["/m/x"]).tolist() == [0.5]
    # By chance all thresholds are in [0, 1]: the settings still tell.
    table = _table()
    write_threshold_file(table, _settings(score_range=[-7, 4]), path)
    caplog.set_level(logging.WARNING)
    read_model_thresholds(path, ["/m/0", "/m/1"])
    assert "was chosen on scores in [-7, 4]" in caplog.text


def test_framed_labels_give_label_frames(caplog):
    truth = read_truth(framed_labels=hand_framed())
    items, item_name = threshold_items(hand_score_file(), truth)
    assert item_name == "label frames"
    # a, b and c have 2, 2 and 1 scored label frames.
    assert len(items.scores) == 5
    assert (items.is_positive | items.is_negative).all()
    explicit, _ = threshold_items(hand_score_file(), truth, "explicit")
    assert explicit.is_negative.sum() < items.is_negative.sum()
    warn_of_gaps(items.alignment)
    assert "1 scored clips have no labels, such as e_0" in caplog.text
    assert "1 labelled clips are not scored, such as d_0" in caplog.text
    assert "1 labelled classes are not scored, such as /m/w" in caplog.text


def test_strong_labels_are_framed():
    strong = pd.DataFrame(
        [("a_0", 0.0, 0.9, X), ("b_0", 1.0, 1.9, X)],
        columns=["segment_id", "onset_seconds", "offset_seconds", "mid"],
    )
    truth = read_truth(strong_labels=strong)
    items, _ = threshold_items(hand_score_file(), truth)
    # x: label frame 0 of a (.6), label frame 1 of b (.8).
    assert items.is_positive.sum() == 2
    assert items.scores[items.is_positive].tolist() == pytest.approx([0.6, 0.8])
    # Explicit: complementary negatives only, the other frame of each.
    explicit, _ = threshold_items(hand_score_file(), truth, "explicit")
    assert explicit.is_negative.sum() == 2


def test_weak_labels_give_clips():
    truth = read_truth(weak_labels=hand_weak())
    items, item_name = threshold_items(hand_score_file(), truth)
    assert (item_name, len(items.scores)) == ("clips", 3)
    with pytest.raises(InputError, match="allow none of them"):
        threshold_items(hand_score_file(), truth, "explicit")
    both = read_truth(framed_labels=hand_framed(), weak_labels=hand_weak())
    with pytest.raises(InputError, match="found both. Give one"):
        threshold_items(hand_score_file(), both)


def _run(*arguments):
    return forked.run(
        [sys.executable, "-m", "audioset_strong.choose_thresholds", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def flags(tmp_path):
    write_score_file(hand_score_file(), tmp_path / "S.npz")
    write_framed_labels(hand_framed(), tmp_path / "F.tsv")
    write_display_names([(X, "Ex")], tmp_path / "N.tsv")
    return [
        f"--scores={tmp_path}/S.npz",
        f"--framed_labels={tmp_path}/F.tsv",
        f"--output={tmp_path}/T.csv",
    ]


def test_thresholds_and_curve(flags, tmp_path):
    done = _run(*flags, f"--display_names={tmp_path}/N.tsv")
    assert done.returncode == 0, done.stderr
    # x and y, as in test_thresholds.py; z has no positives.
    assert (
        "Thresholds of 2 of 3 classes, mean F1 0.667; 5 label frames with "
        "implied negatives: "
    ) in done.stdout
    assert "1 classes get the default threshold 0.5: no pos" in done.stderr
    assert "1 labelled clips are not scored, such as d_0" in done.stderr
    file = read_threshold_file(tmp_path / "T.csv")
    assert file.thresholds[X] == pytest.approx(0.55)
    assert file.settings["scores"] == "S.npz"
    assert file.settings["labels"] == "F.tsv"
    assert file.settings["min_positives"] == 1
    curve = pd.read_csv(tmp_path / "T.csv.reliability.csv")
    assert curve["mid"].iloc[0] == "pooled"
    # Five label frames of three classes.
    assert curve.loc[curve["mid"] == "pooled", "num_items"].sum() == 15
    assert set(curve.loc[curve["mid"] == X, "display_name"]) == {"Ex"}
    picture = matplotlib.image.imread(tmp_path / "T.csv.reliability.png")
    assert picture.std() > 0.01


def test_logits_get_thresholds_and_a_warning(flags, tmp_path):
    score_file = hand_score_file()
    logits = dataclasses.replace(score_file, scores=score_file.scores * 10 - 4)
    write_score_file(logits, tmp_path / "S.npz")
    done = _run(*flags)
    assert done.returncode == 0, done.stderr
    assert "not in [0, 1]: thresholds hold for scores of this" in done.stderr
    file = read_threshold_file(tmp_path / "T.csv")
    assert file.thresholds[X] == pytest.approx(1.5)  # .55 * 10 - 4
    assert not (tmp_path / "T.csv.reliability.csv").exists()
    done = _run(*flags, "--logits")
    assert done.returncode == 0, done.stderr
    file = read_threshold_file(tmp_path / "T.csv")
    # Between the sigmoids of 2 and 1, where .6 and .5 were.
    assert file.thresholds[X] == pytest.approx((0.880797 + 0.731059) / 2)
    assert "logits are ranked as they are" in file.settings["score_notes"][0]
    assert (tmp_path / "T.csv.reliability.csv").exists()


def test_clips_without_events_and_ids_of_ones_own(tmp_path):
    # Three clips with a bark, scored .7, .6 and .5; two without, scored .65.
    scores = np.full((6, 3, 2), 0.1, np.float32)
    scores[:5, 0, 1] = [0.7, 0.6, 0.5, 0.65, 0.65]
    names = ["a 1", "a 2", "a 3", "still 1", "still 2", "unknown"]
    with open(tmp_path / "S.npz", "wb") as file:
        np.savez(
            file,
            segment_ids=np.array(names),
            class_names=np.array(["wren", "dog_bark"]),
            scores=scores,
            label_frame_seconds=0.96,
        )
    (tmp_path / "L.tsv").write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        + "".join(f"{name}\t0.0\t0.9\tdog_bark\n" for name in names[:3])
    )
    (tmp_path / "C.tsv").write_text(
        "segment_id\tduration_seconds\n"
        + "".join(f"{name}\t2.5\n" for name in names[:5])
    )
    flags = [
        f"--scores={tmp_path}/S.npz",
        f"--strong_labels={tmp_path}/L.tsv",
        f"--output={tmp_path}/T.csv",
    ]
    done = _run(*flags, f"--clips={tmp_path}/C.tsv")
    assert done.returncode == 0, done.stderr
    # Of 2.5 s two label frames are whole, of five clips.
    assert "10 label frames with implied" in done.stdout
    assert "1 scored clips have no labels, such as unknown" in done.stderr
    # Three of the five from .5 on; of the clips with events alone, all three.
    table = pd.read_csv(tmp_path / "T.csv", comment="#", index_col="mid")
    assert table.loc["dog_bark", "threshold"] == pytest.approx((0.5 + 0.1) / 2)
    assert table.loc["dog_bark", "f1"] == pytest.approx(0.75)
    settings = read_threshold_file(tmp_path / "T.csv").settings
    assert settings["clips"] == "C.tsv"


def test_bad_input_is_one_line(flags, tmp_path):
    done = _run(*flags, f"--strong_labels={tmp_path}/F.tsv")
    assert done.returncode == 2
    assert "Expected one of --strong_labels" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "T.csv").exists()


def test_calibration_by_hand():
    # Class 0, two bins: .1 and .3 (one positive), then .5, .9 and 1 (two).
    # Class 1: unknown but for one item.
    scores = [[0.1, 0.2], [0.3, 0.2], [0.5, 0.2], [0.9, 0.2], [1.0, 0.2]]
    positive = np.array([[0, 0], [1, 0], [0, 0], [1, 0], [1, 0]], dtype=bool)
    negative = ~positive
    negative[1:, 1] = False
    items = make_items(scores, positive, negative)
    curve = reliability_curve(items, num_bins=2)
    assert curve.num_items.tolist() == [[2, 3], [1, 0]]
    assert curve.num_positives.tolist() == [[1, 2], [0, 0]]
    np.testing.assert_allclose(curve.mean_scores, [[0.2, 0.8], [0.2, np.nan]])
    np.testing.assert_allclose(
        curve.positive_shares, [[0.5, 2 / 3], [0, np.nan]]
    )
    # 2/5 of .3 and 3/5 of .8 - 2/3; then .2.
    np.testing.assert_allclose(curve.calibration_errors(), [0.2, 0.2])
    # Pooled: 3 items of mean .2 with 1 positive, 3 of mean .8 with 2.
    pooled = curve.pooled()
    np.testing.assert_allclose(pooled.calibration_errors(), [2 / 15])


def test_table_has_pooled_rows_first_and_no_empty_bins():
    items = make_items([[0.1, 0.2], [0.9, 0.2]], [[0, 0], [1, 0]])
    table = reliability_curve(items, num_bins=2).table({"/m/0": "Dog"})
    assert table["mid"].tolist() == ["pooled"] * 2 + ["/m/0"] * 2 + ["/m/1"]
    assert table["display_name"].tolist() == ["", "", "Dog", "Dog", ""]
    assert table["bin_low"].tolist() == [0, 0.5, 0, 0.5, 0]
    assert table["bin_high"].tolist() == [0.5, 1, 0.5, 1, 0.5]
    assert table["num_items"].tolist() == [3, 1, 1, 1, 2]
    np.testing.assert_allclose(
        table["calibration_error"], [0.15, 0.15, 0.1, 0.1, 0.2]
    )


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1),
    st.integers(1, 12),
)
def test_against_a_loop(pairs, num_bins):
    scores = np.array([[score] for score, _ in pairs])
    items = make_items(scores, [[is_true] for _, is_true in pairs])
    curve = reliability_curve(items, num_bins)
    error = 0.0
    for i in range(num_bins):
        inside = [
            pair
            for pair in pairs
            if i == min(int(pair[0] * num_bins), num_bins - 1)
        ]
        assert curve.num_items[0, i] == len(inside)
        if inside:
            means = np.mean(inside, axis=0)
            error += len(inside) / len(pairs) * abs(means[0] - means[1])
    assert curve.calibration_errors()[0] == pytest.approx(error, abs=1e-12)


def test_class_without_items_has_no_error():
    nothing = np.zeros((2, 1), dtype=bool)
    curve = reliability_curve(make_items([[0.1], [0.2]], nothing, nothing))
    assert np.isnan(curve.calibration_errors()).all()
    assert curve.table().empty


def test_logits_are_refused():
    items = make_items([[-2.5], [3.0]], [[0], [1]])
    with pytest.raises(InputError, match=r"found -2.5 to 3. If they are"):
        reliability_curve(items)
    with pytest.raises(InputError, match="num_bins must be 1 or more"):
        reliability_curve(items, 0)


def clustered_items(num_clips, items_of_clip, seed, groups=None):
    """Calibrated scores, whose label frames of a clip are all alike."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 1, num_clips)
    is_positive = rng.uniform(size=num_clips) < scores
    clip = np.repeat(np.arange(num_clips), items_of_clip)
    items = make_items(
        scores[clip][:, np.newaxis].astype(np.float32),
        is_positive[clip][:, np.newaxis],
    )
    return dataclasses.replace(
        items,
        clip_of_item=clip,
        segment_ids=np.array([f"c{i}_0" for i in range(num_clips)]),
        group_of_clip=groups,
    )


def test_pooled_reliability_is_that_of_the_classes(monkeypatch):
    rng = np.random.default_rng(0)
    items = clustered_items(40, 3, 1)
    # Few cells at a time, and cells that are unknown.
    monkeypatch.setattr(thresholds, "_CELLS_AT_ONCE", 7)
    is_negative = items.is_negative & (rng.random(items.scores.shape) < 0.7)
    items = dataclasses.replace(items, is_negative=is_negative)
    found, curve = pooled_reliability(items), reliability_curve(items).pooled()
    for name in ("num_items", "num_positives", "score_sums"):
        np.testing.assert_allclose(
            getattr(found.curve, name), getattr(curve, name)
        )
    # An empty first bin is empty, whatever rounding does.
    high = dataclasses.replace(items, scores=0.5 + items.scores / 2)
    assert np.isnan(pooled_reliability(high).curve.mean_scores[0, :5]).all()
    logits = dataclasses.replace(items, scores=items.scores * 9 - 4)
    assert pooled_reliability(logits) is None


def test_intervals_of_shares_are_those_of_clips():
    # Three copies of each item say no more than one of them.
    once, thrice = (
        pooled_reliability(clustered_items(80, n, 2)) for n in (1, 3)
    )
    np.testing.assert_allclose(thrice.low, once.low, rtol=0.02)
    np.testing.assert_allclose(thrice.high, once.high, rtol=0.02)
    # Nor do clips of one group.
    groups = np.repeat([f"g{i}" for i in range(40)], 2).astype(object)
    alike = clustered_items(40, 2, 3)
    apart = dataclasses.replace(
        alike,
        clip_of_item=np.arange(80),
        segment_ids=np.array([f"c{i}_0" for i in range(80)]),
        group_of_clip=groups,
    )
    one, other = pooled_reliability(alike), pooled_reliability(apart)
    np.testing.assert_allclose(one.low, other.low)
    np.testing.assert_allclose(one.high, other.high)


def test_intervals_of_shares_hold_them():
    num_held = num_bins = 0
    for seed in range(120):
        found = pooled_reliability(clustered_items(300, 3, seed))
        # Calibrated: the share of a bin is its mean score.
        mean = found.curve.mean_scores[0]
        num_held += ((found.low <= mean) & (mean <= found.high)).sum()
        num_bins += mean.size
        assert ((found.low >= 0) & (found.high <= 1)).all()
    assert 0.93 < num_held / num_bins < 0.97

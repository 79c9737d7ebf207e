"""Simulated annotators: weak, strong, and of candidates."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from audioset_strong.simulation import annotators
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import (
    ESC50_CLASSES,
    SoundClass,
    release_vocabulary,
)

_CLASSES = (
    SoundClass("/m/bark", "Bark", "/m/dog", "Dog"),
    SoundClass("/m/howl", "Howl", "/m/dog", "Dog"),
    SoundClass("/m/beep", "Beep"),
)
_PARAMS = SoundscapeParams()


def _truth(num_clips=2000, seed=0):
    """Every clip has a bark, a howl and a beep of random length and level."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(num_clips):
        for sound_class in _CLASSES:
            onset = round(rng.uniform(0, 6), 3)
            offset = round(onset + np.exp(rng.uniform(*np.log([0.2, 4]))), 3)
            snr_db = rng.uniform(_PARAMS.min_snr_db, _PARAMS.max_snr_db)
            segment_id = f"yt-{number:08d}_{1000 * number}"
            rows.append((segment_id, onset, offset, sound_class.mid, snr_db))
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid", "snr_db"]
    return pd.DataFrame(rows, columns=columns)


def test_weak_annotators_miss_as_much_as_they_are_told():
    params = dataclasses.replace(_PARAMS, weak_parent_share=0.0)
    weak = annotators.annotate_weakly(_truth(), _CLASSES, params)
    share = weak["mids"].map(len).sum() / 6000
    # 6,000 pairs: standard deviation 0.006; 6 % of the clips would be empty
    # and get one label, which adds 0.02.
    assert share == pytest.approx(params.weak_recall + 0.02, abs=0.02)
    assert weak["mids"].map(len).min() == 1


def test_weak_annotators_miss_short_and_quiet_sounds_more_often():
    truth = _truth()
    weak = annotators.annotate_weakly(truth, _CLASSES, _PARAMS)
    labels = dict(zip(weak["segment_id"], weak["mids"], strict=True))
    beeps = truth[truth["mid"] == "/m/beep"]
    is_found = np.array(["/m/beep" in labels[s] for s in beeps["segment_id"]])
    is_loud = (beeps["snr_db"] > 7.5).to_numpy()
    seconds = beeps["offset_seconds"] - beeps["onset_seconds"]
    is_long = (seconds > 1.0).to_numpy()
    assert is_found[is_loud].mean() > is_found[~is_loud].mean() + 0.1
    assert is_found[is_long].mean() > is_found[~is_long].mean() + 0.1


def test_weak_annotators_are_sometimes_offered_the_parent():
    params = dataclasses.replace(
        _PARAMS, weak_recall=1.0, weak_parent_share=0.25
    )
    weak = annotators.annotate_weakly(_truth(), _CLASSES, params)
    has = {
        mid: weak["mids"].map(lambda mids, mid=mid: mid in mids).mean()
        for mid in ("/m/bark", "/m/dog", "/m/beep")
    }
    # 2,000 clips: standard deviation 0.01.
    assert has["/m/bark"] == pytest.approx(0.75, abs=0.04)
    assert has["/m/dog"] == pytest.approx(1 - 0.75**2, abs=0.04)
    # A class without a parent stays itself.
    assert has["/m/beep"] == 1.0
    assert weak["start_seconds"].tolist() == list(range(2000))
    assert weak["end_seconds"].tolist() == list(range(10, 2010))


def test_weak_annotators_mistake_as_much_as_they_are_told():
    truth = _truth()
    truth = truth[truth["mid"] == "/m/bark"]
    params = dataclasses.replace(
        _PARAMS, weak_recall=0.999, weak_parent_share=0.0, weak_false_share=0.3
    )
    weak = annotators.annotate_weakly(truth, _CLASSES, params)
    said = [mid for mids in weak["mids"] for mid in mids]
    assert np.mean([mid != "/m/bark" for mid in said]) == pytest.approx(
        0.3, abs=0.03
    )
    assert "/m/dog" not in said


def test_weak_annotators_know_some_classes_better_than_others():
    params = dataclasses.replace(_PARAMS, weak_class_spread=2.0)
    habits = annotators._draw_habits(tuple(ESC50_CLASSES.values()), params)
    recalls = [habit.recall for habit in habits.values()]
    assert min(recalls) < 0.2 < 0.9 < max(recalls)
    assert np.median(recalls) == pytest.approx(0.6, abs=0.2)
    same = annotators._draw_habits(_CLASSES, _PARAMS)
    assert {habit.recall for habit in same.values()} == {_PARAMS.weak_recall}


def test_with_salience_short_and_quiet_sounds_are_hardly_ever_asked_about():
    params = dataclasses.replace(_PARAMS, weak_salience=6.0)
    chances = [
        annotators._chance_to_be_asked(0.5, rating, params)
        for rating in (0.0, 0.5, 1.0)
    ]
    np.testing.assert_allclose(chances, [0.0025, 0.5, 0.9975], atol=0.001)


def test_strong_annotators_are_complete_and_a_little_off():
    truth = _truth()
    strong = annotators.annotate_strongly(truth, _PARAMS)
    assert strong["segment_id"].tolist() == truth["segment_id"].tolist()
    assert strong["mid"].tolist() == truth["mid"].tolist()
    inner = truth["onset_seconds"] > 0.5
    for column in ("onset_seconds", "offset_seconds"):
        error = (strong[column] - truth[column])[inner]
        assert error.abs().mean() > 0.02
        assert error.std() == pytest.approx(0.05, abs=0.01)
        assert error.mean() == pytest.approx(0, abs=0.005)


def test_strong_events_stay_in_the_clip_and_never_vanish():
    truth = _truth(300)
    params = dataclasses.replace(_PARAMS, strong_jitter_seconds=3.0)
    strong = annotators.annotate_strongly(truth, params)
    assert strong["onset_seconds"].min() >= 0
    assert strong["offset_seconds"].max() <= 10
    seconds = strong["offset_seconds"] - strong["onset_seconds"]
    assert seconds.min() > 0.0199
    for column in ("onset_seconds", "offset_seconds"):
        np.testing.assert_allclose(strong[column], strong[column].round(3))


def test_annotators_do_not_depend_on_other_clips():
    truth = _truth(50)
    part = truth[truth["segment_id"] >= "yt-00000030"]
    for annotate in (
        lambda table: annotators.annotate_weakly(table, _CLASSES, _PARAMS),
        lambda table: annotators.annotate_strongly(table, _PARAMS),
    ):
        whole = annotate(truth)
        whole = whole[whole["segment_id"].isin(part["segment_id"])]
        pd.testing.assert_frame_equal(
            whole.reset_index(drop=True), annotate(part)
        )


def _events(*pairs):
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid", "snr_db"]
    return pd.DataFrame(
        [(s, 1.0, 2.0, m, 5.0) for s, m in pairs], columns=columns
    )


def test_a_parent_is_present_where_its_child_is():
    truth = _events(("a_0", "/m/bark"), ("b_0", "/m/beep"))
    assert annotators.present_pairs(truth, _CLASSES) == {
        ("a_0", "/m/bark"),
        ("a_0", "/m/dog"),
        ("b_0", "/m/beep"),
    }
    # Further ancestors: Light engine, and Engine above it.
    chainsaw = ESC50_CLASSES["chainsaw"]
    truth = _events(("a_0", chainsaw.mid))
    present = annotators.present_pairs(truth, (chainsaw,))
    assert {m for _, m in present} == {"/m/01j4z9", "/t/dd00065", "/m/02mk9"}


def test_annotators_answer_truthfully():
    truth = _events(("a_0", "/m/bark"), ("b_0", "/m/beep"))
    asked = pd.DataFrame(
        [("a_0", "/m/dog"), ("b_0", "/m/dog"), ("b_0", "/m/beep")],
        columns=["segment_id", "mid"],
    )
    absent = annotators.confirm_absent(
        asked, annotators.present_pairs(truth, _CLASSES)
    )
    assert absent.to_numpy().tolist() == [["b_0", "/m/dog"]]


def test_random_negatives_are_absent_and_as_many_as_wanted():
    truth = _events(
        *((f"a{n}_0", "/m/bark") for n in range(30)),
        *((f"b{n}_0", "/m/beep") for n in range(10)),
    )
    negatives = annotators.draw_random_negatives(truth, _CLASSES, _PARAMS)
    present = annotators.present_pairs(truth, _CLASSES)
    pairs = set(negatives.itertuples(index=False, name=None))
    assert len(pairs) == len(negatives)
    assert not pairs & present
    assert negatives["mid"].value_counts().to_dict() == {
        "/m/bark": 10,  # only ten clips are without
        "/m/howl": 15,
        "/m/beep": 15,
        "/m/dog": 10,
    }
    assert set(negatives["mid"]) == set(release_vocabulary(_CLASSES))


def test_candidates_are_drawn_from_the_whole_list():
    table = pd.DataFrame(
        [(mid, f"c{n}_0") for mid in ("/m/a", "/m/b") for n in range(100)],
        columns=["mid", "segment_id"],
    )
    drawn = annotators.choose_candidates_to_show(table, 30, seed=1)
    assert drawn.groupby("mid").size().to_dict() == {"/m/a": 30, "/m/b": 30}
    ranks = drawn["segment_id"].str.extract(r"c(\d+)_")[0].astype(int)
    # Ranks 0..99: a mean of 49.5, with a standard deviation of 3.
    assert ranks.mean() == pytest.approx(49.5, abs=12)
    # Classes are drawn independently of each other, and of the other classes.
    assert set(drawn["segment_id"][drawn["mid"] == "/m/a"]) != set(
        drawn["segment_id"][drawn["mid"] == "/m/b"]
    )
    alone = annotators.choose_candidates_to_show(
        table[table["mid"] == "/m/b"], 30, 1
    )
    pd.testing.assert_frame_equal(
        alone, drawn[drawn["mid"] == "/m/b"].reset_index(drop=True)
    )

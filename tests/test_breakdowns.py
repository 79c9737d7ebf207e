"""Breakdowns of d' by event length, filled share and polyphony."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from report_examples import random_labels, random_scores
from sklearn.metrics import roc_auc_score

from audioset_strong.evaluation.breakdowns import (
    COLUMNS,
    LENGTH,
    POLYPHONY,
    SHARE,
    break_down,
    filled_shares,
    join_breakdowns,
)
from audioset_strong.evaluation.items import strong_items
from audioset_strong.evaluation.resampling import (
    draw_halves,
    intervals_of,
    resample_classes,
)
from audioset_strong.labels.frame_rule import frame_strong_labels


def random_events(num_clips, num_classes, seed):
    """Makes a strong table, some of whose events overlap their own class."""
    rng = np.random.default_rng(seed)
    num_events = 5 * num_clips
    onset = np.round(rng.uniform(0, 9.5, num_events), 3)
    length = np.round(rng.choice([0.3, 0.5, 0.8, 1.5, 3.0, 8.0], num_events), 3)
    clips = rng.integers(0, num_clips, num_events)
    return pd.DataFrame(
        {
            "segment_id": [f"clip{clip}_0" for clip in clips],
            "onset_seconds": onset,
            "offset_seconds": np.minimum(onset + length, 10.0),
            "mid": [
                f"/m/{i}" for i in rng.integers(0, num_classes, num_events)
            ],
        }
    )


def items_of(framed, num_clips, num_classes, seed):
    strong = np.zeros((num_clips, 10, num_classes), dtype=bool)
    present = framed[framed["is_present"]]
    clip = present["segment_id"].str.slice(4, -2).astype(int)
    column = present["mid"].str.slice(3).astype(int)
    strong[clip, present["label_frame"], column] = True
    return strong_items(random_scores(strong, 1.0, seed), framed)


def slow_length(strong, clip, frame, mid):
    """The longest event that makes a label frame positive, by the rule."""
    low, high = 0.96 * frame, 0.96 * (frame + 1)
    lengths = [0.0]
    for row in strong[
        (strong["segment_id"] == clip) & (strong["mid"] == mid)
    ].itertuples():
        length = round(row.offset_seconds - row.onset_seconds, 6)
        overlap = min(high, row.offset_seconds) - max(low, row.onset_seconds)
        if overlap > 0 and overlap + 1e-9 >= 0.5 * min(0.96, length):
            lengths.append(length)
    return max(lengths)


def slow_runs(present):
    """The length of the run of each label frame that is present."""
    runs = np.zeros(len(present), dtype=int)
    for frame in np.flatnonzero(present):
        first = last = frame
        while first > 0 and present[first - 1]:
            first -= 1
        while last + 1 < len(present) and present[last + 1]:
            last += 1
        runs[frame] = last - first + 1
    return runs


def slow_share(strong, clip, mid, clip_seconds=10):
    """The share of a clip's milliseconds in which a class is heard."""
    is_heard = np.zeros(clip_seconds * 1000, dtype=bool)
    own = strong[(strong["segment_id"] == clip) & (strong["mid"] == mid)]
    for row in own.itertuples():
        low, high = row.onset_seconds, row.offset_seconds
        is_heard[round(low * 1000) : round(high * 1000)] = True
    return is_heard.mean()


@pytest.mark.parametrize("has_events", [True, False])
def test_strata_by_the_definition(has_events):
    num_clips, num_classes = 25, 4
    strong = random_events(num_clips, num_classes, 0)
    framed = frame_strong_labels(strong)
    items = items_of(framed, num_clips, num_classes, 1)
    found = break_down(items, strong if has_events else None)
    table = found.table
    assert tuple(table.columns) == COLUMNS
    assert ("no strong labels" in found.lengths_of) != has_events
    frame_of = np.arange(len(items.scores)) - np.searchsorted(
        items.clip_of_item, items.clip_of_item
    )
    edges = [0.5, 1, 2, 5] if has_events else [1, 2, 5]
    aucs = {}
    for column, mid in enumerate(items.mids):
        negatives = items.scores[items.is_negative[:, column], column]
        runs = np.concatenate(
            [
                slow_runs(items.is_positive[items.clip_of_item == c, column])
                for c in range(items.segment_ids.size)
            ]
        )
        strata = {}
        for item in np.flatnonzero(items.is_positive[:, column]):
            clip = items.segment_ids[items.clip_of_item[item]]
            length = (
                slow_length(strong, clip, frame_of[item], mid)
                if has_events
                else runs[item]
            )
            assert length > 0
            of_length = sum(length > edge for edge in edges)
            of_clip = items.clip_of_item == items.clip_of_item[item]
            share = (
                slow_share(strong, clip, mid)
                if has_events
                else items.is_positive[of_clip, column].mean()
            )
            of_share = sum(share > edge for edge in (0.1, 0.25, 0.5, 0.9))
            num_present = min(items.is_positive[item].sum(), 4)
            for key in (
                (LENGTH, of_length),
                (SHARE, of_share),
                (POLYPHONY, num_present - 1),
            ):
                strata.setdefault(key, []).append(items.scores[item, column])
        for key, positives in strata.items():
            labels = np.repeat([1, 0], [len(positives), len(negatives)])
            auc = roc_auc_score(labels, [*positives, *negatives])
            aucs.setdefault(key, []).append((auc, len(positives)))
    for name, rows in table.groupby("breakdown", sort=False):
        for index, row in enumerate(rows.to_dict(orient="records")):
            of_classes = aucs.get((name, index), [])
            assert row["num_classes"] == len(of_classes)
            assert row["num_positives"] == sum(n for _, n in of_classes)
            if of_classes:
                mean = np.mean([auc for auc, _ in of_classes])
                assert row["mean_auc"] == pytest.approx(mean)
        # Every positive is in one stratum.
        assert rows["num_positives"].sum() == items.is_positive.sum()


def test_of_several_events_the_longest_counts():
    strong = pd.DataFrame(
        {
            "segment_id": ["clip0_0"] * 3,
            "onset_seconds": [0.0, 0.0, 9.0],
            "offset_seconds": [0.4, 3.0, 9.3],
            "mid": ["/m/0"] * 3,
        }
    )
    items = items_of(frame_strong_labels(strong), 1, 2, 0)
    table = break_down(items, strong).table.set_index("stratum")
    assert table.loc["up to 0.5 s", "num_positives"] == 1
    assert table.loc["2 to 5 s", "num_positives"] == 3
    # The other strata have nothing to say: no class, no number.
    is_empty = table["num_classes"] == 0
    assert table["d_prime"].isna().tolist() == is_empty.tolist()
    assert is_empty.sum() == 3 + 4 + 3


def test_filled_shares_count_overlaps_once_and_end_with_the_clip():
    strong = random_events(6, 2, 3)
    shares = filled_shares(strong, 10.0)
    assert len(shares) == len(strong[["segment_id", "mid"]].drop_duplicates())
    for (clip, mid), share in shares.items():
        assert share == pytest.approx(slow_share(strong, clip, mid))
    # Of a clip of 8 s.
    for (clip, mid), share in filled_shares(strong, 8.0).items():
        assert share == pytest.approx(slow_share(strong, clip, mid, 8))


def test_listed_clips_have_lengths_of_their_own():
    strong = pd.DataFrame(
        {
            "segment_id": ["clip0_0"],
            "onset_seconds": [0.0],
            "offset_seconds": [2.0],
            "mid": ["/m/0"],
        }
    )
    items = items_of(frame_strong_labels(strong), 1, 2, 0)
    clips = pd.DataFrame({"segment_id": ["clip0_0"], "duration_seconds": [2.1]})
    for listed, stratum in ((None, "10 to 25 %"), (clips, "over 90 %")):
        table = break_down(items, strong, clips=listed).table
        rows = table[table["breakdown"] == SHARE].set_index("stratum")
        assert rows.loc[stratum, "num_positives"] == 2


def test_a_resample_is_the_items_as_often_as_drawn():
    _, framed, strong = random_labels(20, 5)
    items = strong_items(random_scores(strong, 1.0, 2), framed)
    found = break_down(items, num_resamples=3, seed=5)
    draws = draw_halves(items.segment_ids, 3, 5)
    for resample, drawn in enumerate(draws, start=1):
        rows = np.repeat(
            np.arange(len(items.scores)), drawn[items.clip_of_item].astype(int)
        )
        polyphony = items.is_positive.sum(axis=1)[rows]
        aucs = []
        for column in range(items.mids.size):
            is_known = items.is_negative[rows, column] | (
                items.is_positive[rows, column] & (polyphony == 1)
            )
            labels = items.is_positive[rows, column][is_known]
            if labels.any() and not labels.all():
                scores = items.scores[rows, column][is_known]
                aucs.append(roc_auc_score(labels, scores))
        stratum = list(found.table["stratum"]).index("1 class")
        assert found.mean_aucs[resample, stratum] == pytest.approx(
            np.mean(aucs)
        )


def test_intervals_are_those_of_the_headline():
    # One stratum has all: only one class is labelled.
    _, framed, strong = random_labels(40, 2)
    framed = framed[framed["mid"] == "/m/0"]
    systems = [
        strong_items(random_scores(strong, s, 3), framed) for s in (1.0, 0.6)
    ]
    rng = np.random.default_rng(0)
    systems = [
        dataclasses.replace(
            items, scores=rng.normal(items.is_positive, 1.5).astype(np.float32)
        )
        for items in systems
    ]
    resamples = [resample_classes(items, 50, 0) for items in systems]
    ours, theirs = (break_down(i, num_resamples=50) for i in systems)
    table = join_breakdowns(ours, theirs, 0.9, is_paired=True)
    row = table.set_index("stratum").loc["1 class"]
    headline = intervals_of(resamples[0], 0.9).overall["d_prime"]
    assert row["d_prime"] == pytest.approx(headline.estimate)
    assert row["d_prime_low"] == pytest.approx(headline.low)
    assert row["d_prime_high"] == pytest.approx(headline.high)
    difference = row["d_prime"] - row["baseline_d_prime"]
    assert row["d_prime_difference"] == pytest.approx(difference)
    assert row["d_prime_difference_low"] < row["d_prime_difference_high"]
    alone = join_breakdowns(break_down(systems[0]), None, 0.9, is_paired=False)
    assert tuple(alone.columns) == COLUMNS

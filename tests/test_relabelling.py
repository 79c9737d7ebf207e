"""Selection of clips to relabel."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.labels.ids import stable_fraction
from audioset_strong.labels.label_files import read_weak_labels
from audioset_strong.labels.training_sets import (
    draw_for_relabelling,
    select_for_relabelling,
)


def _weak(mids_of_clip):
    return pd.DataFrame(
        {
            "segment_id": pd.Series(list(mids_of_clip), dtype=object),
            "mids": pd.Series(list(mids_of_clip.values()), dtype=object),
        }
    )


def _count(weak, segment_ids=None):
    """Counts the clips of each class."""
    if segment_ids is not None:
        weak = weak[weak["segment_id"].isin(segment_ids)]
    labels = weak[["segment_id", "mids"]].explode("mids").drop_duplicates()
    return labels["mids"].value_counts()


def _check_selection(weak, num_per_class, seed=0):
    """Checks what the module docstring promises; returns the selection."""
    draws = draw_for_relabelling(weak, num_per_class, seed)
    selected = draws["segment_id"].tolist()
    assert len(set(selected)) == len(selected)
    available = _count(weak)
    enough = np.minimum(available, num_per_class)
    found = _count(weak, selected).reindex(available.index, fill_value=0)
    assert (found >= enough).all()
    # Each clip was drawn by a class of its own that lacked clips.
    mids_of_clip = dict(zip(weak["segment_id"], weak["mids"]))
    count = dict.fromkeys(available.index, 0)
    for segment_id, mid in zip(draws["segment_id"], draws["mid"]):
        assert mid in mids_of_clip[segment_id]
        assert count[mid] < num_per_class
        for other in set(mids_of_clip[segment_id]):
            count[other] += 1
    # Rarest classes draw first, so what they draw is never for another.
    turns = draws["mid"].drop_duplicates().map(available).tolist()
    assert turns == sorted(turns)
    return selected


def test_by_hand():
    # Class c has 1 clip, b 2, a 4. c draws e; b, which has e, draws one of
    # its 2, d; a has both, and needs no other.
    weak = _weak(
        {
            "a_0": ("/m/a",),
            "b_0": ("/m/a",),
            "d_0": ("/m/a", "/m/b"),
            "e_0": ("/m/a", "/m/b", "/m/c"),
        }
    )
    draws = draw_for_relabelling(weak, num_per_class=2)
    assert draws.to_dict("list") == {
        "segment_id": ["e_0", "d_0"],
        "mid": ["/m/c", "/m/b"],
    }
    assert select_for_relabelling(weak, 2) == ["d_0", "e_0"]
    # Of three, a draws the clip with the smaller hash.
    third = min(
        "ab", key=lambda ytid: stable_fraction(ytid, salt="relabelling/0")
    )
    assert set(select_for_relabelling(weak, 3)) == {f"{third}_0", "d_0", "e_0"}
    assert len(select_for_relabelling(weak, 250)) == 4


def test_nothing_to_select_from():
    assert select_for_relabelling(_weak({})) == []
    assert select_for_relabelling(_weak({"a_0": ()})) == []


def test_the_number_must_be_positive():
    with pytest.raises(InputError, match="num_per_class must be 1 or more"):
        select_for_relabelling(_weak({}), 0)


_TABLES = st.lists(
    st.lists(st.sampled_from("abcdef"), max_size=5).map(tuple), max_size=30
).map(lambda labels: _weak({f"y{i}_0": m for i, m in enumerate(labels)}))


@given(weak=_TABLES, num_per_class=st.integers(1, 6), seed=st.integers(0, 3))
@settings(deadline=None, max_examples=50)
def test_the_promises_hold_on_random_labels(weak, num_per_class, seed):
    selected = _check_selection(weak, num_per_class, seed)
    shuffled = weak.sample(frac=1.0, random_state=0)
    again = select_for_relabelling(shuffled, num_per_class, seed)
    assert again == sorted(selected)


def skewed_weak_labels(num_clips, num_classes=527, seed=0):
    """Makes weak labels as skewed as AudioSet's: half the clips are class 0."""
    rng = np.random.default_rng(seed)
    frequency = 1.0 / np.arange(1, num_classes + 1) ** 1.3
    labels = rng.choice(
        num_classes, (num_clips, 2), p=frequency / frequency.sum()
    )
    names = np.array([f"/m/{i:03d}" for i in range(num_classes)], dtype=object)
    mids = np.empty(num_clips, dtype=object)
    mids[:] = [tuple(dict.fromkeys(pair)) for pair in names[labels].tolist()]
    ids = [f"yt{i:09d}_30000" for i in range(num_clips)]
    return pd.DataFrame({"segment_id": pd.Series(ids, dtype=object)}).assign(
        mids=mids
    )


def test_a_skewed_file():
    weak = skewed_weak_labels(20000)
    selected = _check_selection(weak, 25)
    counts, available = _count(weak, selected), _count(weak)
    # Rare classes are there with all their clips, frequent ones run over.
    rare = available.index[available <= 25]
    assert len(rare) > 50
    assert (counts[rare] == available[rare]).all()
    assert counts["/m/000"] > 1000
    # Without co-occurrence 527 x 25 would be needed, less what is not there.
    assert len(selected) < np.minimum(available, 25).sum()
    assert select_for_relabelling(weak, 25, seed=1) != sorted(selected)


def test_the_released_balanced_file(audioset_labels):
    weak = read_weak_labels(audioset_labels / "balanced_train_segments.csv")
    selected = _check_selection(weak, 250)
    available = _count(weak)
    # It was balanced for about 60 clips a class, so 250 takes every clip.
    assert (available < 250).sum() > 500
    assert len(selected) == len(weak) == 22160
    few = _check_selection(weak, 20)
    assert len(few) < 527 * 20
    assert _count(weak, few)[["/m/09x0r", "/m/04rlf"]].min() > 500

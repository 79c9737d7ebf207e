"""Training sets, the held-out part, clips to relabel and select_clips."""

import sys

import forked
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.ids import read_clip_list, stable_fraction
from audioset_strong.labels.label_files import read_weak_labels
from audioset_strong.labels.training_sets import (
    TRAINING_SETS,
    diffuse_events,
    draw_for_relabelling,
    get_training_set,
    is_held_out,
    is_in_strong_fraction,
    read_label_ytids,
    select_for_relabelling,
    strong_events_by_segment,
    weak_events,
)

_YTIDS = [f"ytid{i:07d}" for i in range(20000)]


def test_held_out_part():
    share = np.mean([is_held_out(ytid, 0.05) for ytid in _YTIDS])
    # Standard deviation 0.0015.
    assert abs(share - 0.05) < 0.006
    # Fixed values: it is the same on every machine.
    held_out = [ytid for ytid in _YTIDS[:100] if is_held_out(ytid, 0.05)]
    assert held_out == ["ytid0000064", "ytid0000068", "ytid0000094"]


def test_training_sets_are_as_in_the_paper():
    table = {
        s.name: (s.label_set, s.is_stretched, s.needs_strong_labels)
        for s in TRAINING_SETS.values()
    }
    assert table == {
        "weak": ("weak", False, False),
        "weak_small": ("weak", False, True),
        "diffuse": ("strong", True, True),
        "strong": ("strong", False, True),
    }
    assert get_training_set("strong") is TRAINING_SETS["strong"]
    # Weak is whole, whatever the share of Strong.
    assert get_training_set("weak", 0.1, 7) is TRAINING_SETS["weak"]
    share = get_training_set("diffuse", 0.1, 7)
    assert (share.strong_fraction, share.strong_fraction_seed) == (0.1, 7)
    assert TRAINING_SETS["diffuse"].is_whole
    assert not share.is_whole
    with pytest.raises(InputError, match="Received: 'Strong'"):
        get_training_set("Strong")


def test_labels_are_events():
    assert weak_events(("/m/x", "/m/y"), 10.0) == [
        Event("/m/x", 0.0, 10.0),
        Event("/m/y", 0.0, 10.0),
    ]
    strong = [
        Event("/m/y", 1.0, 2.0),
        Event("/m/x", 0.5, 0.6),
        Event("/m/y", 0.0, 0.1),
    ]
    assert diffuse_events(strong, 10.0) == [
        Event("/m/y", 0.0, 10.0),
        Event("/m/x", 0.0, 10.0),
    ]


def test_events_are_grouped_in_file_order():
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    strong = pd.DataFrame(
        [
            ("b_0", 3.0, 4.0, "/m/x"),
            ("a_0", 1.0, 2.0, "/m/y"),
            ("b_0", 0.0, 1.0, "/m/y"),
        ],
        columns=columns,
    )
    assert strong_events_by_segment(strong) == {
        "b_0": [Event("/m/x", 3.0, 4.0), Event("/m/y", 0.0, 1.0)],
        "a_0": [Event("/m/y", 1.0, 2.0)],
    }
    assert strong_events_by_segment(strong.iloc[:0]) == {}


def _share(fraction, seed=0):
    return [y for y in _YTIDS if is_in_strong_fraction(y, fraction, seed)]


def test_shares_of_strong_are_nested_and_about_their_size():
    shares = [_share(fraction) for fraction in (0.0, 0.1, 0.2, 0.5, 1.0)]
    for smaller, larger in zip(shares, shares[1:]):
        assert set(smaller) < set(larger)
    # Standard deviation 42 and 57 of 20,000.
    assert abs(len(shares[1]) - 2000) < 170
    assert abs(len(shares[2]) - 4000) < 230
    assert shares[0] == []
    assert shares[4] == _YTIDS
    # Fixed values: shares are compared between machines.
    assert shares[1][:4] == [f"ytid{i:07d}" for i in (5, 12, 13, 27)]
    assert _share(0.1, seed=1) != shares[1]
    # The held-out part is chosen independently: a tenth of it is in a tenth.
    held_out = [ytid for ytid in _YTIDS if is_held_out(ytid, 0.2)]
    both = set(held_out) & set(shares[1])
    assert abs(len(both) / len(held_out) - 0.1) < 0.02


_WEAK_HEADER = "# a\n# b\n# YTID, start_seconds, end_seconds, positive_labels\n"
_STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"


def test_ytids_of_any_label_file(tmp_path):
    (tmp_path / "w").write_text(
        _WEAK_HEADER + '-a_bcdefghi, 0.000, 10.000, "/m/x"\n'
    )
    (tmp_path / "s").write_text(
        f"{_STRONG_HEADER}\nstrong_clip_5000\t0.000\t1.000\t/m/x\n"
    )
    (tmp_path / "f").write_text(
        f"{_STRONG_HEADER}\tpresent\n"
        f"framedclip0_0\t0.000\t0.960\t/m/x\tNOT_PRESENT\n"
    )
    (tmp_path / "c").write_text(
        "segment_id\tduration_seconds\tgroup\nsite 1_0\t9\tsite 1\n"
    )
    found = read_label_ytids([tmp_path / name for name in "wsfc"])
    assert found == {"-a_bcdefghi", "strong_clip", "framedclip0", "site 1"}
    assert read_label_ytids([]) == frozenset()


def test_files_that_do_not_name_every_clip(tmp_path):
    (tmp_path / "other").write_text("clip\n")
    with pytest.raises(InputError, match="a framed TSV or a list of annotated"):
        read_label_ytids([tmp_path / "other"])
    (tmp_path / "bad").write_text(
        f"{_STRONG_HEADER}\na_0\t0.0\t1.0\t/m/x\na_0\t2.0\t1.0\t/m/x\n"
    )
    with pytest.raises(
        InputError, match="would be missed: .*bad:3: .* ends af"
    ):
        read_label_ytids([tmp_path / "bad"])


def test_real_label_files_name_their_clips(audioset_labels, strong_excerpts):
    eval_ytids = read_label_ytids(
        [
            audioset_labels / "eval_segments.csv",
            strong_excerpts / "audioset_eval_strong.gun.tsv",
            strong_excerpts / "audioset_eval_strong_framed_posneg.gun.tsv",
        ]
    )
    # The strong eval clips are among the 20,371 weak ones.
    assert len(eval_ytids) == 20371
    train_ytids = read_label_ytids(
        [
            audioset_labels / "balanced_train_segments.csv",
            strong_excerpts / "audioset_train_strong.gun.tsv",
        ]
    )
    assert not train_ytids & eval_ytids


def _weak_table(mids_of_clip):
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
    weak = _weak_table(
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
    assert select_for_relabelling(_weak_table({})) == []
    assert select_for_relabelling(_weak_table({"a_0": ()})) == []
    with pytest.raises(InputError, match="num_per_class must be 1 or more"):
        select_for_relabelling(_weak_table({}), 0)


_TABLES = st.lists(
    st.lists(st.sampled_from("abcdef"), max_size=5).map(tuple), max_size=30
).map(lambda labels: _weak_table({f"y{i}_0": m for i, m in enumerate(labels)}))


@given(weak=_TABLES, num_per_class=st.integers(1, 6), seed=st.integers(0, 3))
@settings(deadline=None, max_examples=50)
def test_the_promises_hold_on_random_labels(weak, num_per_class, seed):
    selected = _check_selection(weak, num_per_class, seed)
    shuffled = weak.sample(frac=1.0, random_state=0)
    again = select_for_relabelling(shuffled, num_per_class, seed)
    assert again == sorted(selected)


def test_a_skewed_file():
    # As skewed as AudioSet: half of the clips are class 0.
    rng = np.random.default_rng(0)
    frequency = 1.0 / np.arange(1, 528) ** 1.3
    labels = rng.choice(527, (20000, 2), p=frequency / frequency.sum())
    weak = _weak_table(
        {
            f"yt{i:09d}_30000": tuple(
                f"/m/{c:03d}" for c in dict.fromkeys(pair)
            )
            for i, pair in enumerate(labels.tolist())
        }
    )
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


def test_select_clips_command(audioset_labels, tmp_path):
    path = audioset_labels / "balanced_train_segments.csv"
    output = tmp_path / "clips.txt"
    done = forked.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.select_clips",
            f"--weak_labels={path}",
            "--num_per_class=20",
            f"--output={output}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    selected = read_clip_list(output)
    assert done.stdout.startswith(f"{len(selected)} of 22160 clips of 527 ")
    assert "20 to " in done.stdout  # every class has more than 20 clips
    weak = read_weak_labels(path)
    chosen = weak[weak["segment_id"].isin(selected)]
    assert len(chosen) == len(selected)
    assert chosen["mids"].explode().value_counts().min() == 20
    assert "seed 0" in "".join(output.read_text().splitlines()[:2])

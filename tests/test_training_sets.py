"""Training sets and the held-out part."""

import numpy as np
import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.training_sets import (
    TRAINING_SETS,
    diffuse_events,
    get_training_set,
    is_held_out,
    is_in_strong_fraction,
    read_label_ytids,
    strong_events_by_segment,
    weak_events,
)

_YTIDS = [f"ytid{i:07d}" for i in range(20000)]


def test_held_out_part_is_about_its_share():
    share = np.mean([is_held_out(ytid, 0.05) for ytid in _YTIDS])
    # Standard deviation 0.0015.
    assert abs(share - 0.05) < 0.006


def test_held_out_part_is_the_same_everywhere():
    held_out = [ytid for ytid in _YTIDS[:100] if is_held_out(ytid, 0.05)]
    assert held_out == ["ytid0000064", "ytid0000068", "ytid0000094"]


def test_a_larger_share_holds_out_what_a_smaller_does():
    chosen = [
        {ytid for ytid in _YTIDS[:2000] if is_held_out(ytid, fraction)}
        for fraction in (0.0, 0.02, 0.05, 0.5, 1.0)
    ]
    for smaller, larger in zip(chosen, chosen[1:]):
        assert smaller < larger
    assert chosen[0] == set()
    assert chosen[-1] == set(_YTIDS[:2000])


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
    found = read_label_ytids([tmp_path / name for name in "wsf"])
    assert found == {"-a_bcdefghi", "strong_clip", "framedclip0"}
    assert read_label_ytids([]) == frozenset()


def test_files_that_do_not_name_every_clip(tmp_path):
    (tmp_path / "other").write_text("clip\n")
    with pytest.raises(InputError, match=r"a weak CSV, a strong TSV or a fram"):
        read_label_ytids([tmp_path / "other"])
    (tmp_path / "bad").write_text(f"{_STRONG_HEADER}\na_0\t2.0\t1.0\t/m/x\n")
    with pytest.raises(InputError, match=r"bad:2: .* would be missed"):
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

"""Training sets and the held-out part."""

import numpy as np
import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.frame_targets import Event
from audioset_strong.labels.training_sets import (
    TRAINING_SETS,
    diffuse_events,
    get_training_set,
    is_held_out,
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

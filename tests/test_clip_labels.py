"""Clip labels: matrices of who has what, and the clips of both label sets."""

import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.label_analysis.statistics import (
    match_clips,
    strong_clip_labels,
    weak_clip_labels,
)
from audioset_strong.labels.label_files import (
    empty_strong_labels,
    empty_weak_labels,
)


def _weak(mids_of_clip):
    rows = [(s, 0.0, 10.0, tuple(mids)) for s, mids in mids_of_clip]
    columns = ["segment_id", "start_seconds", "end_seconds", "mids"]
    return pd.DataFrame(rows, columns=columns)


def _strong(pairs):
    rows = [(segment_id, 0.0, 1.0, mid) for segment_id, mid in pairs]
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    return pd.DataFrame(rows, columns=columns)


def test_weak_matrix_by_hand():
    labels = weak_clip_labels(
        _weak([("b_0", ["/m/y", "/m/x"]), ("a_0", ["/m/y"])])
    )
    assert labels.segment_ids.tolist() == ["a_0", "b_0"]
    assert labels.mids.tolist() == ["/m/x", "/m/y"]
    assert labels.matrix.toarray().tolist() == [[0, 1], [1, 1]]
    assert labels.clips_per_class.tolist() == [1, 2]
    assert (labels.num_clips, labels.num_instances) == (2, 3)


def test_repeated_labels_count_once():
    # A mid twice in a row, and a clip in two rows, as of two files.
    labels = weak_clip_labels(
        _weak([("a_0", ["/m/x", "/m/x"]), ("a_0", ["/m/x", "/m/y"])])
    )
    assert labels.matrix.toarray().tolist() == [[1, 1]]
    # Two events of a class in a clip are one instance.
    labels = strong_clip_labels(_strong([("a_0", "/m/x"), ("a_0", "/m/x")]))
    assert labels.matrix.toarray().tolist() == [[1]]


def test_common_clips_are_matched_by_segment_id():
    weak = weak_clip_labels(
        _weak([("c_0", ["/m/x"]), ("b_0", ["/m/y"]), ("a_0", ["/m/x"])])
    )
    strong = strong_clip_labels(
        _strong([("b_0", "/m/u"), ("d_0", "/m/v"), ("c_0", "/m/w")])
    )
    common = match_clips(weak, strong)
    assert common.weak.segment_ids.tolist() == ["b_0", "c_0"]
    assert common.strong.segment_ids.tolist() == ["b_0", "c_0"]
    # Columns x, y and u, v, w: class v, of d_0 only, stays with no clip.
    assert common.weak.matrix.toarray().tolist() == [[0, 1], [1, 0]]
    assert common.strong.matrix.toarray().tolist() == [[1, 0, 0], [0, 0, 1]]
    assert common.strong.clips_per_class.tolist() == [1, 0, 1]
    assert (common.num_weak_only, common.num_strong_only) == (1, 1)


def test_nothing_in_common_is_an_error_with_an_example():
    weak = weak_clip_labels(_weak([("a_0", ["/m/x"])]))
    strong = strong_clip_labels(_strong([("b_0", "/m/x")]))
    with pytest.raises(InputError, match="such as a_0.*such as b_0.*none"):
        match_clips(weak, strong)
    with pytest.raises(InputError, match="the 0 weak ones and the 0 strong"):
        match_clips(
            weak_clip_labels(empty_weak_labels()),
            strong_clip_labels(empty_strong_labels()),
        )

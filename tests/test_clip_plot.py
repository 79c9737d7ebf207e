"""Figure 1's panels: bars and cells are the labels, in their rows."""

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from audioset_strong.labels.frame_rule import Event
from audioset_strong.params import LabelFrameParams
from audioset_strong.plots import (
    ABSENT,
    MAX_ABSENT,
    PRESENT,
    ClipPicture,
    clip_figure,
    plot_clip,
)


def _framed(present_frames_of_mid):
    rows = [
        ("a_0", frame, mid, frame in present)
        for mid, present in present_frames_of_mid.items()
        for frame in range(10)
    ]
    columns = ["segment_id", "label_frame", "mid", "is_present"]
    return pd.DataFrame(rows, columns=columns)


def _picture(**changes):
    known = {
        "segment_id": "a_0",
        "weak_mids": ("/m/late", "/m/weak"),
        "events": (Event("/m/late", 5.0, 7.0), Event("/m/early", 1.0, 1.5)),
        "framed": _framed({"/m/late": {5, 6}, "/m/early": {1}, "/m/no": set()}),
        "log_mel": None,
    }
    return ClipPicture(**{**known, **changes})


def _bars(axis):
    """(row name, start, end, colour) of each bar."""
    names = [label.get_text() for label in axis.get_yticklabels()]
    return [
        (
            names[round(bar.get_y() + bar.get_height() / 2)],
            round(bar.get_x(), 3),
            round(bar.get_x() + bar.get_width(), 3),
            to_hex(bar.get_facecolor()).upper(),
        )
        for bar in axis.patches
        if bar.get_height() < 1 and bar.get_width() > 0
    ]


def test_weak_panel():
    weak, _, _ = clip_figure(_picture()).axes
    assert _bars(weak) == [
        ("/m/late", 0, 10, PRESENT),
        ("/m/weak", 0, 10, PRESENT),
        ("/m/no", 0, 10, ABSENT),
    ]


def test_strong_panel_is_ordered_by_onset():
    _, strong, _ = clip_figure(_picture()).axes
    assert [t.get_text() for t in strong.get_yticklabels()] == [
        "/m/early",
        "/m/late",
    ]
    assert sorted(_bars(strong)) == [
        ("/m/early", 1.0, 1.5, PRESENT),
        ("/m/late", 5.0, 7.0, PRESENT),
    ]


def test_framed_panel():
    _, _, framed = clip_figure(_picture()).axes
    bars = _bars(framed)
    cells = {
        (name, round((start + end) / 2 / 0.96 - 0.5)): color
        for name, start, end, color in bars
        if end < 9.61
    }
    assert len(cells) == 30
    blue = {cell for cell, color in cells.items() if color == PRESENT}
    assert blue == {("/m/early", 1), ("/m/late", 5), ("/m/late", 6)}
    assert set(cells.values()) == {PRESENT, ABSENT}
    assert framed.get_xlim() == (0, 10)


def test_the_grid_is_that_of_the_settings():
    params = LabelFrameParams(
        label_frame_seconds=0.5, num_label_frames=10, clip_seconds=5.0
    )
    weak, _, framed = clip_figure(_picture(), label_frames=params).axes
    assert framed.get_xlim() == (0, 5)
    ends = [end for _, _, end, _ in _bars(framed)]
    assert max(ends) <= 5.0
    assert _bars(weak)[0][2] == 5.0
    assert "0.5 s" in framed.get_title(loc="left")


def test_spectrogram_spans_its_seconds():
    log_mel = np.zeros((500, 64), dtype=np.float32)
    spectrogram, *others = clip_figure(_picture(log_mel=log_mel)).axes
    assert len(others) == 3
    (image,) = spectrogram.images
    assert image.get_array().shape == (64, 500)
    assert image.get_extent()[:2] == [0, 5.0]
    assert spectrogram.get_xlim() == (0, 10)


def test_a_clip_without_any_labels_but_strong_ones():
    picture = _picture(weak_mids=None, framed=_framed({}))
    weak, _, framed = clip_figure(picture).axes
    assert "none in the files" in weak.get_title(loc="left")
    assert not _bars(weak)
    assert not _bars(framed)
    assert [text.get_text() for text in framed.texts] == ["none"]


def test_weak_and_absent_at_once_is_drawn_present():
    weak, _, framed = clip_figure(_picture(weak_mids=("/m/no",))).axes
    assert _bars(weak) == [("/m/no", 0, 10, PRESENT)]
    assert ("/m/no", ABSENT) in {(bar[0], bar[3]) for bar in _bars(framed)}


def test_many_explicit_negatives_are_cut_and_counted():
    framed = _framed({f"/m/{i}": set() for i in range(MAX_ABSENT + 3)})
    weak, _, cells = clip_figure(_picture(framed=framed)).axes
    assert len(_bars(weak)) == 2 + MAX_ABSENT
    assert "3 more explicit negatives" in cells.get_title(loc="left")


@pytest.mark.parametrize("log_mel", [None, np.zeros((998, 64), np.float32)])
def test_png_is_written(tmp_path, log_mel):
    path = tmp_path / "figure1.png"
    plot_clip(_picture(log_mel=log_mel), str(path))
    image = matplotlib.image.imread(path)
    assert min(image.shape[:2]) > 200
    assert image[..., :3].std() > 0.01

"""Figure 1: bars and cells are the labels, and the script draws real clips."""

import sys

import forked
import matplotlib.image
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from audioset_strong.labels.frame_rule import Event
from audioset_strong.params import LabelFrameParams
from experiments.figure1_plot import (
    COMPLEMENTARY,
    EXPLICIT,
    MAX_ABSENT,
    PRESENT,
    LabelledClip,
    clip_figure,
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
    return LabelledClip(**{**known, **changes})


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


def test_bars_and_cells_are_the_labels():
    weak, strong, framed = clip_figure(_picture()).axes
    assert _bars(weak) == [
        ("/m/late", 0, 10, PRESENT),
        ("/m/weak", 0, 10, PRESENT),
        ("/m/no", 0, 10, EXPLICIT),
    ]
    # By onset, top to bottom.
    rows = [label.get_text() for label in strong.get_yticklabels()]
    assert rows == ["/m/early", "/m/late"]
    assert sorted(_bars(strong)) == [
        ("/m/early", 1.0, 1.5, PRESENT),
        ("/m/late", 5.0, 7.0, PRESENT),
    ]
    cells = {
        (name, round((start + end) / 2 / 0.96 - 0.5)): color
        for name, start, end, color in _bars(framed)
        if end < 9.61
    }
    assert len(cells) == 30
    blue = {cell for cell, color in cells.items() if color == PRESENT}
    assert blue == {("/m/early", 1), ("/m/late", 5), ("/m/late", 6)}
    explicit = {cell for cell, color in cells.items() if color == EXPLICIT}
    assert explicit == {("/m/no", frame) for frame in range(10)}
    others = {cells[cell] for cell in cells.keys() - blue - explicit}
    assert others == {COMPLEMENTARY}
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
    assert ("/m/no", EXPLICIT) in {(bar[0], bar[3]) for bar in _bars(framed)}


def test_many_explicit_negatives_are_cut_and_counted():
    framed = _framed({f"/m/{i}": set() for i in range(MAX_ABSENT + 3)})
    weak, _, cells = clip_figure(_picture(framed=framed)).axes
    assert len(_bars(weak)) == 2 + MAX_ABSENT
    assert "3 more explicit negatives" in cells.get_title(loc="left")


_STRONG_HEAD = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"


def _run(*flags):
    command = [sys.executable, "-m", "experiments.figure1"]
    return forked.run([*command, *flags], capture_output=True, text=True)


def test_with_audio_weak_and_strong_labels(tiny_release, tmp_path):
    done = _run(
        "--segment_id=nukatrain00_30000",
        f"--weak_labels={tiny_release}/weak.csv",
        f"--strong_labels={tiny_release}/strong.tsv",
        f"--class_map={tiny_release}/classes.csv",
        f"--audio_dir={tiny_release}/audio",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 0, done.stderr
    # Two weak labels and three events, as tiny_release.py writes them.
    assert (
        "nukatrain00_30000: 2 weak labels, 3 events, 0 explicit" in done.stdout
    )
    assert "explicit negatives are not known" in done.stderr
    assert matplotlib.image.imread(tmp_path / "figure1.png").std() > 0.01


def test_with_framed_labels_and_without_audio(tmp_path):
    strong = [_STRONG_HEAD, "a_0\t1.000\t2.000\t/m/x"]
    framed = [_STRONG_HEAD + "\tpresent"]
    for i in range(10):
        times = f"a_0\t{0.96 * i:.3f}\t{0.96 * (i + 1):.3f}"
        framed.append(f"{times}\t/m/x\t{'' if i == 1 else 'NOT_'}PRESENT")
        framed.append(f"{times}\t/m/y\tNOT_PRESENT")
    (tmp_path / "S.tsv").write_text("\n".join(strong) + "\n")
    (tmp_path / "F.tsv").write_text("\n".join(framed) + "\n")
    done = _run(
        "--segment_id=a_0",
        f"--strong_labels={tmp_path}/S.tsv",
        f"--framed_labels={tmp_path}/F.tsv",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 0, done.stderr
    assert "a_0: 0 weak labels, 1 events, 1 explicit negatives" in done.stdout
    assert "the spectrogram is left out" in done.stderr
    assert (tmp_path / "figure1.png").stat().st_size > 1000


def test_unknown_clip_names_one_that_exists(tiny_release, tmp_path):
    done = _run(
        "--segment_id=gone_0",
        f"--strong_labels={tiny_release}/strong.tsv",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 2
    assert (
        "such as nukatrain00_30000. Received: --segment_id=gone_0"
        in done.stderr
    )
    assert not list(tmp_path.iterdir())


def test_clip_without_audio_is_an_error(tiny_release, tmp_path):
    done = _run(
        "--segment_id=nuka_gone00_0",
        f"--weak_labels={tiny_release}/weak.csv",
        f"--strong_labels={tiny_release}/strong.tsv",
        f"--audio_dir={tiny_release}/audio",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 2
    assert "Expected the audio of nuka_gone00_0" in done.stderr


def test_real_clip(audioset_labels, strong_excerpts, tmp_path):
    strong = strong_excerpts / "audioset_eval_strong.top110.tsv"
    done = _run(
        "--segment_id=s9d-2nhuJCQ_30000",
        f"--weak_labels={audioset_labels}/eval_segments.csv",
        f"--strong_labels={strong}",
        f"--display_names={audioset_labels}/mid_to_display_name.tsv",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 0, done.stderr
    # 7 mids and 6 lines of this clip in the files, counted with grep.
    assert "7 weak labels, 6 events" in done.stdout

"""The frame_labels command, on hand-written and on released rows."""

import sys

import forked
import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.clips import read_annotated_clips
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import (
    read_explicit_negatives,
    read_framed_labels,
    read_strong_labels,
    write_framed_labels,
)

_STRONG = """segment_id\tstart_time_seconds\tend_time_seconds\tlabel
a_0\t0.000\t1.000\t/m/x
a_0\t9.700\t9.900\t/m/y
"""
_NEGATIVES = "segment_id\tlabel\nb_0\t/m/x\nbroken\n"


def _run(*arguments):
    return forked.run(
        [sys.executable, "-m", "audioset_strong.frame_labels", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_hand_written_labels(tmp_path):
    (tmp_path / "s.tsv").write_text(_STRONG)
    (tmp_path / "n.tsv").write_text(_NEGATIVES)
    arguments = [
        f"--strong_labels={tmp_path / 's.tsv'}",
        f"--explicit_negatives={tmp_path / 'n.tsv'}",
        f"--output={tmp_path / 'framed.tsv'}",
    ]
    stopped = _run(*arguments)
    assert stopped.returncode == 2
    assert "frame_labels: error: " in stopped.stderr
    assert "n.tsv:3: expected 2 tab-separated fields" in stopped.stderr
    assert not (tmp_path / "framed.tsv").exists()

    done = _run(*arguments, "--skip_bad_lines")
    assert done.returncode == 0
    assert "1 label lines were left out" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 (clip, class) pairs reach no label frame")
    assert lines[0].endswith("0 clips have no other labels.")
    assert lines[1].startswith(
        "20 rows of 2 clips and 1 classes, 1 PRESENT and 19 NOT_PRESENT: "
    )
    framed = read_framed_labels(tmp_path / "framed.tsv")
    present = framed[framed["is_present"]]
    assert present.to_numpy().tolist() == [["a_0", 0, "/m/x", True]]


def test_no_event_is_an_error(tmp_path):
    (tmp_path / "s.tsv").write_text(_STRONG.splitlines()[0] + "\n")
    done = _run(
        f"--strong_labels={tmp_path / 's.tsv'}",
        f"--output={tmp_path / 'framed.tsv'}",
    )
    assert done.returncode == 2
    assert "s.tsv names no event, so there is nothing to frame" in done.stderr
    assert not (tmp_path / "framed.tsv").exists()


def test_released_rows(strong_excerpts, audioset_labels, tmp_path):
    reference = strong_excerpts / "audioset_eval_strong_framed_posneg.gun.tsv"
    names = audioset_labels / "mid_to_display_name.tsv"
    done = _run(
        f"--strong_labels={strong_excerpts / 'audioset_eval_strong.gun.tsv'}",
        f"--reference={reference}",
        f"--display_names={names}",
        f"--output={tmp_path / 'framed.tsv'}",
    )
    assert done.returncode == 0, done.stderr
    assert "label lines" not in done.stderr
    [overall] = [s for s in done.stdout.splitlines() if "all classes" in s]
    assert overall.count("807 of 807 (100 %)") == 2
    assert "Gunshot, gunfire (/m/032s66)" in done.stdout
    assert "No label frame differs." in done.stdout
    counts = pd.read_csv(tmp_path / "framed.tsv.agreement.csv")
    assert len(counts) == 3
    assert counts["num_both_present"].sum() == 807


def _own_files(folder):
    (folder / "s.tsv").write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "yard 7\t31.5\t33.0\tdog_bark\n"
        "yard 7\t0.2\t1.4\twren\n"
        "007\t0.1\t2.0\tdog_bark\n"
    )
    (folder / "c.tsv").write_text(
        "segment_id\tduration_seconds\tgroup\n"
        "yard 7\t34.0\tyard\n"
        "still\t14.5\tyard\n"
        "007\t3.0\t\n"
        "click\t0.5\t\n"
    )


def test_clips_of_any_length_and_without_events(tmp_path):
    _own_files(tmp_path)
    strong, clips = f"{tmp_path}/s.tsv", f"{tmp_path}/c.tsv"
    flags = [f"--strong_labels={strong}", f"--output={tmp_path}/f.tsv"]
    done = _run(*flags, f"--clips={clips}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "2 of 4 annotated clips have no event, and are NOT_PRESENT for every "
        "class; 1 are shorter than a label frame."
    )
    # 35 label frames of 2 classes, 15 of 2, 3 of 1. Of the events of 1.5,
    # 1.2 and 1.9 s the first two fill one label frame.
    assert lines[1].startswith("103 rows of 3 clips and 2 classes, 4 PRESENT")
    assert "inside the clip" not in done.stderr
    listed = read_annotated_clips(clips)
    framed = read_framed_labels(tmp_path / "f.tsv", clips=listed)
    pd.testing.assert_frame_equal(
        framed, frame_strong_labels(read_strong_labels(strong), clips=listed)
    )
    assert framed["label_frame"].max() == 34
    # What is not listed has ten label frames.
    with pytest.raises(InputError, match="one of the 10 label frames of 0.96"):
        read_framed_labels(tmp_path / "f.tsv")
    shorter = listed.assign(duration_seconds=[34.0, 14.0, 3.0, 1.0])
    with pytest.raises(InputError, match="one of the 14 label frames of 0.96"):
        read_framed_labels(tmp_path / "f.tsv", clips=shorter)
    # A clip without events is absent from all of its label frames.
    absent = read_explicit_negatives(tmp_path / "f.tsv", clips=listed)
    assert absent.to_numpy().tolist() == [
        ["still", "dog_bark"],
        ["still", "wren"],
    ]

    # Compared with what it wrote; without the list it does not fit.
    again = [*flags, f"--reference={tmp_path}/f.tsv"]
    done = _run(*again, f"--clips={clips}")
    assert "No label frame differs." in done.stdout
    (tmp_path / "c.tsv").write_text("segment_id\tduration_seconds\n007\t3.0\n")
    done = _run(*flags, f"--clips={clips}")
    assert done.returncode == 2
    assert "list of annotated clips of 1; 1 are not: 'yard 7'" in done.stderr
    done = _run(*flags, "--clip_seconds=34")
    assert "105 rows of 2 clips and 2 classes, 4 PRESENT" in done.stdout


def test_label_frames_are_written_from_0_on(tmp_path):
    table = pd.DataFrame(
        [("a", -1, "x", True)],
        columns=["segment_id", "label_frame", "mid", "is_present"],
    )
    with pytest.raises(InputError, match="from 0 on, found -1"):
        write_framed_labels(table, tmp_path / "f.tsv")

"""The frame_labels command, on hand-written and on released rows."""

import subprocess
import sys

import pandas as pd

from audioset_strong.labels.label_files import read_framed_labels

_STRONG = """segment_id\tstart_time_seconds\tend_time_seconds\tlabel
a_0\t0.000\t1.000\t/m/x
a_0\t9.700\t9.900\t/m/y
"""
_NEGATIVES = "segment_id\tlabel\nb_0\t/m/x\nbroken\n"


def _run(*arguments):
    return subprocess.run(
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
    strict = _run(*arguments, "--strict")
    assert strict.returncode == 2
    assert "frame_labels: error: Strict reading allows no" in strict.stderr
    assert "n.tsv:3: expected 2 tab-separated fields" in strict.stderr
    assert not (tmp_path / "framed.tsv").exists()

    done = _run(*arguments)
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

"""The report_coverage binary, and coverage_report.py below it."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from audioset_strong.label_analysis.coverage import (
    cover_sets,
    coverage_lines,
    make_labelled_set,
    per_class_table,
    write_coverage,
)
from audioset_strong.labels.ids import read_clip_list, write_clip_list
from audioset_strong.labels.label_files import read_weak_labels
from audioset_strong.labels.problems import ProblemLog


def _weak_set():
    weak = pd.DataFrame(
        {
            "segment_id": ["a_0", "b_0", "c_0"],
            "mids": [("/m/x", "/m/y"), ("/m/x",), ("/m/z",)],
        }
    )
    return make_labelled_set("w.csv", "weak", weak)


def _framed_set():
    framed = pd.DataFrame(
        [("a_0", 0, "/m/x", True), ("c_0", 0, "/m/x", False)],
        columns=["segment_id", "label_frame", "mid", "is_present"],
    )
    return make_labelled_set("f.tsv", "framed", framed)


def _coverage(present=("a_0", "b_0", "other_0")):
    return cover_sets(
        [_weak_set(), _framed_set()],
        present,
        {"/m/x": "Speech", "/m/z": "Dog, bark"},
        class_map_mids=["/m/z", "/m/unused"],
    )


def test_per_class_table():
    table = per_class_table(_coverage())
    # The class map's classes first, then those of the sets.
    assert table["mid"].tolist() == ["/m/z", "/m/unused", "/m/x", "/m/y"]
    assert table["display_name"].tolist() == ["Dog, bark", "", "Speech", ""]
    weak = table[["w.csv num_clips", "w.csv num_present"]].to_numpy()
    assert weak.tolist() == [[1, 0], [0, 0], [2, 2], [1, 1]]
    np.testing.assert_array_equal(table["w.csv share"], [0, np.nan, 1, 1])
    speech = table[table["mid"] == "/m/x"].iloc[0]
    assert speech["f.tsv num_positives_present"] == 1
    assert speech["f.tsv num_negatives"] == 1
    assert speech["f.tsv num_negatives_present"] == 0


def test_files(tmp_path):
    problems = ProblemLog()
    problems.add("w.csv", 7, "expected something")
    folder = tmp_path / "new" / "folder"
    write_coverage(_coverage(), str(folder), problems, {"num_clips": 2})
    content = json.loads((folder / "coverage.json").read_text())
    assert content["all_clips"] == {
        "num_clips": 3,
        "num_present": 2,
        "share": 0.666667,
    }
    weak, framed = content["sets"]
    assert (weak["name"], weak["kind"], weak["share"]) == (
        "w.csv",
        "weak",
        0.666667,
    )
    assert (weak["num_classes"], weak["num_classes_present"]) == (3, 2)
    assert weak["unevaluable_classes"] == [
        # Of a_0 and b_0 both have x and neither has z.
        {
            "mid": "/m/x",
            "display_name": "Speech",
            "was_evaluable": True,
            "reason": "no negative left",
        },
        {
            "mid": "/m/z",
            "display_name": "Dog, bark",
            "was_evaluable": True,
            "reason": "no positive left",
        },
    ]
    [lost] = framed["unevaluable_classes"]
    assert (lost["mid"], lost["reason"]) == ("/m/x", "no negative left")
    assert content["audio"] == {"num_clips": 2}
    assert content["label_problems"] == ["w.csv:7: expected something"]
    missing = (folder / "missing.csv").read_text()
    assert missing == "segment_id,sets\nc_0,w.csv;f.tsv\n"
    header = (folder / "per_class.csv").read_text().splitlines()[0]
    assert header.startswith("mid,display_name,w.csv num_clips,w.csv num_pres")


def test_text():
    lines = coverage_lines(_coverage())
    words = [line.split() for line in lines[:4]]
    assert words[0][:4] == ["set", "clips", "present", "share"]
    assert words[1] == ["w.csv", "3", "2", "66.7%", "3", "2", "0"]
    assert words[2] == ["f.tsv", "2", "1", "50.0%", "1", "1", "0"]
    assert words[3] == ["all", "distinct", "clips", "3", "2", "66.7%"]
    assert len({len(line) for line in lines[:3]}) == 1  # columns are aligned
    assert lines[5:] == [
        "w.csv, no negative left: Speech",
        "w.csv, no positive left: Dog, bark",
        "f.tsv, no negative left: Speech",
    ]


def test_only_all_is_all():
    weak = pd.DataFrame(
        {
            "segment_id": [f"a_{n}" for n in range(5000)],
            "mids": [("/m/x",)] * 5000,
        }
    )
    labelled = make_labelled_set("w", "weak", weak)

    def percent(num_present):
        present = weak["segment_id"][:num_present].tolist()
        return coverage_lines(cover_sets([labelled], present))[1].split()[3]

    assert percent(5000) == "100.0%"
    assert percent(4999) == ">99.9%"
    assert percent(1) == "<0.1%"
    assert percent(0) == "0.0%"


def test_a_set_without_clips_has_no_share(tmp_path):
    empty = pd.DataFrame({"segment_id": [], "mids": []}, dtype=object)
    coverage = cover_sets([make_labelled_set("w", "weak", empty)], [])
    assert coverage_lines(coverage)[1].split()[:4] == ["w", "0", "0", "-"]
    write_coverage(coverage, str(tmp_path), ProblemLog())
    content = json.loads((tmp_path / "coverage.json").read_text())
    assert content["all_clips"]["share"] is None
    assert (tmp_path / "missing.csv").read_text() == "segment_id,sets\n"


def _run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "audioset_strong.report_coverage", *flags],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def real_copy(audioset_labels, tmp_path_factory):
    """350 files of the first real eval clips by all schemes, and their ids."""
    folder = tmp_path_factory.mktemp("copy")
    weak = read_weak_labels(audioset_labels / "eval_segments.csv")
    first = weak.iloc[:350]
    columns = ("segment_id", "start_seconds", "end_seconds")
    for number, (segment_id, start, end) in enumerate(
        zip(*(first[column] for column in columns))
    ):
        ytid = segment_id[:11]
        names = [
            segment_id,
            f"Y{segment_id}",
            ytid,
            f"Y{ytid}",
            f"{ytid}_{start:g}_{end:g}",
            f"Y{ytid}_{start:.3f}_{end:.3f}",
            f"{ytid}_{start:.3f}",
        ]
        part = folder / f"eval_segments_part{number % 3:02}"
        part.mkdir(exist_ok=True)
        (part / f"{names[number % 7]}.wav").write_text("x")
    (folder / "Yno-such-one.wav").write_text("x")
    return folder, first["segment_id"].tolist()


def test_binary_on_real_labels(
    real_copy, audioset_labels, strong_excerpts, tmp_path
):
    folder, clips = real_copy
    theirs = tmp_path / "theirs.txt"
    write_clip_list([*clips[100:], "zzzzzzzzzzz_0"], theirs, "Theirs.")
    done = _run(
        f"--audio_dir={folder}",
        f"--weak_labels={audioset_labels}/eval_segments.csv",
        f"--strong_labels={strong_excerpts}/audioset_eval_strong.gun.tsv",
        "--framed_labels="
        f"{strong_excerpts}/audioset_eval_strong_framed_posneg.gun.tsv",
        f"--class_map={audioset_labels}/class_labels_indices.csv",
        f"--display_names={audioset_labels}/mid_to_display_name.tsv",
        f"--output_dir={tmp_path}/out",
        f"--write_clips={tmp_path}/ours.txt",
        f"--common_with={theirs}",
    )
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    # 50 files of each of the seven schemes used.
    assert sum(line.endswith(">: 50") for line in lines) == 7
    assert "audio files of no labelled clip: 1, such as Yno-such-one.wav" in (
        lines
    )
    [shares] = [
        line for line in lines if line.startswith("eval_segments.csv 2")
    ]
    assert shares.startswith("eval_segments.csv 20,371 350 1.7% 527 ")
    assert read_clip_list(tmp_path / "ours.txt") == sorted(clips)
    common = read_clip_list(tmp_path / "out" / "common_clips.txt")
    assert common == sorted(clips[100:])
    assert "250 clips are here and in" in done.stdout
    assert "100 only here, 1 only there" in done.stdout
    table = pd.read_csv(tmp_path / "out" / "per_class.csv")
    assert len(table) == 527  # all three classes of the excerpts are in it
    content = json.loads((tmp_path / "out" / "coverage.json").read_text())
    assert content["audio"]["num_clips"] == 350
    assert len(pd.read_csv(tmp_path / "out" / "missing.csv")) == 20371 - 350


def test_binary_on_a_clip_list(audioset_labels, real_copy, tmp_path):
    _, clips = real_copy
    write_clip_list(clips, tmp_path / "clips.txt", "Ours.")
    done = _run(
        f"--clips={tmp_path}/clips.txt",
        f"--weak_labels={audioset_labels}/eval_segments.csv",
        f"--output_dir={tmp_path}/out",
    )
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "coverage.json").read_text())
    assert content["sets"][0]["num_present"] == 350
    assert content["audio"] is None


def test_binary_refuses_what_it_cannot_do(tmp_path):
    done = _run(f"--output_dir={tmp_path}", "--weak_labels=w.csv")
    assert done.returncode == 2
    assert "either --audio_dir or --clips" in done.stderr.splitlines()[-1]

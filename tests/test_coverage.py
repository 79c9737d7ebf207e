"""Coverage of label files, by hand and by loops, and report_coverage."""

import json
import sys

import forked
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.label_analysis.coverage import (
    all_segment_ids,
    cover_set,
    cover_sets,
    coverage_lines,
    make_labelled_set,
    read_labelled_sets,
    write_coverage,
)
from audioset_strong.labels.ids import read_clip_list, write_clip_list
from audioset_strong.labels.label_files import read_weak_labels
from audioset_strong.labels.problems import ProblemLog


def _weak(labels):
    return pd.DataFrame(
        {
            "segment_id": list(labels),
            "start_seconds": 0.0,
            "end_seconds": 10.0,
            "mids": [tuple(mids) for mids in labels.values()],
        }
    )


def _strong(events):
    table = pd.DataFrame(events, columns=["segment_id", "mid"])
    return table.assign(onset_seconds=0.0, offset_seconds=1.0)


def _framed(rows):
    columns = ["segment_id", "label_frame", "mid", "is_present"]
    return pd.DataFrame(rows, columns=columns)


def _counts(covered):
    """Rows of the per-class table: clips, positives, negatives, each there."""
    columns = [
        f"num_{what}{ending}"
        for what in ("clips", "positives", "negatives")
        for ending in ("", "_present")
    ]
    table = covered.per_class[columns]
    assert (table.dtypes == "int64").all()
    return {mid: list(row) for mid, row in zip(table.index, table.to_numpy())}


def _reasons(covered):
    return [tuple(row) for row in covered.unevaluable().to_numpy()]


def test_weak_and_strong_by_hand():
    labels = {"a_0": "xy", "b_0": "x", "c_0": "xz", "d_0": "x", "e_0": ""}
    covered = cover_set(
        make_labelled_set("w.csv", "weak", _weak(labels)), {"a_0", "b_0", "q_0"}
    )
    assert (covered.num_clips, covered.num_present) == (5, 2)
    # a and b are there. Negatives: the clips without the class.
    assert _counts(covered) == {
        "x": [4, 2, 4, 2, 1, 0],
        "y": [1, 1, 1, 1, 4, 1],
        "z": [1, 0, 1, 0, 4, 2],
    }
    # Two events of a class in a clip are one positive clip.
    events = [("a_0", "x"), ("a_0", "x"), ("a_0", "y"), ("b_0", "y")]
    labelled = make_labelled_set("s.tsv", "strong", _strong(events))
    assert _reasons(cover_set(labelled, {"a_0"})) == [
        ("x", True, "no negative left"),
        ("y", False, "never had a negative"),
    ]


def test_framed_by_hand():
    rows = [
        ("a_0", 0, "x", True),
        ("a_0", 1, "x", True),
        ("a_0", 1, "x", True),  # stands twice
        ("a_0", 2, "x", False),
        ("b_0", 0, "x", False),
        ("a_0", 0, "y", True),
        ("b_0", 0, "y", False),
        ("b_0", 0, "z", False),
        ("c_0", 0, "z", True),
        ("b_0", 0, "n", False),
        ("c_0", 0, "p", True),
    ]
    labelled = make_labelled_set("f.tsv", "framed", _framed(rows))
    assert _reasons(cover_set(labelled, {"a_0"})) == [
        ("n", False, "never had a positive; no negative left"),
        ("p", False, "no positive left; never had a negative"),
        ("y", True, "no negative left"),
        ("z", True, "no positive left; no negative left"),
    ]


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a_0", "b_0", "c_0", "d_0"]),
            st.integers(0, 2),
            st.sampled_from("xyz"),
            st.booleans(),
        ),
        max_size=40,
    ),
    present=st.sets(st.sampled_from(["a_0", "b_0", "c_0", "q_0"])),
)
def test_framed_against_loops(rows, present):
    covered = cover_set(
        make_labelled_set("f.tsv", "framed", _framed(rows)), present
    )
    distinct = set(rows)
    expected = {}
    for mid in {row[2] for row in rows}:
        counts = []
        for clips in ({row[0] for row in rows}, present):
            of_mid = [r for r in distinct if r[2] == mid and r[0] in clips]
            positives = [r for r in of_mid if r[3]]
            num_negatives = len(of_mid) - len(positives)
            clips_of_mid = {r[0] for r in positives}
            counts.append([len(clips_of_mid), len(positives), num_negatives])
        expected[mid] = [n for pair in zip(*counts) for n in pair]
    assert _counts(covered) == expected
    # Whoever has all clips has lost no class.
    everything = cover_set(
        make_labelled_set("f.tsv", "framed", _framed(rows)),
        {row[0] for row in rows},
    )
    assert not everything.unevaluable()["was_evaluable"].any()


def test_missing_clips_name_their_sets():
    sets = [
        make_labelled_set("w", "weak", _weak({"b_0": "x", "a_0": "x"})),
        make_labelled_set("s", "strong", _strong([("b_0", "x"), ("c_0", "x")])),
    ]
    assert all_segment_ids(sets).tolist() == ["a_0", "b_0", "c_0"]
    coverage = cover_sets(sets, {"a_0", "z_0"})
    assert coverage.missing.to_numpy().tolist() == [
        ["b_0", "w;s"],
        ["c_0", "s"],
    ]
    assert coverage.num_present == 1
    assert cover_sets(sets, {"a_0", "b_0", "c_0"}).missing.empty
    assert all_segment_ids([]).tolist() == []


def test_sets_are_named_after_files(tmp_path):
    header = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
    line = "abcdefghijk_0\t0.000\t1.000\t/m/x\n"
    paths = [tmp_path / "1" / "s.tsv", tmp_path / "2" / "s.tsv", tmp_path / "t"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(header + line)
    names = [str(path) for path in paths]
    sets = read_labelled_sets({"strong": names}, ProblemLog())
    assert [s.name for s in sets] == [*names[:2], "t"]
    assert {s.kind for s in sets} == {"strong"}


def _coverage():
    weak = _weak({"a_0": ["/m/x", "/m/y"], "b_0": ["/m/x"], "c_0": ["/m/z"]})
    framed = _framed([("a_0", 0, "/m/x", True), ("c_0", 0, "/m/x", False)])
    return cover_sets(
        [
            make_labelled_set("w.csv", "weak", weak),
            make_labelled_set("f.tsv", "framed", framed),
        ],
        {"a_0", "b_0", "other_0"},
        {"/m/x": "Speech", "/m/z": "Dog, bark"},
        class_map_mids=["/m/z", "/m/unused"],
    )


def test_files(tmp_path):
    problems = ProblemLog(skip_bad_lines=True)
    problems.add("w.csv", 7, "expected something")
    folder = tmp_path / "new" / "folder"
    write_coverage(_coverage(), str(folder), problems, {"num_clips": 2})
    content = json.loads((folder / "coverage.json").read_text())
    shares = {"num_clips": 3, "num_present": 2, "share": 0.666667}
    assert content["all_clips"] == shares
    weak, framed = content["sets"]
    assert weak.items() >= {"name": "w.csv", "kind": "weak", **shares}.items()
    assert (weak["num_classes"], weak["num_classes_present"]) == (3, 2)
    # Of a_0 and b_0 both have x and neither has z.
    assert [list(lost.values()) for lost in weak["unevaluable_classes"]] == [
        ["/m/x", "Speech", True, "no negative left"],
        ["/m/z", "Dog, bark", True, "no positive left"],
    ]
    [lost] = framed["unevaluable_classes"]
    assert (lost["mid"], lost["reason"]) == ("/m/x", "no negative left")
    assert content["audio"] == {"num_clips": 2}
    assert content["label_problems"] == ["w.csv:7: expected something"]
    missing = (folder / "missing.csv").read_text()
    assert missing == "segment_id,sets\nc_0,w.csv;f.tsv\n"
    table = pd.read_csv(folder / "per_class.csv", keep_default_na=False)
    assert table.columns[2:4].tolist() == [
        "w.csv num_clips",
        "w.csv num_present",
    ]
    # The class map's classes first, then those of the sets.
    assert table.iloc[:, :5].to_numpy().tolist() == [
        ["/m/z", "Dog, bark", 1, 0, "0.0"],
        ["/m/unused", "", 0, 0, ""],
        ["/m/x", "Speech", 2, 2, "1.0"],
        ["/m/y", "", 1, 1, "1.0"],
    ]
    # One positive label frame of Speech is there, one negative one is not.
    assert table.iloc[2, -4:].tolist() == [1, 1, 1, 0]
    lines = coverage_lines(_coverage())
    assert [line.split()[-6:] for line in lines[1:3]] == [
        ["3", "2", "66.7%", "3", "2", "0"],
        ["2", "1", "50.0%", "1", "1", "0"],
    ]
    assert lines[3].split()[-3:] == ["3", "2", "66.7%"]
    assert len({len(line) for line in lines[:3]}) == 1  # columns are aligned
    assert lines[5:] == [
        "w.csv, no negative left: Speech",
        "w.csv, no positive left: Dog, bark",
        "f.tsv, no negative left: Speech",
    ]


@pytest.mark.parametrize(
    ("kind", "table"),
    [("weak", _weak({})), ("strong", _strong([])), ("framed", _framed([]))],
)
def test_a_set_without_clips_has_no_share(kind, table, tmp_path):
    coverage = cover_sets([make_labelled_set("e", kind, table)], ["a_0"])
    assert coverage_lines(coverage)[1].split()[:4] == ["e", "0", "0", "-"]
    write_coverage(coverage, str(tmp_path), ProblemLog())
    content = json.loads((tmp_path / "coverage.json").read_text())
    assert content["all_clips"]["share"] is None
    assert (tmp_path / "missing.csv").read_text() == "segment_id,sets\n"


def test_only_all_is_all():
    clips = [f"a_{n}" for n in range(5000)]
    table = _weak(dict.fromkeys(clips, ["/m/x"]))
    labelled = make_labelled_set("w", "weak", table)

    def percent(num_present):
        coverage = cover_sets([labelled], clips[:num_present])
        return coverage_lines(coverage)[1].split()[3]

    shown = [percent(number) for number in (5000, 4999, 1, 0)]
    assert shown == ["100.0%", ">99.9%", "<0.1%", "0.0%"]


def _run(*flags):
    command = [sys.executable, "-m", "audioset_strong.report_coverage"]
    return forked.run([*command, *flags], capture_output=True, text=True)


@pytest.mark.slow
def test_binary_on_real_labels(audioset_labels, strong_excerpts, tmp_path):
    weak = read_weak_labels(audioset_labels / "eval_segments.csv")
    clips = weak["segment_id"].tolist()[:350]
    audio = tmp_path / "audio"
    audio.mkdir()
    for number, segment_id in enumerate(clips):
        name = segment_id if number % 7 else f"Y{segment_id[:11]}"
        (audio / f"{name}.wav").write_text("x")
    (audio / "Yno-such-one.wav").write_text("x")
    theirs = tmp_path / "theirs.txt"
    write_clip_list([*clips[100:], "zzzzzzzzzzz_0"], theirs, "Theirs.")
    files = [
        f"--weak_labels={audioset_labels}/eval_segments.csv",
        f"--strong_labels={strong_excerpts}/audioset_eval_strong.gun.tsv",
        f"--class_map={audioset_labels}/class_labels_indices.csv",
        f"--display_names={audioset_labels}/mid_to_display_name.tsv",
    ]
    done = _run(
        f"--audio_dir={audio}",
        *files,
        f"--output_dir={tmp_path}/out",
        f"--write_clips={tmp_path}/ours.txt",
        f"--common_with={theirs}",
    )
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert sum(line.endswith(">: 50") for line in lines) == 1
    unknown = "audio files of no labelled clip: 1, such as Yno-such-one.wav"
    assert unknown in lines
    shares = "eval_segments.csv 20,371 350 1.7% 527 "
    assert any(line.startswith(shares) for line in lines)
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

    # The list stands for the audio, which is then not looked at.
    ours = f"--clips={tmp_path}/ours.txt"
    done = _run(ours, *files, f"--output_dir={tmp_path}/again")
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "again" / "coverage.json").read_text())
    assert again == {**content, "audio": None}


def test_binary_refuses_what_it_cannot_do(tmp_path):
    done = _run(f"--output_dir={tmp_path}", "--weak_labels=w.csv")
    assert done.returncode == 2
    assert "either --audio_dir or --clips" in done.stderr.splitlines()[-1]

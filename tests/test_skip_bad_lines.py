"""Bad label lines stop every command; pipes that close, full disks."""

import os
import pathlib
import subprocess
import sys

import forked
import pytest
from eval_examples import hand_score_file, hand_weak

from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.labels.label_files import write_weak_labels

_ROOT = pathlib.Path(__file__).parents[1]


def _commands(release, folder):
    """Commands by name, each with a label file that has a bad line."""
    write_score_file(hand_score_file(), folder / "S.npz")
    write_weak_labels(hand_weak(), folder / "W.csv")
    with open(folder / "W.csv", "a") as file:
        file.write('zz, 0.000, "/m/x"\n')  # no end
    strong = (release / "strong.tsv").read_text()
    line = strong.splitlines()[1]
    (folder / "T.tsv").write_text(f"{strong}{line.replace('.000', 's')}\n")
    (folder / "N.tsv").write_text("/m/x\tX\n/m/x\tY\n")  # two names
    (folder / "O.json").write_text(
        '[{"id": "/m/04rlf", "name": "Music", "child_ids": []}]'
    )
    prepare = [
        f"--audio_dir={release}/audio",
        f"--class_map={release}/classes.csv",
        f"--output_dir={folder}/out_",
    ]
    weak, strong = f"--weak_labels={folder}/W.csv", f"--strong_labels={folder}"
    return {
        "prepare_records": (*prepare, f"{strong}/T.tsv"),
        "prepare_records eval": (
            *prepare,
            f"--strong_labels={release}/strong.tsv",
            f"--eval_labels={folder}/T.tsv",
        ),
        "prepare_records names": (
            *prepare,
            f"--strong_labels={release}/strong.tsv",
            "--subsume_music",
            f"--ontology={folder}/O.json",
            f"--display_names={folder}/N.tsv",
        ),
        "evaluate": (
            weak,
            f"--scores={folder}/S.npz",
            f"--report_dir={folder}/out_",
        ),
        "mine_candidates": (
            weak,
            f"--scores={folder}/S.npz",
            f"--output={folder}/out_",
        ),
        "analyze_labels": (
            weak,
            f"{strong}/T.tsv",
            f"--output_dir={folder}/out_",
        ),
        "report_coverage": (
            weak,
            f"--audio_dir={release}/audio",
            f"--output_dir={folder}/out_",
        ),
        "select_clips": (weak, f"--output={folder}/out_"),
        "compare_label_spaces": (
            f"--display_names={folder}/N.tsv",
            f"--output_dir={folder}/out_",
        ),
        "frame_labels": (f"{strong}/T.tsv", f"--output={folder}/out_"),
    }


def _run_all(commands, folder, extra):
    """Returns the status, standard error and output path of each command."""
    done = {}
    for name, arguments in commands.items():
        output = folder / f"out_{name.replace(' ', '_')}"
        arguments = [
            a.replace(f"{folder}/out_", str(output)) for a in arguments
        ]
        process = forked.run(
            [sys.executable, "-m", f"audioset_strong.{name.split()[0]}"]
            + [*extra, *arguments],
            cwd=_ROOT,
        )
        done[name] = process.stderr, process.returncode, output
    return done


def test_a_bad_line_stops_before_anything_is_written(tiny_release, tmp_path):
    commands = _commands(tiny_release, tmp_path)
    for name, (errors, status, output) in _run_all(
        commands, tmp_path, []
    ).items():
        assert status == 2, errors
        [line] = [line for line in errors.splitlines() if "error: " in line]
        assert ".tsv:" in line or ".csv:" in line
        assert ": expected " in line
        # Clips of evaluation that are left out would be trained on.
        is_of_eval = name == "prepare_records eval"
        assert ("skip_bad_lines" in line) != is_of_eval
        assert "Traceback" not in errors
        assert not output.exists()


def test_bad_lines_can_be_left_out(tiny_release, tmp_path):
    commands = _commands(tiny_release, tmp_path)
    names = ("evaluate", "select_clips", "frame_labels")
    commands = {name: commands[name] for name in names}
    done = _run_all(commands, tmp_path, ["--skip_bad_lines"])
    for errors, status, output in done.values():
        assert status == 0, errors
        assert "1 label lines were left out:" in errors
        assert output.exists()


def test_a_pipe_that_closes_is_no_error(tmp_path):
    names = "".join(f"/m/{i}\tN{i}\n" for i in range(3000))
    (tmp_path / "N.tsv").write_text(names)
    (tmp_path / "C.csv").write_text("index,mid,display_name\n0,/m/0,A\n")
    command = (
        f"{sys.executable} -m audioset_strong.compare_label_spaces "
        f"--display_names={tmp_path}/N.tsv --class_map={tmp_path}/C.csv "
        f"--output_dir={tmp_path}/out | head -2"
    )
    done = subprocess.run(
        command,
        shell=True,
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2
    assert (tmp_path / "out" / "label_sets.json").exists()


@pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="no /dev/full on this system"
)
def test_a_full_disk_is_one_line(tiny_release):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.frame_labels",
            f"--strong_labels={tiny_release}/strong.tsv",
            "--output=/dev/full",
        ],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith("error: No space left on device\n")

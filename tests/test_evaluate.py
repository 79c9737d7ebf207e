"""The evaluate binary, and file_evaluation.py below it, on real files."""

import json
import subprocess
import sys

import numpy as np
import pytest
from eval_examples import X, Y, Z, hand_framed, hand_score_file, hand_weak

from audioset_strong.errors import InputError
from audioset_strong.evaluation.file_evaluation import evaluate_score_file
from audioset_strong.evaluation.score_files import write_score_file
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.labels.label_files import (
    write_display_names,
    write_framed_labels,
    write_weak_labels,
)


@pytest.fixture
def files(tmp_path):
    write_score_file(hand_score_file(), tmp_path / "S.npz")
    write_framed_labels(hand_framed(), tmp_path / "F.tsv")
    write_weak_labels(hand_weak(), tmp_path / "W.csv")
    write_class_map(
        ClassMap((X, Y, Z), ("Ex", "Why", "Zed")), tmp_path / "C.csv"
    )
    write_display_names([(X, "Strong ex")], tmp_path / "N.tsv")
    return tmp_path


def run_evaluate(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "audioset_strong.evaluate", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_end_to_end(files):
    with open(files / "F.tsv", "a") as file:
        file.write("a broken line\n")
    done = run_evaluate(
        f"--scores={files}/S.npz",
        f"--baseline_scores={files}/S.npz",
        f"--framed_labels={files}/F.tsv",
        f"--weak_labels={files}/W.csv",
        f"--class_map={files}/C.csv",
        f"--display_names={files}/N.tsv",
        "--rank_over=evaluated",
        f"--report_dir={files}/R",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Report: {files}/R/report.html"
    assert "a broken line" in done.stderr
    results = json.loads((files / "R" / "report.json").read_text())
    assert results["strong"]["explicit"]["lwlrap"] == pytest.approx(5 / 6)
    assert results["difference"]["strong"]["explicit"]["d_prime"] == 0
    assert results["label_problems"]["count"] == 1
    csv = (files / "R" / "per_class.csv").read_text()
    assert "strong,explicit,/m/x,Strong ex," in csv
    assert "weak,implied,/m/z,Zed," in csv


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected framed labels, weak labels or both"),
        (["--weak_labels=F.tsv"], "expected the header"),
        (["--weak_labels=none.csv"], "No such file or directory: none.csv"),
        (["--weak_labels=W.csv", "extra"], "Expected flags only"),
    ],
)
def test_bad_input_is_one_line(files, arguments, message):
    arguments = [
        a if "none" in a else a.replace("=", f"={files}/") for a in arguments
    ]
    done = run_evaluate(
        f"--scores={files}/S.npz", f"--report_dir={files}/R", *arguments
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (files / "R").exists()


def test_framed_labels_alone_give_the_strong_eval(files):
    results = evaluate_score_file(files / "S.npz", files / "F.tsv")
    assert set(results["strong"]) == {"explicit", "implied"}
    assert results["weak"] == {}
    assert results["inputs"]["scores"] == str(files / "S.npz")


def test_weak_labels_alone_give_implied_negatives(files):
    results = evaluate_score_file(
        files / "S.npz", weak_labels_path=files / "W.csv"
    )
    assert results["strong"] == {}
    assert set(results["weak"]) == {"implied"}


def test_numbers_of_files_by_hand(files):
    results = evaluate_score_file(
        files / "S.npz", files / "F.tsv", files / "W.csv"
    )
    # As in test_evaluator.py.
    np.testing.assert_allclose(
        [
            results["strong"]["explicit"]["mean_auc"],
            results["strong"]["implied"]["mean_auc"],
            results["weak"]["explicit"]["mean_auc"],
            results["weak"]["implied"]["mean_auc"],
        ],
        [7 / 12, (3 / 4 + 1 / 3) / 2, 0, 0.5],
    )


def test_no_labels(files):
    with pytest.raises(InputError, match="found neither"):
        evaluate_score_file(files / "S.npz")

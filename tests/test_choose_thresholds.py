import dataclasses
import subprocess
import sys

import matplotlib.image
import pandas as pd
import pytest
from eval_examples import X, hand_framed, hand_score_file

from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.evaluation.thresholds import read_threshold_file
from audioset_strong.labels.label_files import (
    write_display_names,
    write_framed_labels,
)


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "audioset_strong.choose_thresholds", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def flags(tmp_path):
    write_score_file(hand_score_file(), tmp_path / "S.npz")
    write_framed_labels(hand_framed(), tmp_path / "F.tsv")
    write_display_names([(X, "Ex")], tmp_path / "N.tsv")
    return [
        f"--scores={tmp_path}/S.npz",
        f"--framed_labels={tmp_path}/F.tsv",
        f"--output={tmp_path}/T.csv",
    ]


def test_thresholds_and_curve(flags, tmp_path):
    done = _run(*flags, f"--display_names={tmp_path}/N.tsv")
    assert done.returncode == 0, done.stderr
    # x and y, as in test_thresholds.py; z has no positives.
    assert (
        "Thresholds of 2 of 3 classes, mean F1 0.667; 5 label frames with "
        "implied negatives: "
    ) in done.stdout
    assert "1 classes get the default threshold 0.5: no pos" in done.stderr
    assert "1 labelled clips are not scored, such as d_0" in done.stderr
    file = read_threshold_file(tmp_path / "T.csv")
    assert file.thresholds[X] == pytest.approx(0.55)
    assert file.settings["scores"] == "S.npz"
    assert file.settings["labels"] == "F.tsv"
    assert file.settings["min_positives"] == 1
    curve = pd.read_csv(tmp_path / "T.csv.reliability.csv")
    assert curve["mid"].iloc[0] == "pooled"
    # Five label frames of three classes.
    assert curve.loc[curve["mid"] == "pooled", "num_items"].sum() == 15
    assert set(curve.loc[curve["mid"] == X, "display_name"]) == {"Ex"}
    picture = matplotlib.image.imread(tmp_path / "T.csv.reliability.png")
    assert picture.std() > 0.01


def test_logits_get_thresholds_and_a_warning(flags, tmp_path):
    score_file = hand_score_file()
    logits = dataclasses.replace(score_file, scores=score_file.scores * 10 - 4)
    write_score_file(logits, tmp_path / "S.npz")
    done = _run(*flags)
    assert done.returncode == 0, done.stderr
    assert "not in [0, 1]: thresholds hold for scores of this" in done.stderr
    file = read_threshold_file(tmp_path / "T.csv")
    assert file.thresholds[X] == pytest.approx(1.5)  # .55 * 10 - 4
    assert not (tmp_path / "T.csv.reliability.csv").exists()
    done = _run(*flags, "--logits")
    assert done.returncode == 0, done.stderr
    file = read_threshold_file(tmp_path / "T.csv")
    # Between the sigmoids of 2 and 1, where .6 and .5 were.
    assert file.thresholds[X] == pytest.approx((0.880797 + 0.731059) / 2)
    assert file.settings["score_notes"] == [
        "logits were turned into probabilities"
    ]
    assert (tmp_path / "T.csv.reliability.csv").exists()


def test_bad_input_is_one_line(flags, tmp_path):
    done = _run(*flags, f"--strong_labels={tmp_path}/F.tsv")
    assert done.returncode == 2
    assert "Expected one of --strong_labels" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "T.csv").exists()

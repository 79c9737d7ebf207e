"""The evaluate_events command, with and without sed_scores_eval."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pandas as pd
import pytest
from test_event_scores import _scores, _strong

from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.labels.label_files import write_strong_labels

_ROOT = pathlib.Path(__file__).parents[1]


def _run(tmp_path, **environment):
    write_score_file(_scores(), tmp_path / "S.npz")
    write_strong_labels(_strong(), tmp_path / "T.tsv")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.evaluate_events",
            f"--scores={tmp_path / 'S.npz'}",
            f"--strong_labels={tmp_path / 'T.tsv'}",
            f"--output_dir={tmp_path / 'out'}",
            "--num_workers=1",
        ],
        cwd=_ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_extra_it_says_what_to_install(tmp_path):
    # A module of that name that cannot be imported, as if it were not there.
    (tmp_path / "sed_scores_eval.py").write_text(
        "raise ModuleNotFoundError('No module', name=__name__)\n"
    )
    done = _run(tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{_ROOT}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("evaluate_events: error: ")
    assert "pip install '.[psds]'" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("sed_scores_eval") is None,
    reason="pip install '.[psds]'",
)
def test_numbers_come_with_their_parameters(tmp_path):
    done = _run(tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "event_scores.txt").read_text()
    assert done.stdout == text
    # Within 20 s one false alarm is 180 an hour, over the 100 that count, so x
    # finds one of its two events and y both: mean 0.75, spread 0.25.
    assert text.startswith("PSDS: 0.5000 (dtc_threshold 0.7, gtc_threshold 0.7")
    assert "alpha_st 1.0" in text
    per_class = pd.read_csv(tmp_path / "out" / "per_class.csv")
    assert per_class["mid"].tolist() == ["/m/x", "/m/y"]

"""The conclusive run on ESC-50's recordings, in small, with real training."""

import json
import pathlib
import subprocess
import sys

import pandas as pd
import pytest

from experiments.table1 import METRICS

_ROOT = pathlib.Path(__file__).parents[1]
_SMALL = [
    "--num_weak_clips=40",
    "--num_strong_clips=30",
    "--num_eval_clips=16",
    "--width=0.03125",
    "--stem_stride=4",
    "--global_batch_size=8",
    "--miner_steps=2",
    "--small_steps=2",
    "--large_steps=2",
    "--fine_tune_steps=2",
    "--checkpoints=1",
    "--num_workers=1",
    "--seeds=0",
    "--large_seeds=0",
    "--sweep_seeds=0",
    "--mus=0.5",
    "--shares=0.6,1",
    "--nice=0",
]


@pytest.mark.slow
def test_a_small_run_is_made_and_gone_on_with(tmp_path, esc50_dir):
    def run(*rows):
        command = [
            sys.executable,
            "-m",
            "experiments.esc50.run",
            "--flagfile=experiments/esc50/run.flags",
            f"--esc50_dir={esc50_dir}",
            f"--output_dir={tmp_path}/run",
            f"--results_dir={tmp_path}/results",
            *_SMALL,
            f"--rows={','.join(rows)}",
        ]
        finished = subprocess.run(
            command, capture_output=True, text=True, cwd=_ROOT
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stderr

    run("weak-small")
    fixed = (tmp_path / "results" / "inputs.json").read_text()
    console = run("weak-small", "plus_strong")
    assert "train_weak-small-seed0: kept." in console
    assert "train_plus_strong-mu0.5-seed0: to be made." in console
    assert (tmp_path / "results" / "inputs.json").read_text() == fixed
    settings = json.loads(fixed)["release"]["params"]
    assert settings["timing"]["mean_classes"] == 3.5
    lines = (tmp_path / "results" / "runs.jsonl").read_text().splitlines()
    runs = [json.loads(line) for line in lines]
    assert [r["point"]["training_set"] for r in runs] == [
        "+ Strong",
        "Weak-small",
    ]
    assert all(r["versions"] for r in runs)
    assert "train_plus_strong-mu0.5-share0.6-seed0: to be made." in console
    lines = (tmp_path / "results" / "strong_share.jsonl").read_text()
    fewer, all_clips = (
        json.loads(line)["values"]["num_strong_clips"]
        for line in lines.splitlines()
    )
    assert 0 < fewer < all_clips
    values = json.loads((tmp_path / "results" / "intervals.json").read_text())
    assert [r["training_set"] for r in values["rows"]] == [
        "Weak-small",
        "+ Strong",
    ]
    for row, run in zip(values["rows"], reversed(runs), strict=True):
        for metric in METRICS:
            found, stated = row["values"][metric], run["values"][metric]
            assert found["mean"] == (stated and pytest.approx(stated, abs=1e-5))
            assert found["seeds"] is None
    priors = json.loads(
        (tmp_path / "results" / "class_priors.json").read_text()
    )
    assert [row["training_set"] for row in priors["rows"]] == [
        "+ Strong",
        "Weak-small",
    ]
    # The chosen point of the sweep is the row.
    (chosen,) = [p for p in priors["points"] if p["mu"] == 0.5]
    for name in ("as_trained", "moved"):
        assert chosen[name] == priors["rows"][0][name]
    classes = pd.read_csv(tmp_path / "results" / "classes.csv")
    assert set(classes["training_set"]) == {"Weak-small", "+ Strong"}

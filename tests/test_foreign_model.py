"""A model that is not ours, from its score tables to the report."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

metrics = pytest.importorskip("sklearn.metrics")


def slow_mean_auc(folder, tables):
    """Mean AUC against implied negatives, from the files alone."""
    labels = folder / "release" / "labels"
    names = pd.read_csv(
        labels / "mid_to_display_name.tsv", sep="\t", names=["mid", "name"]
    )
    framed = pd.read_csv(
        labels / "audioset_eval_strong_framed_posneg.tsv", sep="\t"
    )
    present = framed[framed["present"] == "PRESENT"]
    scores, is_present = [], []
    for path in tables:
        if path.stem not in set(framed["segment_id"]):
            continue
        of_clip = present[present["segment_id"] == path.stem]
        # Four windows are a label frame.
        windows = pd.read_csv(path, sep="\t")[names["name"]].to_numpy()
        scores.append(windows[:40].reshape(10, 4, -1).mean(axis=1))
        starts = of_clip.groupby("label")["start_time_seconds"].agg(set)
        is_present.append(
            [
                [round(0.96 * i, 3) in starts.get(mid, ()) for mid in names.mid]
                for i in range(10)
            ]
        )
    scores, is_present = np.concatenate(scores), np.concatenate(is_present)
    is_evaluable = is_present.any(axis=0)
    return metrics.roc_auc_score(
        is_present[:, is_evaluable],
        scores[:, is_evaluable].astype(np.float32),
        average="macro",
    )


@pytest.mark.slow
def test_from_tables_to_report(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "experiments.foreign_model"),
            "--num_train_clips=12",
            "--num_eval_clips=4",
            "--hidden_units=8",
            f"--output_dir={tmp_path}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tables = sorted((tmp_path / "tables").glob("*.tsv"))
    audio = sorted((tmp_path / "release" / "audio" / "eval").iterdir())
    assert [t.stem for t in tables] == [a.stem for a in audio]
    table = pd.read_csv(tables[0], sep="\t")
    assert list(table.columns[:2]) == ["onset", "offset"]
    assert len(table) == 41  # of 0.24 s in 10 s
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    notes = report["inputs"]["scores_notes"]
    num_classes = len(table.columns) - 2
    assert f"{num_classes} by display name" in notes
    assert "164 windows of 0.240 s in 4 tables" in notes
    assert "pooled by mean onto 40 label frames of 0.96 s" in notes
    np.testing.assert_allclose(
        report["strong"]["implied"]["mean_auc"], slow_mean_auc(tmp_path, tables)
    )
    for evaluation, negatives in (("strong", "explicit"), ("weak", "implied")):
        alignment = report[evaluation][negatives]["alignment"]
        assert alignment["num_clips_evaluated"] == 4
        assert alignment["clips_without_labels"] == []

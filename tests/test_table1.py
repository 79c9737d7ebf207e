import copy
import json
import pathlib
import subprocess
import sys

import pytest
from absl import flags

from audioset_strong.labels.training_sets import get_training_set
from experiments import table1

_ROOT = pathlib.Path(__file__).parents[1]


def _row(training_set, values, paper):
    return {
        "training_set": training_set,
        **dict(zip(table1.METRICS, values)),
        "paper": dict(zip(table1.METRICS, paper)),
    }


def test_rows_are_those_of_the_paper():
    assert [row.training_set for row in table1.ROWS] == [
        "Weak-small",
        "Diffuse-small",
        "Strong-small",
        "Weak-large",
        "+ Diffuse",
        "+ Strong",
    ]
    last = table1.ROWS[-1]
    assert last.paper == (1.28, 0.42, 1.39, 0.47)
    assert last.train == {"mixed_training_set": "strong", "mu": 0.8}
    assert last.starts_from == "Weak-large"
    # The small sets take the same clips.
    small = [row.train["training_set"] for row in table1.ROWS[:3]]
    assert all(get_training_set(name).needs_strong_labels for name in small)


def test_table_has_our_numbers_and_the_papers():
    rows = [_row("Weak-small", (0.5, 0.25, None, 0.125), (0.86, 0.39))]
    assert table1.format_table(rows).splitlines()[-1] == (
        "| Weak-small | 0.50 (0.86) | 0.25 (0.39) | - | 0.12 |"
    )


@pytest.mark.parametrize("path", sorted(_ROOT.glob("experiments/*.flags")))
def test_flagfile_parses(path):
    values = flags.FlagValues()
    for flag in table1._own_flags():
        values[flag.name] = copy.deepcopy(flag)
    assert values(["table1", f"--flagfile={path}"]) == ["table1"]
    assert values["output_dir"].present


def _table1(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "experiments.table1", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=_ROOT,
    )


def test_half_of_the_real_inputs_is_an_error(tmp_path):
    finished = _table1(
        f"--output_dir={tmp_path}", "--train_records_dir=records"
    )
    assert finished.returncode == 2
    assert "--eval_records_dir" in finished.stderr.splitlines()[-1]


def test_evaluation_clips_in_training_records_are_refused(tmp_path):
    for part, clip in (
        ("train", "video-----b_5000"),
        ("eval", "video-----b_0"),
    ):
        (tmp_path / part).mkdir()
        (tmp_path / part / "segment_ids.txt").write_text(f"{part}_0\n{clip}\n")
    finished = _table1(
        f"--output_dir={tmp_path}",
        f"--train_records_dir={tmp_path}/train",
        f"--eval_records_dir={tmp_path}/eval",
        "--eval_weak_labels=W.csv",
        "--eval_framed_labels=F.tsv",
    )
    assert finished.returncode == 2
    message = finished.stderr.splitlines()[-1]
    assert "1 groups of clips" in message
    assert "such as video-----b, are both in" in message
    assert "eval_labels" in message


@pytest.mark.slow
def test_everything_runs_and_runs_again_from_what_is_there(tmp_path):
    arguments = [
        f"--output_dir={tmp_path}",
        "--num_weak_clips=60",
        "--num_strong_clips=60",
        "--num_eval_clips=40",
        "--small_steps=2",
        "--large_steps=2",
        "--fine_tune_steps=2",
        "--miner_steps=2",
        "--global_batch_size=8",
        "--width=0.0625",
        "--stem_stride=4",
    ]
    assert _table1(*arguments).returncode == 0
    first = json.loads((tmp_path / "table1.json").read_text())
    assert len(first["rows"]) == 6
    assert all(metric in first["rows"][0] for metric in table1.METRICS)
    assert _table1(*arguments).returncode == 0
    assert json.loads((tmp_path / "table1.json").read_text()) == first

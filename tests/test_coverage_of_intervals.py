"""The simulation of coverage runs, and goes on where it stopped."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parent.parent


def _run(output_dir, num_sets):
    command = [
        sys.executable, "-m", "experiments.coverage_of_intervals",
        f"--output_dir={output_dir}", f"--num_sets={num_sets}",
        "--num_truth_sets=4", "--num_clips=40", "--populations=dense",
        "--num_far_clips=200", "--num_resamples=39", "--num_processes=1",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    subprocess.run(
        command, check=True, cwd=_ROOT, env=environment, capture_output=True
    )
    lines = (output_dir / "sets.jsonl").read_text().splitlines()
    summary = json.loads((output_dir / "coverage.json").read_text())
    return lines, {row["metric"]: row for row in summary}


@pytest.mark.slow
def test_sets_are_measured_once_and_counted(tmp_path):
    lines, _ = _run(tmp_path, num_sets=2)
    assert len(lines) == 1 + 2 + 4
    more, summary = _run(tmp_path, num_sets=5)
    assert more[: len(lines)] == lines
    assert len(more) == 1 + 5 + 4
    rows = [json.loads(line) for line in more]
    own = [row for row in rows if row["kind"] == "set"]
    true_value = summary["lwlrap"]["truth"]
    held = [
        row["lwlrap_low"] <= true_value <= row["lwlrap_high"] for row in own
    ]
    assert summary["lwlrap"]["num_sets"] == 5
    assert summary["lwlrap"]["coverage"] == sum(held) / 5
    assert summary["lwlrap"]["far"] == rows[0]["lwlrap"]
    # System one is the better by about 0.1 in d'.
    assert 0 < summary["d_prime_difference"]["far"] < 0.3

"""The scripts of examples/ run."""

import pathlib
import re
import subprocess
import sys

import pytest
from eval_examples import hand_framed

from audioset_strong.labels.label_files import write_framed_labels

_ROOT = pathlib.Path(__file__).parents[1]


def _run(name, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, _ROOT / "examples" / f"{name}.py", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    text = pathlib.Path(__file__).read_text()
    for path in (_ROOT / "examples").glob("*.py"):
        assert f'"{path.stem}"' in text


def test_frame_labels(tiny_release, tmp_path):
    said = _run("frame_labels", tiny_release / "strong.tsv", cwd=tmp_path)
    assert " events -> " in said


def test_evaluate_any_model(tmp_path):
    write_framed_labels(hand_framed(), tmp_path / "F.tsv")
    said = _run("evaluate_any_model", "F.tsv", "report", cwd=tmp_path)
    assert "explicit" in said
    assert (tmp_path / "report" / "report.html").exists()


@pytest.mark.slow
def test_read_records(tiny_records_dir, tmp_path):
    said = _run("read_records", tiny_records_dir, cwd=tmp_path)
    assert "patches" in said


@pytest.mark.slow
def test_use_a_model(export_dir, tiny_release, tmp_path):
    audio = sorted((tiny_release / "audio").rglob("*.wav"))
    said = _run("use_a_model", export_dir, audio[0], cwd=tmp_path)
    assert "onset_seconds" in said
    # Such as "Tone      0.02 at 0.96 s".
    assert 0 < len(re.findall(r" [01]\.\d\d at \d+\.\d\d s\n", said)) <= 5

"""Bad input of prepare_records and train ends in one line and status 2.

What the libraries do with bad files is tested module by module.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import forked
import pytest

from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    ModelParams,
    TrainParams,
)
from audioset_strong.records.manifest import read_records
from audioset_strong.training.workdir import RunParams, begin

_ROOT = pathlib.Path(__file__).parents[1]


def _prepare(release, folder, **changed):
    flags = {
        "audio_dir": release / "audio",
        "weak_labels": release / "weak.csv",
        "strong_labels": release / "strong.tsv",
        "class_map": release / "classes.csv",
        "output_dir": folder / "out",
        "num_workers": 1,
        **changed,
    }
    return "prepare_records", flags


def _train(records_dir, workdir, **changed):
    return "train", {"records_dir": records_dir, "workdir": workdir, **changed}


def _commands(release, records_dir, folder):
    """Commands by name; files they need are written below `folder`."""
    (folder / "header.tsv").write_text("segment_id,start,end,label\n")
    strong = (release / "strong.tsv").read_text()
    (folder / "bad_event.tsv").write_text(
        strong + "nukatrain01_30000\t5.000\t4.000\t/m/noise\n"
    )
    (folder / "empty").mkdir()
    truncated = folder / "truncated"
    shutil.copytree(records_dir, truncated)
    shard = next(truncated.glob("weak-*.tfrecord"))
    shard.write_bytes(shard.read_bytes()[:-100])
    records = read_records(records_dir)
    params = RunParams(
        FeatureParams(), LabelFrameParams(), ModelParams(), TrainParams()
    )
    with begin(str(folder / "other"), params, records.class_map):
        pass
    (folder / "ontology.json").write_text(
        '[{"id": "/m/noise", "name": "Noise", "child_ids": ["/m/tone_low"]},'
        ' {"id": "/m/tone_low", "name": "Tone", "child_ids": []}]'
    )
    (folder / "eval.tsv").write_text(
        f"{strong.splitlines()[0]}\nnukatrain02_0\t0.000\t1.000\t/m/noise\n"
    )
    return {
        "no ontology": _prepare(release, folder / "6", subsume_music=True),
        "mapped": _prepare(
            release,
            folder / "7",
            smear_labels=True,
            ontology=folder / "ontology.json",
            eval_labels=folder / "eval.tsv",
        ),
        "no audio": _prepare(release, folder / "1", audio_dir=folder / "none"),
        "header": _prepare(
            release, folder / "2", strong_labels=folder / "header.tsv"
        ),
        "events": _prepare(
            release,
            folder / "3",
            strong_labels=folder / "bad_event.tsv",
            skip_bad_lines=True,
        ),
        "bad event": _prepare(
            release, folder / "10", strong_labels=folder / "bad_event.tsv"
        ),
        "misspelt": _prepare(release, folder / "8", strong_lables="s.tsv"),
        "too much lost": _prepare(release, folder / "9", max_loss=0.05),
        "empty": _train(folder / "empty", folder / "4"),
        "truncated": _train(truncated, folder / "5"),
        "other settings": _train(
            records_dir, folder / "other", learning_rate=0.25
        ),
    }


@pytest.fixture(scope="module")
def run(tiny_release, tiny_records_dir, tmp_path_factory):
    """Runs the command of a name; returns its status and standard error."""
    folder = tmp_path_factory.mktemp("bad_input")
    environment = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    commands = _commands(tiny_release, tiny_records_dir, folder)

    def run(name):
        binary, flags = commands[name]
        # To start TensorFlow takes a process of its own, and its time.
        start = subprocess.run if binary == "train" else forked.run
        done = start(
            [sys.executable, "-m", f"audioset_strong.{binary}"]
            + [f"--{flag}={value}" for flag, value in flags.items()],
            cwd=_ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no audio", "none is not a folder. Give that of the clips"),
        ("bad event", "bad_event.tsv:32: expected an event that ends after"),
        ("header", "header.tsv:1: expected the header"),
        ("no ontology", "subsume_music needs an ontology and display_nam"),
        ("misspelt", "Did you mean --strong_labels? See --help"),
        ("too much lost", "1 of 16 clips (6.2%) are lost, more than max_loss"),
        ("empty", "empty holds no manifest.json"),
        pytest.param("truncated", "bytes, it has", marks=pytest.mark.slow),
        pytest.param(
            "other settings",
            "(train.learning_rate: 0.001 there, 0.25 now)",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_input_ends_in_one_line(run, name, message):
    status, errors = run(name)
    assert status == 2
    assert "Traceback" not in errors
    [line] = [line for line in errors.splitlines() if "error:" in line]
    assert message in line
    assert errors.splitlines()[-1] == line


def test_bad_labels_are_counted_and_reported(run):
    status, errors = run("events")
    assert status == 0, errors
    assert "1 label lines were left out" in errors
    assert "bad_event.tsv:32: expected an event that ends after it" in errors
    # 19 events of a mid outside the class map, in clips that are kept.
    assert "19 events of 1 mids that are not in the class map" in errors
    assert "14 clips written" in errors
    assert "2 clips left out (1 missing, 1 unreadable)" in errors


def test_mapped_labels_without_evaluation_clips(run):
    status, errors = run("mapped")
    assert status == 0, errors
    assert "Positives are also those of all ancestors." in errors
    # Clip 02.
    assert "1 eval_clip" in errors

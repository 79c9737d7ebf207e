"""score_records, and training/scoring.py below it: a run -> a score file."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tiny_release import HELD_OUT

from audioset_strong.errors import InputError
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.models.clip_scores import score_clips
from audioset_strong.records.manifest import read_records
from audioset_strong.training.scoring import write_scores
from audioset_strong.training.workdir import load_classifier, weights_hash

_ROOT = pathlib.Path(__file__).parents[1]


def _check(output, untrained_workdir, tiny_records_dir):
    """Checks a score file of the clips held out and the weak ones."""
    saved = read_scores(output).pool()
    model, _, class_map = load_classifier(untrained_workdir)
    expected = score_clips(
        lambda patches: tf.sigmoid(model(patches, training=False)["logits"]),
        read_records(tiny_records_dir),
        ["held_out", "weak"],
    )
    assert tuple(saved.mids) == class_map.mids
    assert saved.class_map_hash == class_map.content_hash
    assert saved.label_frame_seconds == 0.96
    # What reports say of the scores leads back to the run and the records.
    records_hash = read_records(tiny_records_dir).records_hash
    assert saved.notes[0] == (
        f"made from the best weights {weights_hash(untrained_workdir)} and "
        f"records {records_hash}"
    )
    assert {f"{ytid}_30000" for ytid in HELD_OUT} < set(saved.segment_ids)
    np.testing.assert_array_equal(saved.segment_ids, expected.segment_ids)
    np.testing.assert_array_equal(
        saved.num_label_frames, expected.num_label_frames
    )
    # Half precision is one of the two formats of the file.
    np.testing.assert_allclose(
        saved.scores, expected.padded_scores(10), atol=1e-3
    )


def test_the_file_holds_the_scores_of_the_model(
    untrained_workdir, tiny_records_dir, tmp_path
):
    output = tmp_path / "S.npz"
    write_scores(
        untrained_workdir,
        tiny_records_dir,
        str(output),
        groups=["held_out", "weak"],
    )
    _check(output, untrained_workdir, tiny_records_dir)


@pytest.mark.slow
def test_the_command_writes_the_scores_of_the_model(
    untrained_workdir, tiny_records_dir, tmp_path
):
    output = tmp_path / "S.npz"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.score_records",
            f"--workdir={untrained_workdir}",
            f"--records_dir={tiny_records_dir}",
            "--group=held_out",
            "--group=weak",
            f"--output={output}",
        ],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # Four clips held out, four weak ones; one of these has 4 s of audio.
    assert "8 clips x 10 label frames x 3 classes" in done.stderr
    assert "for the whole label frames of their audio: 1." in done.stderr
    assert "Label frames without a score" not in done.stderr
    # The records have other classes, which the scores do not need.
    assert "class 0 is /m/bell there, /m/tone_low here" in done.stderr
    _check(output, untrained_workdir, tiny_records_dir)


def test_what_does_not_fit_is_refused(
    untrained_workdir, tiny_records_dir, tmp_path
):
    other = pathlib.Path(shutil.copytree(tiny_records_dir, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["features"]["log_offset"] = 0.001
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"log_offset=0\.001.*log_offset=0\.0"):
        write_scores(untrained_workdir, str(other), str(tmp_path / "S.npz"))
    assert not (tmp_path / "S.npz").exists()

    with pytest.raises(InputError, match="has no last checkpoint yet"):
        write_scores(untrained_workdir, str(other), "S.npz", checkpoint="last")

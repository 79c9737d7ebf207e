"""The select_clips command."""

import subprocess
import sys

from audioset_strong.labels.ids import read_clip_list
from audioset_strong.labels.label_files import read_weak_labels


def test_released_labels(audioset_labels, tmp_path):
    path = audioset_labels / "balanced_train_segments.csv"
    output = tmp_path / "clips.txt"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.select_clips",
            f"--weak_labels={path}",
            "--num_per_class=20",
            f"--output={output}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    selected = read_clip_list(output)
    assert done.stdout.startswith(f"{len(selected)} of 22160 clips of 527 ")
    assert "20 to " in done.stdout  # every class has more than 20 clips
    weak = read_weak_labels(path)
    chosen = weak[weak["segment_id"].isin(selected)]
    assert len(chosen) == len(selected)
    assert chosen["mids"].explode().value_counts().min() == 20
    assert (
        "seed 0"
        in output.read_text().splitlines()[0]
        + (output.read_text().splitlines()[1])
    )

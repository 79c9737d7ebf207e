"""The mine_candidates binary, and candidates.py below it."""

import subprocess
import sys

import numpy as np
import pytest
from eval_examples import (
    X,
    hand_score_file,
    hand_weak,
    make_score_file,
    weak_table,
)

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import mine_candidates
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.labels.label_files import write_weak_labels


def test_by_hand():
    candidates, alignment = mine_candidates(hand_score_file(), hand_weak(), 1)
    # Clip scores without each class's own clip, in eval_examples.py: x is
    # highest in b, y ties in a and c (the name decides), z in b.
    assert candidates[["mid", "segment_id", "rank"]].to_numpy().tolist() == [
        ["/m/x", "b_0", 1],
        ["/m/y", "a_0", 1],
        ["/m/z", "b_0", 1],
    ]
    np.testing.assert_allclose(candidates["score"], [0.65, 0.4, 0.3], rtol=1e-6)
    assert alignment.clips_without_labels == ("e_0",)
    assert alignment.clips_not_scored == ("d_0",)


def test_hardest_first_and_fewer_where_fewer_are_left():
    candidates, _ = mine_candidates(hand_score_file(), hand_weak(), 10)
    x = candidates[candidates["mid"] == X]
    assert x["segment_id"].tolist() == ["b_0", "c_0"]
    assert x["rank"].tolist() == [1, 2]
    assert len(candidates) == 6


def test_against_sorting_by_hand():
    rng = np.random.default_rng(5)
    score_file = make_score_file(rng.random((30, 10, 4), dtype=np.float32))
    ids = [str(s) for s in score_file.segment_ids]
    weak = weak_table(
        {s: [f"/m/{c}" for c in range(4) if rng.random() < 0.4] for s in ids}
    )
    listed = dict(zip(weak["segment_id"], weak["mids"], strict=True))
    clip_scores = score_file.clip_scores()
    candidates, _ = mine_candidates(score_file, weak, 5)
    for c in range(4):
        mid = f"/m/{c}"
        others = [
            (-clip_scores[i, c], s)
            for i, s in enumerate(ids)
            if mid not in listed[s]
        ]
        expected = [s for _, s in sorted(others)[:5]]
        mined = candidates.loc[candidates["mid"] == mid, "segment_id"]
        assert mined.tolist() == expected


def test_number_must_be_positive():
    with pytest.raises(InputError, match="1 or more. Received: 0"):
        mine_candidates(hand_score_file(), hand_weak(), 0)


def test_binary(tmp_path):
    write_score_file(hand_score_file(), tmp_path / "S.npz")
    write_weak_labels(hand_weak(), tmp_path / "W.csv")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.mine_candidates",
            f"--scores={tmp_path}/S.npz",
            f"--weak_labels={tmp_path}/W.csv",
            "--num_per_class=1",
            f"--output={tmp_path}/candidates.csv",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 scored clips have no weak labels, such as e_0" in done.stderr
    lines = (tmp_path / "candidates.csv").read_text().splitlines()
    assert lines[0] == "mid,segment_id,score,rank"
    assert lines[2].startswith("/m/y,a_0,0.4")
    assert len(lines) == 4

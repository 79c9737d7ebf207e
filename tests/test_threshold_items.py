import pandas as pd
import pytest
from eval_examples import X, hand_framed, hand_score_file, hand_weak

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import warn_of_gaps
from audioset_strong.evaluation.thresholds import read_threshold_items
from audioset_strong.labels.label_files import (
    write_framed_labels,
    write_strong_labels,
    write_weak_labels,
)


@pytest.fixture
def paths(tmp_path):
    write_framed_labels(hand_framed(), tmp_path / "F.tsv")
    write_weak_labels(hand_weak(), tmp_path / "W.csv")
    strong = pd.DataFrame(
        [("a_0", 0.0, 0.9, X), ("b_0", 1.0, 1.9, X)],
        columns=["segment_id", "onset_seconds", "offset_seconds", "mid"],
    )
    write_strong_labels(strong, tmp_path / "S.tsv")
    return {
        name: tmp_path / file
        for name, file in [
            ("framed_path", "F.tsv"),
            ("weak_path", "W.csv"),
            ("strong_path", "S.tsv"),
        ]
    }


def _read(paths, name, **options):
    return read_threshold_items(
        hand_score_file(), **{name: paths[name]}, **options
    )


def test_framed_labels_give_label_frames(paths, caplog):
    truth = _read(paths, "framed_path")
    # a, b and c have 2, 2 and 1 scored label frames.
    assert truth.settings() == {
        "labels": "F.tsv",
        "items": "label frames",
        "negatives": "implied",
        "num_items": 5,
        "score_range": [
            pytest.approx(0.1),
            pytest.approx(0.8),
        ],
    }
    assert (truth.items.is_positive | truth.items.is_negative).all()
    explicit = _read(paths, "framed_path", negatives="explicit")
    assert explicit.items.is_negative.sum() < truth.items.is_negative.sum()
    warn_of_gaps(truth.items.alignment)
    assert "1 scored clips have no labels, such as e_0" in caplog.text
    assert "1 labelled clips are not scored, such as d_0" in caplog.text
    assert "1 labelled classes are not scored, such as /m/w" in caplog.text


def test_strong_labels_are_framed(paths):
    truth = _read(paths, "strong_path")
    # x: label frame 0 of a (.6), label frame 1 of b (.8).
    is_positive = truth.items.is_positive
    assert is_positive.sum() == 2
    assert truth.items.scores[is_positive].tolist() == pytest.approx([0.6, 0.8])
    # Explicit: complementary negatives only, the other frame of each.
    explicit = _read(paths, "strong_path", negatives="explicit")
    assert explicit.items.is_negative.sum() == 2


def test_weak_labels_give_clips(paths):
    truth = _read(paths, "weak_path")
    assert truth.settings()["items"] == "clips"
    assert truth.settings()["num_items"] == 3
    with pytest.raises(InputError, match="Weak labels mark nothing absent"):
        _read(paths, "weak_path", negatives="explicit")


def test_exactly_one_label_file(paths):
    with pytest.raises(InputError, match="--weak_labels; found 0"):
        read_threshold_items(hand_score_file())
    with pytest.raises(InputError, match="found 3"):
        read_threshold_items(hand_score_file(), **paths)

import doctest

import numpy as np
import pytest
from eval_examples import hand_framed, hand_score_file, hand_weak

from audioset_strong import evaluation
from audioset_strong.errors import InputError
from audioset_strong.evaluation import evaluate
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.labels.label_files import (
    write_framed_labels,
    write_weak_labels,
)


def test_example():
    results = doctest.testmod(evaluate)
    assert results.failed == 0
    assert results.attempted > 5


def test_everything_that_is_exported_is_there():
    for name in evaluation.__all__:
        assert callable(getattr(evaluation, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        evaluation.nothing  # noqa: B018


def test_as_the_files(tmp_path):
    score_file = hand_score_file()
    write_score_file(score_file, tmp_path / "S.npz")
    write_framed_labels(hand_framed(), tmp_path / "F.tsv")
    write_weak_labels(hand_weak(), tmp_path / "W.csv")
    of_files = evaluation.evaluate_files(
        tmp_path / "S.npz", tmp_path / "F.tsv", tmp_path / "W.csv"
    )
    # The same scores in 25 equal frames a label frame.
    scores = np.repeat(score_file.scores, 24, axis=1)
    of_arrays = evaluation.evaluate_arrays(
        scores,
        score_file.segment_ids.tolist(),
        score_file.mids.tolist(),
        frame_seconds=0.04,
        num_frames=(score_file.num_label_frames * 24).tolist(),
        framed_labels=hand_framed(),
        weak_labels=tmp_path / "W.csv",
        baseline=score_file,
        is_on_common_label_frames=True,
    )
    assert len(of_arrays.results) == len(of_files.results) == 6
    for ours, theirs, baseline in zip(
        of_arrays.results,
        of_files.results,
        of_arrays.baseline_results,
        strict=True,
    ):
        assert (ours.evaluation, ours.negatives) == (
            theirs.evaluation,
            theirs.negatives,
        )
        for result in (ours, baseline):
            np.testing.assert_allclose(result.mean_auc, theirs.mean_auc)
            np.testing.assert_allclose(result.lwlrap, theirs.lwlrap)
    assert of_arrays.inputs["scores"] == "an array"


def test_one_clip_of_a_list_and_one_kind_of_negatives():
    score_file = hand_score_file()
    report = evaluation.evaluate_arrays(
        score_file.scores,
        score_file.segment_ids.tolist(),
        ["0", "1", "2"],
        class_map=evaluation_class_map(score_file),
        weak_labels=hand_weak(),
        clips=["a_0", "b_0"],
        negatives=["implied"],
    )
    [result] = report.results
    assert result.num_items == 2
    assert result.per_class["display_name"].tolist()[:3] == ["X", "Y", "Z"]


def evaluation_class_map(score_file):
    from audioset_strong.labels.class_map import ClassMap

    return ClassMap(tuple(score_file.mids.tolist()), ("X", "Y", "Z"))


def test_a_table_of_another_kind():
    score_file = hand_score_file()
    with pytest.raises(InputError, match=r"framed_labels must .* found no \["):
        evaluation.evaluate_arrays(
            score_file.scores,
            score_file.segment_ids.tolist(),
            score_file.mids.tolist(),
            framed_labels=hand_weak(),
        )

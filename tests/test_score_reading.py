import numpy as np
import pytest
from eval_examples import make_score_file
from test_score_tables import HEADER, WRITTEN, write_table

from audioset_strong.errors import InputError
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.scores import write_score_file


def test_a_file_and_a_folder_of_the_same_scores(tmp_path):
    scores = np.random.default_rng(0).random((2, 10, 2)).astype(np.float32)
    write_score_file(
        make_score_file(scores, ["a_0", "b_0"], ["/m/x", "/m/y"]),
        tmp_path / "S.npz",
    )
    (tmp_path / "tables").mkdir()
    for name, of_clip in zip(("a_0", "b_0"), scores, strict=True):
        write_table(
            tmp_path / "tables" / f"{name}.tsv", of_clip, np.arange(11) * 0.96
        )
    for options in ({}, {"is_logits": True}):
        file, folder = (
            read_scores(tmp_path / name, **options)
            for name in ("S.npz", "tables")
        )
        assert file.segment_ids.tolist() == folder.segment_ids.tolist()
        assert file.mids.tolist() == folder.mids.tolist()
        np.testing.assert_allclose(file.scores, folder.scores, rtol=1e-6)


def test_one_table_is_no_folder(tmp_path):
    (tmp_path / "a_0.tsv").write_text(WRITTEN)
    with pytest.raises(InputError, match="found one table. Give the folder"):
        read_scores(tmp_path / "a_0.tsv")


def test_unknown_pooling_is_said_before_reading(tmp_path):
    (tmp_path / "a_0.tsv").write_text(HEADER + "broken")
    with pytest.raises(InputError, match="pooling must be one of"):
        read_scores(tmp_path, pooling="sum")

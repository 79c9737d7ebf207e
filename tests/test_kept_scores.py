import numpy as np
import pytest

from audioset_strong.errors import InputError
from audioset_strong.inference.kept_scores import KeptScores

_RUN = {"model": "m1", "hop_seconds": 0.24, "keeps_embeddings": True}


def _rows(seed, num_rows):
    rng = np.random.default_rng(seed)
    return rng.random((num_rows, 3), np.float32), rng.random(
        (num_rows, 5), np.float32
    )


def _keep(kept, key, seed, num_rows):
    scores, embeddings = _rows(seed, num_rows)
    kept.begin()
    for start in range(0, num_rows, 7):
        part = slice(start, start + 7)
        kept.append(scores[part], embeddings[part])
    kept.finish(key, num_rows / 4, ("silent: no sound",))


def _check(kept, key, seed, num_rows):
    found = kept.find(key)
    scores, embeddings = _rows(seed, num_rows)
    np.testing.assert_array_equal(found.scores.open(), scores)
    np.testing.assert_array_equal(found.embeddings.open(), embeddings)
    np.testing.assert_array_equal(
        np.concatenate(list(found.scores.blocks())), scores
    )
    assert found.audio_seconds == num_rows / 4
    assert found.notes == ("silent: no sound",)


def test_what_is_finished_is_there_again(tmp_path):
    with KeptScores(str(tmp_path), _RUN) as kept:
        _keep(kept, "a\udcff\n1", 1, 1)
        _keep(kept, "b", 2, 9001)
        kept.begin()
        kept.append(*_rows(9, 4))  # and it is killed
    with KeptScores(str(tmp_path), _RUN) as kept:
        _check(kept, "a\udcff\n1", 1, 1)
        assert "b" in kept
        assert "c" not in kept
        assert kept.find("c") is None
        _keep(kept, "c", 3, 20)
    with KeptScores(str(tmp_path), _RUN) as kept:
        for key, seed, num_rows in (("b", 2, 9001), ("c", 3, 20)):
            _check(kept, key, seed, num_rows)


def test_a_recording_that_was_given_up_leaves_nothing(tmp_path):
    with KeptScores(str(tmp_path), _RUN) as kept:
        kept.begin()
        kept.append(*_rows(9, 100))
        _keep(kept, "a", 1, 5)
        _check(kept, "a", 1, 5)
    assert (tmp_path / "scores.bin").stat().st_size == 4 * 5 * 3


@pytest.mark.parametrize("cut", [1, 10, 80])
@pytest.mark.parametrize("name", ["finished.jsonl", "scores.bin"])
def test_files_cut_anywhere_cost_the_last_recording(tmp_path, name, cut):
    with KeptScores(str(tmp_path), _RUN) as kept:
        _keep(kept, "a", 1, 50)
        _keep(kept, "b", 2, 50)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-cut])
    with KeptScores(str(tmp_path), _RUN) as kept:
        _check(kept, "a", 1, 50)
        assert "b" not in kept
        _keep(kept, "b", 2, 50)
    with KeptScores(str(tmp_path), _RUN) as kept:
        _check(kept, "b", 2, 50)


def test_rows_that_never_reached_the_disk_are_noticed(tmp_path):
    with KeptScores(str(tmp_path), _RUN) as kept:
        _keep(kept, "a", 1, 50)
    path = tmp_path / "embeddings.bin"
    path.write_bytes(bytes(path.stat().st_size))
    with KeptScores(str(tmp_path), _RUN) as kept:
        assert "a" not in kept


def test_scores_of_another_run_are_not_used(tmp_path):
    KeptScores(str(tmp_path), _RUN).__exit__(None, None, None)
    with pytest.raises(InputError, match=r"hop_seconds \(0.24, now 0.96\)"):
        KeptScores(str(tmp_path), {**_RUN, "hop_seconds": 0.96})
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="keeps scores with another model"):
        KeptScores(str(tmp_path), _RUN)

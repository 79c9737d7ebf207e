import numpy as np
import pytest
from eval_examples import make_score_file

from audioset_strong.errors import InputError
from audioset_strong.evaluation.score_files import (
    read_score_file,
    write_score_file,
)
from audioset_strong.labels.class_map import ClassMap


def valid_arrays():
    rng = np.random.default_rng(0)
    return {
        "segment_ids": np.array(["a_0", "b_0"]),
        "mids": np.array(["/m/x", "/m/y", "/m/z"]),
        "scores": rng.random((2, 10, 3), dtype=np.float32),
        "label_frame_seconds": np.float64(0.96),
        "num_label_frames": np.array([10, 4]),
    }


def save(tmp_path, **changes):
    arrays = {**valid_arrays(), **changes}
    path = tmp_path / "scores.npz"
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_round_trip(tmp_path, dtype):
    arrays = valid_arrays()
    written = make_score_file(
        arrays["scores"].astype(dtype), ["a_0", "b_0"], None, [10, 4]
    )
    write_score_file(written, tmp_path / "scores.npz")
    read = read_score_file(tmp_path / "scores.npz")
    assert read.scores.dtype == dtype
    for name in ("segment_ids", "mids", "scores", "num_label_frames"):
        np.testing.assert_array_equal(
            getattr(read, name), getattr(written, name)
        )
    assert read.label_frame_seconds == 0.96
    assert [p.name for p in tmp_path.iterdir()] == ["scores.npz"]


def test_reordered_or_renamed_columns_are_refused(tmp_path):
    arrays = valid_arrays()
    written = make_score_file(arrays["scores"], mids=arrays["mids"])
    write_score_file(written, tmp_path / "scores.npz")
    saved = dict(np.load(tmp_path / "scores.npz"))
    assert saved["class_map_hash"] == written.class_map_hash
    class_map = ClassMap(tuple(arrays["mids"]), ("X", "Y", "Z"))
    assert written.class_map_hash == class_map.content_hash
    for mids in (["/m/y", "/m/x", "/m/z"], ["/m/x", "/m/y", "/m/v"]):
        np.savez(tmp_path / "bad.npz", **{**saved, "mids": np.array(mids)})
        with pytest.raises(
            InputError,
            match=f"bad.npz: mids .*{written.class_map_hash}.* again",
        ):
            read_score_file(tmp_path / "bad.npz")


def test_a_file_without_a_hash_is_taken_as_it_is(tmp_path):
    # From other writers; `save` writes none.
    assert read_score_file(save(tmp_path)).mids.tolist() == [
        *("/m/x", "/m/y", "/m/z"),
    ]


def test_without_num_label_frames_all_count(tmp_path):
    score_file = read_score_file(save(tmp_path, num_label_frames=None))
    assert score_file.num_label_frames.tolist() == [10, 10]
    assert score_file.is_scored.all()


def test_float32_label_frame_seconds_are_accepted(tmp_path):
    read_score_file(save(tmp_path, label_frame_seconds=np.float32(0.96)))


def test_clip_scores_are_means_of_scored_label_frames():
    scores = np.zeros((3, 10, 1), dtype=np.float16)
    scores[0, :, 0] = np.arange(10)
    scores[1, :2, 0] = [1, 2]
    scores[1, 2:, 0] = 100  # beyond the audio
    score_file = make_score_file(scores, num_label_frames=[10, 2, 0])
    clip_scores = score_file.clip_scores()
    assert clip_scores.dtype == np.float32
    np.testing.assert_array_equal(clip_scores, [[4.5], [1.5], [np.nan]])


def test_clip_scores_do_not_overflow_float16():
    scores = np.full((1, 10, 1), 60000, dtype=np.float16)
    clip_scores = make_score_file(scores).clip_scores()
    np.testing.assert_allclose(clip_scores, 60000, rtol=1e-3)


def test_nan_beyond_the_audio_is_ignored(tmp_path):
    scores = valid_arrays()["scores"]
    scores[1, 4:] = np.nan
    score_file = read_score_file(save(tmp_path, scores=scores))
    assert np.isfinite(score_file.clip_scores()).all()


def scores_with(value):
    scores = valid_arrays()["scores"]
    scores[1, 3, 2] = value
    return scores


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"scores": scores_with(np.nan)},
            "segment b_0, label frame 3, class /m/z",
        ),
        ({"scores": scores_with(np.inf)}, "must be finite"),
        ({"scores": np.zeros((2, 3))}, r"\[2, 10, 3\], found \[2, 3\]"),
        ({"scores": np.zeros((2, 10, 4))}, r"found \[2, 10, 4\]"),
        ({"scores": np.zeros((2, 9, 3))}, r"found \[2, 9, 3\]"),
        ({"scores": np.zeros((2, 10, 3))}, "found float64"),
        ({"scores": np.zeros((2, 10, 3), int)}, "found int64"),
        ({"segment_ids": np.array(["a_0", "a_0"])}, "such as 'a_0'"),
        ({"mids": np.array(["/m/x", "/m/y", "/m/x"])}, "such as '/m/x'"),
        ({"mids": np.arange(3)}, "1-D array of str"),
        ({"segment_ids": None}, r"found no \['segment_ids'\]"),
        ({"label_frame_seconds": np.float64(1.0)}, "must be 0.96, found 1.0"),
        ({"label_frame_seconds": np.float64(np.nan)}, "must be 0.96"),
        ({"label_frame_seconds": np.ones(2)}, "must be one number"),
        ({"num_label_frames": np.array([10, 11])}, r"must lie in \[0, 10\]"),
        ({"num_label_frames": np.array([10])}, r"int \[num_clips\] = \[2\]"),
        ({"num_label_frames": np.ones(2)}, "of float64"),
        ({"class_map_hash": np.array(["0" * 16])}, "expected 0000000000000000"),
        ({"class_map_hash": np.zeros(2)}, "class_map_hash must be one str"),
        ({"segment_ids": np.array(["a", None])}, "cannot be read as one"),
    ],
)
def test_bad_arrays(tmp_path, changes, message):
    path = save(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as error:
        read_score_file(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"text, not an archive", b"PK\x03\x04 broken"]
)
def test_not_an_npz(tmp_path, content):
    path = tmp_path / "scores.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a score file"):
        read_score_file(path)


def test_single_array_is_not_a_score_file(tmp_path):
    np.save(tmp_path / "scores.npy", np.zeros(3))
    with pytest.raises(InputError, match="a single array"):
        read_score_file(tmp_path / "scores.npy")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_score_file(tmp_path / "none.npz")

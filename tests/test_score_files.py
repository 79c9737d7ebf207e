import subprocess
import sys

import numpy as np
import pytest
from eval_examples import make_score_file
from test_score_classes import KNOWN

from audioset_strong.errors import InputError
from audioset_strong.evaluation.scores import read_score_file, write_score_file
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


def test_many_clips_are_checked_and_pooled_in_parts():
    rng = np.random.default_rng(7)
    scores = rng.random((700, 10, 3), dtype=np.float32)
    counts = rng.integers(1, 11, 700)
    score_file = make_score_file(scores, num_label_frames=counts)
    expected = [s[:n].mean(axis=0) for s, n in zip(scores, counts, strict=True)]
    np.testing.assert_allclose(score_file.clip_scores(), expected, rtol=1e-5)
    scores[300, counts[300] - 1, 1] = np.nan
    scores[650, 0, 0] = np.inf
    scores[2, counts[2] :] = np.inf
    with pytest.raises(
        InputError,
        match=f"found 2 NaN or infinite, the first for segment clip300_0, "
        f"label frame {counts[300] - 1}, class /m/1",
    ):
        make_score_file(scores, num_label_frames=counts)


def test_large_scores_are_mapped(tmp_path):
    scores = np.random.default_rng(0).random((100, 10, 300), dtype=np.float32)
    written = make_score_file(scores)
    write_score_file(written, tmp_path / "S.npz")
    read = read_score_file(tmp_path / "S.npz")
    assert isinstance(read.scores.base, np.memmap)
    np.testing.assert_array_equal(read.scores, scores)
    np.testing.assert_array_equal(read.clip_scores(), written.clip_scores())


def test_columns_by_index_or_name(tmp_path):
    indices = save(tmp_path, mids=None, class_indices=np.array([2, 0, 1]))
    read = read_score_file(indices, KNOWN)
    assert read.mids.tolist() == ["/m/c", "/m/a", "/m/b"]
    assert read.notes == ("classes: 3 of 3 columns (3 by class index)",)
    names = np.array(["Bark (dog)", "Drum", "Speech"])
    read = read_score_file(save(tmp_path, mids=None, class_names=names), KNOWN)
    assert read.mids.tolist() == ["/m/b", "/m/a"]
    np.testing.assert_array_equal(
        read.scores, valid_arrays()["scores"][:, :, [0, 2]]
    )
    assert "1 unknown and left out: 'Drum'" in read.notes[0]


@pytest.mark.slow
def test_release_size_fits_in_2_gb(tmp_path):
    # Two systems with all kinds of negatives, in a process of its own.
    done = subprocess.run(
        [sys.executable, "-c", _RELEASE_SIZE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 2 * 1024**2  # KiB


_RELEASE_SIZE = """
import resource, subprocess, sys
import numpy as np, pandas as pd
from audioset_strong.evaluation import evaluate_files, make_score_file
from audioset_strong.evaluation.score_files import ScoreFile, write_score_file
from audioset_strong.labels.label_writers import write_framed_labels

folder, is_child = sys.argv[1], len(sys.argv) > 2
if is_child:
    evaluate_files(folder + "/S.npz", folder + "/F.tsv",
                   baseline_scores_path=folder + "/S.npz")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    sys.exit()
rng = np.random.default_rng(0)
ids = np.array([f"clip{i:05d}_0" for i in range(16996)])
mids = np.array([f"/m/{i}" for i in range(527)])
write_score_file(ScoreFile(
    segment_ids=ids, mids=mids,
    scores=rng.random((16996, 10, 527), dtype=np.float32),
    num_label_frames=np.full(16996, 10)), folder + "/S.npz")
pairs = np.sort(rng.permutation(14203 * 527)[:95853])
rows = np.repeat(pairs, 10)
write_framed_labels(pd.DataFrame({
    "segment_id": ids[rows // 527].astype(object),
    "label_frame": np.tile(np.arange(10), pairs.size),
    "mid": mids[rows % 527].astype(object),
    "is_present": rng.random(rows.size) < 0.31}), folder + "/F.tsv")
code = sys.orig_argv[sys.orig_argv.index("-c") + 1]
subprocess.run([sys.executable, "-c", code, folder, "child"], check=True)
"""


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
        ({"mids": None}, "found no .'mids or class_names or class_indices'"),
        (
            {"class_names": np.array(["a"])},
            "Expected one of .* found .'mids', ",
        ),
        (
            {"mids": None, "class_names": np.arange(3)},
            "class_names must be a 1-D array of str, found shape .3. of int64",
        ),
        (
            {"mids": None, "class_indices": np.arange(3.0)},
            "class_indices must be a 1-D array of int",
        ),
        (
            {"mids": None, "class_indices": np.arange(3)},
            "'0', '1', '2'.*give --class_map",
        ),
        (
            {"mids": None, "class_names": np.array(["/m/x", "no"])},
            r"with 2 classes, found \[2, 10, 3\]",
        ),
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

"""Score files, arrays, the classes of columns, and pooling."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from eval_examples import (
    X,
    evaluate_strong,
    evaluate_weak,
    framed_table,
    make_score_file,
    weak_table,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from audioset_strong.errors import InputError
from audioset_strong.evaluation.native_scores import read_score_file
from audioset_strong.evaluation.score_arrays import make_scores
from audioset_strong.evaluation.scores import (
    as_probabilities,
    find_classes,
    mean_scores,
    pool_onto_label_frames,
    warn_unless_probabilities,
    write_score_file,
)
from audioset_strong.labels.class_map import (
    ClassMap,
    KnownClasses,
    read_class_map,
    read_known_classes,
    write_class_map,
)
from audioset_strong.labels.clips import make_clips_table
from audioset_strong.labels.label_files import (
    read_display_names,
    write_display_names,
)

CLASS_MAP = ClassMap(
    ("/m/a", "/m/b", "/m/c"), ("Speech", "Bark", "Chirp, tweet")
)
KNOWN = KnownClasses(CLASS_MAP, {"/m/b": "Bark (dog)", "/t/d": "Noise"})


def test_every_kind():
    # 2 is /m/c; Bark and Bark (dog) are names of one class.
    found = find_classes(["Noise", "2", "/m/zz", "Bark (dog)"], KNOWN)
    assert found.mids == ("/t/d", "/m/c", "/m/zz", "/m/b")
    assert found.columns == (0, 1, 2, 3)
    assert found.num_by_kind == {
        "display name": 2,
        "class index": 1,
        "mid": 1,
    }
    assert found.missing == ("/m/a",)
    assert found.describe() == (
        "4 of 4 columns (2 by display name, 1 by class index, 1 by mid); "
        "1 classes of the class map without a column: '/m/a'"
    )


def test_unknown_columns_are_left_out_and_listed(caplog):
    columns = ["Speech", "other", "speech", "3", "Chirp, tweet", "x", "y"]
    found = find_classes(columns, KNOWN)
    # Names are taken as they are written; there is no class 3.
    assert found.mids == ("/m/a", "/m/c")
    assert found.columns == (0, 4)
    assert found.unknown == ("other", "speech", "3", "x", "y")
    assert "5 unknown and left out: 'other', 'speech', '3'," in caplog.text
    # The log names five of them, the report all.
    many = find_classes(["Speech", *(f"u{i}" for i in range(9))], KNOWN)
    assert "'u4' and 4 more" in caplog.text
    assert "'u8'" in many.describe()


@pytest.mark.parametrize(
    ("columns", "known", "message"),
    [
        (["Speech", "Bark"], KnownClasses(), "2 columns .*give a class map"),
        (["dog", "9"], KNOWN, "'dog', '9'.*Give those of the model"),
        (["Speech", "/m/a"], KNOWN, "'Speech' and '/m/a', which are both /m/a"),
        (
            ["Hum"],
            KnownClasses(ClassMap(("/m/x", "/m/y"), ("Hum", "Hum"))),
            "'Hum', which is both /m/x and /m/y",
        ),
        (
            # One name, another class in either file.
            ["Speech"],
            KnownClasses(CLASS_MAP, {"/m/new": "Speech"}),
            "'Speech', which is both /m/a and /m/new",
        ),
    ],
)
def test_bad_columns(columns, known, message):
    with pytest.raises(InputError, match=message) as error:
        find_classes(columns, known)
    assert "\n" not in str(error.value)


OWN = ClassMap(("dog_bark", "wren", "4"), ("Dog", "Winter wren", "Car"))


def test_ids_of_ones_own_are_ids(caplog):
    columns = ["wren", "Car", "dog_bark"]
    found = find_classes(columns, KnownClasses(OWN))
    assert found.mids == ("wren", "4", "dog_bark")
    assert found.num_by_kind == {"mid": 2, "display name": 1}
    # Without a class map, those of the labels are known.
    labelled = KnownClasses(labelled_mids=frozenset(columns))
    assert find_classes(["dog_bark", "wren", "x"], labelled).mids == (
        "dog_bark",
        "wren",
    )
    assert "1 unknown and left out: 'x'" in caplog.text
    assert find_classes(["4"], KnownClasses(OWN)).mids == ("4",)


@pytest.mark.parametrize(
    ("columns", "known", "message"),
    [
        (
            ["wren"],
            KnownClasses(),
            "give a class map for class indices and your",
        ),
        # Class 2 is "4", and "1" is the id of class 0.
        (
            ["1"],
            KnownClasses(ClassMap(("1", "wren", "4"), ("a", "b", "c"))),
            "'1', which is both 1 and wren",
        ),
        # One class has the name that is another's id.
        (
            ["wren"],
            KnownClasses(ClassMap(("wren", "x"), ("Bird", "wren"))),
            "'wren', which is both wren and x. Name that column by its mid",
        ),
        (
            ["dog  bark", "owl"],
            KnownClasses(labelled_mids=frozenset(["dog_bark"])),
            "'dog  bark' has a space, which ids .* Did you mean 'dog_bark'?",
        ),
        (["winter owl"], KnownClasses(OWN), "'winter owl' has a space"),
    ],
)
def test_bad_columns_of_ones_own(columns, known, message):
    with pytest.raises(InputError, match=message) as error:
        find_classes(columns, known)
    assert "\n" not in str(error.value)


def test_an_id_with_a_space_is_named(tmp_path, caplog):
    path = save(tmp_path, mids=np.array(["dog_bark", "winter wren", "z"]))
    with pytest.raises(InputError, match="without space.*'winter wren'"):
        read_score_file(path)
    found = find_classes(["wren", "dog bark"], KnownClasses(OWN))
    assert found.mids == ("wren",)
    assert "'dog bark' has a space" in caplog.text
    assert "Did you mean 'dog_bark'?" in caplog.text


def test_files_or_what_they_hold(tmp_path):
    write_class_map(CLASS_MAP, tmp_path / "C.csv")
    write_display_names([("/m/b", "Bark (dog)")], tmp_path / "N.tsv")
    read = read_known_classes(tmp_path / "C.csv", str(tmp_path / "N.tsv"))
    given = read_known_classes(CLASS_MAP, {"/m/b": "Bark (dog)"})
    assert (
        read.name_of_mid
        == given.name_of_mid
        == {
            "/m/a": "Speech",
            "/m/b": "Bark (dog)",
            "/m/c": "Chirp, tweet",
        }
    )
    assert read_known_classes(None, None).name_of_mid == {}


def test_real_names_are_of_one_class_each(audioset_labels):
    class_map = read_class_map(audioset_labels / "class_labels_indices.csv")
    names = read_display_names(audioset_labels / "mid_to_display_name.tsv")
    known = KnownClasses(class_map, names)
    by_name = find_classes(list(names.values()), known)
    assert by_name.mids == tuple(names)
    by_index = find_classes([str(i) for i in range(527)], known)
    assert by_index.mids == class_map.mids
    # 74 strong classes are outside the 527.
    assert len(set(by_name.mids) - set(by_index.mids)) == 74


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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_round_trip(tmp_path, dtype):
    arrays = valid_arrays()
    written = make_score_file(
        arrays["scores"].astype(dtype), ["a_0", "b_0"], None, [10, 4]
    )
    write_score_file(written, tmp_path / "scores.npz")
    read = read_score_file(tmp_path / "scores.npz").pool()
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


def test_without_num_label_frames_all_count(tmp_path):
    # Other writers: without a hash, with 0.96 as float32.
    path = save(
        tmp_path, num_label_frames=None, label_frame_seconds=np.float32(0.96)
    )
    score_file = read_score_file(path).pool()
    assert score_file.num_label_frames.tolist() == [10, 10]
    assert score_file.is_scored.all()


def test_clip_scores_are_means_of_scored_label_frames():
    scores = np.zeros((3, 10, 1), dtype=np.float16)
    scores[0, :, 0] = np.arange(10)
    scores[1, :2, 0] = [1, 2]
    scores[1, 2:, 0] = 100  # beyond the audio
    score_file = make_score_file(scores, num_label_frames=[10, 2, 0])
    clip_scores = score_file.clip_scores
    assert clip_scores.dtype == np.float64
    np.testing.assert_array_equal(clip_scores, [[4.5], [1.5], [np.nan]])


def test_clip_scores_do_not_overflow_float16():
    scores = np.full((1, 10, 1), 60000, dtype=np.float16)
    clip_scores = make_score_file(scores).clip_scores
    np.testing.assert_allclose(clip_scores, 60000, rtol=1e-3)


def test_many_clips_are_checked_and_pooled_in_parts():
    rng = np.random.default_rng(7)
    scores = rng.random((700, 10, 3), dtype=np.float32)
    counts = rng.integers(1, 11, 700)
    score_file = make_score_file(scores, num_label_frames=counts)
    expected = [s[:n].mean(axis=0) for s, n in zip(scores, counts, strict=True)]
    np.testing.assert_allclose(score_file.clip_scores, expected, rtol=1e-5)
    scores[300, counts[300] - 1, 1] = np.nan
    scores[650, 0, 0] = np.inf
    scores[2, counts[2] :] = np.inf
    with pytest.raises(
        InputError,
        match=f"found 2 NaN or infinite, the first for segment clip300_0, "
        f"label frame {counts[300] - 1}, class /m/1",
    ):
        make_score_file(scores, num_label_frames=counts)


def test_columns_by_index_or_name(tmp_path):
    indices = save(tmp_path, mids=None, class_indices=np.array([2, 0, 1]))
    read = read_score_file(indices, KNOWN).pool()
    assert read.mids.tolist() == ["/m/c", "/m/a", "/m/b"]
    assert read.notes == ("classes: 3 of 3 columns (3 by class index)",)
    names = np.array(["Bark (dog)", "Drum", "Speech"])
    path = save(tmp_path, mids=None, class_names=names)
    read = read_score_file(path, KNOWN).pool()
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
from audioset_strong.evaluation import evaluate, read_scores
from audioset_strong.evaluation import read_truth
from audioset_strong.evaluation.scores import LabelFrameScores, write_score_file
from audioset_strong.labels.label_files import write_framed_labels

folder, is_child = sys.argv[1], len(sys.argv) > 2
if is_child:
    ours, theirs = (read_scores(folder + "/S.npz") for _ in range(2))
    evaluate(ours, read_truth(folder + "/F.tsv"), baseline=theirs)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    sys.exit()
rng = np.random.default_rng(0)
ids = np.array([f"clip{i:05d}_0" for i in range(16996)])
mids = np.array([f"/m/{i}" for i in range(527)])
write_score_file(LabelFrameScores(
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
            "segment b_0, frame 3, class /m/z",
        ),
        ({"scores": np.zeros(3)}, r"\[2, 1 or more, 3\], or .* found \[3\]"),
        ({"scores": np.zeros((2, 10, 3), int)}, "float64, found int64"),
        ({"segment_ids": np.array(["a_0", "a_0"])}, "such as 'a_0'"),
        ({"mids": np.arange(3)}, "1-D array of str"),
        ({"segment_ids": None}, r"found no \['segment_ids'\]"),
        ({"mids": None}, r"found no \['mids'\]"),
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
            {"mids": None, "class_names": np.array(["/m/x", "no"])},
            r"must have 2 classes .* found \[2, 10, 3\]",
        ),
        ({"label_frame_seconds": np.float64(-1.0)}, "above 0, found -1.0"),
        ({"label_frame_seconds": np.float64(np.nan)}, "above 0"),
        ({"frame_seconds": np.float64(0.96)}, "found both"),
        ({"label_frame_seconds": np.ones(2)}, "must be one number"),
        ({"num_label_frames": np.array([10, 11])}, r"must lie in \[0, 10\]"),
        ({"num_label_frames": np.array([10])}, r"int \[num_clips\] = \[2\]"),
        ({"class_map_hash": np.array(["0" * 16])}, "expected 0000000000000000"),
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


class Tensor:
    """What NumPy sees of a PyTorch tensor on the CPU."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


def test_frames_of_40_ms(caplog):
    scores = np.random.default_rng(0).random((3, 250, 2))
    made = make_scores(
        Tensor(scores),
        ["a_0", "b_0", "c_0"],
        ["/m/x", "/m/y"],
        frame_seconds=0.04,
    )
    # Nothing is narrowed or copied.
    assert np.shares_memory(made.scores, scores)
    with caplog.at_level("INFO", logger="absl"):
        score_file = made.pool()
    np.testing.assert_allclose(
        score_file.scores,
        scores[:, :240].reshape(3, 10, 24, 2).mean(axis=2),
        rtol=1e-14,
    )
    assert score_file.num_label_frames.tolist() == [10, 10, 10]
    note = (
        "750 frames of 0.04 s in 3 clips, pooled by mean onto 30 label frames "
        "of 0.96 s; what is after the last whole one was not used, 0.4 s of "
        "the typical clip"
    )
    assert note in score_file.notes
    assert note in caplog.text


def test_padding_is_not_looked_at():
    scores = np.full((300, 20, 1), np.nan)
    counts = np.arange(300) % 21
    for clip, count in enumerate(counts):
        scores[clip, :count] = clip
    score_file = make_scores(
        scores,
        [f"{clip}_0" for clip in range(300)],
        ["/m/x"],
        frame_seconds=0.48,
        num_frames=counts.tolist(),
        audio_seconds=[9.6] * 300,
    ).pool()
    # Half of a label frame is enough.
    expected = (counts + 1) // 2
    np.testing.assert_array_equal(score_file.num_label_frames, expected)
    for clip in range(300):
        assert (score_file.scores[clip, : expected[clip]] == clip).all()
        assert not score_file.scores[clip, expected[clip] :].any()


def test_uneven_frames_and_max():
    scores = np.array([[[0.2], [0.9], [0.4]]])
    score_file = make_scores(
        scores, ["a_0"], ["/m/x"], edges_seconds=[0, 0.5, 1.5, 2.88]
    ).pool("max")
    np.testing.assert_array_equal(score_file.scores[0, :, 0], [0.9, 0.9, 0.4])


def test_logits_of_classes_by_index_or_name():
    logits = np.array([[[0.0, 20.0, -20.0]] * 10], dtype=np.float16)
    by_index = make_scores(logits, ["a_0"], [2, 0, 1], known=KNOWN)
    assert by_index.mids.tolist() == ["/m/c", "/m/a", "/m/b"]
    names = ["Bark", "??", "Speech"]
    some = make_scores(logits, ["a_0"], names, known=KNOWN, is_logits=True)
    assert some.mids.tolist() == ["/m/b", "/m/a"]
    assert some.scores[0].tolist() == [0, -20]


GOOD = np.zeros((2, 20, 2))


def with_score(value):
    scores = GOOD.copy()
    scores[1, 7, 0] = value
    return scores


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (GOOD[0], {}, r"2 segment_ids and 2 classes, found \[20, 2\]"),
        (GOOD.astype(int), {}, "of int64"),
        (with_score(np.nan), {}, "first for segment b_0, frame 7, class /"),
        (with_score(np.inf), {}, "if frames are padded"),
        (GOOD.astype(np.longdouble), {}, "found float128"),
        (GOOD, {"frame_seconds": 0}, "above 0, found 0"),
        (GOOD, {"edges_seconds": [0, 1]}, r"= \[21\] numbers"),
        (GOOD, {"edges_seconds": np.arange(21) + 1.0}, "ascending from 0"),
        (GOOD, {"num_frames": [20, 21]}, r"in \[0, 20\], found 20 to 21"),
        (GOOD, {"num_frames": [1.5, 2]}, "of float64"),
        (GOOD, {"window_seconds": 0.4}, "must be 0.48 or more"),
    ],
)
def test_score_arrays_bad_arrays(scores, options, message):
    with pytest.raises(InputError, match=message):
        make_scores(
            scores,
            ["a_0", "b_0"],
            ["/m/x", "/m/y"],
            **{"frame_seconds": 0.48, **options},
        )


def logit_file(seed=0):
    rng = np.random.default_rng(seed)
    return make_score_file(
        rng.normal(scale=4, size=(6, 10, 3)).astype(np.float32),
        mids=[X, "/m/y", "/m/z"],
    )


def test_what_is_the_same_and_what_is_not():
    logits = logit_file()
    of_logits = dataclasses.replace(logits, is_logits=True)
    probabilities = dataclasses.replace(
        logits, scores=as_probabilities(logits.scores, is_logits=True)
    )
    framed = framed_table(
        {(f"clip{i}_0", X): {i, i + 1, i + 2} for i in range(6)}
    )
    strong = [
        evaluate_strong(s, framed) for s in (logits, of_logits, probabilities)
    ]
    assert strong[0].mean_auc == strong[1].mean_auc == strong[2].mean_auc
    assert strong[0].lwlrap == strong[1].lwlrap == strong[2].lwlrap
    np.testing.assert_allclose(
        expit(of_logits.clip_scores), probabilities.clip_scores, rtol=1e-12
    )
    # Means of logits order some clips in another way.
    weak = weak_table({f"clip{i}_0": [X] if i % 2 else [] for i in range(6)})
    is_same = []
    for seed in range(10):
        file = logit_file(seed)
        auc, as_logits = (
            evaluate_weak(
                dataclasses.replace(file, is_logits=is_logits), weak
            ).mean_auc
            for is_logits in (False, True)
        )
        is_same.append(auc == as_logits)
    assert not all(is_same)


def test_means_of_logits_do_not_saturate():
    # float32 has one probability for all of them, float64 for most.
    logits = np.array([[30, 20], [40, 20], [50, 20], [90, -900]], np.float32)
    mean = mean_scores(logits[:, :1], np.ones(4), is_logits=True)
    # The mean of 1 - p is about (e**-30 + e**-40 + ...) / 4.
    np.testing.assert_allclose(mean, 30 + np.log(4) - np.exp(-10), rtol=1e-9)
    less = mean_scores(logits[1:, :1], np.ones(3), is_logits=True)
    least = mean_scores(logits[2:, :1], np.ones(2), is_logits=True)
    assert mean[0] < less[0] < least[0]
    for is_logits in (True, False):
        equal = mean_scores(logits[:3, 1:], np.full(3, 0.1), is_logits)
        assert equal.tolist() == [20]


def test_means_keep_what_differs_in_the_last_bit():
    # Of float32 close to 1, and of many equal ones.
    high = np.ones((24, 1), np.float32)
    lower = high.copy()
    lower[7] = np.nextafter(np.float32(1), np.float32(0))
    weights = np.full(24, 0.04)
    assert mean_scores(high, weights)[0] == 1
    assert 1 - 6e-8 < mean_scores(lower, weights)[0] < 1
    assert mean_scores(np.full((24, 1), 0.1), weights)[0] == 0.1


def test_warnings(caplog):
    text = warn_unless_probabilities(logit_file(), ["thresholds"], "S.npz")
    assert text in caplog.text
    assert text.startswith("S.npz lie in [-")
    assert "not in [0, 1], and thresholds would be another" in text
    assert "\n" not in text


def test_no_warning(caplog):
    assert warn_unless_probabilities(logit_file(), []) == ""
    # Label frames beyond the audio do not count.
    scores = np.full((1, 10, 1), 0.5, dtype=np.float32)
    scores[0, 4:] = 7
    for num_scored in (0, 4):
        file = make_score_file(scores, num_label_frames=[num_scored])
        assert warn_unless_probabilities(file, ["thresholds"]) == ""
    assert not caplog.text


def test_probabilities_that_are_said_to_be_logits(caplog):
    made = make_scores(
        np.full((1, 10, 1), 0.7), ["a_0"], ["/m/x"], is_logits=True
    )
    assert "are they probabilities already?" in caplog.text
    assert "logits are ranked as they are" in made.notes[-1]


def slow_pool(scores, edges_ms, pooling):
    """Looks up the score of every millisecond, and pools those."""
    of_ms = np.repeat(scores, np.diff(edges_ms), axis=0)
    pooled = np.zeros((10, scores.shape[1]))
    num_scored = 0
    for label_frame in range(10):
        part = of_ms[label_frame * 960 : (label_frame + 1) * 960]
        if len(part) < 480:
            break
        num_scored += 1
        pooled[label_frame] = (
            part.mean(axis=0) if pooling == "mean" else part.max(axis=0)
        )
    return pooled, num_scored


def pool(scores, edges, pooling="mean"):
    return pool_onto_label_frames(
        scores, edges[:-1], edges[1:], 10, pooling=pooling
    )


# 40 ms divides a label frame, the others do not.
@pytest.mark.parametrize("hop_ms", [10, 40, 64, 100, 500, 1000, 2500])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_even_windows(hop_ms, pooling):
    edges_ms = np.arange(0, 10001, hop_ms)
    scores = np.random.default_rng(hop_ms).random((len(edges_ms) - 1, 3))
    pooled, num_scored = pool(scores, edges_ms / 1000, pooling)
    expected, num_expected = slow_pool(scores, edges_ms, pooling)
    assert pooled.dtype == np.float64
    assert num_scored == num_expected == 10
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)


@given(
    # From 2 ms, because what overlaps by one is taken for rounding.
    lengths_ms=st.lists(st.integers(2, 3000), min_size=1, max_size=30),
    pooling=st.sampled_from(["mean", "max"]),
)
@settings(deadline=None, max_examples=50)
def test_uneven_windows(lengths_ms, pooling):
    edges_ms = np.concatenate([[0], np.cumsum(lengths_ms)])
    # An edge 1 ms beside that of a label frame is moved onto it.
    beside = np.isin(edges_ms % 960, (1, 959))
    edges_ms = np.where(beside, np.rint(edges_ms / 960) * 960, edges_ms)
    edges_ms = np.unique(edges_ms.astype(int))
    scores = np.random.default_rng(0).normal(size=(len(edges_ms) - 1, 2))
    if not len(scores):
        return
    pooled, num_scored = pool(scores, edges_ms / 1000, pooling)
    expected, num_expected = slow_pool(scores, edges_ms, pooling)
    assert num_scored == num_expected
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


def test_label_frame_pooling_label_frames_stay_what_they_are():
    scores = np.random.default_rng(0).random((10, 4), dtype=np.float32)
    # Multiples of 0.96 are not exact: no neighbour may come in.
    for pooling in ("mean", "max"):
        pooled, _ = pool(scores, np.arange(11) * 0.96, pooling)
        np.testing.assert_array_equal(pooled, scores)


def test_by_hand():
    # Label frame 0 has 0.5 s of the first and 0.46 s of the second window.
    scores = np.array([[0.2], [0.8]])
    edges = np.array([0.0, 0.5, 1.92])
    pooled, num_scored = pool(scores, edges)
    assert num_scored == 2
    expected = (0.5 * 0.2 + 0.46 * 0.8) / 0.96
    np.testing.assert_allclose(pooled[:3, 0], [expected, 0.8, 0])
    pooled, _ = pool(scores, edges, "max")
    np.testing.assert_allclose(pooled[:3, 0], [0.8, 0.8, 0])


@pytest.mark.parametrize(
    ("end_seconds", "num_scored"),
    # 0.48 s of a label frame are half of it.
    [(0.4, 0), (0.479, 0), (0.48, 1), (1.43, 1), (1.44, 2), (9.12, 10)],
)
def test_a_label_frame_counts_if_half_is_covered(end_seconds, num_scored):
    edges = np.linspace(0, end_seconds, 8)
    pooled, found = pool(np.full((7, 1), 0.3), edges)
    assert found == num_scored
    np.testing.assert_allclose(pooled[:num_scored], 0.3)
    assert not pooled[num_scored:].any()


def test_the_uncovered_rest_is_not_averaged_in():
    # 0.5 s of score 1, then nothing.
    pooled, _ = pool(np.ones((1, 1)), np.array([0, 0.5]))
    assert pooled[0, 0] == 1


def test_what_is_left_of_rounding_does_not_reach():
    # The second window starts 0.4 ms before the label frame that it is of.
    scores = np.array([[0.1], [0.9]])
    edges = np.array([0, 0.9596, 1.92])
    pooled, _ = pool(scores, edges, "max")
    np.testing.assert_allclose(pooled[:2, 0], [0.1, 0.9])


def test_windows_shorter_than_a_millisecond():
    edges = np.arange(0, 9601) * 0.0002  # 1.92 s
    scores = np.linspace(0, 1, 9600)[:, np.newaxis]
    pooled, num_scored = pool(scores, edges, "max")
    assert num_scored == 2
    np.testing.assert_allclose(pooled[:2, 0], [0.5, 1], atol=1e-3)


# --- Clips of any length -----------------------------------------------------


def test_files_have_room_for_the_longest_clip(tmp_path):
    rng = np.random.default_rng(6)
    scores = rng.random((3, 31, 2), dtype=np.float32)
    score_file = make_score_file(scores, ["a 1", "b", "c"], None, [31, 4, 0])
    write_score_file(score_file, tmp_path / "S.npz")
    found = read_score_file(tmp_path / "S.npz").pool()
    np.testing.assert_array_equal(found.scores, scores)
    assert found.num_label_frames.tolist() == [31, 4, 0]
    assert found.clip_scores[1] == pytest.approx(scores[1, :4].mean(axis=0))
    with pytest.raises(InputError, match=r"lie in \[0, 31\], found 4 to 32"):
        make_score_file(scores[:2], None, None, [32, 4])
    with pytest.raises(InputError, match="1 or more, 2.*found .3, 0, 2"):
        make_score_file(scores[:, :0], None, None, [0, 0, 0])
    # Without counts all label frames are scored.
    with np.load(tmp_path / "S.npz") as file:
        arrays = dict(file)
    del arrays["num_label_frames"]
    np.savez(tmp_path / "T.npz", **arrays)
    found = read_score_file(tmp_path / "T.npz").pool()
    assert found.num_label_frames.tolist() == [31, 31, 31]


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_arrays_of_clips_of_any_length(pooling):
    # 0.32 s windows, three a label frame, of a clip of 13.44 s = 14 x 0.96 s.
    rng = np.random.default_rng(7)
    array = rng.random((4, 42, 2))
    clips = make_clips_table(
        ["brief", "long", "cut"], [2.0, 13.44, 13.0], ["g"] * 3
    )
    names = ["cut", "not listed", "long", "brief"]
    found = make_scores(
        array,
        names,
        ["/m/a", "/m/b"],
        frame_seconds=0.32,
        num_frames=[42, 42, 40, 42],
    ).within(clips, 5.0, allow_partial=True)
    found = found.pool(pooling)
    # 40 windows reach .32 s into the 14th label frame, less than half of it.
    assert found.num_label_frames.tolist() == [13, 5, 13, 2]
    assert found.scores.shape == (4, 14, 2)
    pooled = getattr(array.reshape(4, 14, 3, 2), pooling)(axis=2)
    for row, count in enumerate(found.num_label_frames.tolist()):
        np.testing.assert_allclose(
            found.scores[row, :count], pooled[row, :count], rtol=1e-6
        )
        assert not found.scores[row, count:].any()

"""Any door gives the same metrics for the same scores."""

import importlib
import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_score_tables import write_table

from audioset_strong.errors import InputError
from audioset_strong.evaluation.evaluating import EvalSettings, evaluate
from audioset_strong.evaluation.score_arrays import as_array, make_scores
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.truth import read_truth
from audioset_strong.labels.class_map import ClassMap, KnownClasses

IDS = ["abcdefghijk_30000", "lmnopqrstuv_0", "ABCDEFGHIJ-_120500", "rec 4.5"]
MIDS = ["/m/x", "/m/y"]
STRONG = pd.DataFrame(
    {
        "segment_id": [IDS[0], IDS[1], IDS[2], IDS[2], IDS[3]],
        "onset_seconds": [1.0, 0.0, 5.0, 0.5, 2.0],
        "offset_seconds": [3.0, 4.0, 9.0, 4.5, 6.0],
        "mid": ["/m/x", "/m/y", "/m/x", "/m/y", "/m/x"],
    }
)
WEAK = pd.DataFrame(
    {
        "segment_id": IDS,
        "start_seconds": 0.0,
        "end_seconds": 10.0,
        "mids": [("/m/x",), ("/m/y",), ("/m/x", "/m/y"), ("/m/x",)],
    }
)


def numbers(scores, truth=None, **options):
    """Evaluates, and returns every metric of every class and kind."""
    truth = truth or read_truth(strong_labels=STRONG, weak_labels=WEAK)
    report = evaluate(scores, truth, EvalSettings(has_details=False, **options))
    return [
        (
            result.evaluation,
            result.negatives,
            result.lwlrap,
            *result.per_class.set_index("mid")
            .loc[MIDS, ["auc", "average_precision", "lwlrap"]]
            .to_numpy()
            .ravel()
            .tolist(),
        )
        for result in report.results
    ]


def frames_of(array, hop, names=IDS, window=None):
    """Makes a data frame of each clip."""
    tables = {}
    for name, scores in zip(names, array, strict=True):
        table = pd.DataFrame(scores, columns=MIDS)
        onsets = np.arange(len(table)) * hop
        table.insert(0, "onset", onsets)
        table.insert(1, "offset", onsets + (window or hop))
        tables[name] = table
    return tables


def save(path, **arrays):
    np.savez(path, **arrays)
    return read_scores(path)


def doors(array, hop, folder):
    """Yields the same scores through each door."""
    hops = {"frame_seconds": hop}
    of_array = {"segment_ids": IDS, "classes": MIDS, **hops}
    yield "array", make_scores(array, **of_array)
    yield "list", make_scores(list(array), **of_array)
    yield "nested lists", make_scores(array.tolist(), **of_array)
    yield "dict", make_scores(dict(zip(IDS, array)), None, MIDS, **hops)
    padded = np.pad(array, ((0, 0), (0, 7), (0, 0)), constant_values=np.nan)
    counts = [array.shape[1]] * 4
    yield "padded", make_scores(padded, num_frames=counts, **of_array)
    edges = np.arange(array.shape[1] + 1) * hop
    yield "edges", make_scores(array, IDS, MIDS, edges_seconds=edges)
    tables = frames_of(array, hop)
    yield "data frames", make_scores(tables)
    long = pd.concat(
        [t.assign(filename=f"a/{n}.wav") for n, t in tables.items()]
    )
    yield "long data frame", make_scores(long)
    google = {"onset": "start_time_seconds", "offset": "end_time_seconds"}
    long = long.rename(columns={"filename": "segment_id", **google})
    keys = ["segment_id", *google.values()]
    tidy = long.melt(keys, var_name="label", value_name="score")
    yield "tidy data frame", make_scores(tidy)
    path = folder / "scores.npz"
    named = {"segment_ids": np.array(IDS), "mids": np.array(MIDS)}
    yield "npz", save(path, scores=array, frame_seconds=hop, **named)
    yield (
        "npz of frames one after the other",
        save(
            path,
            scores=array.reshape(-1, 2),
            num_frames=np.array(counts),
            frame_seconds=hop,
            **named,
        ),
    )
    for name, clip in zip(IDS, array, strict=True):
        write_table(folder / f"{name}.csv", clip, edges, MIDS, ",")
    path.unlink()
    tables = read_scores(folder)
    assert (tables.frame_seconds, tables.onset_seconds) == (hop, None)
    yield "tables", tables
    order, columns = [2, 0, 3, 1], [1, 0]
    yield (
        "other order of clips and classes",
        make_scores(
            array[order][:, :, columns],
            [IDS[i] for i in order],
            ["/m/y", "/m/x"],
            **hops,
        ),
    )


@pytest.fixture(scope="module")
def folder_of_tables(tmp_path_factory):
    return tmp_path_factory.mktemp("doors")


@pytest.mark.slow
@given(
    num_frames=st.sampled_from([10, 11, 19, 31, 100, 251]),
    num_levels=st.sampled_from([3, 65]),
    is_float32=st.booleans(),
    pooling=st.sampled_from(["mean", "max"]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=6)
def test_any_door_gives_the_same_metrics(
    folder_of_tables, num_frames, num_levels, is_float32, pooling, seed
):
    # Few levels tie within and between label frames. They are sums of powers
    # of two, which text and every type hold.
    hop = round(10 / num_frames, 4)
    levels = np.random.default_rng(seed).integers(
        0, num_levels, (4, num_frames, 2)
    )
    array = levels / 64
    if is_float32:
        array = array.astype(np.float32)
    found = {
        name: numbers(scores, pooling=pooling)
        for name, scores in doors(array, hop, folder_of_tables)
    }
    for name, of_door in found.items():
        for of_kind, expected in zip(of_door, found["array"], strict=True):
            assert of_kind[:2] == expected[:2]
            # Sums over classes in another order.
            np.testing.assert_allclose(
                of_kind[2:], expected[2:], rtol=1e-12, err_msg=name
            )


def test_nothing_is_copied_or_narrowed_of_label_frames():
    for dtype in (np.float16, np.float32, np.float64):
        array = np.random.default_rng(0).random((4, 10, 2)).astype(dtype)
        made = make_scores(array, IDS, MIDS).within(None).pool()
        assert made.scores.dtype == dtype
        assert np.shares_memory(made.scores, array)


# --- Wrong numbers, and what they stand for ----------------------------------


def perfect(hop):
    """Scores that are highest where events are, of whole clips."""
    num_frames = round(10 / hop)
    array = np.random.default_rng(1).random((4, num_frames, 2)) * 0.4
    for row in STRONG.itertuples():
        frames = slice(
            round(row.onset_seconds / hop), round(row.offset_seconds / hop)
        )
        array[IDS.index(row.segment_id), frames, MIDS.index(row.mid)] += 0.5
    return array


@pytest.mark.parametrize(
    ("given_seconds", "end", "fits"),
    [
        ({}, "240 s of 10 s", "0.04 would fit"),
        ({"frame_seconds": 0.02}, "5 s of 10 s", "0.04 would fit"),
        ({"frame_seconds": 0.08}, "20 s of 10 s", "0.04 would fit"),
        ({"frame_seconds": 40.0}, "1e+04 s of 10 s", "0.04 would fit"),
    ],
)
def test_a_forgotten_or_wrong_frame_length_is_an_error(
    given_seconds, end, fits
):
    array = perfect(0.04)
    right = numbers(make_scores(array, IDS, MIDS, frame_seconds=0.04))
    assert right[0][3] > 0.95
    wrong = make_scores(array, IDS, MIDS, **given_seconds)
    with pytest.raises(InputError, match="found 4 of 4 clips") as error:
        numbers(wrong)
    assert end in str(error.value)
    assert fits in str(error.value)
    assert "allow_partial_scores" in str(error.value)
    # It leads on.
    numbers(wrong, allow_partial_scores=True)
    # Label frames that are said to be of half the length.
    labels = make_scores(array[:, :10], IDS, MIDS, frame_seconds=0.48)
    with pytest.raises(InputError, match="0.96 would fit"):
        numbers(labels)


def test_single_short_and_padded_clips_are_counted(caplog):
    array = list(perfect(0.04))
    array[2] = array[2][:60]
    array[0] = np.pad(array[0], ((0, 25), (0, 0)))
    made = make_scores(array, IDS, MIDS, frame_seconds=0.04)
    numbers(made)
    assert (
        "scores of 1 of 4 clips end early, and what follows is not scored "
        "(such as 'ABCDEFGHIJ-_120500': 2.4 s of 10 s)" in caplog.text
    )
    # Padding of a second is no fault.
    assert "go on after" not in caplog.text


def test_float64_keeps_what_float32_merges():
    # All above 1 - 6e-8, in the order of the truth.
    array = 1 - 1e-9 * (1 - perfect(0.96)[:, :10])
    right = numbers(make_scores(perfect(0.96)[:, :10], IDS, MIDS))
    assert numbers(make_scores(array, IDS, MIDS)) == right
    narrowed = numbers(make_scores(array.astype(np.float32), IDS, MIDS))
    assert narrowed[0][3] == 0.5


@pytest.mark.parametrize("hop", [0.96, 0.04])
def test_saturated_logits_keep_their_order(hop):
    logits = 20 + 40 * perfect(hop)[:, : int(9.6 / hop)]
    of_array = {"frame_seconds": hop, "is_logits": True}
    for dtype in (np.float32, np.float64):
        found = numbers(
            make_scores(logits.astype(dtype), IDS, MIDS, **of_array)
        )
        # float32 has one probability for nearly all, and an AUC of 0.5.
        assert found[0][3] > 0.99


# --- Tensors -----------------------------------------------------------------


def test_tensors_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    array = np.random.default_rng(0).random((4, 10, 2)).astype(np.float32)
    plain = torch.tensor(array, requires_grad=True)
    np.testing.assert_array_equal(as_array(plain), array)
    rounded = plain.to(torch.bfloat16)
    np.testing.assert_array_equal(
        as_array(rounded), rounded.detach().float().numpy()
    )
    made = make_scores(rounded, IDS, MIDS)
    assert made.scores.dtype == np.float32
    numbers(made)
    make_scores(list(rounded), IDS, MIDS)


@pytest.mark.slow
def test_tensors_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    array = np.random.default_rng(0).random((4, 10, 2)).astype(np.float32)
    np.testing.assert_array_equal(as_array(tf.constant(array)), array)
    rounded = as_array(tf.cast(array, tf.bfloat16))
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, array, rtol=1e-2)
    numbers(make_scores(tf.constant(array), IDS, MIDS))


class BFloat16Tensor:
    """What a tensor of PyTorch on the graph is, without PyTorch."""

    def __init__(self, array, dtype="torch.bfloat16", steps=()):
        self.array, self.dtype, self.steps = array, dtype, steps
        self.shape = array.shape

    def detach(self):
        return BFloat16Tensor(self.array, self.dtype, (*self.steps, "detach"))

    def cpu(self):
        return BFloat16Tensor(self.array, self.dtype, (*self.steps, "cpu"))

    def float(self):
        return BFloat16Tensor(self.array, "torch.float32", self.steps)

    def __array__(self, dtype=None, copy=None):
        assert self.steps == ("detach", "cpu")
        assert self.dtype == "torch.float32"
        return self.array


def test_a_tensor_on_the_graph_is_taken_off_it():
    array = np.random.default_rng(0).random((4, 10, 2), dtype=np.float32)
    made = make_scores(BFloat16Tensor(array), IDS, MIDS)
    assert np.shares_memory(made.scores, array)
    listed = make_scores(list(map(BFloat16Tensor, array)), IDS, MIDS)
    assert numbers(listed) == numbers(made)


# --- One score a clip, and windows that overlap ------------------------------


def test_one_score_a_clip(tmp_path, caplog):
    of_clips = np.random.default_rng(4).random((4, 2))
    tagged = make_scores(of_clips, IDS, MIDS)
    path = tmp_path / "tags.npz"
    npz = save(
        path,
        segment_ids=np.array(IDS),
        mids=np.array(MIDS),
        scores=of_clips,
    )
    table = pd.DataFrame(of_clips, columns=MIDS).assign(file=IDS)
    repeated = make_scores(np.repeat(of_clips[:, np.newaxis], 10, 1), IDS, MIDS)
    expected = numbers(repeated)
    with caplog.at_level(logging.INFO, logger="absl"):
        for made in (tagged, npz, make_scores(table)):
            assert numbers(made) == expected
    assert "the score of a clip is that of each label frame" in caplog.text
    truth = read_truth(weak_labels=WEAK)
    scores = truth.label_frames(tagged).clip_scores
    np.testing.assert_array_equal(scores, of_clips)
    # Of clips of their own length.
    truth = read_truth(
        strong_labels=STRONG,
        clips=pd.DataFrame(
            {"segment_id": IDS, "duration_seconds": [10, 10, 10, 61.5]}
        ),
    )
    fitted = truth.fit(tagged)
    assert fitted.edges_seconds(3).tolist() == [0, 61.5]
    assert truth.label_frames(tagged).num_label_frames.tolist() == [
        10,
        10,
        10,
        64,
    ]


def test_windows_that_overlap(tmp_path):
    # As YAMNet's: 0.96 s every 0.48 s.
    array = np.random.default_rng(5).random((4, 19, 2))
    made = make_scores(
        array, IDS, MIDS, frame_seconds=0.48, window_seconds=0.96
    )
    pooled = made.pool().scores
    # A label frame has all of window 2 i and half of those beside it.
    for frame in range(1, 9):
        expected = (
            array[:, 2 * frame]
            + array[:, 2 * frame - 1] / 2
            + array[:, 2 * frame + 1] / 2
        ) / 2
        np.testing.assert_allclose(pooled[:, frame], expected)
    np.testing.assert_allclose(
        pooled[:, 0], (array[:, 0] + array[:, 1] / 2) / 1.5
    )
    np.testing.assert_array_equal(
        made.pool("max").scores[:, 3], array[:, 5:8].max(axis=1)
    )
    # For events each moment has one score: of the nearest centre.
    edges = made.edges_seconds(0)
    np.testing.assert_allclose(edges[:3], [0, 0.72, 1.2])
    np.testing.assert_allclose(edges[-2:], [8.88, 9.6])
    for name, clip in zip(IDS, array, strict=True):
        table = frames_of([clip], 0.48, ["a"], 0.96)["a"]
        table.to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    expected = numbers(made)
    assert numbers(read_scores(tmp_path)) == expected
    assert numbers(make_scores(frames_of(array, 0.48, IDS, 0.96))) == expected
    npz = tmp_path / "S.npz"
    named = {"segment_ids": np.array(IDS), "mids": np.array(MIDS)}
    np.savez(npz, scores=array, **named)
    told = read_scores(npz, frame_seconds=0.48, window_seconds=0.96)
    assert numbers(told) == expected


# --- Names of clips ----------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "how"),
    [
        (["abcdefghijk", "lmnopqrstuv", "ABCDEFGHIJ-"], "3: YouTube ids"),
        (["Yabcdefghijk.wav", "Ylmnopqrstuv", "x/ABCDEFGHIJ-.flac"], "Y, You"),
        (
            [
                "abcdefghijk_30_40",
                "lmnopqrstuv_0_10",
                f"{IDS[2][:11]}_120.5_1",
            ],
            "3: starts in seconds",
        ),
        (
            ["abcdefghijk_30000_40000", " lmnopqrstuv_0", IDS[2]],
            "1: starts in milliseconds, 1: without spaces around them",
        ),
    ],
)
def test_other_names_of_clips(names, how, caplog):
    array = perfect(0.96)[:, :10]
    with caplog.at_level(logging.INFO, logger="absl"):
        found = numbers(make_scores(array, [*names, IDS[3]], MIDS))
    assert found == numbers(make_scores(array, IDS, MIDS))
    assert how in caplog.text
    assert "scored clips were found by other names" in caplog.text


def test_positions_in_a_list_of_clips(caplog):
    array = perfect(0.96)[:, :10]
    clips = pd.DataFrame({"segment_id": IDS, "duration_seconds": 10.0})
    truth = read_truth(strong_labels=STRONG, clips=clips)
    with caplog.at_level(logging.INFO, logger="absl"):
        found = numbers(make_scores(array[::-1], [3, 2, 1, 0], MIDS), truth)
    assert found == numbers(make_scores(array, IDS, MIDS), truth)
    assert "4: positions in the list of clips" in caplog.text


def test_names_that_mean_several_clips_are_refused():
    strong = STRONG.assign(
        segment_id=STRONG["segment_id"].replace(IDS[1], "abcdefghijk_0")
    )
    truth = read_truth(strong_labels=strong)
    array = perfect(0.96)[:1, :10]
    with pytest.raises(InputError, match="can be 'abcdefghijk_0', 'abc"):
        truth.fit(make_scores(array, ["Yabcdefghijk"], MIDS))
    both = make_scores(array.repeat(2, 0), [IDS[2], f"{IDS[2]}.wav"], MIDS)
    with pytest.raises(InputError, match="Leave one out"):
        truth.fit(both)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ABCDEFGHIJK_30000", "differ only in capital letters"),
        ("abcdefghijk_40000", "are of one video, at other starts"),
        ("rec  4.5", "differ only in spaces"),
        ("rec-4.5", "differ only in characters"),
        ("reck 4.5", "are the most alike"),
    ],
)
def test_names_that_nearly_match_are_shown(name, hint):
    made = make_scores(perfect(0.96)[:1, :10], [name], MIDS)
    with pytest.raises(InputError, match=f"{hint}. Give labels of the set"):
        numbers(made, read_truth(strong_labels=STRONG))


def test_clips_without_a_label_frame_are_named():
    made = make_scores(
        np.ones((1, 1, 2)),
        IDS[:1],
        MIDS,
        frame_seconds=0.4,
        audio_seconds=[0.4],
    )
    with pytest.raises(InputError, match="Expected clips with a whole label"):
        numbers(made)


# --- Names of classes --------------------------------------------------------


def test_names_under_the_key_mids(tmp_path, caplog):
    known = KnownClasses(ClassMap(tuple(MIDS), ("Dog, bark", "Speech")))
    array = perfect(0.96)[:, :10]
    named = {"segment_ids": np.array(IDS), "scores": array}
    path = tmp_path / "S.npz"
    names = np.array(["Dog, bark", "Speech"])
    np.savez(path, **named, mids=names, label_frame_seconds=0.96)
    with pytest.raises(InputError, match="If it is a name, give the class map"):
        read_scores(path)
    # And that leads on.
    found = read_scores(path, known)
    assert found.mids.tolist() == MIDS
    assert "2 of mids are display names" in found.notes[0]
    assert numbers(found) == numbers(make_scores(array, IDS, MIDS))


# --- Own grids ---------------------------------------------------------------


def test_label_frames_of_ones_own(tmp_path):
    array = perfect(0.04)
    truth = read_truth(strong_labels=STRONG, label_frame_seconds=0.5)
    made = make_scores(array, IDS, MIDS, frame_seconds=0.04)
    pooled = truth.label_frames(made)
    assert pooled.scores.shape == (4, 20, 2)
    np.testing.assert_allclose(
        pooled.scores[:, 1],
        (array[:, 12] / 2 + array[:, 13:25].sum(axis=1)) / 12.5,
    )
    [strong, *_] = numbers(made, truth, negatives=["implied"])
    assert strong[0] == "strong"
    items = truth.items(pooled, "strong", "implied")
    # 1 to 3 s are label frames 2 to 5.
    of_first = items.is_positive[:20, 0]
    assert np.flatnonzero(of_first).tolist() == [2, 3, 4, 5]
    assert items.label_frame_seconds == 0.5
    with pytest.raises(InputError, match="have, found 0.96 s"):
        truth.label_frames(make_scores(array[:, :10], IDS, MIDS).pool())
    with pytest.raises(InputError, match="whole milliseconds.*Give 0.333"):
        read_truth(strong_labels=STRONG, label_frame_seconds=1 / 3)


# --- What is refused ---------------------------------------------------------


def table_of(**changes):
    table = frames_of(perfect(0.96)[:1, :10], 0.96, ["a"])["a"]
    return table.assign(**changes)


@pytest.mark.parametrize(
    ("scores", "classes", "message"),
    [
        (table_of(), None, "which clip each row is of, one of .'segment_id'"),
        (table_of(clip="a", note="x"), None, "each column of a class.*'note'"),
        (
            table_of(clip="a").drop(index=3),
            None,
            "no gap before the row, found 3.84 to 4.8 s in row 3 of clip 'a'",
        ),
        ({"a": table_of(), "b": table_of(z=1.0)}, None, "'b' differs in 'z'"),
        ({"a": np.ones((3, 2))}, None, "Expected classes with scores"),
        ([np.ones((3, 2)), np.ones((3, 1))], MIDS, "Expected segment_ids|shap"),
        (
            table_of(clip="a").melt(
                ["clip", "onset", "offset"],
                var_name="label",
                value_name="score",
            )[:-1],
            None,
            "found 1 missing or NaN, the first of '/m/y'",
        ),
        (table_of(onset=np.nan, clip="a"), None, "found NaN or infinity"),
    ],
    ids=range(8),
)
def test_what_cannot_be_read_is_explained(scores, classes, message):
    with pytest.raises(InputError, match=message) as error:
        make_scores(scores, None, classes)
    assert "\n" not in str(error.value)


def test_no_other_library_is_loaded():
    module = importlib.import_module("audioset_strong.evaluation.score_arrays")
    assert not {"torch", "tensorflow", "jax"} & set(vars(module))

"""Score tables, and scores read from any path."""

import numpy as np
import pandas as pd
import pytest
from eval_examples import make_score_file
from test_scores import KNOWN

from audioset_strong.errors import InputError
from audioset_strong.evaluation import native_scores, score_tables
from audioset_strong.evaluation.score_tables import (
    read_score_tables,
    read_scores,
)
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.labels.class_map import ClassMap, KnownClasses
from audioset_strong.labels.clips import make_clips_table

HEADER = "onset\toffset\t/m/x\t/m/y\n"

# What sed_scores_eval 0.0.4 wrote of
# create_score_dataframe(scores, np.arange(5) * 0.24, ["/m/x", "/m/y"]).
WRITTEN = (
    HEADER
    + "0.0\t0.24\t0.6862464547157288\t0.9814485907554626\n"
    + "0.24\t0.48\t0.8409770727157593\t0.7319127917289734\n"
    + "0.48\t0.72\t0.08661968261003494\t0.1684737503528595\n"
    + "0.72\t0.96\t0.15650156140327454\t0.662139892578125\n"
)


def write_table(path, scores, edges, columns=("/m/x", "/m/y"), sep="\t"):
    """Writes a table as sed_scores_eval does: pandas' to_csv."""
    table = pd.DataFrame(scores, columns=list(columns))
    table.insert(0, "onset", edges[:-1])
    table.insert(1, "offset", edges[1:])
    table.to_csv(path, sep=sep, index=False)


def test_as_sed_scores_eval_writes(tmp_path):
    (tmp_path / "a_0.tsv").write_text(WRITTEN)
    score_file = read_score_tables(tmp_path).pool()
    assert score_file.segment_ids.tolist() == ["a_0"]
    assert score_file.mids.tolist() == ["/m/x", "/m/y"]
    assert score_file.num_label_frames.tolist() == [1]
    # Means of four windows of a quarter each, by hand.
    np.testing.assert_allclose(
        score_file.scores[0, 0], [0.4425862, 0.6359937], rtol=1e-6
    )
    assert score_file.notes[:2] == (
        "classes: 2 of 2 columns (2 by mid)",
        "4 windows of 0.240 s in 1 tables",
    )
    by_max = read_score_tables(tmp_path).pool("max")
    np.testing.assert_allclose(
        by_max.scores[0, 0], [0.8409771, 0.9814486], rtol=1e-6
    )


def test_sed_scores_eval_itself(tmp_path):
    io = pytest.importorskip("sed_scores_eval.base_modules.io")
    base = pytest.importorskip("sed_scores_eval.base_modules.scores")
    scores = np.random.default_rng(0).random((250, 3))
    table = base.create_score_dataframe(
        scores, np.arange(251) * 0.04, ["Speech", "Bark", "Chirp, tweet"]
    )
    io.write_sed_scores({"a_0": table, "b_30000": table}, tmp_path)
    read = read_score_tables(tmp_path, KNOWN).pool()
    assert read.mids.tolist() == ["/m/a", "/m/b", "/m/c"]
    np.testing.assert_allclose(
        read.scores[1], scores[:240].reshape(10, 24, 3).mean(axis=1), rtol=1e-6
    )


def test_a_folder(tmp_path, caplog):
    rng = np.random.default_rng(3)
    first, second = rng.random((250, 2)), rng.random((4, 2))
    write_table(tmp_path / "c_0.tsv", first, np.arange(251) * 0.04)
    # CSV, classes out of order, windows of unequal length, a short clip.
    write_table(
        tmp_path / "-d_x_0.csv",
        second[:, ::-1],
        np.array([0, 0.3, 0.96, 1.5, 1.9]),
        ["/m/y", "/m/x"],
        ",",
    )
    (tmp_path / "e_0.tsv").write_text(HEADER)
    (tmp_path / "README.md").write_text("scores")
    (tmp_path / "old").mkdir()
    score_file = read_score_tables(tmp_path).pool()
    assert score_file.segment_ids.tolist() == ["-d_x_0", "c_0", "e_0"]
    # The first table says the order of the classes.
    assert score_file.mids.tolist() == ["/m/y", "/m/x"]
    assert score_file.num_label_frames.tolist() == [2, 10, 0]
    np.testing.assert_allclose(
        score_file.scores[1],
        first[:240, ::-1].reshape(10, 24, 2).mean(axis=1),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        score_file.scores[0, 0],
        (0.3 * second[0] + 0.66 * second[1])[::-1] / 0.96,
        rtol=1e-6,
    )
    assert "1 of 4 files in the folder are no score tables" in caplog.text
    assert "2 tables have their columns in another order" in caplog.text
    assert "254 windows of 0.040 to 0.660 s in 3 tables" in " ".join(
        score_file.notes
    )


def test_segment_ids_with_slashes_are_in_subfolders(tmp_path, caplog):
    ids = ["yard/bird 1.5_0", "yard/2/ä, 3", "0007"]
    for number, segment_id in enumerate(ids):
        path = tmp_path / f"{segment_id}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"onset\toffset\tdog\n0\t0.96\t0.{number + 1}\n")
    known = KnownClasses(ClassMap(("dog",), ("Dog",)))
    score_file = read_score_tables(tmp_path, known).pool()
    found = dict(zip(score_file.segment_ids, score_file.scores[:, 0, 0]))
    assert found == pytest.approx(dict(zip(ids, (0.1, 0.2, 0.3))))
    assert "no score tables" not in caplog.text


def test_columns_by_name_and_unknown_ones(tmp_path):
    scores = np.random.default_rng(4).random((2, 3))
    edges = np.array([0, 0.96, 1.92])
    columns = ["Chirp, tweet", "what", "Speech"]
    write_table(tmp_path / "a_0.tsv", scores, edges, columns)
    # The comma makes pandas quote the name.
    write_table(tmp_path / "b_0.csv", scores, edges, columns, ",")
    score_file = read_score_tables(tmp_path, KNOWN).pool()
    assert score_file.mids.tolist() == ["/m/c", "/m/a"]
    for clip in range(2):
        np.testing.assert_allclose(
            score_file.scores[clip, :2], scores[:, [0, 2]], rtol=1e-6
        )
    assert "1 unknown and left out: 'what'" in score_file.notes[0]


def test_means_of_logits_are_those_of_probabilities(tmp_path):
    logits = np.array([[0.0, 10.0], [-10.0, 10.0]])
    write_table(tmp_path / "a_0.tsv", logits, np.array([0, 0.48, 0.96]))
    scores = read_score_tables(tmp_path, is_logits=True).pool().scores
    low = 1 / (1 + np.exp(10))
    np.testing.assert_allclose(
        1 / (1 + np.exp(-scores[0, 0])), [(0.5 + low) / 2, 1 - low], rtol=1e-12
    )


def test_padding_is_taken_and_other_clips_are_noted(tmp_path, caplog):
    # 10.24 s are what a model of 1,024 STFT frames gives.
    for name in ("a_0", "c_0"):
        path = tmp_path / f"{name}.tsv"
        write_table(path, np.ones((256, 2)), np.arange(257) * 0.04)
    assert read_score_tables(tmp_path).within(None).notes[2:] == (
        "12 of 512 frames start after the end of their clip and are left out",
    )
    write_table(tmp_path / "b_0.tsv", np.ones((30, 2)), np.arange(31) * 1.0)
    note = (
        "scores of 1 of 3 clips go on after the end of their clip, which is "
        "not used (such as 'b_0': 30 s of 10 s)"
    )
    assert note in read_score_tables(tmp_path).within(None).notes
    assert note in caplog.text


def rows(*lines):
    return HEADER + "".join("\t".join(line.split()) + "\n" for line in lines)


GOOD = "0 0.96 0.1 0.2"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", 1, "expected the header 'onset\\\\toffset\\\\t<class>"),
        ("onset\toffset\t/m/x\t/m/x\n", 1, "'/m/x' more than once"),
        ("onset,offset,/m/x\n0,1,0.5\n", 1, "found 'onset,offset,/m/x'"),
        (rows(GOOD, "0.96 1.92 nan 0.2"), 3, "number for '/m/x', found 'nan'"),
        (rows(GOOD, "0.96 1.92 0.1 1e999"), 3, "'/m/y', found '1e999'"),
        (rows("0 0.96 0.1 high"), 2, "'/m/y', found 'high'"),
        (rows(GOOD, "0.96 1.92 0.1"), 3, "expected 4 columns, found 3"),
        (rows("0 0.96 0.1 0.2 0.3"), 2, "expected 4 columns, found 5"),
        (
            rows(GOOD, "1.00 1.92 0.1 0.2"),
            3,
            "no gap before the row, found 1 to 1.92 s after 0.96 s",
        ),
        (rows("0.04 0.96 0.1 0.2"), 2, "no gap .* after the start, 0 s"),
        (
            rows(GOOD, "0.90 1.92 0.1 0.2"),
            3,
            "no overlap with the row before, found 0.9 to 1.92 s after 0.96 s",
        ),
        (rows(GOOD, "0.96 0.5 0.1 0.2"), 3, "an offset after the onset"),
        (
            rows(GOOD, "1.92 2 0.1 0.2", "0.96 1.92 0.1 0.2"),
            4,
            "rows in order of time",
        ),
        # Empty lines are no rows, but lines.
        (rows(GOOD, "", "", "1.00 1.92 0.1 0.2"), 5, "no gap"),
    ],
)
def test_bad_tables(tmp_path, content, line, message):
    # Files after the first are as strict.
    (tmp_path / "a_0.tsv").write_text(rows(GOOD))
    path = tmp_path / "b_0.tsv"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_score_tables(tmp_path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_table(tmp_path):
    (tmp_path / "a_0.tsv").write_bytes(HEADER.encode() + b"\xff\x00\t1\t2\t3")
    with pytest.raises(InputError, match="a_0.tsv:2: .* for 'onset'"):
        read_score_tables(tmp_path)


def test_an_empty_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match="found none among 1 files"):
        read_score_tables(tmp_path)


def test_windows_line_ends_and_a_byte_order_mark(tmp_path):
    text = "\ufeff" + rows(GOOD, "0.96 1.92 0.3 0.4")
    (tmp_path / "a_0.tsv").write_bytes(text.replace("\n", "\r\n").encode())
    scores = read_score_tables(tmp_path).scores
    np.testing.assert_array_equal(scores, [[0.1, 0.2], [0.3, 0.4]])


def test_tables_with_other_classes(tmp_path):
    (tmp_path / "a_0.tsv").write_text(rows(GOOD))
    other = "onset\toffset\t/m/x\t/m/z\n0\t0.96\t0.1\t0.2\n"
    (tmp_path / "b_0.tsv").write_text(other)
    with pytest.raises(
        InputError,
        match=r"b_0.tsv:1: .*lacking \['/m/y'\], further \['/m/z'\]",
    ):
        read_score_tables(tmp_path)


def test_no_class_is_known(tmp_path):
    (tmp_path / "a_0.tsv").write_text("onset\toffset\tdog\n0\t1\t0.5\n")
    with pytest.raises(InputError, match="a_0.tsv:1: .*give a class map"):
        read_score_tables(tmp_path)


def test_two_tables_of_a_clip(tmp_path):
    for name in ("a_0.csv", "a_0.tsv"):
        (tmp_path / name).write_text(WRITTEN)
    with pytest.raises(InputError, match="one table a clip, found .*a_0.csv"):
        read_score_tables(tmp_path)


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
            read_scores(tmp_path / name, **options).pool()
            for name in ("S.npz", "tables")
        )
        assert file.segment_ids.tolist() == folder.segment_ids.tolist()
        assert file.mids.tolist() == folder.mids.tolist()
        np.testing.assert_allclose(file.scores, folder.scores, rtol=1e-6)


def test_one_table_of_all_clips(tmp_path):
    (tmp_path / "a_0.tsv").write_text(WRITTEN)
    with pytest.raises(
        InputError, match="which clip each row is of.* from their folder"
    ):
        read_scores(tmp_path / "a_0.tsv")
    lines = WRITTEN.splitlines()
    rows = [lines[0], *lines[1:], *lines[1:3]]
    names = ["filename", *["a.wav"] * 4, *["b.wav"] * 2]
    table = "\n".join(f"{n}\t{row}" for n, row in zip(names, rows))
    (tmp_path / "all.tsv").write_text(table)
    found = read_scores(tmp_path / "all.tsv")
    assert found.segment_ids.tolist() == ["a.wav", "b.wav"]
    assert found.num_frames.tolist() == [4, 2]
    assert (found.frame_seconds, found.onset_seconds) == (0.24, None)
    assert found.of_clip(1).tolist() == found.of_clip(0)[:2].tolist()
    assert found.scores[0, 0] == 0.6862464547157288


def test_tables_of_clips_of_any_length(tmp_path, caplog):
    # 0.48 s windows, two a label frame.
    rng = np.random.default_rng(8)
    lengths = {"a 1": 70, "b": 6, "c": 40, "d.5": 22}
    scores = {name: rng.random((n, 2)) for name, n in lengths.items()}
    for name, values in scores.items():
        edges = np.arange(len(values) + 1) * 0.48
        write_table(tmp_path / f"{name}.tsv", values, edges)
    clips = make_clips_table(["c", "a 1", "b"], [3.9, 33.0, 8.0], ["g"] * 3)
    scored = read_score_tables(tmp_path)
    found = scored.within(clips, 7.7, allow_partial=True).pool()
    assert found.segment_ids.tolist() == list(scores)
    # 33 s hold 34 label frames, though the table goes on to 33.6 s; b ends
    # after 2.88 of 8 s; d.5 is not listed.
    assert found.num_label_frames.tolist() == [34, 3, 4, 8]
    assert found.scores.shape == (4, 34, 2)
    for row, values in enumerate(scores.values()):
        count = found.num_label_frames[row]
        expected = values[: 2 * count].reshape(count, 2, 2).mean(axis=1)
        np.testing.assert_allclose(
            found.scores[row, :count], expected, rtol=1e-6
        )
    # c goes on for 15 s, d.5 for 3.
    assert "scores of 2 of 4 clips go on after the end" in caplog.text
    assert "scores of 1 of 4 clips end early" in caplog.text
    # All of one length.
    found = scored.within(None, 20.0, allow_partial=True).pool()
    assert found.num_label_frames.tolist() == [20, 3, 20, 11]
    assert "scores of 1 of 4 clips go on after the end" in caplog.text
    with pytest.raises(InputError, match="or the times of tables"):
        scored.within(None, 20.0)


# --- Large folders, and exact numbers ----------------------------------------


@pytest.mark.parametrize("kind", ["float32", "float64", "first float32"])
def test_large_scores_wait_in_a_file(tmp_path, monkeypatch, kind, caplog):
    rng = np.random.default_rng(1)
    scores = rng.random((9, 25, 3), dtype=np.float32).astype(np.float64)
    if kind == "float64":
        scores = rng.random((9, 25, 3))
    elif kind == "first float32":
        scores[5:] = rng.random((4, 25, 3))
    mids = ["/m/a", "/m/b", "/m/c"]
    # The last table is longer than the first lets expect.
    tables = [*scores, rng.integers(0, 9, (200, 3)) / 8]
    for clip, table in enumerate(tables):
        edges = np.arange(len(table) + 1) * 0.4
        write_table(tmp_path / f"{clip}.tsv", table, edges, mids)
    in_memory = read_score_tables(tmp_path)
    monkeypatch.setattr(score_tables, "_MOST_BYTES", 0)
    monkeypatch.setattr(score_tables, "_TABLES_AT_ONCE", 2)
    with caplog.at_level("INFO", logger="absl"):
        in_file = read_score_tables(tmp_path)
    assert isinstance(in_file.scores, np.memmap)
    assert "kept in a file" in caplog.text
    expected = "float32" if kind == "float32" else "float64"
    assert in_file.scores.dtype == expected
    np.testing.assert_array_equal(in_file.scores, in_memory.scores)
    np.testing.assert_array_equal(in_file.scores, np.concatenate(tables))
    monkeypatch.setattr(native_scores, "_CLASSES_AT_ONCE", 2)
    for pooling in ("mean", "max"):
        np.testing.assert_array_equal(
            in_file.pool(pooling).scores, in_memory.pool(pooling).scores
        )
    block = in_file.of_classes(np.array([2, 0]))
    np.testing.assert_array_equal(block, in_memory.scores[:, [2, 0]])
    assert "logits" in read_score_tables(tmp_path, is_logits=True).notes[-1]


def test_numbers_are_those_that_python_reads(tmp_path):
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2**63, 4000, dtype=np.int64)
    numbers = bits.view(np.float64)
    numbers = numbers[np.isfinite(numbers)][:3000]
    texts = [repr(float(number)) for number in numbers]
    # Many digits, halves between two numbers, the smallest and the largest.
    texts += [
        "0." + "".join(map(str, rng.integers(0, 10, 40))) for _ in "12345"
    ]
    texts += ["9007199254740993", "1.00000000000000011102230246251565404"]
    texts += ["2.2250738585072011e-308", "4.9e-324", "1.7976931348623157e308"]
    texts += ["1e23", "8.5", "-0.0", "5.", ".5", "1E-5", "3"]
    rows = [f"{i}\t{i + 1}\t{text}" for i, text in enumerate(texts)]
    text = "\n".join(["onset\toffset\t/m/x", *rows])
    (tmp_path / "a_0.tsv").write_text(text)
    found = read_score_tables(tmp_path).scores[:, 0]
    assert found.tolist() == [float(text) for text in texts]


def test_an_error_in_one_of_many_tables_is_the_first(tmp_path):
    for number in range(70):
        (tmp_path / f"{number:02d}.tsv").write_text(rows(GOOD))
    for number in (65, 67):
        (tmp_path / f"{number}.tsv").write_text(rows(GOOD, "0.96 1 x 0"))
    with pytest.raises(InputError, match="65.tsv:3: .*'/m/x', found 'x'"):
        read_score_tables(tmp_path)


def test_times_can_have_the_names_of_audiosets_files(tmp_path):
    header = "start_time_seconds\tend_time_seconds\t/m/x\n"
    (tmp_path / "a_0.tsv").write_text(header + "0\t0.96\t0.5\n")
    assert read_score_tables(tmp_path).scores.tolist() == [[0.5]]

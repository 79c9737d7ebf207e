"""Label files: round trips of the released ones, bad lines, wrong headers."""

import datetime

import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels import label_files
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

_WEAK_HEADER = "# a\n# b\n# YTID, start_seconds, end_seconds, positive_labels\n"
_STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
_FRAMED_HEADER = _STRONG_HEADER.replace("label\n", "label\tpresent\n")


# --- Round trips ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "num_rows", "second"),
    [
        ("eval_segments.csv", 20371, 25),
        ("balanced_train_segments.csv", 22160, 31),
    ],
)
def test_released_weak_files_byte_for_byte(
    audioset_labels, tmp_path, name, num_rows, second
):
    path = audioset_labels / name
    table = label_files.read_weak_labels(path)
    assert len(table) == num_rows
    created = datetime.datetime(2017, 3, 5, 10, 54, second)
    label_files.write_weak_labels(table, tmp_path / name, created)
    assert (tmp_path / name).read_bytes() == path.read_bytes()


def test_fractional_starts_of_the_released_eval_file(audioset_labels):
    table = label_files.read_weak_labels(audioset_labels / "eval_segments.csv")
    ids = table["segment_id"]
    fractional = table[table["start_seconds"] % 1 != 0]
    starts = [s.rsplit("_", 1)[1] for s in fractional["segment_id"]]
    assert sorted(starts) == ["122700", "202700", "417300"]
    assert ids.is_unique
    assert ids.str.startswith("-").sum() == 392


def test_released_strong_file_byte_for_byte(strong_excerpts, tmp_path):
    path = strong_excerpts / "audioset_eval_strong.top110.tsv"
    table = label_files.read_strong_labels(path)
    assert len(table) == 103207
    assert table["segment_id"].nunique() == 15646
    label_files.write_strong_labels(table, tmp_path / "copy.tsv")
    assert (tmp_path / "copy.tsv").read_bytes() == path.read_bytes()


def test_released_display_names_byte_for_byte(audioset_labels, tmp_path):
    path = audioset_labels / "mid_to_display_name.tsv"
    names = label_files.read_display_names(path)
    assert len(names) == 456
    assert names["/m/01d3sd"] == "Snoring"
    label_files.write_display_names(names.items(), tmp_path / "copy.tsv")
    assert (tmp_path / "copy.tsv").read_bytes() == path.read_bytes()


def test_released_framed_file(strong_excerpts, tmp_path):
    path = strong_excerpts / "audioset_eval_strong_framed_posneg.gun.tsv"
    table = label_files.read_framed_labels(path)
    assert len(table) == 807
    assert table["is_present"].all()
    assert set(table["label_frame"]) == set(range(10))
    # This excerpt drops trailing zeros, so tables are compared, not bytes.
    label_files.write_framed_labels(table, tmp_path / "copy.tsv")
    copy = label_files.read_framed_labels(tmp_path / "copy.tsv")
    pd.testing.assert_frame_equal(copy, table)


def test_framed_round_trip_keeps_negatives(tmp_path):
    text = _FRAMED_HEADER + (
        "a_b-c_0\t0.000\t0.960\t/m/x\tPRESENT\n"
        "a_b-c_0\t8.640\t9.600\t/m/x\tNOT_PRESENT\n"
    )
    path = tmp_path / "f.tsv"
    path.write_text(text)
    table = label_files.read_framed_labels(path)
    assert table.to_dict("list") == {
        "segment_id": ["a_b-c_0", "a_b-c_0"],
        "label_frame": [0, 9],
        "mid": ["/m/x", "/m/x"],
        "is_present": [True, False],
    }
    label_files.write_framed_labels(table, path)
    assert path.read_text() == text


def test_ids_with_hyphens_and_underscores(tmp_path):
    path = tmp_path / "w.csv"
    path.write_text(_WEAK_HEADER + '-a_b-c_d_0, 417.300, 427.300, "/m/x"\n')
    table = label_files.read_weak_labels(path)
    assert table.to_dict("list") == {
        "segment_id": ["-a_b-c_d_0_417300"],
        "start_seconds": [417.3],
        "end_seconds": [427.3],
        "mids": [("/m/x",)],
    }
    label_files.write_weak_labels(table, tmp_path / "copy.csv")
    lines = (tmp_path / "copy.csv").read_text().splitlines()
    assert lines[3] == '-a_b-c_d_0, 417.300, 427.300, "/m/x"'


@pytest.mark.parametrize(
    ("read", "header", "empty"),
    [
        (
            label_files.read_weak_labels,
            _WEAK_HEADER,
            label_files.empty_weak_labels(),
        ),
        (
            label_files.read_strong_labels,
            _STRONG_HEADER,
            label_files.empty_strong_labels(),
        ),
        (label_files.read_framed_labels, _FRAMED_HEADER, None),
    ],
    ids=["weak", "strong", "framed"],
)
def test_files_without_rows_keep_columns_and_types(
    tmp_path, read, header, empty
):
    path = tmp_path / "empty"
    path.write_text(header)
    table = read(path)
    assert len(table) == 0
    assert len(table.columns) == 4
    if empty is not None:
        pd.testing.assert_frame_equal(table, empty)


# --- Bad lines --------------------------------------------------------------

_WEAK_OK = 'ok, 0.000, 10.000, "/m/x"'
_STRONG_OK = "ok_0\t0.000\t1.000\t/m/x"
_FRAMED_OK = "ok_0\t0.000\t0.960\t/m/x\tPRESENT"

_BAD_LINES = [
    ("weak", 'a,0.000,10.000,"/m/x"', "expected '<YTID>, <start>, <end>"),
    ("weak", "a, 0.000, 10.000, /m/x", "expected '<YTID>, <start>, <end>"),
    ("weak", 'a, 0.000, 10.000, ""', "expected '<YTID>, <start>, <end>"),
    ("weak", 'a, -1.0, 10.000, "/m/x"', "expected '<YTID>, <start>, <end>"),
    ("weak", "", "expected '<YTID>, <start>, <end>"),
    ("weak", 'a, 10.000, 10.000, "/m/x"', "ends after it starts"),
    ("weak", _WEAK_OK, "expected each segment once, ok_0 stands twice"),
    ("strong", "a_0\t0.0\t1.0", "expected 4 tab-separated fields, not 3"),
    ("strong", _FRAMED_OK, "expected 4 tab-separated fields, not 5"),
    ("strong", "a_0 0.0 1.0 /m/x", "expected 4 tab-separated fields, not 1"),
    ("strong", "a\t0.0\t1.0\t/m/x", "expected '<ytid>_<start ms>'"),
    ("strong", "a_0\t0.0\t1.0\t", "expected '<ytid>_<start ms>'"),
    ("strong", "a_0\tzero\t1.0\t/m/x", "expected times in seconds"),
    ("strong", "a_0\t-0.1\t1.0\t/m/x", "expected times in seconds"),
    ("strong", "a_0\t0.0\tinf\t/m/x", "expected times in seconds"),
    ("strong", "a_0\t0.0\tnan\t/m/x", "expected times in seconds"),
    ("strong", "a_0\t2.0\t1.0\t/m/x", "event that ends after it starts"),
    ("strong", "a_0\t1.0\t1.0\t/m/x", "event that ends after it starts"),
    ("framed", _STRONG_OK, "expected 5 tab-separated fields, not 4"),
    ("framed", _STRONG_OK + "\tYES", "expected PRESENT or NOT_PRESENT"),
    ("framed", "a_0\t0.5\t1.46\t/m/x\tPRESENT", "one of the 10 label frames"),
    ("framed", "a_0\t0\t1.92\t/m/x\tPRESENT", "one of the 10 label frames"),
    ("framed", "a_0\t9.6\t10.56\t/m/x\tPRESENT", "one of the 10 label frames"),
    ("framed", "a_0\t0.96\t0\t/m/x\tPRESENT", "ends after it starts"),
    ("names", "/m/x Dog", r"expected '<mid>\\t<display name>'"),
    ("names", "/m/x\t", r"expected '<mid>\\t<display name>'"),
]
_KINDS = {
    "weak": (label_files.read_weak_labels, _WEAK_HEADER, _WEAK_OK),
    "strong": (label_files.read_strong_labels, _STRONG_HEADER, _STRONG_OK),
    "framed": (label_files.read_framed_labels, _FRAMED_HEADER, _FRAMED_OK),
    "names": (label_files.read_display_names, "", "/m/ok\tOkay"),
}


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    _BAD_LINES,
    ids=[f"{kind}-{i}" for i, (kind, _, _) in enumerate(_BAD_LINES)],
)
def test_a_bad_line_is_named_or_counted(tmp_path, kind, line, expected):
    read, header, good_line = _KINDS[kind]
    path = tmp_path / "labels"
    path.write_text(f"{header}{good_line}\n{line}\n")
    number = header.count("\n") + 2

    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}:{number}: ")
    assert expected.replace("\\\\", "\\") in str(error.value)
    assert str(error.value).endswith(f"found {line!r}")

    problems = ProblemLog()
    assert len(read(path, problems)) == 1
    [problem] = problems.problems
    assert (problem.path, problem.line) == (str(path), number)
    assert str(problem) == str(error.value)


@pytest.mark.parametrize("kind", ["weak", "strong", "framed"])
@pytest.mark.parametrize(
    "text", ["", "\n\n\n", _WEAK_HEADER, _STRONG_HEADER, _FRAMED_HEADER]
)
def test_a_wrong_header_is_refused_also_with_a_log(tmp_path, kind, text):
    read, header, _ = _KINDS[kind]
    if text == header:
        return
    path = tmp_path / "labels"
    path.write_text(text)
    for problems in (None, ProblemLog()):
        with pytest.raises(InputError, match="labels:[13]: expected the head"):
            read(path, problems)


def test_other_encodings_are_refused(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes("Café".encode("latin-1"))
    with pytest.raises(InputError, match="expected UTF-8 text"):
        label_files.read_display_names(path)


def test_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(
        f"{_STRONG_HEADER}{_STRONG_OK}\n".replace("\n", "\r\n").encode()
    )
    assert label_files.read_strong_labels(path)["mid"].tolist() == ["/m/x"]


def test_lines_end_at_newlines_only(tmp_path):
    # str.splitlines would also split at U+2028 and shift all line numbers.
    path = tmp_path / "names"
    path.write_text("/m/x\tDog\u2028bark\n", encoding="utf-8")
    names = label_files.read_display_names(path)
    assert names == {"/m/x": "Dog\u2028bark"}


def test_the_grid_is_a_setting(tmp_path):
    path = tmp_path / "f.tsv"
    path.write_text(_FRAMED_HEADER + "a_0\t1.000\t1.500\t/m/x\tPRESENT\n")
    params = LabelFrameParams(label_frame_seconds=0.5, num_label_frames=20)
    table = label_files.read_framed_labels(path, params=params)
    assert table["label_frame"].tolist() == [2]


def test_problems_are_reported_with_their_number(caplog):
    problems = ProblemLog()
    problems.report()
    assert not caplog.records
    for line in range(7):
        problems.add("f.tsv", line, "bad")
    with caplog.at_level("WARNING", logger="absl"):
        problems.report(max_lines=2)
    [record] = caplog.records
    assert record.getMessage().splitlines() == [
        "7 label lines were left out:",
        "  f.tsv:0: bad",
        "  f.tsv:1: bad",
        "  ... and 5 more",
    ]

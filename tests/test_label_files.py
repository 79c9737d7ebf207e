"""Label files: round trips, bad lines, wrong headers, writers."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.labels import label_files, line_parser
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

_WEAK_HEADER = """# Segments csv created Sun Mar  5 00:00:00 2017
# num_ytids=1, num_segs=1, num_unique_labels=1, num_positive_labels=1
# YTID, start_seconds, end_seconds, positive_labels
"""
_STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
_FRAMED_HEADER = _STRONG_HEADER.replace("label\n", "label\tpresent\n")
_PAIR_HEADER = "segment_id\tlabel\n"


@pytest.fixture(autouse=True, scope="module")
def _small_files_are_read_as_large_ones():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_parser, "_MIN_BYTES_AT_ONCE", 0)
        yield


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
    class_map = read_class_map(audioset_labels / "class_labels_indices.csv")
    problems = ProblemLog(skip_bad_lines=True)
    table = label_files.read_weak_labels(
        path, problems, known_mids=class_map.mids
    )
    assert not problems.problems
    assert len(table) == num_rows
    created = datetime.datetime(2017, 3, 5, 10, 54, second)
    assert table.attrs["created"] == created
    label_files.write_weak_labels(table, tmp_path / name)
    assert (tmp_path / name).read_bytes() == path.read_bytes()


def test_fractional_starts_of_the_released_eval_file(audioset_labels):
    table = label_files.read_weak_labels(audioset_labels / "eval_segments.csv")
    assert table["segment_id"].is_unique
    ids = table.loc[table["start_seconds"] % 1 != 0, "segment_id"]
    starts = [s.rsplit("_", 1)[1] for s in ids]
    assert sorted(starts) == ["122700", "202700", "417300"]


def test_released_strong_file_byte_for_byte(
    strong_excerpts, audioset_labels, tmp_path
):
    path = strong_excerpts / "audioset_eval_strong.top110.tsv"
    names = label_files.read_display_names(
        audioset_labels / "mid_to_display_name.tsv"
    )
    problems = ProblemLog(skip_bad_lines=True)
    table = label_files.read_strong_labels(path, problems, known_mids=names)
    assert len(table) == 103207
    assert table["segment_id"].nunique() == 15646
    # The one thing to report: twelve events stand twice in the release.
    assert problems.num_left_out == 0
    assert problems.num_doubtful == 12
    assert all("once, this" in p.message for p in problems.problems)
    assert table.duplicated().sum() == 12
    label_files.write_strong_labels(table, tmp_path / "copy.tsv")
    assert (tmp_path / "copy.tsv").read_bytes() == path.read_bytes()


def test_released_display_names_byte_for_byte(audioset_labels, tmp_path):
    path = audioset_labels / "mid_to_display_name.tsv"
    problems = ProblemLog(skip_bad_lines=True)
    names = label_files.read_display_names(path, problems)
    assert not problems.problems
    assert len(names) == 456
    assert names["/m/01d3sd"] == "Snoring"
    label_files.write_display_names(names.items(), tmp_path / "copy.tsv")
    assert (tmp_path / "copy.tsv").read_bytes() == path.read_bytes()


def test_released_framed_file(strong_excerpts, tmp_path):
    path = strong_excerpts / "audioset_eval_strong_framed_posneg.gun.tsv"
    problems = ProblemLog(skip_bad_lines=True)
    table = label_files.read_framed_labels(path, problems)
    assert not problems.problems
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


def test_own_weak_labels_are_told_by_their_header(tmp_path):
    path = tmp_path / "own.csv"
    path.write_bytes(
        b'\xef\xbb\xbf"segment_id","labels"\r\n'
        b'kitchen 1,"dog_bark,cat"\r\n"a ""b"", c","dog_bark"\r\n'
        b"rec_0105,cat\r\n"
    )
    table = label_files.read_weak_labels(path)
    assert table["segment_id"].tolist() == ["kitchen 1", 'a "b", c', "rec_0105"]
    assert table["mids"].tolist() == [
        ("dog_bark", "cat"),
        ("dog_bark",),
        ("cat",),
    ]
    assert table["start_seconds"].tolist() == [0.0] * 3
    assert table["end_seconds"].isna().all()
    empty = label_files.empty_weak_labels()
    assert table.dtypes.equals(empty.dtypes)
    label_files.write_own_weak_labels(table, path)
    assert path.read_text() == (
        'segment_id,labels\nkitchen 1,"dog_bark,cat"\n'
        '"a ""b"", c",dog_bark\nrec_0105,cat\n'
    )
    pd.testing.assert_frame_equal(label_files.read_weak_labels(path), table)


def test_files_without_rows_keep_columns_and_types(tmp_path):
    path = tmp_path / "empty"
    path.write_text(_WEAK_HEADER)
    problems = ProblemLog()
    label_files.read_weak_labels(path, problems)
    note = problems.problems[-1]
    assert str(note).startswith(f"{path}:4: expected lines below the header")
    pd.testing.assert_frame_equal(
        label_files.read_weak_labels(path), label_files.empty_weak_labels()
    )
    path.write_text(_STRONG_HEADER)
    pd.testing.assert_frame_equal(
        label_files.read_strong_labels(path), label_files.empty_strong_labels()
    )
    path.write_text(_FRAMED_HEADER)
    assert label_files.read_framed_labels(path).shape == (0, 4)


# --- Bad lines --------------------------------------------------------------

_WEAK_OK = 'ok, 0.000, 10.000, "/m/x"'
_STRONG_OK = "ok_0\t0.000\t1.000\t/m/x"
_FRAMED_OK = "ok_0\t0.000\t0.960\t/m/x\tPRESENT"

_SECONDS = "expected times in seconds, 0 or more"
_ID = "expected a segment id that does not begin with a space"
_OWN = "expected '<segment id>,"
_BAD_LINES = [
    ("weak", 'a,0.000,10.000,"/m/x"', "expected '<YTID>, <start>, <end>"),
    ("weak", ', 0.000, 10.000, "/m/x"', "expected a YTID without spaces"),
    ("weak", 'a b, 0.000, 10.000, "/m/x"', "expected a YTID without spaces"),
    ("weak", 'a, -1.0, 10.000, "/m/x"', _SECONDS),
    ("weak", 'a, 0.000, 1e1s, "/m/x"', _SECONDS),
    ("weak", 'a, 0.000, 1e11, "/m/x"', _SECONDS),
    ("weak", 'a, , 10.000, "/m/x"', _SECONDS),
    ("weak", "a, 0.000, 10.000, /m/x", "expected mids in quotes"),
    ("weak", 'a, 0.000, 10.000, "/m/x', "expected mids in quotes"),
    ("weak", 'a, 0.000, 10.000, "/m/x, /m/y"', "such as /m/09x0r, not ' /m"),
    ("weak", 'a, 0.000, 10.000, "/m/x,,/m/y"', "such as /m/09x0r, not ''"),
    ("weak", 'a, 0.000, 10.000, "/m/x,Buzz"', "such as /m/09x0r, not 'Buzz'"),
    ("weak", 'a, 10.000, 10.000, "/m/x"', "a segment that ends after it start"),
    ("weak", 'ok, 0, 10, "/m/x,/m/y"', "each clip once, this one stands at"),
    ("weak", 'ok, 0, 9.5, "/m/x"', "at line 4 already and says something el"),
    ("own", "clip 2", _OWN),
    ("own", "clip 2,", _OWN),
    ("own", ",dog", _OWN),
    ("own", "clip 2,dog,cat", _OWN),
    ("own", '"clip 2,dog', _OWN),
    ("own", '"clip 2"3,dog', _OWN),
    ("own", '" clip 2",dog', _ID),
    ("own", 'clip 2,"dog, cat"', "a class id without spaces, not ' cat'"),
    ("own", 'clip 2,"dog,,cat"', "no comma without a class id on each side"),
    ("own", "clip 2,a'b c", 'a class id without spaces, not "a\'b c"'),
    ("own", '"007, ""x""",dog', "each clip once, this one stands at line 2"),
    ("strong", "a_0\t0.0\t1.0", "expected 4 tab-separated fields, not 3"),
    ("strong", _FRAMED_OK, "expected 4 tab-separated fields, not 5"),
    ("strong", " a\t0.0\t1.0\t/m/x", _ID),
    ("strong", "\t0.0\t1.0\t/m/x", _ID),
    ("strong", "a\x7f\t0.0\t1.0\t/m/x", _ID),
    ("strong", "a_0\t0.0\t1.0\t", "expected a mid such as /m/09x0r"),
    ("strong", "a_0\t0.0\t1.0\t/m/x ", "such as /m/09x0r, not '/m/x '"),
    ("strong", "a_0\t0.0\t1.0\tWind", "such as /m/09x0r, not 'Wind'"),
    ("strong", "a_0\t0.0\t1.0\t/m/x\0", "expected a mid such as /m/09x0r"),
    ("strong", "a_0\t-0.1\t1.0\t/m/x", _SECONDS),
    ("strong", "a_0\t0,5\t1.0\t/m/x", _SECONDS),
    ("strong", "a_0\t 0.0\t1.0\t/m/x", _SECONDS),
    ("strong", "a_0\t0.0\t99999999\t/m/x", _SECONDS),
    ("strong", "a_0\t0.0\tnan\t/m/x", _SECONDS),
    ("strong", "a_0\t0.0\tinf\t/m/x", _SECONDS),
    ("strong", "a_0\t0.0\t1e999\t/m/x", _SECONDS),
    ("strong", "a_0\t0.0\t\t/m/x", _SECONDS),
    ("strong", "a_0\t-6e-4\t1.0\t/m/x", _SECONDS),
    ("strong", "a_0\t1.2341\t1.2344\t/m/x", "event that ends after it sta"),
    ("strong", "a_0\t2.0\t1.0\t/m/x", "event that ends after it starts"),
    ("strong", "a_0\t1.0\t1.0\t/m/x", "event that ends after it starts"),
    ("framed", "ok_0\t0\t.96\t/m/x\tNOT_PRESENT", "and says something else"),
    ("framed", _STRONG_OK, "expected 5 tab-separated fields, not 4"),
    ("framed", _STRONG_OK + "\tYES", "expected PRESENT or NOT_PRESENT"),
    ("framed", "a_0\t0.5\t1.46\t/m/x\tPRESENT", "one of the 10 label frames"),
    ("framed", "a_0\t0\t1.92\t/m/x\tPRESENT", "one of the 10 label frames"),
    ("framed", "a_0\t9.6\t10.56\t/m/x\tPRESENT", "one of the 10 label frames"),
    ("framed", "a_0\t0.96\t0\t/m/x\tPRESENT", "ends after it starts"),
    ("pairs", _STRONG_OK, "expected 2 tab-separated fields, not 4"),
    ("pairs", " a\t/m/x", _ID),
    ("pairs", "a_0\t", "expected a mid such as /m/09x0r"),
    ("names", "/m/x Dog", r"expected '<mid>\t<display name>'"),
    ("names", "/m/x\t", r"expected '<mid>\t<display name>'"),
    ("names", "/m/ok\tAgain", "each mid once, this one stands at line 1"),
]
_OWN_OK = '"007, ""x""","dog_bark,cat"'
_KINDS = {
    "own": (label_files.read_weak_labels, "segment_id,labels\n", _OWN_OK),
    "weak": (label_files.read_weak_labels, _WEAK_HEADER, _WEAK_OK),
    "strong": (label_files.read_strong_labels, _STRONG_HEADER, _STRONG_OK),
    "framed": (label_files.read_framed_labels, _FRAMED_HEADER, _FRAMED_OK),
    "pairs": (label_files.read_pairs, _PAIR_HEADER, "ok_0\t/m/x"),
    "names": (label_files.read_display_names, "", "/m/ok\tOkay"),
}
_WRITERS = {
    "own": label_files.write_own_weak_labels,
    "weak": label_files.write_weak_labels,
    "strong": label_files.write_strong_labels,
    "framed": label_files.write_framed_labels,
    "pairs": label_files.write_pairs,
    "names": lambda names, path: label_files.write_display_names(
        names.items(), path
    ),
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
    assert expected in str(error.value)
    advice = ". Correct this line, or leave it out with skip_bad_lines."
    assert str(error.value).endswith(f"found {line!r}{advice}")
    with pytest.raises(InputError, match="skip_bad_lines"):
        read(path, ProblemLog())

    problems = ProblemLog(skip_bad_lines=True)
    assert len(read(path, problems)) == 1
    [problem] = problems.problems
    assert (problem.path, problem.line) == (str(path), number)
    assert f"{problem}{advice}" == str(error.value)
    assert problems.num_left_out == 1


def test_the_first_ten_bad_lines_are_listed(tmp_path):
    path = tmp_path / "labels"
    bad = [f"a_0\t{i}\t0\t/m/x\n" for i in range(1, 14)]
    # Lines are named in their order, whatever is wrong with them.
    path.write_text(f"{_STRONG_HEADER}a_0\n{''.join(bad)}{_STRONG_OK}\n" * 1)
    with pytest.raises(InputError) as error:
        label_files.read_strong_labels(path)
    first, *lines, last = str(error.value).splitlines()
    assert first == "14 label lines cannot be used:"
    assert [line.split(": ")[0] for line in lines] == [
        f"  {path}:{number}" for number in range(2, 12)
    ]
    assert lines[0].endswith(
        "expected 4 tab-separated fields, not 1, found 'a_0'"
    )
    assert lines[-1].endswith(" and 4 more")
    assert last == "Correct them, or leave them out with skip_bad_lines."
    # Most lines are bad: that is no file to read without them.
    with pytest.raises(InputError, match=f"14 of 15 lines of {path} cannot be"):
        label_files.read_strong_labels(path, ProblemLog(skip_bad_lines=True))


def test_blank_lines_say_nothing(tmp_path):
    path = tmp_path / "labels"
    path.write_text(f"{_STRONG_HEADER}\n{_STRONG_OK}\n\t\t\t\n \nb\t1\n")
    problems = ProblemLog(skip_bad_lines=True)
    assert len(label_files.read_strong_labels(path, problems)) == 1
    assert [p.line for p in problems.problems] == [6]


@pytest.mark.parametrize("kind", _KINDS)
@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_fuzzed_lines_are_read_or_counted(tmp_path_factory, kind, data):
    read, header, good_line = _KINDS[kind]
    pieces = st.sampled_from(
        ["\t", ",", " ", '"', "0", "1.5", "a", "_", "/m/x", "PRESENT", "\r"]
    )
    noise = st.lists(pieces | st.text(max_size=3), max_size=8).map("".join)
    cut = st.integers(0, len(good_line)).flatmap(
        lambda i: noise.map(lambda n: good_line[:i] + n + good_line[i + 1 :])
    )
    lines = data.draw(st.lists(noise | cut | st.just(good_line), max_size=6))
    lines = [line.replace("\n", "") for line in lines]
    path = tmp_path_factory.getbasetemp() / f"fuzzed_{kind}"
    text = "".join(f"{line}\n" for line in lines)
    path.write_bytes((header + text).encode("utf-8", "surrogatepass"))
    problems = ProblemLog(skip_bad_lines=True)
    try:
        num_rows = len(read(path, problems))
    except InputError as error:
        num_rows = str(error)
    if isinstance(num_rows, str):
        assert "too many to skip" in num_rows
        return
    left_out = [p for p in problems.problems if p.is_left_out]
    merged = [p for p in problems.problems if "taken once" in p.message]
    num_lines = sum(line.strip() != "" for line in lines)
    num_merged = sum(p.num_lines for p in merged)
    assert num_rows + len(left_out) + num_merged == num_lines
    assert all(p.num_lines == 1 for p in left_out)
    assert len({p.line for p in left_out}) == len(left_out)


# --- Lines that are kept, but noted -----------------------------------------

_YTID = "s9d-2nhuJCQ"


@pytest.mark.parametrize(
    ("kind", "lines", "line", "expected"),
    [
        ("strong", ["a_0\t0.0\t1.0\t/m/x"] * 2, 3, "stands at line 2 alre"),
        ("strong", ["a_0\t9.0\t10.5\t/m/x"], 2, "inside the clip of 10 s"),
        (
            "strong",
            [f"{i}_0\t0.0\t1.0\t/m/x" for i in (_YTID, "-" + _YTID[1:], "a")],
            4,
            "expected a YouTube id of 11 characters, as most are",
        ),
        ("weak", ['a, 0.000, 30.000, "/m/x"'], 4, "segment of at most 10 s"),
        ("weak", ['a, 0.0, 9.0, "/m/x,/m/x"'], 4, "each mid of a segment"),
        ("names", ["/m/x\tDog", "/m/y\tDog"], 2, "stands at line 1 already"),
    ],
)
def test_what_looks_wrong_is_kept_and_noted(
    tmp_path, kind, lines, line, expected
):
    read, header, _ = _KINDS[kind]
    path = tmp_path / "labels"
    path.write_text(header + "".join(f"{text}\n" for text in lines))
    problems = ProblemLog(skip_bad_lines=True)
    assert len(read(path, problems)) == len(lines)
    # The counts of the weak header are those of one line.
    [problem] = [p for p in problems.problems if "num_ytids" not in p.message]
    assert problem.line == line
    assert expected in problem.message
    assert problem.num_lines == 1
    assert not problem.is_left_out
    assert problems.num_left_out == 0


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("own", '"007, ""x""","cat,dog_bark"'),
        ("weak", 'ok, 0, 1e1, "/m/x"'),
        ("framed", "ok_0\t-0.0\t.96\t/m/x\tPRESENT"),
        ("names", "/m/ok\tOkay"),
    ],
)
def test_lines_that_say_the_same_are_taken_once(tmp_path, kind, line):
    read, header, good_line = _KINDS[kind]
    path = tmp_path / "labels"
    path.write_text(f"{header}{good_line}\n{line}\n{line}\n")
    problems = ProblemLog()
    assert len(read(path, problems)) == 1
    problem = problems.problems[0]
    assert "says the same, so it is taken once" in problem.message
    assert problem.line == header.count("\n") + 2
    assert problem.num_lines == 2


def test_events_in_any_order_are_no_doubt(tmp_path):
    path = tmp_path / "labels"
    lines = [f"{i}\t{9 - n}.5\t9.9\t/m/x\n" for n in (1, 2) for i in "bca"]
    path.write_text(_STRONG_HEADER + "".join(lines))
    problems = ProblemLog()
    assert len(label_files.read_strong_labels(path, problems)) == 6
    assert not problems.problems


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7.640000000000001", 7.64),
        ("1e-05", 0.0),
        ("-0.0", 0.0),
        ("-0.0004", 0.0),
        ("+3", 3.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("2.5E0", 2.5),
        ("0.00049999", 0.0),
        ("4.0015", 4.002),
        ("1234567.891", 1234567.891),
    ],
)
def test_times_are_any_decimal_in_milliseconds(tmp_path, text, seconds):
    path = tmp_path / "labels"
    path.write_text(f"{_STRONG_HEADER}a\t{text}\t2e6\t/m/x\n")
    table = label_files.read_strong_labels(path)
    [onset] = table["onset_seconds"]
    assert (onset, np.signbit(onset)) == (seconds, False)


_NAMES = {
    "Wind": ["/m/03m9d0z"],
    "Child speech, kid speaking": ["/m/0ytgt"],
    "Bow-wow": ["/m/07r_k2n"],
    "Tick": ["/m/07qjznt", "/m/x"],
}


@pytest.mark.parametrize("kind", ["own", "weak", "strong", "framed", "pairs"])
def test_display_names_become_mids(tmp_path, kind):
    read, header, _ = _KINDS[kind]
    path = tmp_path / "labels"
    name = "Child speech, kid speaking"
    line = {
        "own": f'a,"Wind,{name},/m/y"\nb,Wind',
        "weak": f'a, 0, 9, "{name},Wind,/m/y"\nb, 0, 9, "Wind"',
        "strong": f"a\t0\t1\t{name}\na\t0\t2\tWind\nb\t0\t2\t/m/03m9d0z",
        "framed": "".join(
            f"a\t0\t0.96\t{label}\tPRESENT\n" for label in (name, "Wind")
        ).strip(),
        "pairs": f"a\t{name}\na\tWind",
    }[kind]
    path.write_text(f"{header}{line}\n")
    problems = ProblemLog()
    table = read(path, problems, names=_NAMES)
    labels = table["mids"].explode() if "mids" in table else table["mid"]
    assert set(labels) - {"/m/y"} == {"/m/0ytgt", "/m/03m9d0z"}
    note = problems.problems[0]
    assert "display names were taken for theirs, such as" in note.message
    assert note.num_lines == 2
    assert not note.is_left_out


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Tick", "'Tick' is the display name of /m/07qjznt and of /m/x"),
        ("Ticks", "or one of 4 display names, not 'Ticks'"),
        ("Child speech", "or one of 4 display names, not 'Child speech'"),
    ],
)
@pytest.mark.parametrize("kind", ["own", "weak", "strong", "framed", "pairs"])
def test_other_names_are_refused(tmp_path, kind, label, expected):
    read, header, good_line = _KINDS[kind]
    path = tmp_path / "labels"
    good_line = good_line.replace("dog_bark,cat", "/m/x")
    line = good_line.replace("/m/x", label).replace("ok", "b").replace("7", "8")
    path.write_text(f"{header}{good_line}\n{line}\n")
    with pytest.raises(InputError) as error:
        read(path, names=_NAMES)
    assert expected in str(error.value)


@pytest.mark.parametrize("kind", ["own", "weak", "strong", "framed", "pairs"])
def test_beside_names_own_ids_must_be_known(tmp_path, kind):
    read, header, good_line = _KINDS[kind]
    path = tmp_path / "labels"
    good_line = good_line.replace("dog_bark,cat", "/m/x")
    for clip in ("ok", '"007, ""x"""'):
        good_line = good_line.replace(clip, "CLIP")
    lines = [
        good_line.replace("CLIP", clip).replace("/m/x", label)
        for clip, label in (("a", "Bark"), ("b", "cat"), ("c", "Crow"))
    ]
    path.write_text(header + "\n".join(lines[:2]) + "\n")
    names = {"Bark": ["dog_bark"], "Meow": ["cat"]}
    table = read(path, names=names)
    labels = table["mids"].explode() if "mids" in table else table["mid"]
    assert set(labels) == {"dog_bark", "cat"}
    path.write_text(header + "\n".join(lines) + "\n")
    with pytest.raises(InputError, match="one of 2 display names.* 'Crow'"):
        read(path, names=names)
    # Where no name is used, it is a class that the class map has not.
    path.write_text(header + "\n".join(lines[1:]) + "\n")
    assert len(read(path, names=names)) == 2


def test_own_ids_are_classes_where_the_class_map_has_such(tmp_path):
    path = tmp_path / "labels"
    names = {"Dog": ["dog_bark"], "Cat": ["cat"]}
    path.write_text(_STRONG_HEADER + "a\t0\t1\tdog_bark\na\t1\t2\tspeech\n")
    table = label_files.read_strong_labels(path, names=names)
    # speech is a class that the map has not: callers count these.
    assert table["mid"].tolist() == ["dog_bark", "speech"]
    path.write_text(_STRONG_HEADER + "a\t0\t1\tcat\na\t1\t2\ta door\n")
    with pytest.raises(InputError, match="without spaces, or one of 2 display"):
        label_files.read_strong_labels(path, names=names)
    # Without a class map, names of one word cannot be told from ids.
    path.write_text(_STRONG_HEADER + "a\t0\t1\tDog\na\t1\t2\ta door\n")
    with pytest.raises(
        InputError, match="class id without spaces, not 'a door"
    ):
        label_files.read_strong_labels(path)


# --- Several files ----------------------------------------------------------


def _write(folder, name, header, lines):
    path = folder / name
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def test_a_clip_in_two_files_is_taken_once(tmp_path):
    events = [f"{clip}\t{i}.0\t9.0\t/m/{i}" for clip in "ab" for i in (1, 2)]
    one = _write(tmp_path, "1.tsv", _STRONG_HEADER, events)
    two = _write(
        tmp_path, "2.tsv", _STRONG_HEADER, ["c\t0\t1\t/m/x", *events[:1:-1]]
    )
    problems = ProblemLog()
    table = label_files.read_label_files("strong", [one, two, one], problems)
    assert table["segment_id"].tolist() == ["a", "a", "b", "b", "c"]
    notes = [(p.path, p.line, p.num_lines) for p in problems.problems]
    assert notes == [(str(two), 3, 2), (str(one), 2, 4)]
    assert problems.problems[0].message == (
        f"expected each clip in one file; 1 also stand in another with the "
        f"same labels, and are taken once, such as 'b' at {one}:4"
    )


def test_a_clip_labelled_differently_in_two_files_is_refused(tmp_path):
    one = _write(
        tmp_path,
        "1.csv",
        _WEAK_HEADER,
        ['x, 0, 9, "/m/a,/m/b"', 'y, 0, 9, "/m/a"', 'z, 5, 9, "/m/a"'],
    )
    two = _write(
        tmp_path,
        "2.csv",
        _WEAK_HEADER,
        ['z, 5, 9, "/m/b"', 'x, 0, 9, "/m/b,/m/a"'],
    )
    own = _write(
        tmp_path, "own.csv", "segment_id,labels\n", ["w,/m/a", "y_0,/m/a"]
    )
    for paths, places in (
        ([one, two], (two, 4, "'z_5000'", one, 6)),
        ([two, one], (one, 6, "'z_5000'", two, 4)),
        # Own labels do not say how long a clip is.
        ([one, own], (own, 3, "'y_0'", one, 5)),
    ):
        later, line, clip, first, first_line = places
        text = (
            f"{later}:{line}: expected each clip in one file; {clip} also "
            f"stands at {first}:{first_line}, with other labels"
        )
        with pytest.raises(InputError) as error:
            label_files.read_label_files("weak", paths)
        assert str(error.value).startswith(text)
        problems = ProblemLog(skip_bad_lines=True)
        table = label_files.read_label_files("weak", paths, problems)
        assert problems.num_left_out == 1
        assert table["segment_id"].is_unique
    assert label_files.read_label_files("weak", []).empty


def test_unknown_mids_are_noted_once_a_class(tmp_path):
    path = tmp_path / "labels"
    path.write_text(
        _STRONG_HEADER
        + "".join(f"a_0\t{i}.0\t9.5\t/m/{m}\n" for i, m in enumerate("xyzyz"))
    )
    problems = ProblemLog(skip_bad_lines=True)
    label_files.read_strong_labels(path, problems, known_mids=["/m/x"])
    assert [(p.line, p.num_lines) for p in problems.problems] == [
        (3, 2),
        (4, 2),
    ]
    assert "one of the 1 known mids, not '/m/y'" in problems.problems[0].message
    assert str(problems.problems[0]).endswith("(2 lines)")


def test_unknown_mids_of_weak_labels(tmp_path):
    path = tmp_path / "labels"
    lines = ['a, 0.0, 9.0, "/m/x,/m/y"', 'b, 0.0, 9.0, "/m/z,/m/y"']
    path.write_text(_WEAK_HEADER + "\n".join(lines) + "\n")
    problems = ProblemLog(skip_bad_lines=True)
    label_files.read_weak_labels(path, problems, known_mids=["/m/x"])
    unknown = [p for p in problems.problems if "known" in p.message]
    assert [(p.line, p.num_lines) for p in unknown] == [(4, 2), (5, 1)]
    assert "not '/m/y'" in unknown[0].message


@pytest.mark.parametrize(
    ("header", "line", "expected"),
    [
        (_WEAK_HEADER.replace("ytids=1", "ytids=7"), 2, "as the lines add up"),
        (_WEAK_HEADER.replace("Sun Mar  5", "on 5.3."), 1, "and a date"),
    ],
)
def test_comments_of_weak_files_are_checked(tmp_path, header, line, expected):
    path = tmp_path / "labels"
    path.write_text(f"{header}{_WEAK_OK}\n")
    problems = ProblemLog(skip_bad_lines=True)
    assert len(label_files.read_weak_labels(path, problems)) == 1
    [problem] = problems.problems
    assert (problem.line, problem.is_left_out) == (line, False)
    assert expected in problem.message


def test_without_a_log_what_looks_wrong_is_a_warning(tmp_path, caplog):
    path = tmp_path / "labels"
    path.write_text(_STRONG_HEADER + "a_0\t9.0\t10.5\t/m/x\n")
    with caplog.at_level("WARNING", logger="absl"):
        assert len(label_files.read_strong_labels(path)) == 1
    [record] = caplog.records
    assert "1 label lines look wrong and were kept" in record.getMessage()


# --- Headers and encodings --------------------------------------------------


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
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match="(UTF-8 text|lines). Give a label f"):
        read(path)


_FOREIGN_FILES = {
    "of DESED": (
        "strong",
        "filename\tonset\toffset\tevent_label\na.wav\t0\t1\tSpeech\n",
        ":1: expected the header 'segment_id",
    ),
    "with commas": (
        "strong",
        _STRONG_HEADER.replace("\t", ",") + "a,0,1,/m/x\n",
        ":1: expected the header 'segment_id",
    ),
    "with an index of pandas": (
        "strong",
        f"\t{_STRONG_HEADER}0\ta\t0\t1\t/m/x\n",
        ":1: expected the header 'segment_id",
    ),
    "in UTF-16": (
        "strong",
        (_STRONG_HEADER + "a\t0\t1\t/m/x\n").encode("utf-16"),
        ":1: expected the header 'segment_id",
    ),
    "with decimal commas": (
        "strong",
        f"{_STRONG_HEADER}a\t0,5\t1,5\t/m/x\n",
        f":2: {_SECONDS}",
    ),
    "with minutes": (
        "strong",
        f"{_STRONG_HEADER}a\t0:00.5\t0:01.5\t/m/x\n",
        f":2: {_SECONDS}",
    ),
    "with a column more": (
        "strong",
        f"{_STRONG_HEADER}a\t0\t1\t/m/x\tannotator 1\n",
        ":2: expected 4 tab-separated fields, not 5",
    ),
    "with names among mids": (
        "strong",
        f"{_STRONG_HEADER}a\t0\t1\t/m/x\na\t0\t1\tBuzz\n",
        ":3: expected a class id such as /m/09x0r, not 'Buzz'",
    ),
    "with names of classes": (
        "strong",
        f"{_STRONG_HEADER}a\t0\t1\tdoor slam\n",
        ":2: expected a class id without spaces, not 'door slam'",
    ),
    "with 0 and 1": (
        "framed",
        f"{_FRAMED_HEADER}a\t0\t0.96\t/m/x\t1\n",
        ":2: expected PRESENT or NOT_PRESENT in the fifth field",
    ),
    "with frames of 1 s": (
        "framed",
        f"{_FRAMED_HEADER}a\t1\t2\t/m/x\tPRESENT\n",
        ":2: expected one of the 10 label frames of 0.96 s",
    ),
    "without spaces": (
        "weak",
        f'{_WEAK_HEADER}a,0.000,10.000,"/m/x"\n',
        ":4: expected '<YTID>, <start>, <end>",
    ),
    "saved by a spreadsheet": (
        "weak",
        f'{_WEAK_HEADER}"a, 0.000, 10.000, ""/m/x"""\n',
        ":4: expected a YTID without spaces, commas and quotes",
    ),
    "with semicolons between mids": (
        "weak",
        f'{_WEAK_HEADER}a, 0, 9, "/m/x"\nb, 0, 9, "/m/x;/m/y"\n',
        ":5: expected a class id such as /m/09x0r, not '/m/x;/m/y'",
    ),
    "with semicolons": (
        "own",
        "segment_id;labels\na;dog\n",
        ":1: expected the header 'segment_id,labels', found 'segment_id;lab",
    ),
    "without labels": (
        "own",
        'segment_id,labels\na,""\n',
        ":2: expected '<segment id>,\"<class>,<class>,...\"'",
    ),
}


@pytest.mark.parametrize("name", _FOREIGN_FILES)
def test_files_of_others_end_in_one_line(tmp_path, name):
    kind, content, message = _FOREIGN_FILES[name]
    path = tmp_path / "labels"
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        _KINDS[kind][0](path)
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


def test_other_encodings_are_refused(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes("Café".encode("latin-1"))
    with pytest.raises(InputError, match="labels:1: expected UTF-8 text"):
        label_files.read_display_names(path)
    path.write_bytes("/m/x\tCafé\n/m/y\tTea\n".encode("latin-1"))
    problems = ProblemLog(skip_bad_lines=True)
    assert label_files.read_display_names(path, problems) == {"/m/y": "Tea"}
    assert problems.num_left_out == 1


def test_line_ends(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(b"/m/x\tDog\r\n/m/y\tCat\r\n")
    assert label_files.read_display_names(path) == {
        "/m/x": "Dog",
        "/m/y": "Cat",
    }
    # str.splitlines would also split at U+2028 and shift all line numbers.
    path.write_text("/m/x\tDog\u2028bark\n", encoding="utf-8")
    assert label_files.read_display_names(path) == {"/m/x": "Dog\u2028bark"}


def test_the_grid_is_a_setting(tmp_path):
    path = tmp_path / "f.tsv"
    path.write_text(_FRAMED_HEADER + "a_0\t1.000\t1.500\t/m/x\tPRESENT\n")
    params = LabelFrameParams(label_frame_seconds=0.5, num_label_frames=20)
    table = label_files.read_framed_labels(path, params=params)
    assert table["label_frame"].tolist() == [2]


def test_problems_are_reported_with_their_number(caplog):
    problems = ProblemLog(skip_bad_lines=True)
    problems.report()
    for line in range(7):
        problems.add("f.tsv", line, "bad")
    with caplog.at_level("WARNING", logger="absl"):
        problems.report(max_problems=2)
    [record] = caplog.records
    assert record.getMessage() == (
        "7 label lines were left out:\n"
        "  f.tsv:0: bad\n  f.tsv:1: bad\n  ... and 5 more problems"
    )


_mids = st.from_regex(r"/[mtg]/[0-9a-z_]{1,8}", fullmatch=True)
_ytids = st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True)
_segment_ids = st.tuples(_ytids, st.integers(0, 40000)).map(
    "{0[0]}_{0[1]}".format
)
_ms = st.integers(0, 10_000_000)
_times = st.lists(_ms, min_size=2, max_size=2, unique=True).map(
    lambda pair: [f"{ms // 1000}.{ms % 1000:03d}" for ms in sorted(pair)]
)
_frames = st.integers(0, 9).map(
    lambda f: [f"{0.96 * edge:.3f}" for edge in (f, f + 1)]
)
_words = st.text(
    st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=9
)
_FIELDS = {
    "strong": (_segment_ids, _times, _mids),
    "framed": (
        _segment_ids,
        _frames,
        _mids,
        st.sampled_from(["PRESENT", "NOT_PRESENT"]),
    ),
    "own": (_segment_ids, _mids),
    "pairs": (_segment_ids, _mids),
    "names": (_mids, _words),
}


@st.composite
def _weak_text(draw):
    ytids = draw(st.lists(_ytids, max_size=6, unique=True))
    lines, labels = [], []
    for ytid in ytids:
        mids = draw(st.lists(_mids, min_size=1, max_size=4, unique=True))
        start, end = draw(_times)
        labels += mids
        lines.append(f'{ytid}, {start}, {end}, "{",".join(mids)}"\n')
    date = draw(
        st.datetimes(
            datetime.datetime(1990, 1, 1), datetime.datetime(2100, 1, 1)
        )
    )
    return (
        f"# Segments csv created {date.ctime()}\n"
        f"# num_ytids={len(ytids)}, num_segs={len(ytids)}, "
        f"num_unique_labels={len(set(labels))}, "
        f"num_positive_labels={len(labels)}\n"
        f"# YTID, start_seconds, end_seconds, positive_labels\n"
    ) + "".join(lines)


@st.composite
def _tab_separated_text(draw, kind):
    rows = draw(
        st.lists(
            st.tuples(*_FIELDS[kind]),
            max_size=6,
            # A mid has one name, a clip of one's own one line, and a label
            # frame of a class one state.
            unique_by={
                "names": lambda row: row[0],
                "own": lambda row: row[0],
                "framed": lambda row: str(row[:3]),
            }.get(kind),
        )
    )
    separator = "," if kind == "own" else "\t"
    lines = [
        separator.join("\t".join(f) if isinstance(f, list) else f for f in row)
        for row in rows
    ]
    return _KINDS[kind][1] + "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("kind", _KINDS)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_writer_after_reader_is_the_identity(tmp_path_factory, kind, data):
    path = tmp_path_factory.getbasetemp() / "identity"
    text = _weak_text() if kind == "weak" else _tab_separated_text(kind)
    written = data.draw(text)
    path.write_bytes(written.encode())
    _WRITERS[kind](_KINDS[kind][0](path), path)
    assert path.read_bytes().decode() == written


@pytest.mark.parametrize("kind", ["own", "weak", "strong", "framed", "pairs"])
def test_pandas_strings_are_written(tmp_path, kind):
    read, header, good_line = _KINDS[kind]
    path = tmp_path / "labels"
    path.write_text(f"{header}{good_line}\n")
    table = read(path)
    for name in {"segment_id", "mid"} & set(table):
        table[name] = table[name].astype("str")
    # In pandas 3 each part of a joined column is a pyarrow chunk of its own.
    _WRITERS[kind](pd.concat([table, table], ignore_index=True), path)
    assert path.read_text().endswith(f"{good_line}\n" * 2)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(_ms, st.integers(0, 999_999)), max_size=5))
def test_times_with_more_decimals_are_kept(parts):
    # Up to nine decimals are read; seconds below 10,000 keep all of them.
    texts = [f"{ms // 1000}.{ms % 1000:03d}{rest:06d}" for ms, rest in parts]
    seconds = pd.Series([float(text) for text in texts], dtype="float64")
    written = label_files.seconds_texts(seconds).to_pylist()
    assert [float(text) for text in written] == seconds.tolist()
    for text, given_text in zip(written, texts, strict=True):
        assert len(text) <= len(given_text)


def test_times_have_three_decimals():
    # 0.1 + 0.2 is 0.30000000000000004: noise of floats, not a decimal.
    seconds = pd.Series([0.1 + 0.2, 10.0, 0.0005, 8.64, np.float64(9) * 0.96])
    assert label_files.seconds_texts(seconds).to_pylist() == [
        "0.300",
        "10.000",
        "0.0005",
        "8.640",
        "8.640",
    ]


def test_a_weak_table_without_a_date_gets_the_releases(tmp_path):
    table = pd.DataFrame(
        {
            "segment_id": ["b_30000", "a_0"],
            "start_seconds": [30.0, 0.0],
            "end_seconds": [40.0, 10.0],
            "mids": [("/m/x",), ("/m/x", "/m/y")],
        }
    )
    label_files.write_weak_labels(table, tmp_path / "w.csv")
    assert (tmp_path / "w.csv").read_text().splitlines() == [
        "# Segments csv created Sun Mar  5 00:00:00 2017",
        "# num_ytids=2, num_segs=2, num_unique_labels=2, num_positive_labels=3",
        "# YTID, start_seconds, end_seconds, positive_labels",
        'b, 30.000, 40.000, "/m/x"',
        'a, 0.000, 10.000, "/m/x,/m/y"',
    ]


def test_a_failed_writer_leaves_no_file(tmp_path):
    table = label_files.empty_strong_labels().drop(columns="mid")
    with pytest.raises(KeyError):
        label_files.write_strong_labels(table, tmp_path / "s.tsv")
    assert not list(tmp_path.iterdir())


def test_complementary_negatives_are_of_classes_that_the_clip_has():
    rows = [
        ("a", 0, "/m/x", True),
        ("a", 1, "/m/x", False),
        ("a", 1, "/m/y", False),
        ("b", 1, "/m/x", False),
        ("b", 2, "/m/y", True),
    ]
    columns = ["segment_id", "label_frame", "mid", "is_present"]
    framed = pd.DataFrame(rows, columns=columns, index=[7, 3, 4, 9, 1])
    found = label_files.is_complementary(framed)
    assert framed[found].index.tolist() == [3]
    assert label_files.is_complementary(framed[:0]).empty

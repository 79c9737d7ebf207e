"""The audio index: every way to write it, and every way to get it wrong."""

import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audioset_strong.errors import InputError
from audioset_strong.records.audio_index import read_audio_index

_ROWS = {
    "segment_id": ["007", " 1 dog, barking".strip(), "a_b-c_105", 'say "yes"'],
    "path": ["x/1.wav", "x/two, three.wav", "s3://b/long.flac", "/abs/4.ogg"],
    "start_seconds": ["", "0", "7.640000000000001", "1e-05"],
    "duration_seconds": ["3.25", "", "12", "0.5"],
    "group": ["site 1", "", "", "site 1"],
    "comment": ["of two\nlines", "é", "", "a,b"],
}


def _check(index, folder):
    assert index.row_of_clip == {
        s: n for n, s in enumerate(_ROWS["segment_id"])
    }
    assert [index.path_of(row) for row in range(4)] == [
        f"{folder}/x/1.wav",
        f"{folder}/x/two, three.wav",
        "s3://b/long.flac",
        "/abs/4.ogg",
    ]
    assert math.isnan(index.start_seconds[0])
    assert index.start_seconds[1:].tolist() == [0, 7.640000000000001, 1e-05]
    assert math.isnan(index.duration_seconds[1])
    assert index.duration_seconds[[0, 2, 3]].tolist() == [3.25, 12, 0.5]
    assert [index.group_of(s) for s in _ROWS["segment_id"]] == [
        "site 1",
        "x/two, three.wav",
        "s3://b/long.flac",
        "site 1",
    ]
    assert index.group_of("unknown") == ""


@pytest.mark.parametrize("separator", [",", "\t"], ids=["csv", "tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_is_read_whatever_it_is_called(tmp_path, separator, encoding):
    path = tmp_path / "index.txt"
    table = pd.DataFrame(_ROWS)[reversed(_ROWS)]
    table.to_csv(path, sep=separator, index=False, encoding=encoding)
    _check(read_audio_index(str(path)), tmp_path)
    _check(read_audio_index(str(path), "/audio/"), "/audio")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    _check(read_audio_index(str(path)), tmp_path)


def test_parquet_is_read_with_texts_or_numbers(tmp_path):
    path = tmp_path / "index.parquet"
    table = pa.table(_ROWS)
    pq.write_table(table, path)
    _check(read_audio_index(str(path)), tmp_path)
    table = pa.table(
        {
            **_ROWS,
            "path": pa.array(_ROWS["path"]).dictionary_encode(),
            "start_seconds": [None, 0.0, 7.640000000000001, 1e-05],
            "duration_seconds": pa.array([3.25, None, 12, 0.5], pa.float32()),
            "group": ["site 1", None, None, "site 1"],
        }
    )
    pq.write_table(table, path)
    _check(read_audio_index(str(path)), tmp_path)


def test_two_columns_are_enough(tmp_path):
    path = tmp_path / "index.csv"
    path.write_text("path,segment_id\nb.wav,b\n\na.wav,a\n")
    index = read_audio_index(str(path))
    assert index.row_of_clip == {"b": 0, "a": 1}
    assert [index.group_of(s) for s in "ab"] == ["a.wav", "b.wav"]
    pq.write_table(pa.table({"segment_id": ["a"], "path": ["a"]}), path)
    assert read_audio_index(str(path)).path_of(0) == f"{tmp_path}/a"


def test_clips_of_one_file_are_one_group(tmp_path):
    path = tmp_path / "index.csv"
    path.write_text(
        "segment_id,path,start_seconds\n"
        "abcdefghijk_0,a.wav,0\nabcdefghijk_7000,./a.wav,7\n"
        "bbcdefghijk_0,b.wav,0\ncbcdefghijk_7000,b.wav,7\n"
        "one,c/../c.wav,0\ntwo,c.wav,1\n"
    )
    index = read_audio_index(str(path))
    # The ids of AudioSet tell, unless the file is of several videos.
    assert [index.group_of(s) for s in index.row_of_clip] == [
        *["abcdefghijk"] * 2,
        *["b.wav"] * 2,
        *["c.wav"] * 2,
    ]


_HEADER = "segment_id,path,start_seconds,duration_seconds,group\n"
_GOOD = "one,1.wav,,,\n"
_BAD = {
    "no header": ("a,1.wav\n", ":1: expected the columns segment_id, path"),
    "nothing": ("", ":1: expected the columns .*, found nothing"),
    "no path": ("segment_id;path\n", ":1: expected the columns"),
    "column twice": ("segment_id,path,path\n", ":1: expected each column once"),
    "no rows": (_HEADER + "\n", ": expected at least one clip, found none"),
    "same clip": (
        f"{_HEADER}{_GOOD}two,2.wav,,,\n\n{_GOOD}",
        ":5: expected each clip once, 'one' is also in line 2",
    ),
    "empty id": (f"{_HEADER}{_GOOD},2.wav,,,\n", ":3: expected a segment id"),
    "tab in an id": (
        f"{_HEADER}{_GOOD}x\ty,2.wav,,,\n",
        r":3: expected a segment id without tabs .* 'x\\ty'",
    ),
    "empty path": (
        f"{_HEADER}{_GOOD}two, ,,,\n",
        ":3: expected the path of an audio file, found ' '",
    ),
    "no number": (
        f"{_HEADER}{_GOOD}two,2.wav,3 s,,\n",
        ":3: expected start_seconds to be 0 or more, .* '3 s'",
    ),
    "not a finite number": (
        f"{_HEADER}{_GOOD}two,2.wav,,inf,\n",
        ":3: expected duration_seconds to be above 0, .* 'inf'",
    ),
    "nan": (f"{_HEADER}two,2.wav,nan,,\n", ":2: expected start_seconds"),
    "start below 0": (
        f"{_HEADER}{_GOOD}two,2.wav,-0.5,1,\n",
        ":3: expected start_seconds to be 0 or more, .* '-0.5'",
    ),
    "no length": (
        f"{_HEADER}{_GOOD}two,2.wav,0,0,\n",
        ":3: expected duration_seconds to be above 0",
    ),
    "comma": (
        f"{_HEADER}{_GOOD}two,2,5.wav,,,\n",
        ":3: expected 5 fields, found 6: .* Put quotes around",
    ),
    "field missing": (
        f"{_HEADER}two,2.wav\n",
        ":2: expected 5 fields, found 2",
    ),
    "quote left open": (
        f'{_HEADER}{_GOOD}"two,2.wav,,,\nthree,3.wav,,,\n',
        ":3: expected fields that are quoted as in a CSV",
    ),
    "group of two lines": (
        f'{_HEADER}"one",1.wav,,,"a\nb"\n',
        ":2: expected a group on one line",
    ),
    "same audio": (
        f"{_HEADER}{_GOOD}two,1.wav,0,,\n",
        "'one' and 'two' are both 1.wav from 0 s. Give start_seconds",
    ),
}


@pytest.mark.parametrize(("text", "message"), _BAD.values(), ids=_BAD)
def test_a_bad_index_is_told_in_one_line(tmp_path, text, message):
    path = tmp_path / "index.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_audio_index(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_comment_of_two_lines_keeps_the_lines_counted(tmp_path):
    path = tmp_path / "index.csv"
    path.write_text('segment_id,path,note\na,1.wav,"x\ny\n"\n,2.wav,\n')
    with pytest.raises(InputError, match=r"index\.csv:5: expected a segment"):
        read_audio_index(str(path))


def test_other_encodings_are_refused(tmp_path):
    path = tmp_path / "index.tsv"
    path.write_bytes("segment_id\tpath\na\t1.wav\nb\tmüll.wav".encode("latin1"))
    with pytest.raises(InputError, match=r"index\.tsv:3: expected UTF-8"):
        read_audio_index(str(path))


def test_bad_parquet(tmp_path):
    path = tmp_path / "index.parquet"
    whole = {"segment_id": ["a", "b"], "path": ["a.wav", "b.wav"]}
    for columns, message in (
        ({"segment_id": [7, 8]}, "text in the column segment_id, found int64"),
        ({"segment_id": ["a", "a"]}, r", row 2: .* 'a' is also in row 1"),
        ({"path": ["a.wav", None]}, ", row 2: expected the path"),
        ({"start_seconds": [0.0, -1.0]}, ", row 2: expected start_seconds"),
        ({"group": [1.5, 2.5]}, "text in the column group, found double"),
    ):
        pq.write_table(pa.table({**whole, **columns}), path)
        with pytest.raises(InputError, match=message):
            read_audio_index(str(path))
    pq.write_table(pa.table({"segment_id": ["a"]}), path)
    with pytest.raises(InputError, match="expected the columns segment_id, pa"):
        read_audio_index(str(path))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="expected Parquet"):
        read_audio_index(str(path))

"""Lists of annotated clips: read, written, refused."""

import numpy as np
import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.clips import (
    PREDICTED_HEADER,
    check_listed,
    check_onsets,
    lengths_of_clips,
    make_clips_table,
    read_annotated_clips,
    write_annotated_clips,
)

_HEADER = "segment_id\tduration_seconds\n"
_GROUPS = "segment_id\tduration_seconds\tgroup\n"


def test_a_list_by_hand(tmp_path):
    path = tmp_path / "clips.tsv"
    path.write_bytes(
        "\ufeffsegment_id\tduration_seconds\tgroup\r\n"
        "s9d-2nhuJCQ_30000\t10\t\r\n"
        "\r\n"
        "007\t5.5E-1\t site 3 \r\n"
        "dog, 1 \u00e9_5\t120.\tsite 3".encode()
    )
    clips = read_annotated_clips(path)
    assert clips.to_numpy().tolist() == [
        ["s9d-2nhuJCQ_30000", 10.0, "s9d-2nhuJCQ"],
        ["007", 0.55, "site 3"],
        ["dog, 1 \u00e9_5", 120.0, "site 3"],
    ]
    assert clips.dtypes.tolist() == [object, float, object]
    path.write_text(f"{_HEADER}rec_105\t3.25\n")
    assert read_annotated_clips(path)["group"].tolist() == ["rec_105"]


def test_what_is_written_is_read(tmp_path):
    clips = make_clips_table(
        ["a 1", "s9d-2nhuJCQ_30000", "c"],
        [0.001, 10.0, 86400.1234],
        ["g", "h h", "c"],
    )
    write_annotated_clips(clips, tmp_path / "clips.tsv")
    found = read_annotated_clips(tmp_path / "clips.tsv")
    expected = clips.assign(duration_seconds=[0.001, 10.0, 86400.123])
    pd.testing.assert_frame_equal(found, expected)


_BAD_LISTS = [
    ("", "clips.tsv:1: expected the header 'segment_id<TAB>duration_seconds'"),
    (_HEADER, "expected at least one clip, found none"),
    (_HEADER + "\n \n", "expected at least one clip, found none"),
    ("a\t3.0\nb\t4.0\n", "clips.tsv:1: expected the header"),
    ("segment_id,duration_seconds\na,3.0\n", "'segment_id,duration_seconds'"),
    ("segment_id\tduration\na\t3.0\n", "with <TAB>group if you like"),
    ("duration_seconds\tsegment_id\n3.0\ta\n", "clips.tsv:1: expected the h"),
    (_HEADER[:-1] + "\tgroup\tsite\na\t3\tb\tc\n", "clips.tsv:1: expected"),
    (_HEADER + "a\t3.0\nb 4.0\n", "clips.tsv:3: expected 2 fields"),
    (_HEADER + "a\t3.0\tg\n", "2 fields separated by tabs, found 3: 'a"),
    (_GROUPS + "a\t3.0\n", "clips.tsv:2: expected 3 fields"),
    (_HEADER + "\t3.0\n", "clips.tsv:2: expected a segment id in UTF-8"),
    (_HEADER + " a\t3.0\n", "segment id in UTF-8, found ' a'"),
    (_HEADER + "a\x07\t3.0\n", r"found 'a\\x07'"),
    (b"segment_id\tduration_seconds\na\xff\t3.0\n", r"found 'a\\udcff'"),
    (_HEADER.encode("utf-16"), "clips.tsv:1: expected the header"),
    (_HEADER + "a\t3\nb\t3\n\na\t3\n", "5: expected each clip once, 'a' is al"),
    (_HEADER + "a\t3,5\n", "2: expected a duration in seconds above 0, such"),
    (_HEADER + "a\t\n", "found ''"),
    (_HEADER + "a\t0.000\n", "found '0.000'"),
    (_HEADER + "a\t-3\n", "found '-3'"),
    (_HEADER + "a\tnan\n", "found 'nan'"),
    (_HEADER + "a\tinf\n", "found 'inf'"),
    (_HEADER + "a\t1e999\n", "found '1e999'"),
    (_HEADER + "a\t1_0\n", "found '1_0'"),
    (_HEADER + "a\t0:37\n", "found '0:37'"),
    (_HEADER + "a\t37 s\n", "found '37 s'"),
    (_HEADER + "a\t\u0663\n", "found '\u0663'"),
    (_GROUPS + "a\t3\tx\x00y\n", r"2: expected a group in UTF-8.*'x\\x00y'"),
    (b"PAR1\x15\x04\x00\xff\xfe", "clips.tsv:1: expected the header"),
]


@pytest.mark.parametrize(
    ("content", "message"), _BAD_LISTS, ids=range(len(_BAD_LISTS))
)
def test_bad_lists_are_refused_in_a_line(tmp_path, content, message):
    path = tmp_path / "clips.tsv"
    path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    with pytest.raises(InputError, match=message) as error:
        read_annotated_clips(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 400


def test_lengths_of_listed_and_other_clips():
    clips = make_clips_table(["a", "b"], [3.5, 40.0], ["a", "b"])
    lengths = lengths_of_clips(["b", "x", "a"], clips, 10.0)
    assert lengths.tolist() == [40.0, 10.0, 3.5]
    assert lengths_of_clips(["b"], None, 7.5).tolist() == [7.5]
    assert lengths_of_clips([], clips, 7.5).dtype == np.float64


def test_clips_that_are_not_listed_are_counted_and_named():
    clips = make_clips_table(["a", "b"], [3.5, 40.0], ["a", "b"])
    check_listed(pd.Series(["b", "a", "b"]), clips)
    check_listed(pd.Series([], dtype=object), clips)
    with pytest.raises(InputError, match="of 2; 4 are not: 'a ', 'c', 'd' and"):
        check_listed(pd.Series(["a ", "b", "c", "d", "c", "e"]), clips)


def test_events_that_start_long_after_their_clip_are_refused():
    clips = make_clips_table(["a", "b"], [3.5, 40.0], ["a", "b"])
    strong = pd.DataFrame(
        [
            ("a", 4.4, 5.0, "dog"),
            ("b", 39.0, 44.0, "dog"),
            ("c", 12, 13, "owl"),
        ],
        columns=["segment_id", "onset_seconds", "offset_seconds", "mid"],
    )
    # Less than a second late is a rounding; events may end whenever they do.
    check_onsets(strong, clips, 11.5)
    with pytest.raises(
        InputError, match="1 of 3 start.*owl at 12 s of 'c', wh"
    ):
        check_onsets(strong, clips, 11.0)
    strong["onset_seconds"] *= 1000
    with pytest.raises(
        InputError, match="3 of 3 .*dog at 4400 s of 'a', which"
    ):
        check_onsets(strong, clips, 11.5)
    with pytest.raises(InputError, match="which has 11.5 s. Give a list"):
        check_onsets(strong, None, 11.5)


def test_files_that_predict_has_scored_are_a_list(tmp_path, caplog):
    path = tmp_path / "files.tsv"
    path.write_text(
        f"{PREDICTED_HEADER}\n"
        "rec/a\t12.500\trec/a.wav\tok\t3\t0.9\t/m/x\t1.920\t\n"
        "rec/b\t\trec/b.wav\tfailed\t\t\t\t\tunreadable: rec/b.wav\n"
    )
    clips = read_annotated_clips(path)
    assert clips["segment_id"].tolist() == ["rec/a"]
    assert clips["group"].tolist() == ["rec/a"]
    assert "left out 1 clips whose status is failed" in caplog.text

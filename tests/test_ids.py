"""Segment ids, stable hashes and lists of clips."""

import numpy as np
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.ids import (
    group_of_segment,
    is_segment_id,
    make_segment_id,
    parse_audioset_id,
    read_clip_list,
    stable_fraction,
    write_clip_list,
)


@pytest.mark.parametrize(
    ("ytid", "start_seconds", "segment_id"),
    [
        ("s9d-2nhuJCQ", 30.0, "s9d-2nhuJCQ_30000"),
        ("--4gqARaEJE", 0.0, "--4gqARaEJE_0"),
        ("a_b_c_d_e_f", 0.0, "a_b_c_d_e_f_0"),
        ("_1234567_89", 150.0, "_1234567_89_150000"),
        # The three fractional starts of the released eval set; cutting instead
        # of rounding would give 417299, 202699 and 122700.
        ("abcdefghijk", 417.300, "abcdefghijk_417300"),
        ("abcdefghijk", 202.700, "abcdefghijk_202700"),
        ("abcdefghijk", 122.700, "abcdefghijk_122700"),
    ],
)
def test_ids_are_built_and_split_again(ytid, start_seconds, segment_id):
    assert make_segment_id(ytid, start_seconds) == segment_id
    assert parse_audioset_id(segment_id) == (ytid, round(start_seconds * 1000))
    assert group_of_segment(segment_id) == ytid


@pytest.mark.parametrize(
    "text",
    [
        "rec_105",
        "007",
        "0007_0300",
        "dog 1, kitchen",
        "x-y_z",
        "été_12",
        "s9d-2nhuJCQ",
        "s9d-2nhuJCQ_030000",
        "s9d-2nhuJCQ_30000_40000",
        "a/b.wav",
    ],
)
def test_any_other_text_is_an_id_of_its_own(text):
    assert is_segment_id(text)
    assert parse_audioset_id(text) is None
    assert group_of_segment(text) == text


@pytest.mark.parametrize("text", ["", " ", " a", "a\tb", "a\n", "a\nb", "\x00"])
def test_other_texts_are_no_ids(text):
    assert not is_segment_id(text)


def test_stable_fraction_is_fixed_and_salted():
    # Held-out parts and shards of existing records depend on these.
    assert stable_fraction("abc", "held_out") == 0.12627789543086507
    assert stable_fraction("abc") == 0.9516178220015467


def test_stable_fraction_is_uniform_and_independent_of_the_salt():
    keys = [f"key{i}" for i in range(10000)]
    one = np.array([stable_fraction(key, "one") for key in keys])
    two = np.array([stable_fraction(key, "two") for key in keys])
    assert one.min() >= 0
    assert one.max() < 1
    counts = np.histogram(one, bins=10, range=(0, 1))[0]
    # 1000 expected in each, standard deviation 30.
    assert np.abs(counts - 1000).max() < 130
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.05


_CLIPS = ["--4gqARaEJE_0", "--BfvyPmVMo_20000", "Y_abcdefgh__30000"]


def test_clip_list_round_trip(tmp_path):
    path = tmp_path / "clips.txt"
    write_clip_list([*reversed(_CLIPS), _CLIPS[0]], path, "Audio of A\nin B.")
    assert path.read_text() == (
        "# 3 clips, hash 3781105c2ecd4c20.\n# Audio of A\n# in B.\n"
        "--4gqARaEJE_0\n--BfvyPmVMo_20000\nY_abcdefgh__30000\n"
    )
    assert read_clip_list(path) == _CLIPS


def test_what_editors_do_to_a_list(tmp_path):
    path = tmp_path / "clips.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# made on another system\r\n\r\n"
        b"Y_abcdefgh__30000\r\n--4gqARaEJE_0  \r\n# end"
    )
    assert read_clip_list(path) == [_CLIPS[2], _CLIPS[0]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a_0\tb_0", r":3: expected a segment id, found 'a_0\\tb_0'"),
        (" a_0", ":3: expected"),
        ("\xff_0", ":3: expected"),
        ("--BfvyPmVMo_20000", ":3: expected each clip once.* in line 2"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = tmp_path / "clips.txt"
    text = f"# list\n--BfvyPmVMo_20000\n{line}\n"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message) as error:
        read_clip_list(path)
    assert str(path) in str(error.value)


def test_a_list_without_clips(tmp_path):
    path = tmp_path / "clips.txt"
    path.write_text("# 0 clips.\n")
    with pytest.raises(InputError, match="at least one clip, found none"):
        read_clip_list(path)

"""Files that name clips."""

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.ids import read_clip_list, write_clip_list

_CLIPS = ["--4gqARaEJE_0", "--BfvyPmVMo_20000", "Y_abcdefgh__30000"]


def test_round_trip(tmp_path):
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
        ("--4gqARaEJE", r":3: expected '<ytid>_<start ms>', found"),
        ("--4gqARaEJE_30.000", r":3: expected '<ytid>_<start ms>', found"),
        ("a_0 b_0", r":3: expected '<ytid>_<start ms>', found 'a_0 b_0'"),
        ("a_0,b_0", ":3: expected"),
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

"""Class map files."""

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    check_class_hash,
    check_same_classes,
    describe_other_classes,
    hash_of_mids,
    read_class_map,
    write_class_map,
)

_HEADER = "index,mid,display_name\n"
_MAP = ClassMap(("/m/a", "/m/b", "/t/c"), ("A", 'B, "the" bee', "C"))


def test_round_trip_of_the_released_file_byte_for_byte(
    audioset_labels, tmp_path
):
    path = audioset_labels / "class_labels_indices.csv"
    class_map = read_class_map(path)
    assert class_map.num_classes == 527
    assert (class_map.mids[0], class_map.display_names[0]) == (
        "/m/09x0r",
        "Speech",
    )
    write_class_map(class_map, tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == path.read_bytes()


def test_round_trip_of_quotes_and_commas(tmp_path):
    write_class_map(_MAP, tmp_path / "c.csv")
    assert read_class_map(tmp_path / "c.csv") == _MAP


def test_hash_depends_on_mids_and_their_order_only():
    renamed = ClassMap(_MAP.mids, ("x", "y", "z"))
    swapped = ClassMap(_MAP.mids[::-1], _MAP.display_names[::-1])
    assert renamed.content_hash == _MAP.content_hash
    assert swapped.content_hash != _MAP.content_hash
    # A fixed value: it is written into records and workdirs.
    assert _MAP.content_hash == "5e2f47afcb9adfea"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r":1: expected the header .* found 'an empty file'"),
        ("index,mid\n", r":1: expected the header .* found 'index,mid'"),
        (_HEADER, "expected at least one class, found none"),
        (_HEADER + "1,/m/a,A\n", ":2: expected the index 0, .* '1,/m/a,A'"),
        (_HEADER + "0,/m/a,A\n1,,B\n", ":3: expected a class id .* '1,,B'"),
        (_HEADER + "0,/m/a\n", r":2: expected '0,<mid>.* found '0,/m/a'"),
        (_HEADER + "0,/m/a,A\n1,/m/a,B\n", r":3: .* /m/a stands at line 2"),
        (_HEADER + '0,/m/a,"A\n1,/m/b,"B"\n', ":2: expected a display name"),
        (_HEADER + "0,/m/a\0,A\n", ":2: expected a class id without quotes"),
        (_HEADER + "0,dog bark,A\n", ":2: .* without spaces, not 'dog bark'"),
        (_HEADER + "0,/m/a,\n", ":2: expected a display name"),
        (_HEADER + '0,/m/a,""\n', ":2: expected a display name"),
        (_HEADER + "0,/m/a,A\n\n", r":3: expected '1,<mid>.*found ''"),
        (_HEADER + f"0,/m/a,{'x' * 200000},y\n", r":2: .*\(200009 characters"),
    ],
    ids=["empty", "header", "no class", "index", "no mid", "fields", "twice",
         "open quote", "NUL", "space", "no name", "empty name", "blank",
         "long"],
)  # fmt: skip
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_class_map(path)


@pytest.mark.parametrize(
    "content",
    [
        _HEADER.encode() + b'0,/m/a,"\xe9"\n',
        (_HEADER + "0,/m/a,A\n").encode("utf-16"),
        b"\x1f\x8b\x08\x00",
    ],
    ids=["latin-1", "utf-16", "gzip"],
)
def test_other_encodings(tmp_path, content):
    path = tmp_path / "c.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match="c.csv:[12]: expected"):
        read_class_map(path)


def test_windows_line_ends(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes(b"index,mid,display_name\r\n0,/m/a,A\r\n")
    assert read_class_map(path) == ClassMap(("/m/a",), ("A",))


def test_each_mid_needs_a_name():
    with pytest.raises(InputError, match="2 mids, 1 names"):
        ClassMap(("/m/a", "/m/b"), ("A",))


def test_hash_of_a_list_is_that_of_its_map():
    assert hash_of_mids(list(_MAP.mids)) == _MAP.content_hash


def test_lists_of_the_same_classes_pass():
    check_same_classes(_MAP.mids, list(_MAP.mids), "a", "b", "Do this.")
    check_class_hash(_MAP.mids, _MAP.content_hash, "a", "Do this.")
    assert describe_other_classes(_MAP.mids, _MAP.mids, "a", "b") == ""


def test_a_swap_is_described():
    # Classes 0 and 1 swap; class 2 is the same.
    found = ("/m/b", "/m/a", "/t/c")
    with pytest.raises(InputError) as error:
        check_same_classes(_MAP.mids, found, "run", "records", "Do this.")
    assert str(error.value) == (
        f"The classes differ: class hash 5e2f47afcb9adfea (3 classes) in run, "
        f"{hash_of_mids(found)} (3 classes) in records; class 0 is /m/a there, "
        f"/m/b here, class 1 is /m/b there, /m/a here. Do this."
    )


def test_many_differences_are_counted():
    expected = [f"/m/{i}" for i in range(10)]
    text = describe_other_classes(expected, expected[2:], "run", "records")
    # Every index differs: eight by the shift, two are missing.
    assert "class 2 is /m/2 there, /m/4 here, and 7 more differ" in text
    text = describe_other_classes(expected, expected[:9], "run", "records")
    assert text.endswith("class 9 is /m/9 there, none here")


def test_a_list_that_is_not_that_of_its_hash():
    with pytest.raises(
        InputError, match=r"x has class hash \w{16} \(2 .* first are /m/b, /m/a"
    ):
        check_class_hash(["/m/b", "/m/a"], _MAP.content_hash, "x", "Do this.")

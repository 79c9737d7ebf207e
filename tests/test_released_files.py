"""What the official files hold: the list, and checks of files against it."""

import pytest

from audioset_strong.labels.download import (
    LABEL_LICENCE,
    ONTOLOGY_LICENCE,
    RELEASED_FILES,
    FileCounts,
    ReleasedFile,
    check_file,
)

_BY_NAME = {released.name: released for released in RELEASED_FILES}
_STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
# Two clips, three events, two classes; the events of a_0 end in order.
_STRONG = f"""{_STRONG_HEADER}
abcdefghijk_0\t0.000\t1.500\t/m/1
abcdefghijk_0\t2.000\t3.000\t/m/2
bcdefghijkl_10000\t0.100\t9.000\t/m/1
"""
_WEAK = """# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=2, num_segs=2, num_unique_labels=3, num_positive_labels=4
# YTID, start_seconds, end_seconds, positive_labels
abcdefghijk, 0.000, 10.000, "/m/1,/m/2"
bcdefghijkl, 30.000, 40.000, "/m/2,/m/3"
"""


def test_the_list():
    assert len(_BY_NAME) == len(RELEASED_FILES) == 9
    strong = "https://storage.googleapis.com/us_audioset/youtube_corpus/strong/"
    weak = "https://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv/"
    ontology = "https://raw.githubusercontent.com/audioset/ontology/master/"
    for released in RELEASED_FILES:
        folder = released.url.removesuffix(released.name)
        assert (
            folder
            == {
                "strong": strong,
                "framed": strong,
                "display_names": strong,
                "weak": weak,
                "class_map": weak,
                "ontology": ontology,
            }[released.kind]
        )
    # The framed file's counts are recalled, all others were counted.
    assert [r.kind for r in RELEASED_FILES if not r.is_verified] == ["framed"]
    licences = {r.kind: r.licence for r in RELEASED_FILES}
    assert licences.pop("ontology") == ONTOLOGY_LICENCE
    assert set(licences.values()) == {LABEL_LICENCE}


@pytest.mark.parametrize(
    ("name", "rows", "clips", "classes", "labels"),
    [
        ("eval_segments.csv", 20371, 20371, 527, 51804),
        ("balanced_train_segments.csv", 22160, 22160, 527, 52882),
        ("class_labels_indices.csv", 527, None, 527, None),
        ("mid_to_display_name.tsv", 456, None, 456, None),
        ("ontology.json", 632, None, 632, None),
    ],
)
def test_real_files(audioset_labels, name, rows, clips, classes, labels):
    check = check_file(str(audioset_labels / name), _BY_NAME[name])
    assert check.counts == FileCounts(rows, clips, classes, labels)
    assert (check.errors, check.warnings) == ((), ())


def test_part_of_a_real_file_is_not_the_file(audioset_labels, tmp_path):
    name = "eval_segments.csv"
    lines = (audioset_labels / name).read_text().splitlines(keepends=True)
    path = tmp_path / name
    path.write_text("".join(lines[:1003]))
    check = check_file(str(path), _BY_NAME[name])
    assert check.counts.rows == 1000
    assert "Expected 20,371 rows, found 1,000." in check.errors
    assert "Expected 20,371 clips, found 1,000." in check.errors
    # The second line says the same, which need not be said twice.
    assert sum("clips" in error for error in check.errors) == 1


def test_an_excerpt_of_the_framed_file_is_only_warned_of(strong_excerpts):
    name = "audioset_eval_strong_framed_posneg"
    check = check_file(
        str(strong_excerpts / f"{name}.gun.tsv"), _BY_NAME[f"{name}.tsv"]
    )
    assert check.counts == FileCounts(807, 196, 3)
    assert check.errors == ()
    assert check.warnings == (
        "Expected 958,528 rows, found 807. That number was not verified.",
        "Expected 14,203 clips, found 196. That number was not verified.",
    )


def _check(tmp_path, text, kind, counts, is_verified=True):
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    released = ReleasedFile("file", "https://a.test/f", kind, counts)
    if not is_verified:
        released = ReleasedFile(
            "file", "https://a.test/f", kind, counts, is_verified=False
        )
    return check_file(str(path), released)


def test_strong_counts(tmp_path):
    check = _check(tmp_path, _STRONG, "strong", FileCounts(3, 2, 2))
    assert check.counts == FileCounts(3, 2, 2)
    assert not check.errors
    check = _check(tmp_path, _STRONG, "strong", FileCounts(3, 2, 4))
    assert check.errors == ("Expected 4 classes, found 2.",)


def test_bad_lines_of_the_release_itself_are_only_warned_of(tmp_path):
    # The official file may hold lines that our readers leave out. They count
    # as rows, so with the right number of rows the file is the official one.
    text = _STRONG + "bcdefghijkl_10000\t5.000\t4.000\t/m/1\n"
    check = _check(tmp_path, text, "strong", FileCounts(4, 2, 2))
    assert check.errors == ()
    assert check.warnings[0].startswith("1 lines are left out and 0 look wrong")
    assert "file:5: " in check.warnings[0]
    check = _check(tmp_path, text, "strong", FileCounts(3, 2, 2))
    assert check.errors[0] == "Expected 3 rows, found 4."
    assert "file:5: " in check.errors[1]


def test_bad_lines_of_an_unverified_file_with_other_counts(tmp_path):
    text = _STRONG + "half a li"
    counts = FileCounts(9)
    check = _check(tmp_path, text, "strong", counts, is_verified=False)
    assert check.errors[0] == "Expected 9 rows, found 4."
    check = _check(tmp_path, _STRONG, "strong", counts, is_verified=False)
    assert check.errors == ()


def test_weak_csvs_say_their_own_counts(tmp_path):
    unknown = FileCounts()
    check = _check(tmp_path, _WEAK, "weak", unknown)
    assert check.counts == FileCounts(2, 2, 3, 4)
    assert not check.errors
    last = _WEAK.rindex("bcd")
    check = _check(tmp_path, _WEAK[:last], "weak", unknown)
    where = "(by the file's second line)."
    assert check.errors[:4] == (
        f"Expected 2 rows, found 1 {where}",
        f"Expected 2 clips, found 1 {where}",
        f"Expected 3 classes, found 2 {where}",
        f"Expected 4 labels, found 2 {where}",
    )


@pytest.mark.parametrize(
    "kind",
    ["weak", "strong", "framed", "class_map", "display_names", "ontology"],
)
@pytest.mark.parametrize(
    "content", [b"", b"<html>404</html>\n", b"\x1f\x8b\x08\xff\xfe"]
)
def test_what_is_no_label_file(tmp_path, kind, content):
    check = _check(tmp_path, content, kind, FileCounts(rows=5))
    assert check.errors
    assert all("\n" not in error for error in check.errors)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_file(str(tmp_path / "none"), RELEASED_FILES[0])

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.label_tracks import (
    is_label_track,
    read_event_labels,
)
from audioset_strong.labels.problems import ProblemLog

_CLASSES = ClassMap(("/m/a", "own"), ("Dog", "Own sound"))
_TSV = (
    "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
    "a\t0.000\t1.000\t/m/a\n"
)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "1.0\t2.0\tdog\n", True),
        ("a.txt", "1,0\t2,0\tdog\n", True),
        ("a.txt", "", True),
        ("a.TXT", "\\\t100\t200\n", True),
        ("a.txt", _TSV, False),
        ("a.tsv", _TSV, False),
        ("a.tsv", "1.0\t2.0\tdog\n", False),
    ],
)
def test_label_tracks_are_known_by_name_and_first_line(
    tmp_path, name, text, expected
):
    (tmp_path / name).write_text(text)
    assert is_label_track(tmp_path / name) == expected
    assert is_label_track(tmp_path)


def _read(path, recordings=(), problems=None, class_map=_CLASSES):
    strong, ids = read_event_labels(
        path, problems, class_map=class_map, recordings=recordings
    )
    return strong.to_numpy().tolist(), ids


def test_a_track_is_of_the_recording_of_its_name(tmp_path):
    path = tmp_path / "rec 1.txt"
    path.write_text("1.5\t2\tdog\n\\\t100\t200\n3\t4\tOwn sound\n5\t6\town\n")
    events = [
        ["rec 1", 1.5, 2.0, "/m/a"],
        ["rec 1", 3.0, 4.0, "own"],
        ["rec 1", 5.0, 6.0, "own"],
    ]
    assert _read(path) == (events, ["rec 1"])
    # predict names what is in a folder by the folder.
    found, ids = _read(path, {"yard/rec 1", "yard/rec 2"})
    assert ids == ["yard/rec 1"]
    assert {event[0] for event in found} == {"yard/rec 1"}
    # But not where it could be either.
    assert _read(path, {"yard/rec 1", "home/rec 1"})[1] == ["rec 1"]
    assert _read(path, {"yard/rec 1", "rec 1"})[1] == ["rec 1"]


def test_a_folder_has_a_track_of_each_recording(tmp_path):
    (tmp_path / "yard").mkdir()
    (tmp_path / "yard" / "a.txt").write_text("0\t1\tDog\n")
    (tmp_path / "b.txt").write_text("")
    assert _read(tmp_path) == (
        [["yard/a", 0.0, 1.0, "/m/a"]],
        ["b", "yard/a"],
    )
    (tmp_path / "a.txt").write_text("0\t1\tDog\n")
    with pytest.raises(InputError, match="one label track of 'yard/a'"):
        _read(tmp_path, {"yard/a"})


def test_a_strong_tsv_names_no_clip_without_events(tmp_path):
    path = tmp_path / "strong.tsv"
    path.write_text(_TSV)
    assert _read(path, class_map=None) == ([["a", 0.0, 1.0, "/m/a"]], None)


def test_labels_that_are_no_class_stop_or_are_skipped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0\t1\tDog\n1\t2\twhat?\nx\t2\tDog\n")
    with pytest.raises(InputError, match="a.txt:3: expected the onset"):
        _read(path)
    problems = ProblemLog(skip_bad_lines=True)
    events, _ = _read(path, {"yard/a"}, problems)
    assert events == [["yard/a", 0.0, 1.0, "/m/a"]]
    assert problems.num_left_out == 2
    assert problems.clips_left_out == {"yard/a": 1}
    with pytest.raises(InputError, match="expected a class map"):
        _read(path, class_map=None)

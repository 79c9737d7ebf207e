"""Labels of other tools: each format as the tool writes or documents it.

The Audacity and Raven files are the first lines of files that these programs
wrote (a marked recording of scikit-maad's, a soundscape of towhees), of a
server's tests, and of the Audacity manual; the others are the first lines of
the data sets.
"""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.imported_clips import (
    Recording,
    class_id_of_label,
    cut_into_clips,
    events_of_clips,
    fit_into_recording,
    name_classes,
)
from audioset_strong.labels.importers import (
    FORMATS,
    ImportParams,
    Row,
    read_foreign_labels,
)
from audioset_strong.labels.problems import ProblemLog

_AUDACITY_MANUAL = (
    "1.000000\t1.000000\tThis point was clicked at 6928.456055 Hz\n"
    "\\\t6928.456055\t6928.456055\n"
    "2.000000\t3.000000\tfrom 100 to 200 Hz\n"
    "\\\t100.000000\t200.000000\n"
)
_RAVEN_VIEWS = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\t"
    "High Freq (Hz)\tDelta Time (s)\tAvg Power Density (dB FS/Hz)\tAnnotation\n"
    "1\tWaveform 1\t1\t6.709509878\t15.096397225\t1739.012\t3798.813\t8.3869\t"
    "\tBirb\n"
    "1\tSpectrogram 1\t1\t6.709509878\t15.096397225\t1739.012\t3798.813\t"
    "8.3869\t-75.87\tBirb\n"
    "2\tWaveform 1\t1\t29.383026016\t40.257059266\t1587.060\t4136.485\t"
    "10.8740\t\tdonkey\n"
)


def _read(tmp_path, label_format, name, text, **params):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    rows = read_foreign_labels(str(path), label_format, ImportParams(**params))
    # Without the place, which only messages use.
    return [tuple(row[2:6]) for row in rows]


def test_audacity_extended_track(tmp_path):
    text = (
        "0.101385\t0.367520\tSP\n\\\t6441.064453\t12296.577148\n"
        "0.506924\t3.041545\tCRER\n\\\t2593.156006\t8866.920898\n"
    )
    assert _read(tmp_path, "audacity", "spinetail.txt", text) == [
        ("spinetail", "", None, None),
        ("spinetail", "SP", 101, 368),
        ("spinetail", "CRER", 507, 3042),
    ]


def test_audacity_points_need_a_length(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt:1: .*point_seconds"):
        _read(tmp_path, "audacity", "a.txt", _AUDACITY_MANUAL)
    rows = _read(
        tmp_path, "audacity", "a.txt", _AUDACITY_MANUAL, point_seconds=0.25
    )
    assert [row[2:] for row in rows[1:]] == [(1000, 1250), (2000, 3000)]


def test_audacity_decimal_comma_bom_and_line_ends(tmp_path):
    text = "\ufeff1,25\t2,5\tdog  bark \r\n-0.0\t1e-1\tcafe\u0301\r\n"
    assert _read(tmp_path, "audacity", "x.TXT", text)[1:] == [
        ("x", "dog bark", 1250, 2500),
        ("x", "caf\u00e9", 0, 100),
    ]


def test_audacity_empty_track_is_a_recording_without_events(tmp_path):
    rows = _read(tmp_path, "audacity", "night 07.txt", "")
    assert rows == [("night 07", "", None, None)]


def test_raven_table_of_one_recording(tmp_path):
    text = (
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\t"
        "Low Freq (Hz)\tHigh Freq (Hz)\tSpecies\r\n"
        "1\tSpectrogram 1\t1\t154.387792767\t154.911598217\t2878.2\t4049.0\t"
        "EATO\r\n"
    )
    name = "Recording_1_Segment_02.Table.1.selections.txt"
    assert _read(tmp_path, "raven", name, text) == [
        ("Recording_1_Segment_02", "", None, None),
        ("Recording_1_Segment_02", "EATO", 154388, 154912),
    ]


def test_raven_views_of_a_selection_count_once(tmp_path):
    rows = _read(tmp_path, "raven", "a.Table.1.selections.txt", _RAVEN_VIEWS)
    assert [row[1:] for row in rows[1:]] == [
        ("Birb", 6710, 15096),
        ("donkey", 29383, 40257),
    ]


def test_raven_files_of_a_sequence_have_offsets(tmp_path):
    text = (
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\t"
        "File Offset (s)\tSpecies Code\tCommon Name\n"
        "1\t3.5\t4.5\ta.wav\t3.5\tamro\tRobin\n"
        "2\t63.5\t65.0\tb.wav\t3.5\tamro\tRobin\n"
    )
    assert _read(tmp_path, "raven", "t.txt", text) == [
        ("a.wav", "Robin", 3500, 4500),
        ("b.wav", "Robin", 3500, 5000),
    ]
    rows = _read(tmp_path, "raven", "t.txt", text, label_column="Species Code")
    assert {row[1] for row in rows} == {"amro"}


def test_raven_files_of_a_sequence_without_offsets_are_refused(tmp_path):
    text = (
        "Begin Time (s)\tEnd Time (s)\tBegin File\tAnnotation\n"
        "3.5\t4.5\ta.wav\tx\n63.5\t65.0\tb.wav\tx\n"
    )
    with pytest.raises(InputError, match="File Offset"):
        _read(tmp_path, "raven", "t.txt", text)


def test_dcase_strong(tmp_path):
    text = (
        "filename\tonset\toffset\tevent_label\n"
        "Y00pbt6aJV8Y_350.000_360.000.wav\t0.000\t9.971\tVacuum_cleaner\n"
        "Y00pbt6aJV8Y_350.000_360.000.wav\t1.640\t7.640000000000001\tDog\n"
        "Y0_K6OKtoBBU_30.000_40.000.wav\n"
        "Y-x.wav\t\t\t\n"
    )
    assert _read(tmp_path, "dcase", "validation.tsv", text) == [
        ("Y00pbt6aJV8Y_350.000_360.000.wav", "Vacuum_cleaner", 0, 9971),
        ("Y00pbt6aJV8Y_350.000_360.000.wav", "Dog", 1640, 7640),
        ("Y0_K6OKtoBBU_30.000_40.000.wav", "", None, None),
        ("Y-x.wav", "", None, None),
    ]


def test_dcase_weak(tmp_path):
    text = (
        "filename\tevent_labels\n"
        "Y-BJNMHMZDcU_50.000_60.000.wav\tAlarm_bell_ringing,Dog\n"
    )
    rows = _read(tmp_path, "dcase", "weak.tsv", text)
    assert [row[1] for row in rows] == ["Alarm_bell_ringing", "Dog"]
    assert {row[2] for row in rows} == {None}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "header",
    [
        ("file", "onset", "offset", "label"),
        ("label", "File Name", "Start Time (s)", "End Time (s)"),
        ("class", "number", "path", "begin", "end"),
    ],
)
def test_csv_words_orders_and_delimiters(tmp_path, delimiter, header):
    cells = {
        "number": "7",
        **dict.fromkeys(("file", "File Name", "path"), "s 1/a.wav"),
        **dict.fromkeys(("onset", "Start Time (s)", "begin"), "0.5"),
        **dict.fromkeys(("offset", "End Time (s)", "end"), "2.25"),
        **dict.fromkeys(("label", "class"), '"Bark, ""loud"""'),
    }
    if delimiter == "\t":
        cells["label"] = cells["class"] = '"Bark, ""loud"""'
    lines = [header, [cells[name] for name in header]]
    text = "".join(delimiter.join(line) + "\n" for line in lines)
    assert _read(tmp_path, "csv", "l.csv", text) == [
        ("s 1/a.wav", 'Bark, "loud"', 500, 2250)
    ]


def test_csv_of_files_and_labels(tmp_path):
    text = "file,label,group\na.wav,dog,k\na.wav,cat,k\nb.wav,,s\n"
    path = tmp_path / "l.csv"
    path.write_text(text)
    rows = read_foreign_labels(str(path), "csv")
    assert [(r.recording, r.label, r.group) for r in rows] == [
        ("a.wav", "dog", "k"),
        ("a.wav", "cat", "k"),
        ("b.wav", "", "s"),
    ]


def test_fsd50k_keeps_mids(tmp_path):
    path = tmp_path / "dev.csv"
    path.write_text(
        "fname,labels,mids,split\n"
        '64760,"Electric_guitar,Music","/m/02sgy,/m/04rlf",train\n'
        "16399,Crash_cymbal,/m/0bm02,val\n"
    )
    rows = read_foreign_labels(str(path), "fsd50k")
    assert [(r.recording, r.label, r.mid) for r in rows] == [
        ("64760", "Electric_guitar", "/m/02sgy"),
        ("64760", "Music", "/m/04rlf"),
        ("16399", "Crash_cymbal", "/m/0bm02"),
    ]
    class_map, mid_of_label = name_classes(rows)
    assert class_map.mids == ("/m/02sgy", "/m/04rlf", "/m/0bm02")
    assert mid_of_label["Music"] == "/m/04rlf"


def test_esc50_folds_are_groups(tmp_path):
    path = tmp_path / "esc50.csv"
    path.write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "4-100038-A-14.wav,4,14,chirping_birds,False,100038,A\n"
    )
    rows = read_foreign_labels(str(path), "esc50")
    assert [(r.recording, r.label, r.group) for r in rows] == [
        ("1-100032-A-0.wav", "dog", "fold1"),
        ("4-100038-A-14.wav", "chirping_birds", "fold4"),
    ]


def test_the_real_list_of_esc50_is_read(esc50_dir):
    rows = read_foreign_labels(str(esc50_dir / "meta" / "esc50.csv"), "esc50")
    assert len(rows) > 1000
    assert {row.group for row in rows} == {f"fold{n}" for n in range(1, 6)}


_EVENTS = [
    {"event_name": "Dog", "start": 0.5, "end": 1.25},
    {"event_name": "Bow-wow", "start": 1, "end": 1e1},
]


@pytest.mark.parametrize("as_lists", [False, True])
def test_events_as_json_lines(tmp_path, as_lists):
    events = _EVENTS
    if as_lists:
        events = {key: [e[key] for e in _EVENTS] for key in _EVENTS[0]}
    records = [
        {"video_id": "--PJHxphWEs", "events": events},
        {"video_id": "b", "events": []},
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    assert _read(tmp_path, "events", "train.jsonl", text) == [
        ("--PJHxphWEs", "", None, None),
        ("--PJHxphWEs", "Dog", 500, 1250),
        ("--PJHxphWEs", "Bow-wow", 1000, 10000),
        ("b", "", None, None),
    ]


def test_events_as_parquet(tmp_path):
    table = pa.table(
        {
            "audio": [{"bytes": b"1", "path": "a.flac"}] * 2,
            "video_id": ["a", "b"],
            "events": [_EVENTS, []],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    rows = read_foreign_labels(str(tmp_path / "t.parquet"), "events")
    assert [tuple(row[1:6]) for row in rows] == [
        (1, "a", "", None, None),
        (1, "a", "Dog", 500, 1250),
        (1, "a", "Bow-wow", 1000, 10000),
        (2, "b", "", None, None),
    ]
    pq.write_table(table.select(["audio", "events"]), tmp_path / "t.parquet")
    rows = read_foreign_labels(str(tmp_path / "t.parquet"), "events")
    assert {row.recording for row in rows} == {"a.flac"}


def test_a_folder_keeps_its_subfolders_and_passes_over_others(tmp_path):
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "a.txt").write_text("1\t2\tx\n")
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "._a.txt").write_bytes(b"\0\xff")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    rows = read_foreign_labels(str(tmp_path), "audacity")
    assert sorted({row.recording for row in rows}) == ["a", "s1/a"]


def test_repeated_events_count_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("file,onset,offset,label\n" + "a,1,2,x\n" * 3 + "a,1,3,x\n")
    log = ProblemLog(skip_bad_lines=True)
    rows = read_foreign_labels(str(path), "csv", problems=log)
    assert [(r.line, r.offset_ms) for r in rows] == [(2, 2000), (5, 3000)]
    [problem] = log.problems
    assert (problem.line, problem.num_lines) == (3, 2)
    assert not problem.is_left_out


# One line each: format, file name, content, what the message must say.
_BAD_FILES = {
    "no header": ("csv", "a.csv", "a.wav,1,2,dog\n", "a.csv:1: .*a header"),
    "empty file": ("dcase", "a.tsv", "", "a.tsv:1: .*an empty file"),
    "utf-16": ("csv", "a.csv", "file,label\n".encode("utf-16"), "UTF-16"),
    "latin-1": (
        "audacity",
        "a.txt",
        "1\t2\tvögel\n".encode("latin-1"),
        "a.txt:1: expected UTF-8",
    ),
    "binary": ("audacity", "a.txt", b"RIFF\0\1\2", "a.txt:1: .*control char"),
    "backwards": ("audacity", "a.txt", "3\t2\tx\n", "a.txt:1: .*ends after"),
    "clock time": (
        "audacity",
        "a.txt",
        "0:01\t0:02\tx\n",
        "a.txt:1: .*the onset in seconds.* not hours",
    ),
    "no label": ("audacity", "a.txt", "1\t2\t\n", "a.txt:1: expected a label"),
    "tab in label": (
        "audacity",
        "a.txt",
        "1\t2\ta\tb\n",
        "a.txt:1: expected onset, offset and label, separated by tabs",
    ),
    "spaces": ("audacity", "a.txt", "1 2 dog\n", "separated by tabs"),
    "negative": (
        "dcase",
        "a.tsv",
        "filename\tonset\toffset\tevent_label\na.wav\t-1.5\t2\tx\n",
        "a.tsv:2: expected the onset to be 0 or more",
    ),
    "no number": (
        "dcase",
        "a.tsv",
        "filename\tonset\toffset\tevent_label\na.wav\t1\tnan\tx\n",
        "a.tsv:2: expected the offset in seconds",
    ),
    "decimal comma": (
        "csv",
        "a.csv",
        "file;onset;offset;label\na.wav;1,5;2;x\n",
        "a.csv:2: .*with a decimal point",
    ),
    "tab in a dcase label": (
        "dcase",
        "a.tsv",
        "filename\tonset\toffset\tevent_label\na.wav\t1\t2\tx\ty\n",
        "a.tsv:2: expected 4 fields, as the header has, not 5",
    ),
    "half a row": (
        "csv",
        "a.csv",
        "file,onset,offset,label\na.wav,1\n",
        "a.csv:2: expected 4 fields, as the header has, not 2",
    ),
    "no file name": (
        "csv",
        "a.csv",
        "file,label\n,dog\n",
        "a.csv:2: expected a file name",
    ),
    "onset only": (
        "csv",
        "a.csv",
        "file,onset,label\na.wav,1,dog\n",
        "a.csv: expected columns of onset and offset",
    ),
    "two label columns": (
        "csv",
        "a.csv",
        "file,species,tag\na.wav,1,dog\n",
        "'species' and 'tag'.* label_column",
    ),
    "open quote": (
        "csv",
        "a.csv",
        'file,label\na.wav,"dog\n',
        "a.csv:2: expected quotes around whole fields",
    ),
    "file twice": (
        "dcase",
        "a.tsv",
        "filename\tevent_labels\na.wav\tx\nb.wav\tx\na.wav\ty\n",
        "a.tsv:4: .*stands at line 2 already",
    ),
    "comma too many": (
        "fsd50k",
        "a.csv",
        'fname,labels\n1,"Dog,"\n',
        "a.csv:2: expected a label, or no comma more",
    ),
    "mids too few": (
        "fsd50k",
        "a.csv",
        'fname,labels,mids\n1,"Dog,Cat",/m/0bt9lr\n',
        "a.csv:2: expected a mid",
    ),
    "not raven's": (
        "raven",
        "a.txt",
        "onset\toffset\tlabel\n1\t2\tx\n",
        "a.txt:1: .*'Begin Time",
    ),
    "views that differ": (
        "raven",
        "a.txt",
        _RAVEN_VIEWS.replace("-75.87\tBirb", "-75.87\tbird"),
        "a.txt:3: expected selection 1 to be in all views",
    ),
    "not json": ("events", "a.jsonl", "a.wav dog\n", "a.jsonl:1: .*JSON"),
    "event without end": (
        "events",
        "a.jsonl",
        '{"file": "a", "events": [{"event_name": "x", "start": 1}]}\n',
        "a.jsonl:1: expected events with event_name, start, end",
    ),
    "two names": (
        "events",
        "a.jsonl",
        '{"file": "a", "video_id": "b", "events": []}\n',
        "a.jsonl:1: expected one name of the recording",
    ),
    "not parquet": ("events", "a.parquet", b"PAR0", "a.parquet: .*Parquet"),
}


@pytest.mark.parametrize("kind", _BAD_FILES)
def test_bad_files_get_one_clear_line(tmp_path, kind):
    label_format, name, content, message = _BAD_FILES[kind]
    with pytest.raises(InputError, match=message) as raised:
        _read(tmp_path, label_format, name, content)
    assert "\n" not in str(raised.value)


def test_bad_lines_can_be_left_out_and_are_counted(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1\t2\tx\n3\t2\tx\n\\\t1\t2\n4\t\tx\n5\t6\ty\n")
    log = ProblemLog(skip_bad_lines=True)
    rows = read_foreign_labels(str(path), "audacity", problems=log)
    assert [row.label for row in rows] == ["", "x", "y"]
    assert log.num_left_out == 2


def test_labels_with_and_without_times_are_not_mixed(tmp_path):
    (tmp_path / "s.csv").write_text("file,onset,offset,label\na,1,2,x\n")
    (tmp_path / "w.csv").write_text("file,label\nb,x\n")
    with pytest.raises(InputError, match=r"s\.csv:2 has and .*w\.csv:2 has"):
        read_foreign_labels(str(tmp_path), "csv")


@pytest.mark.parametrize("label_format", FORMATS)
def test_a_missing_file_and_an_empty_folder(tmp_path, label_format):
    with pytest.raises(InputError, match="no file and no folder"):
        read_foreign_labels(str(tmp_path / "none"), label_format)
    with pytest.raises(InputError, match=f"expected {label_format} label"):
        read_foreign_labels(str(tmp_path), label_format)


# --- Classes ----------------------------------------------------------------


def _labels(*labels):
    return [Row("l.txt", n, "a", text) for n, text in enumerate(labels, 1)]


@pytest.mark.parametrize(
    ("label", "class_id"),
    [
        ("dog bark", "dog_bark"),
        ("Bark, loud", "bark_loud"),
        ('"hello"', "hello"),
        ("/m/0bt9lr", "/m/0bt9lr"),
        ("SHH!", "shh!"),
        ("Tür zu", "tür_zu"),
    ],
)
def test_ids_of_labels(label, class_id):
    assert class_id_of_label(label) == class_id


def test_classes_are_made_of_labels():
    class_map, mid_of_label = name_classes(
        [*_labels("small bird", "dog bark", "dog bark"), Row("l", 9, "b")]
    )
    assert class_map.mids == ("dog_bark", "small_bird")
    assert class_map.display_names == ("dog bark", "small bird")
    assert mid_of_label == {"dog bark": "dog_bark", "small bird": "small_bird"}


def test_two_ways_to_write_a_class_are_refused():
    with pytest.raises(InputError, match=r"'Dog bark' \(l.txt:3\)"):
        name_classes(_labels("dog bark", "cat", "Dog bark"))


def test_labels_name_classes_of_a_class_map():
    class_map = ClassMap(
        ("/m/bark", "/m/wind", "own", "/m/wind2"),
        ("Bark", "Wind", "Own thing", "Wind"),
    )
    log = ProblemLog(skip_bad_lines=True)
    labels = ["/m/bark", "own", "own  Thing", "BARK", "Wind", "cat", "cat"]
    _, mid_of_label = name_classes(_labels(*labels), class_map, log)
    assert mid_of_label == {
        "/m/bark": "/m/bark",
        "own": "own",
        "own  Thing": "own",
        "BARK": "/m/bark",
    }
    # Two classes are called Wind; none is called cat.
    assert [(p.line, p.num_lines) for p in log.problems] == [(5, 1), (6, 2)]
    with pytest.raises(InputError, match="4 classes of the class map.*'cat'"):
        name_classes(_labels("cat"), class_map)


# --- Clips ------------------------------------------------------------------


def _spans(seconds, **params):
    recording = Recording("r", "r.wav", round(seconds * 1000), "g")
    clips = cut_into_clips([recording], ImportParams(**params))
    return [(c.segment_id, c.start_ms, c.duration_ms) for c in clips]


def test_recordings_are_cut_without_a_rest():
    assert _spans(37.2) == [("r", 0, 37200)]
    assert _spans(7, clip_seconds=8) == [("r_0", 0, 7000)]
    assert _spans(16, clip_seconds=8) == [
        ("r_0", 0, 8000),
        ("r_8000", 8000, 8000),
    ]
    assert _spans(18.5, clip_seconds=8)[2:] == [("r_16000", 16000, 2500)]
    # A rest of less than a second becomes a clip of a second.
    assert _spans(16.2, clip_seconds=8)[2:] == [("r_15200", 15200, 1000)]
    assert _spans(0.4, clip_seconds=8) == [("r_0", 0, 400)]


@pytest.mark.parametrize("hop", [0.7, 3, 5])
@pytest.mark.parametrize("seconds", [4.9, 5, 5.001, 9.999, 61.3])
def test_clips_cover_a_recording(seconds, hop):
    end = 0
    for _, start, length in _spans(
        seconds, clip_seconds=5, clip_hop_seconds=hop
    ):
        assert start <= end
        end = start + length
    assert end == round(seconds * 1000)


@pytest.mark.parametrize(
    "params",
    [
        {"clip_seconds": 0.5},
        {"clip_seconds": -1},
        {"clip_seconds": 4, "clip_hop_seconds": 5},
        {"clip_hop_seconds": 5},
        {"clip_seconds": float("nan")},
        {"point_seconds": -1},
    ],
)
def test_settings_that_lose_audio_are_refused(params):
    with pytest.raises(InputError, match="Expected"):
        ImportParams(**params)


def test_clips_of_one_name_are_refused():
    recordings = [
        Recording("r", "r.wav", 12000, ""),
        Recording("r_5000", "r_5000.wav", 12000, ""),
        Recording("r", "r.flac", 12000, ""),
    ]
    with pytest.raises(InputError, match=r"r\.flac and r\.wav both"):
        cut_into_clips(recordings, ImportParams())


def test_events_are_moved_and_cut_at_edges():
    recording = Recording("r", "r.wav", 20000, "g")
    clips = cut_into_clips([recording], ImportParams(clip_seconds=8))
    rows = [
        Row("l", 1, "r", "a", 1000, 2000),
        Row("l", 2, "r", "b", 7500, 17000),
        Row("l", 3, "r", "a", 8000, 16000),
    ]
    table, num_cut = events_of_clips(clips, {"r": rows}, {"a": "A", "b": "B"})
    assert num_cut == 1
    assert table.to_numpy().tolist() == [
        ["r_0", 1.0, 2.0, "A"],
        ["r_0", 7.5, 8.0, "B"],
        ["r_8000", 0.0, 8.0, "A"],
        ["r_8000", 0.0, 8.0, "B"],
        ["r_16000", 0.0, 1.0, "B"],
    ]


def test_no_second_of_an_event_is_lost():
    recording = Recording("r", "r.wav", 61300, "g")
    clips = cut_into_clips([recording], ImportParams(clip_seconds=7))
    rows = [Row("l", n, "r", f"{n}", n * 997, n * 1499 + 1) for n in range(40)]
    mid_of_label = {f"{n}": f"{n}" for n in range(40)}
    table, _ = events_of_clips(clips, {"r": rows}, mid_of_label)
    seconds = (table["offset_seconds"] - table["onset_seconds"]).sum()
    # The last clip overlaps the one before where the rest is too short.
    assert seconds >= sum(r.offset_ms - r.onset_ms for r in rows) / 1000 - 1e-6


@pytest.mark.parametrize(
    ("onset", "offset", "expected"),
    [
        (11000, 12345, 12345),
        (11000, 12400, 12345),
        (11000, 13345, 12345),
        (11000, 13346, None),
        (12345, 12400, None),
    ],
)
def test_events_beyond_the_end(onset, offset, expected):
    log = ProblemLog(skip_bad_lines=True)
    recording = Recording("r", "r.wav", 12345, "g")
    row = Row("l.txt", 4, "r", "a", onset, offset)
    fitted = fit_into_recording(row, recording, log)
    assert (fitted and fitted.offset_ms) == expected
    assert log.num_left_out == (expected is None)
    if expected is None:
        assert "l.txt:4: expected an event inside r.wav" in str(log.problems[0])

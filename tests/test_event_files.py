"""Files of events, read by our own readers, whatever names there are."""

import csv
import itertools
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from audioset_strong.errors import InputError
from audioset_strong.inference.event_decoding import ScoredEvent
from audioset_strong.inference.event_files import (
    EVENT_TABLES,
    EVENT_TRACKS,
    recording_path,
    write_embeddings_parquet,
    write_event_files,
    write_native_scores,
)
from audioset_strong.inference.events import Events
from audioset_strong.labels.class_map import (
    ClassMap,
    read_class_map,
    write_class_map,
)
from audioset_strong.labels.imported_clips import name_classes
from audioset_strong.labels.importers import ImportParams, read_foreign_labels
from audioset_strong.labels.label_files import read_strong_labels
from audioset_strong.labels.training_sets import read_label_ytids

_CLASSES = ClassMap(
    (
        "/m/0bt9lr",
        "=1+1",
        "-minus",
        "tür_zu",
        "quoted",
        "first_bell",
        "second_bell",
        "decomposed",
        "Dog",  # the name of another class
        "@home",
    ),
    (
        "Dog",
        "=HYPERLINK(0)",
        "-minus, or dash",
        "Tür 'zu'",
        'A "quoted" name',
        "Bell",
        "Bell",
        "Tu\u0308r",
        "Wolf",
        "  @home  alone",
    ),
)
_NUM_CLASSES = _CLASSES.num_classes
_RECORDINGS = [
    (
        "kitchen/rec 1",
        "in, the/kitchen/rec 1.wav",
        Events(
            tuple(
                ScoredEvent(index, 0.24 * index, 0.24 * index + 0.96, 0.5)
                for index in range(_NUM_CLASSES)
            ),
            _CLASSES,
            9.0,
            ("truncated: 3 s are missing",),
        ),
    ),
    ("-dash_30000", "-dash_30000.flac", Events((), _CLASSES, 1.0)),
    (
        'Tür "auf"',
        '=Tür "auf".wav',
        # Ends less than a millisecond after it begins.
        Events((ScoredEvent(0, 0.96, 0.9601, 0.98765),), _CLASSES, 0.9601),
    ),
]
_ALL = sorted(
    (segment_id, *map(_f, (e.onset_seconds, e.offset_seconds)), e.class_index)
    for _f in [lambda t: round(1000 * t)]
    for segment_id, _, events in _RECORDINGS
    for e in events
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    formats = [*EVENT_TABLES, *EVENT_TRACKS]
    # A stream, as predict has it.
    write_event_files(iter(_RECORDINGS), str(folder), formats)
    return folder


def _assert_same_events(found):
    """Compares (recording, onset in ms, offset in ms, class index)."""
    assert [(r[0], r[1], r[3]) for r in sorted(found)] == [
        (r[0], r[1], r[3]) for r in _ALL
    ]
    for ours, theirs in zip(sorted(found), _ALL, strict=True):
        assert ours[2] == max(theirs[2], theirs[1] + 1)


def _imported(labels, label_format, classes=_CLASSES, **params):
    """What `import_labels` reads: events, and the recordings it knows."""
    rows = read_foreign_labels(
        str(labels), label_format, ImportParams(**params)
    )
    _, mid_of_label = name_classes(rows, classes)
    events = [
        (
            row.recording,
            row.onset_ms,
            row.offset_ms,
            _CLASSES.index_of_mid[mid_of_label[row.label]],
        )
        for row in rows
        if row.label
    ]
    return events, {row.recording for row in rows}


def test_strong_tsv_is_read_by_our_reader(folder):
    strong = read_strong_labels(
        folder / "events.tsv", known_mids=set(_CLASSES.mids)
    )
    _assert_same_events(
        [
            (segment_id, round(1000 * onset), round(1000 * offset), index)
            for segment_id, onset, offset, index in zip(
                strong["segment_id"],
                strong["onset_seconds"],
                strong["offset_seconds"],
                strong["mid"].map(_CLASSES.index_of_mid),
                strict=True,
            )
        ]
    )
    lines = (folder / "events.tsv").read_text().splitlines()
    assert lines[-1] == 'Tür "auf"\t0.960\t0.961\t/m/0bt9lr\t0.9877'
    groups = read_label_ytids([folder / "events.tsv"])
    assert groups == {"kitchen/rec 1", 'Tür "auf"'}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a\t0.0\t1.0\t/m/a", "expected 5 tab-separated fields, not 4"),
        ("a\t0.0\tx\t/m/a\t0.5", "expected times in seconds"),
    ],
)
def test_bad_lines_of_a_scored_tsv_are_named(tmp_path, line, message):
    path = tmp_path / "events.tsv"
    path.write_text(EVENT_TABLES["tsv"].header + line + "\n")
    with pytest.raises(InputError, match=message):
        read_strong_labels(path)


@pytest.mark.parametrize("name", ["audacity", "raven"])
def test_tracks_are_imported_as_they_were(folder, tmp_path, name):
    # Also through a file of classes.
    write_class_map(_CLASSES, tmp_path / "classes.csv")
    classes = read_class_map(tmp_path / "classes.csv")
    events, recordings = _imported(folder / name, name, classes)
    _assert_same_events(events)
    assert recordings == {segment_id for segment_id, _, _ in _RECORDINGS}


def _sure_classes():
    """The classes that are found by name: no bells, and no class Dog."""
    is_sure = [
        m not in ("first_bell", "second_bell", "Dog") for m in _CLASSES.mids
    ]
    return ClassMap(
        tuple(itertools.compress(_CLASSES.mids, is_sure)),
        tuple(itertools.compress(_CLASSES.display_names, is_sure)),
    )


@pytest.mark.parametrize(
    ("name", "label_format", "label_column"),
    [("events.jsonl", "events", ""), ("events.csv", "csv", "display_name")],
)
def test_names_are_imported_as_they_were(
    folder, name, label_format, label_column
):
    rows = read_foreign_labels(
        str(folder / name),
        label_format,
        ImportParams(label_column=label_column),
    )
    classes = _sure_classes()
    rows = [r for r in rows if r.label not in ("", "Bell", "Wolf")]
    _, mid_of_label = name_classes(rows, classes)
    assert [
        (_CLASSES.index_of_mid[mid_of_label[r.label]], r.onset_ms) for r in rows
    ] == [
        (index, onset)
        for _, onset, _, index in sorted(_ALL, key=lambda e: e[0] < "a")
        if _CLASSES.mids[index] in classes.mids
    ]


def test_csv_holds_paths_and_names(folder):
    with open(folder / "events.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(_ALL)
    assert {row["path"] for row in rows} == {
        "in, the/kitchen/rec 1.wav",
        './=Tür "auf".wav',
    }
    # Nothing that a spreadsheet would calculate.
    assert not [v for r in rows for v in r.values() if v[0] in "=+-@"]
    names = [row["display_name"].strip() for row in rows[:_NUM_CLASSES]]
    assert names == [" ".join(n.split()) for n in _CLASSES.display_names]
    assert [r["mid"].strip() for r in rows[:-1]] == list(_CLASSES.mids)
    assert rows[-1]["score"] == "0.9877"


def test_a_recording_without_events_is_recorded(folder):
    lines = (folder / "events.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[1]) == {
        "segment_id": "-dash_30000",
        "path": "-dash_30000.flac",
        "audio_seconds": 1.0,
        "notes": [],
        "events": [],
    }
    assert json.loads(lines[0])["notes"] == ["truncated: 3 s are missing"]
    assert (folder / "audacity" / "-dash_30000.txt").read_text() == ""
    raven = folder / "raven" / "-dash_30000.selections.txt"
    assert len(raven.read_text().splitlines()) == 1


def test_no_id_leads_out_of_the_folder(tmp_path):
    for segment_id in ("../x", "/x", "a/../../x", "a//x", "."):
        with pytest.raises(InputError, match="name a file below"):
            recording_path(str(tmp_path), segment_id, ".txt")
        with pytest.raises(InputError, match="name a file below"):
            write_event_files(
                [(segment_id, "x.wav", Events((), _CLASSES, 1.0))],
                str(tmp_path),
                ["audacity", "tsv"],
            )
    # Nothing is left of the file for all.
    assert [p.name for p in tmp_path.iterdir()] == ["audacity"]


def _write_scores(path, num_frames, blocks):
    write_native_scores(
        str(path),
        ClassMap(("/m/a", "/m/b"), ("A", "B")),
        0.24,
        ["x", "sub/y"],
        num_frames,
        [0.7, 1.2],
        blocks,
    )


def test_scores_are_written_in_blocks(tmp_path):
    scores = np.random.default_rng(0).random((8, 2), dtype=np.float32)
    for name, size in (("a.npz", 3), ("b.npz", 8)):
        blocks = (scores[i : i + size] for i in range(0, 8, size))
        _write_scores(tmp_path / name, [3, 5], blocks)
    a, b = (tmp_path / name for name in ("a.npz", "b.npz"))
    assert a.read_bytes() == b.read_bytes()
    with np.load(a, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["scores"], scores)
        assert file["segment_ids"].tolist() == ["x", "sub/y"]
        assert file["num_frames"].tolist() == [3, 5]
        assert file["audio_seconds"].tolist() == [0.7, 1.2]
        assert float(file["frame_seconds"]) == 0.24


@pytest.mark.parametrize(
    ("shape", "message"),
    [((7, 2), "frames .* says, 8; found 7"), ((8, 3), r"\[any, 2\], found")],
)
def test_scores_of_another_shape_are_refused(tmp_path, shape, message):
    with pytest.raises(InputError, match=message):
        _write_scores(tmp_path / "a.npz", [3, 5], [np.zeros(shape, np.float32)])
    assert not list(tmp_path.iterdir())


def test_embeddings_of_all_recordings_are_one_table(tmp_path):
    path = str(tmp_path / "embeddings.parquet")
    embeddings = np.arange(5000 * 4, dtype=np.float32).reshape(5000, 4)
    parts = [("a", 0.24, embeddings), ("b", 0.24, embeddings[:2])]
    write_embeddings_parquet(path, iter(parts), 4)
    table = pq.read_table(path).to_pydict()
    assert table["segment_id"] == ["a"] * 5000 + ["b"] * 2
    np.testing.assert_allclose(table["onset_seconds"][-3:], [1199.76, 0, 0.24])
    np.testing.assert_array_equal(
        table["embedding"], np.concatenate([embeddings, embeddings[:2]])
    )


def test_sed_eval_reads_the_strong_tsv(folder):
    sed_eval = pytest.importorskip("sed_eval")
    found = sed_eval.io.load_event_list(
        str(folder / "events.tsv"),
        fields=["filename", "onset", "offset", "event_label", "score"],
        file_format="CSV",
        delimiter="\t",
    )
    _assert_same_events(
        [
            (
                event["filename"],
                round(1000 * event["onset"]),
                round(1000 * event["offset"]),
                _CLASSES.index_of_mid[event["event_label"]],
            )
            for event in found
        ]
    )

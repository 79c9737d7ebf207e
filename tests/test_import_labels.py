"""Labels of other tools joined with recordings, and the four files made."""

import io
import json
import os
import pathlib
import sys
import tarfile

import forked
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from audioset_strong.audio.decode import AudioError
from audioset_strong.audio.recordings import find_recordings, measure_seconds
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.clips import read_annotated_clips
from audioset_strong.labels.importers import ImportParams
from audioset_strong.labels.label_files import read_strong_labels
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams
from audioset_strong.records.importing import import_labels

_ROOT = pathlib.Path(__file__).parents[1]


def _write_audio(path, seconds, sample_rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    waveform = np.sin(np.arange(round(seconds * sample_rate)) / 9) / 4
    soundfile.write(path, waveform, sample_rate)


@pytest.fixture
def recordings(tmp_path):
    """Five recordings in two folders, and Audacity tracks of three."""
    audio = tmp_path / "audio"
    _write_audio(audio / "kitchen 1.wav", 12.3)
    _write_audio(audio / "007.flac", 25)
    _write_audio(audio / "yard" / "rec_105.ogg", 5.25, 22050)
    _write_audio(audio / "yard" / "rec-_106.wav", 4.5, 22050)
    _write_audio(audio / "hall.wav", 3)
    tracks = tmp_path / "tracks"
    (tracks / "yard").mkdir(parents=True)
    (tracks / "kitchen 1.txt").write_text(
        "1.5\t2.5\tdog bark\n9.9\t11.0\tsmall bird\n"
    )
    (tracks / "007.txt").write_text("")
    (tracks / "yard" / "rec_105.txt").write_text("4.0\t5.3\tdog bark\n")
    return tmp_path


def _import(folder, labels="tracks", label_format="audacity", **changed):
    params = {
        name: changed.pop(name)
        for name in ("clip_seconds", "clip_hop_seconds", "unlabelled")
        if name in changed
    }
    return import_labels(
        str(folder / labels),
        label_format,
        str(folder / changed.pop("audio_dir", "audio")),
        str(folder / changed.pop("output_dir", "own")),
        params=ImportParams(**params),
        **changed,
    )


def _rows(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_tracks_become_the_four_files(recordings):
    summary = _import(recordings)
    own = recordings / "own"
    clips = read_annotated_clips(own / "clips.tsv")
    assert clips["segment_id"].tolist() == [
        "007",
        "kitchen 1",
        "yard/rec_105",
    ]
    assert clips["duration_seconds"].tolist() == [25, 12.3, 5.25]
    assert clips["group"].tolist() == clips["segment_id"].tolist()
    assert _rows(own / "strong.tsv")[1:] == [
        ["kitchen 1", "1.500", "2.500", "dog_bark"],
        ["kitchen 1", "9.900", "11.000", "small_bird"],
        # The recording ends at 5.25 s.
        ["yard/rec_105", "4.000", "5.250", "dog_bark"],
    ]
    assert read_class_map(own / "class_map.csv").mids == (
        "dog_bark",
        "small_bird",
    )
    index = _rows(own / "audio_index.tsv")
    assert index[0] == [
        "segment_id",
        "path",
        "start_seconds",
        "duration_seconds",
        "group",
    ]
    assert index[1] == [
        "007",
        str(recordings / "audio" / "007.flac"),
        "0.000",
        "25.000",
        "007",
    ]
    assert summary.num_recordings == 3
    assert summary.num_without_events == 1
    assert summary.num_shortened == 1
    assert [os.path.basename(p) for p in summary.unlabelled] == [
        "hall.wav",
        "rec-_106.wav",
    ]


def test_recordings_without_a_track_can_be_negatives(recordings):
    summary = _import(recordings, unlabelled="negative")
    clips = read_annotated_clips(recordings / "own" / "clips.tsv")
    assert len(clips) == 5
    assert summary.num_without_events == 3


def test_long_recordings_are_cut(recordings):
    summary = _import(recordings, clip_seconds=10)
    index = _rows(recordings / "own" / "audio_index.tsv")
    assert [[row[0], *row[2:]] for row in index[1:]] == [
        ["007_0", "0.000", "10.000", "007"],
        ["007_10000", "10.000", "10.000", "007"],
        ["007_20000", "20.000", "5.000", "007"],
        ["kitchen 1_0", "0.000", "10.000", "kitchen 1"],
        ["kitchen 1_10000", "10.000", "2.300", "kitchen 1"],
        ["yard/rec_105_0", "0.000", "5.250", "yard/rec_105"],
    ]
    assert _rows(recordings / "own" / "strong.tsv")[2:4] == [
        ["kitchen 1_0", "9.900", "10.000", "small_bird"],
        ["kitchen 1_10000", "0.000", "1.000", "small_bird"],
    ]
    assert summary.num_at_edges == 1


def test_what_is_written_is_read_back(recordings):
    _import(recordings)
    table = read_strong_labels(
        recordings / "own" / "strong.tsv",
        params=LabelFrameParams(clip_seconds=30.0),
    )
    assert len(table) == 3


def test_ids_of_audioset_keep_their_group(tmp_path):
    _write_audio(tmp_path / "audio" / "s9d-2nhuJCQ_30000.wav", 2)
    (tmp_path / "l.csv").write_text("file,label\ns9d-2nhuJCQ_30000.wav,x\n")
    _import(tmp_path, "l.csv", "csv")
    clips = read_annotated_clips(tmp_path / "own" / "clips.tsv")
    assert clips["group"].tolist() == ["s9d-2nhuJCQ"]


def test_weak_labels_keep_groups_and_recordings_without_labels(tmp_path):
    for name in ("a 1", "b", "c"):
        _write_audio(tmp_path / "audio" / f"{name}.wav", 3)
    (tmp_path / "l.csv").write_text(
        'file,tags,group\na 1.wav,"tea pot,Kettle",site 1\nb,,site 2\n'
    )
    _import(tmp_path, "l.csv", "csv", unlabelled="negative")
    assert (tmp_path / "own" / "weak.csv").read_text() == (
        'segment_id,labels\na 1,"kettle,tea_pot"\n'
    )
    clips = read_annotated_clips(tmp_path / "own" / "clips.tsv")
    assert clips["group"].tolist() == ["site 1", "site 2", "c"]


@pytest.fixture
def container_files(tmp_path):
    """Three recordings as Parquet and as tar, and a class map."""
    (tmp_path / "classes.csv").write_text(
        'index,mid,display_name\n0,/m/dog,"Dog"\n1,/m/bell,"Bell, big"\n'
    )
    audio = []
    for number, seconds in enumerate((4, 7.5, 3)):
        _write_audio(tmp_path / f"{number}.wav", seconds)
        audio.append((tmp_path / f"{number}.wav").read_bytes())
    events = [
        [{"event_name": "Dog", "start": 0.5, "end": 4.25}],
        [
            {"event_name": "Bell, big", "start": 1, "end": 2},
            {"event_name": "/m/dog", "start": 3.5, "end": 7.5},
        ],
        [],
    ]
    (tmp_path / "data").mkdir()
    table = pa.table(
        {
            "video_id": ["site 1", "b", "c"],
            "audio": [{"bytes": b, "path": ""} for b in audio],
            "labels": [["/m/dog"], ["/m/bell", "/m/dog"], []],
            "events": events,
        }
    )
    pq.write_table(table, tmp_path / "data" / "a.parquet")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number, content in enumerate(audio[:2]):
            labels = {"id": f"clip {number}", "label": ["Dog"]}
            for name, held in (
                (f"{number:06d}.wav", content),
                (f"{number:06d}.json", json.dumps(labels).encode()),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(held)
                tar.addfile(member, io.BytesIO(held))
    return tmp_path


def test_parquet_has_events_classes_and_audio(container_files):
    summary = import_labels(
        str(container_files / "data"),
        "parquet",
        "",
        str(container_files / "own"),
        str(container_files / "classes.csv"),
        params=ImportParams(unlabelled="negative"),
    )
    own = container_files / "own"
    assert _rows(own / "strong.tsv")[1:] == [
        ["site 1", "0.500", "4.000", "/m/dog"],
        ["b", "1.000", "2.000", "/m/bell"],
        ["b", "3.500", "7.500", "/m/dog"],
    ]
    assert (own / "weak.csv").read_text().splitlines()[1:] == [
        "site 1,/m/dog",
        'b,"/m/bell,/m/dog"',
    ]
    assert [r[:2] for r in _rows(own / "clips.tsv")[1:]] == [
        ["site 1", "4.000"],
        ["b", "7.500"],
        ["c", "3.000"],
    ]
    path = _rows(own / "audio_index.tsv")[1][1]
    assert path.endswith("data/a.parquet#row=0")
    assert measure_seconds(path) == 4
    assert summary.num_shortened == 1
    assert summary.label_names == ("weak.csv", "strong.tsv")


def test_tars_have_classes_and_audio(container_files):
    import_labels(
        str(container_files / "a.tar"),
        "webdataset",
        "",
        str(container_files / "own"),
        str(container_files / "classes.csv"),
    )
    own = container_files / "own"
    assert (own / "weak.csv").read_text().splitlines()[1:] == [
        "clip 0,/m/dog",
        "clip 1,/m/dog",
    ]
    path = _rows(own / "audio_index.tsv")[2][1]
    assert measure_seconds(path) == 7.5


def test_containers_need_a_class_map(container_files):
    data, own = str(container_files / "data"), str(container_files / "own")
    with pytest.raises(InputError, match="Expected a class map"):
        import_labels(data, "parquet", "", own)


# --- Names ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.wav", "/x/a.wav"),
        ("a", "/x/a.wav"),
        ("a.mp3", "/x/a.wav"),
        ("/elsewhere/2024/a.wav", "/x/a.wav"),
        ("C:\\rec\\a.wav", "/x/a.wav"),
        ("s1/b.wav", "/x/s1/b.wav"),
        ("./s2/b", "/x/s2/b.flac"),
        ("s3/b", None),
        ("b", None),
        ("a.v2", "/x/a.v2.wav"),
        ("a.v3", None),
        ("c.wav", "/x/c.wav"),
        ("c.flac", "/x/c.flac"),
        ("c", None),
        ("A.wav", None),
    ],
)
def test_names_mean_one_file_or_none(name, expected):
    paths = ["/x/a.wav", "/x/a.v2.wav", "/x/s1/b.wav", "/x/s2/b.flac"]
    paths += ["/x/c.wav", "/x/c.flac"]
    found, problems = find_recordings([name], paths, "/x")
    assert found.get(name) == expected
    assert (name in problems) == (expected is None)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_lengths_are_measured(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    _write_audio(path, 7.3, 22050)
    assert measure_seconds(str(path)) == pytest.approx(7.3, abs=0.06)


def test_what_holds_no_sound_has_no_length(tmp_path):
    (tmp_path / "a.wav").write_text("404: not found")
    with pytest.raises(AudioError, match="unreadable"):
        measure_seconds(str(tmp_path / "a.wav"))


# --- Bad input --------------------------------------------------------------


def _track_of_nothing(folder):
    (folder / "tracks" / "kitchen 2.txt").write_text("1\t2\tx\n")
    return {}, r"kitchen 2\.txt:1: expected an audio file 'kitchen 2' in "


def _other_folder(folder):
    _write_audio(folder / "other" / "z.wav", 1)
    return {
        "audio_dir": "other",
        "problems": ProblemLog(skip_bad_lines=True),
    }, (
        r"None of the 3 recordings .* labels name 007, .* the folder has z\.wav"
    )


def _no_audio(folder):
    return {"audio_dir": "none"}, "expected a folder of recordings, found none"


def _two_files_of_a_name(folder):
    _write_audio(folder / "audio" / "007.wav", 2)
    return {}, r"expected one audio file '007', there are .* and .*"


def _two_names_of_a_file(folder):
    (folder / "l.csv").write_text("file,label\nhall.wav,x\nold/hall.wav,y\n")
    return {"labels": "l.csv", "label_format": "csv"}, (
        r"l\.csv:3: expected one name a recording; 'hall.wav' and 'old/hall"
    )


def _no_sound(folder):
    (folder / "audio" / "kitchen 1.wav").write_text("404: not found")
    return {}, r"kitchen 1\.txt:1: expected a recording that can be decoded"


def _empty_audio(folder):
    (folder / "audio" / "kitchen 1.wav").write_bytes(b"")
    return {}, r"can be decoded \(.*kitchen 1.wav has zero bytes\)"


def _event_after_the_end(folder):
    (folder / "tracks" / "007.txt").write_text("24\t24.5\tx\n25.5\t26\tx\n")
    return {}, r"007\.txt:2: expected an event inside .* 25\.000 s long"


def _much_too_long_event(folder):
    (folder / "tracks" / "007.txt").write_text("24\t28\tx\n")
    return {}, r"007\.txt:1: .*from 24\.000 to 28\.000 s"


def _two_groups(folder):
    (folder / "l.csv").write_text(
        "file,label,group\nhall.wav,x,a\nhall.wav,y,b\n"
    )
    return {"labels": "l.csv", "label_format": "csv"}, (
        r"l\.csv:2: expected one group for 'hall.wav', found \['a', 'b'\]"
    )


def _weak_labels_and_clips(folder):
    (folder / "l.csv").write_text("file,label\nhall.wav,x\n")
    return {"labels": "l.csv", "label_format": "csv", "clip_seconds": 2}, (
        "labels with times for clip_seconds"
    )


def _one_id_for_two(folder):
    _write_audio(folder / "audio" / "hall.flac", 2)
    (folder / "l.csv").write_text("file,label\nhall.wav,x\nhall.flac,x\n")
    return {"labels": "l.csv", "label_format": "csv"}, (
        "hall.flac both have the clip 'hall'|hall.wav both have the clip 'hall'"
    )


def _unknown_class(folder):
    path = folder / "classes.csv"
    path.write_text('index,mid,display_name\n0,/m/dog,"Dog bark"\n')
    return {"class_map_path": str(path)}, (
        r"kitchen 1\.txt:2: expected one of the 1 classes .* 'small bird'"
    )


def _another_import(folder):
    (folder / "own").mkdir()
    (folder / "own" / "weak.csv").write_text("segment_id,labels\n")
    return {}, r"weak\.csv is there"


def _no_class(folder):
    for track in (folder / "tracks").glob("**/*.txt"):
        track.write_text("")
    return {}, "at least one label to make classes of"


_BAD = [
    _track_of_nothing,
    _other_folder,
    _no_audio,
    _two_files_of_a_name,
    _two_names_of_a_file,
    _no_sound,
    _empty_audio,
    _event_after_the_end,
    _much_too_long_event,
    _two_groups,
    _weak_labels_and_clips,
    _one_id_for_two,
    _unknown_class,
    _another_import,
    _no_class,
]


@pytest.mark.parametrize("make_bad", _BAD, ids=lambda f: f.__name__)
def test_what_does_not_fit_stops_in_one_line(recordings, make_bad):
    changed, message = make_bad(recordings)
    with pytest.raises(InputError, match=message) as raised:
        _import(recordings, **changed)
    assert "\n" not in str(raised.value)
    assert not (recordings / "own" / "clips.tsv").exists()


def test_what_does_not_fit_can_be_left_out(recordings):
    _track_of_nothing(recordings)
    _no_sound(recordings)
    (recordings / "tracks" / "007.txt").write_text("3\t2\tx\n1\t2\tx\n")
    summary = _import(recordings, problems=ProblemLog(skip_bad_lines=True))
    clips = read_annotated_clips(recordings / "own" / "clips.tsv")
    assert clips["segment_id"].tolist() == ["007", "yard/rec_105"]
    assert summary.num_labels == 2
    assert "Label lines left out: " in "\n".join(summary.lines())


def _run(folder, *flags):
    return forked.run(
        [sys.executable, "-m", "audioset_strong.import_labels", *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_lists_ten_bad_lines(recordings):
    (recordings / "tracks" / "007.txt").write_text("2\t1\tx\n" * 12)
    flags = ["--format=audacity", "--labels=tracks", "--audio_dir=audio"]
    flags.append("--output_dir=own")
    done = _run(recordings, *flags)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("007.txt:") == 10
    assert not (recordings / "own").exists()
    done = _run(recordings, *flags, "--skip_bad_lines")
    assert done.returncode == 0, done.stderr
    assert "Label lines left out: 12." in done.stdout
    assert "left out as not annotated: 2 (hall.wav" in done.stdout
    assert (
        "Recordings with such lines: 1 (007.flac). Their clips" in done.stdout
    )
    assert "may not be empty, left out: 1." in done.stdout
    assert "Recordings: 2 (0.3 minutes), 0 of them without" in done.stdout


def _names_of_clips(folder):
    clips = read_annotated_clips(folder / "own" / "clips.tsv")
    return clips["segment_id"].tolist()


def test_clips_of_bad_lines_are_not_negatives(recordings):
    (recordings / "tracks" / "007.txt").write_bytes(b"1\t2\t\xff\xfe\n")
    (recordings / "tracks" / "kitchen 1.txt").write_text(
        "0\t2\tdog bark\n99\t100\tdog bark\n"  # after its end
    )
    summary = _import(
        recordings,
        problems=ProblemLog(skip_bad_lines=True),
        unlabelled="negative",
        clip_seconds=3,
    )
    assert _names_of_clips(recordings) == [
        "hall_0",
        "kitchen 1_0",
        "yard/rec-_106_0",
        "yard/rec-_106_3000",
        "yard/rec_105_0",
        "yard/rec_105_3000",
    ]
    assert {os.path.basename(p) for p in summary.unknown} == {
        "007.flac",
        "kitchen 1.wav",
    }
    assert summary.num_unknown_clips == 9 + 4
    assert summary.num_without_events == 2


_BAD_LISTS = {
    "csv": "file,onset,offset,label\n{}\nyard/rec_105.ogg,0,1,dog\n",
    "dcase": "filename\tonset\toffset\tevent_label\n{}\n"
    "yard/rec_105\t0\t1\tdog\n",
    "weak": "file,label\n{}\nyard/rec_105.ogg,dog\n",
    "events": '{{"file": "007", "events": [{}]}}\n{{"file": "rec_105", '
    '"events": [{{"event_name": "dog", "start": 0, "end": 1}}]}}\n',
}


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("csv", "007.flac,3,2,dog"),
        ("csv", "007.flac,3,4,dog,cat"),
        ("csv", "007,x,4,dog"),
        ("dcase", "007.flac\t0\t3"),
        ("weak", "007.flac,unheard of"),
        ("weak", "007.flac,dog,cat"),
        ("events", '{"event_name": "dog", "start": 5, "end": 4}'),
    ],
)
@pytest.mark.parametrize("unlabelled", ["negative", "unknown"])
def test_a_recording_of_bad_lines_is_unknown(
    recordings, kind, line, unlabelled
):
    (recordings / "l.txt").write_text(_BAD_LISTS[kind].format(line))
    (recordings / "m.csv").write_text("index,mid,display_name\n0,dog,Dog\n")
    _import(
        recordings,
        "l.txt",
        "csv" if kind == "weak" else kind,
        problems=ProblemLog(skip_bad_lines=True),
        unlabelled=unlabelled,
        class_map_path=str(recordings / "m.csv"),
    )
    others = ["hall", "kitchen 1", "yard/rec-_106"]
    if unlabelled == "unknown":
        others = []
    assert _names_of_clips(recordings) == [*others, "yard/rec_105"]


def test_lines_about_any_recording_leave_none_empty(recordings):
    (recordings / "l.jsonl").write_text(
        '{\n{"file": "rec_105", "events": []}\n{"file": "007", "events": '
        '[{"event_name": "dog", "start": 0, "end": 1}]}\n'
    )
    args = recordings, "l.jsonl", "events"
    with pytest.raises(InputError, match="1 label lines .* unlabelled=unkn"):
        _import(
            *args,
            unlabelled="negative",
            problems=ProblemLog(skip_bad_lines=True),
        )
    _import(*args, problems=ProblemLog(skip_bad_lines=True))
    assert _names_of_clips(recordings) == ["007", "yard/rec_105"]


def test_recordings_are_told_by_content(recordings):
    audio = recordings / "audio"
    for name, number in (("take.1", 1), ("rec 7.DAT", 2), ("x.y.raw2", 3)):
        source = audio / "hall.wav"
        (audio / name).write_bytes(source.read_bytes())
        (recordings / "tracks" / f"{name.removesuffix('.DAT')}.txt").write_text(
            f"0\t{number}\tdog\n"
        )
    (audio / "notes.data").write_text("no audio")
    (audio / "hall.wav").unlink()
    summary = _import(recordings, unlabelled="negative")
    assert _names_of_clips(recordings) == [
        *("007", "kitchen 1", "rec 7.DAT", "take.1", "x.y.raw2"),
        *("yard/rec-_106", "yard/rec_105"),
    ]
    assert [os.path.basename(p) for p in summary.unlabelled] == ["rec-_106.wav"]
    events = _rows(recordings / "own" / "strong.tsv")
    assert ["x.y.raw2", "0.000", "3.000", "dog"] in events


def test_the_command_says_which_format_holds_audio(tmp_path):
    flags = ["--format=events", "--labels=a.parquet", "--output_dir=own"]
    done = _run(tmp_path, *flags)
    assert done.returncode == 2
    assert done.stderr.endswith(
        "Expected --audio_dir with --format=events. For parquet or webdataset "
        "files give that format.\n"
    )

"""Records of a whole release: counts, losses, resuming, determinism."""

import collections
import csv
import json
import os
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tiny_release import HELD_OUT, MIDS, prepare_tiny

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.labels.ontology import Ontology
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import (
    FeatureParams,
    LabelMappingParams,
    RecordParams,
)
from audioset_strong.records import prepare
from audioset_strong.records.manifest import check_no_shared_clips, read_records
from audioset_strong.records.parse import parse_records
from audioset_strong.records.plan import Plan
from audioset_strong.records.prepare import (
    WorkerParams,
    check_loss,
    clear_unfinished,
    describe,
    format_losses,
    list_losses,
    make_folders,
    prepare_records,
    remove_outdated,
    run_tasks,
    sum_up,
)
from audioset_strong.records.tasks import Clip, ShardTask

_ONE = WorkerParams(num_workers=1)


def _shards(folder):
    return sorted(pathlib.Path(folder).glob("*.tfrecord"))


def _contents(folder):
    return {path.name: path.read_bytes() for path in _shards(folder)}


def _parse(folder, group, label_set):
    """Parses all records of a group of the tiny release."""
    paths = [str(p) for p in _shards(folder) if p.name.startswith(group)]
    [serialized] = tf.data.TFRecordDataset(paths).batch(100)
    return parse_records(serialized, label_set, FeatureParams())


def _segment_ids(folder, group):
    names = _parse(folder, group, "weak").segment_id.numpy().tolist()
    return sorted(name.decode() for name in names)


def _manifest(folder):
    return json.loads((pathlib.Path(folder) / "manifest.json").read_text())


def test_every_usable_clip_is_written_once(tiny_records_dir):
    held_out = [f"{ytid}_30000" for ytid in HELD_OUT]
    strong = {f"nukatrain{i:02d}_30000" for i in range(10)} - set(held_out)
    assert _segment_ids(tiny_records_dir, "held_out") == held_out
    assert _segment_ids(tiny_records_dir, "strong") == sorted(strong)
    assert _segment_ids(tiny_records_dir, "weak") == [
        f"nuka_weak{i:02d}_0" for i in range(4)
    ]


def test_the_manifest_counts_what_is_there_and_what_is_not(tiny_records_dir):
    manifest = _manifest(tiny_records_dir)
    assert manifest["clips"] == {"weak": 4, "strong": 6, "held_out": 4}
    assert sum(s["num_clips"] for s in manifest["shards"]) == 14
    assert manifest["left_out_by_reason"] == {"missing": 1, "unreadable": 1}
    assert manifest["left_out"] == {
        "missing": ["nuka_gone00_0"],
        "unreadable": ["nuka__bad00_0"],
    }
    assert manifest["faults"] == {"short": ["nuka_weak03_0"]}
    rows = (pathlib.Path(tiny_records_dir) / "left_out.csv").read_text()
    assert "nuka_gone00_0,missing,no audio file for this clip\n" in rows
    # One in each of the 9 weak and 10 strong label lists.
    assert manifest["unmapped_mids"] == {"/m/unmapped": 19}
    assert manifest["notes"] == {}
    # Training data only: not of clips held out or left out.
    # Clips 01, 03, 09 are low and 02, 04, 08 high; 09 has no weak labels.
    assert dict(zip(MIDS, manifest["events_per_class"]["strong"])) == {
        "/m/tone_low": 3,
        "/m/tone_high": 3,
        "/m/noise": 6,
        "/m/never": 0,
    }
    assert manifest["events_per_class"]["weak"] == [2 + 2, 3 + 2, 4, 0]


def test_a_clip_with_an_unmapped_mid_keeps_its_other_labels(tiny_records_dir):
    events = _parse(tiny_records_dir, "strong", "strong").events
    assert np.bincount(events.clip_number).tolist() == [2] * 6


def test_the_same_command_again_writes_nothing_new(tiny_release, tmp_path):
    prepare_tiny(tiny_release, tmp_path)
    times = {p: p.stat().st_mtime_ns for p in _shards(tmp_path)}
    contents, manifest = _contents(tmp_path), _manifest(tmp_path)
    prepare_tiny(tiny_release, tmp_path)
    assert _manifest(tmp_path) == manifest
    assert {p: p.stat().st_mtime_ns for p in _shards(tmp_path)} == times
    # A lost shard is made again, with the same bytes; the others are kept.
    lost = _shards(tmp_path)[0]
    lost.unlink()
    prepare_tiny(tiny_release, tmp_path)
    assert _contents(tmp_path) == contents
    others = _shards(tmp_path)[1:]
    assert [p.stat().st_mtime_ns for p in others] == [times[p] for p in others]


def test_two_workers_write_the_same_bytes_as_one(
    tiny_release, tiny_records_dir, tmp_path
):
    prepare_tiny(tiny_release, tmp_path, workers=WorkerParams(num_workers=2))
    assert _contents(tmp_path) == _contents(tiny_records_dir)
    assert _manifest(tmp_path) == _manifest(tiny_records_dir)


def test_other_settings_in_the_same_folder_are_refused(
    tiny_release, tiny_records_dir
):
    before = _contents(tiny_records_dir)
    for settings, message in (
        (
            {"params": RecordParams(held_out_fraction=0.1)},
            "records.held_out_fraction: 0.2",
        ),
        (
            {"features": FeatureParams(log_offset=0.001)},
            "features.log_offset: 0.01",
        ),
    ):
        with pytest.raises(InputError, match=message):
            prepare_tiny(tiny_release, tiny_records_dir, **settings)
    assert _contents(tiny_records_dir) == before


def test_other_classes_in_the_same_folder_are_refused(
    tiny_release, tiny_records_dir, tmp_path
):
    other = tmp_path / "classes.csv"
    other.write_text('index,mid,display_name\n0,/m/noise,"n"\n')
    kept = pathlib.Path(tiny_records_dir) / "class_map.csv"
    class_map = kept.read_bytes()
    with pytest.raises(
        InputError, match="class_map_hash: .* class 0 is /m/tone_low there, /m/"
    ):
        _prepare(tiny_release, tiny_records_dir, class_map_path=str(other))
    assert kept.read_bytes() == class_map


def test_labels_are_mapped_and_the_manifest_says_so(tiny_release, tmp_path):
    # Noise is above both tones here.
    graph = Ontology(
        dict.fromkeys(MIDS, "name"),
        {MIDS[2]: MIDS[:2]},
    )
    mapping = LabelMapping(LabelMappingParams(smear_labels=True), graph)
    prepare_tiny(tiny_release, tmp_path, mapping=mapping)
    manifest = _manifest(tmp_path)
    assert manifest["label_mapping"] == {
        "smear_labels": True,
        "subsume_music": False,
        "canonicalize_mids": False,
    }
    # As without, but noise goes with each tone. Each strong clip has two events
    # of noise now; each weak list has noise once.
    assert manifest["events_per_class"]["strong"] == [3, 3, 6 + 6, 0]
    assert manifest["events_per_class"]["weak"] == [2 + 2, 3 + 2, 5 + 4, 0]
    with pytest.raises(
        InputError, match="label_mapping.smear_labels: True there"
    ):
        prepare_tiny(tiny_release, tmp_path)


def test_evaluation_clips_are_left_out_and_counted(tiny_release, tmp_path):
    labels = tmp_path / "eval.csv"
    labels.write_text(
        "# a\n# b\n# YTID, start_seconds, end_seconds, positive_labels\n"
        'nukatrain01, 30.000, 40.000, "/m/noise"\n'
        'nuka_weak01, 7.0, 17.0, "/m/noise"\n'
    )
    manifest = prepare_tiny(
        tiny_release, tmp_path / "out", eval_label_paths=[str(labels)]
    )
    assert manifest["left_out_by_reason"]["eval_clip"] == 2
    assert manifest["clips"] == {"weak": 3, "strong": 5, "held_out": 4}
    listed = (tmp_path / "out" / "segment_ids.txt").read_text().splitlines()
    assert len(listed) == 12
    assert not {"nukatrain01_30000", "nuka_weak01_0"} & set(listed)


def _prepare(release, output_dir, audio_dir=None, **paths):
    arguments = {
        "weak_paths": [str(release / "weak.csv")],
        "strong_paths": [],
        "class_map_path": str(release / "classes.csv"),
        "workers": _ONE,
        **paths,
    }
    audio_dir = audio_dir or release / "audio"
    return prepare_records(
        str(audio_dir), output_dir=str(output_dir), **arguments
    )


def test_audio_that_no_clip_uses_is_named(tiny_release, tmp_path, caplog):
    folder = tmp_path / "audio"
    folder.mkdir()
    for name in ("nukatrain01_30000", "nukatrain02_30000"):
        shutil.copy(tiny_release / "audio" / f"{name}.wav", folder)
    path = folder / "nukatrain01_30000.wav"
    shutil.copy(path, folder / "nukatrain01.wav")
    shutil.copy(path, folder / "a, 'b' #1\n.wav")
    with tarfile.open(folder / "c.tar", "w") as tar:
        tar.add(path, "x/nukatrain02_30000.wav")
        tar.add(path, "x/none.wav")
    with caplog.at_level("INFO", logger="absl"):
        _prepare(
            tiny_release,
            tmp_path / "out",
            folder,
            params=RecordParams(held_out_fraction=0),
        )
    [second] = [m for m in caplog.messages if "more than one" in m]
    assert second.startswith("2 clips ")
    pair = f"{str(path)!r} and {str(folder / 'nukatrain01.wav')!r}"
    assert second.endswith(f"of {pair} the former.")
    [unmatched] = [m for m in caplog.messages if "match no" in m]
    assert unmatched.startswith("2 audio files ")
    assert unmatched.endswith(" (called 'none').")
    assert "\n" not in unmatched


def test_what_has_to_be_there(tiny_release, tmp_path):
    for name in ("empty", "others"):
        (tmp_path / name).mkdir()
    (tmp_path / "others" / "other.wav").touch()
    strong = tmp_path / "strong.tsv"
    header = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
    strong.write_text(f"{header}\nclip_0\t3.0\t2.0\t/m/x\n")
    (tmp_path / "c.csv").write_text("index,mid,display_name\n0,/m/a,A\n")
    for arguments, message in (
        ({"weak_paths": []}, "weak or strong label files"),
        (
            {"weak_paths": [], "strong_paths": [str(strong)]},
            "strong.tsv:2: expected an event that ends after it starts",
        ),
        (
            {"class_map_path": str(tmp_path / "c.csv")},
            r"No label is of a class of .*c.csv \(/m/a\); labels are of /m/no",
        ),
        ({"audio_dir": tmp_path / "none"}, "none is not a folder"),
        ({"audio_dir": tmp_path / "empty"}, "holds no audio files"),
        (
            {"audio_dir": tmp_path / "others"},
            r"15 of 15 .* no audio.* as '.*_0', .*others has .*other.wav",
        ),
    ):
        with pytest.raises(InputError, match=message):
            _prepare(tiny_release, tmp_path / "out", **arguments)


def test_bad_label_lines_are_in_the_manifest(tiny_release, tmp_path):
    path = tmp_path / "strong.tsv"
    path.write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "nukatrain01_30000\t1.0\t2.0\t/m/noise\n"
        "nukatrain01_30000\t3.0\t2.0\t/m/noise\n"
    )
    manifest = _prepare(
        tiny_release,
        tmp_path / "out",
        weak_paths=[],
        strong_paths=[str(path)],
        params=RecordParams(held_out_fraction=0.0),
        problems=ProblemLog(skip_bad_lines=True),
    )
    [problem] = manifest["label_problems"]
    assert problem.startswith(f"{path}:3: expected an event that ends after")
    assert sum(manifest["clips"].values()) == 1


def test_too_many_missing_clips_end_the_run_before_it_begins(
    tiny_release, tmp_path
):
    # 1 of 16 clips has no audio, another file is no audio.
    with pytest.raises(InputError, match="1 of 16 clips .* have no audio file"):
        prepare_tiny(tiny_release, tmp_path / "out", max_loss=0.05)
    assert not (tmp_path / "out").exists()


def test_too_many_lost_clips_leave_the_folder_unfinished(
    tiny_release, tmp_path
):
    with pytest.raises(InputError, match="2 of 16 .*left_out.csv lists them"):
        prepare_tiny(tiny_release, tmp_path, max_loss=0.1)
    assert not (tmp_path / "manifest.json").exists()
    assert len((tmp_path / "left_out.csv").read_text().splitlines()) == 3
    # The shards are kept: with another threshold nothing is made again.
    times = {p: p.stat().st_mtime_ns for p in _shards(tmp_path)}
    assert sum(prepare_tiny(tiny_release, tmp_path)["clips"].values()) == 14
    assert {p: p.stat().st_mtime_ns for p in _shards(tmp_path)} == times


def test_audio_that_came_or_changed_makes_its_shards_anew(
    tiny_release, tmp_path
):
    audio, output_dir = tmp_path / "audio", tmp_path / "out"
    shutil.copytree(tiny_release / "audio", audio)
    _prepare(tiny_release, output_dir, audio)
    good = (audio / "more" / "Ynuka_weak00.flac").read_bytes()
    (audio / "nuka__bad00.flac").write_bytes(good)
    (audio / "nuka_gone00.flac").write_bytes(good)
    manifest = _prepare(tiny_release, output_dir, audio)
    assert manifest["left_out"] == {}


def test_quantised_records(tiny_release, tmp_path):
    params = RecordParams(
        held_out_fraction=0.2, clips_per_shard=4, log_mel_dtype="uint8"
    )
    manifest = prepare_tiny(tiny_release, tmp_path, params=params)
    records = read_records(str(tmp_path))
    assert records.log_mel_dtype == "uint8"
    num_bytes = sum(shard["num_bytes"] for shard in manifest["shards"])
    hours = sum(shard["audio_seconds"] for shard in manifest["shards"])
    # 64 bands, 100 STFT frames a second, a byte each.
    assert num_bytes / hours == pytest.approx(6400, rel=0.05)


def _task(folder, number, num_shards=2):
    name = f"weak-{number:05d}-of-{num_shards:05d}.tfrecord"
    clip = Clip(f"clip{number}_0", "", 10.0, {"weak": []})
    return ShardTask(str(folder), "weak", name, (clip,))


def test_folders_are_made_and_cleared(tmp_path):
    folder = tmp_path / "a" / "b"
    make_folders(str(folder))
    for place in (folder, folder / "plan", folder / "reports"):
        (place / ".tmp-0123-x.tfrecord").touch()
    (folder / "kept.txt").touch()
    (folder / "reports" / "weak-00000-of-00001.tfrecord.failed.json").touch()
    make_folders(str(folder))
    clear_unfinished(str(folder))
    left = sorted(path.name for path in folder.rglob("*"))
    assert left == ["kept.txt", "plan", "reports"]


def test_workers_that_write_elsewhere_are_found_out(tmp_path, monkeypatch):
    make_folders(str(tmp_path))
    (tmp_path / "manifest.json").touch()
    monkeypatch.setattr(prepare.pool, "write_shards", lambda *_: None)
    with pytest.raises(InputError, match="1 of 1 shards, .* the same folder"):
        run_tasks([_task(tmp_path, 0, 1)], str(tmp_path), _ONE)
    # While a shard is missing the folder is not finished.
    assert not (tmp_path / "manifest.json").exists()


def test_shards_of_an_earlier_plan_are_removed(tmp_path):
    make_folders(str(tmp_path))
    old = [_task(tmp_path, 0, 1)]
    run_tasks(old, str(tmp_path), _ONE)
    (tmp_path / "weak-notes.txt").touch()
    new = [_task(tmp_path, 0), _task(tmp_path, 1)]
    run_tasks(new, str(tmp_path), _ONE)
    remove_outdated(new, str(tmp_path))
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    of_shards = {task.name for task in new}
    assert names == {
        *of_shards,
        *(f"{name}.json" for name in of_shards),
        "weak-notes.txt",
    }


def test_sums():
    clips = {
        name: Clip(f"{name}_0", "", 10.0, {"strong": [(1, 0.0, 1.0)]})
        for name in "abcd"
    }
    plan = Plan(
        {
            "weak": [],
            "strong": [clips["a"], clips["b"], clips["c"]],
            "held_out": [clips["d"]],
        },
        collections.Counter({"/m/u": 2}),
        [("e_0", "eval_clip", "why")],
        collections.Counter({"note": 1}),
    )
    reports = [
        {
            "shard": 1,
            "left_out": [["b_0", "missing", "x"]],
            "faults": [["a_0", "short", "y"]],
            "notes": {"n": 2},
        },
        {
            "shard": 2,
            "left_out": [],
            "faults": [["c_0", "clipped", "y"], ["a_0", "clipped", "z"]],
            "notes": {"n": 1, "note": 1},
        },
    ]
    found = sum_up(plan, 2, reports)
    assert found == {
        "shards": [1, 2],
        "clips": {"weak": 0, "strong": 2, "held_out": 1},
        # Held-out clips are no training data.
        "events_per_class": {"weak": [0, 0], "strong": [0, 2]},
        "unmapped_mids": {"/m/u": 2},
        "notes": {"note": 2, "n": 3},
        "left_out_by_reason": {"missing": 1, "eval_clip": 1},
        "left_out": {"eval_clip": ["e_0"], "missing": ["b_0"]},
        "faults": {"clipped": ["a_0", "c_0"], "short": ["a_0"]},
    }
    assert list_losses(plan, reports) == (
        [("b_0", "missing", "x"), ("e_0", "eval_clip", "why")],
        [
            ("a_0", "clipped", "z"),
            ("a_0", "short", "y"),
            ("c_0", "clipped", "y"),
        ],
    )
    lines = []
    describe(found, lines.append)
    assert lines == [
        "3 clips written (0 weak, 2 strong, 1 held_out).",
        "2 clips left out (1 eval_clip, 1 missing); left_out.csv lists each "
        "with the reason.",
        "Clips written although something is wrong with their audio: 2 "
        "clipped, 1 short; faults.csv lists them.",
        "2 clips: note.",
        "3 clips: n.",
        "2 events of 1 mids that are not in the class map were left out; "
        "their clips were kept.",
    ]


def test_losses_are_read_back_by_any_csv_reader():
    rows = [
        ("b_0", "missing", "no audio file for this clip"),
        ("c_0", "silent", 'a "quoted", detail\nof two lines'),
    ]
    header, *found = csv.reader(format_losses(rows).splitlines(keepends=True))
    assert header == ["segment_id", "reason", "detail"]
    assert [tuple(row) for row in found] == rows
    assert format_losses([]) == "segment_id,reason,detail\n"


def test_loss_up_to_the_threshold_is_accepted():
    check_loss(5, 10, 0.5, "")
    check_loss(10, 10, 1.0, "")
    check_loss(0, 0, 0.0, "")
    with pytest.raises(
        InputError, match=r"6 of 10 clips \(60.0%\) .* max_loss=0.5 .*: here"
    ):
        check_loss(6, 10, 0.5, "here")


@pytest.fixture(scope="module")
def own_data(tmp_path_factory):
    """Two recordings of 40 and 12 s, cut into clips by an index."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    (folder / "takes").mkdir()
    for name, seconds in (("a", 40), ("b", 12)):
        samples = 0.1 * rng.standard_normal(seconds * 16000)
        soundfile.write(folder / "takes" / f"{name} 1.wav", samples, 16000)
    (folder / "index.tsv").write_text(
        "segment_id\tpath\tstart_seconds\tduration_seconds\n"
        "007\ttakes/a 1.wav\t0\t5.5\n"
        "rec_105\ttakes/a 1.wav\t20\t13.25\n"
        "rec 106\ttakes/b 1.wav\t1.5\t\n"
        "quiet\ttakes/b 1.wav\t8\t3\n"
        "over\ttakes/b 1.wav\t50\t3\n"
        "not labelled\ttakes/a 1.wav\t1\t1\n"
    )
    (folder / "clips.tsv").write_text(
        "segment_id\tduration_seconds\n"
        "007\t5.5\nrec_105\t13.25\nrec 106\t6.5\nquiet\t3\nover\t3\n"
    )
    (folder / "strong.tsv").write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "007\t1.0\t2.0\tdog_bark\nrec_105\t12.0\t13.0\tdog_bark\n"
        "rec 106\t0.0\t1.0\tdog_bark\nover\t0.0\t1.0\tdog_bark\n"
    )
    (folder / "classes.csv").write_text(
        "index,mid,display_name\n0,dog_bark,Dog bark\n"
    )
    return folder


def _prepare_own(folder, output_dir, held_out_fraction=0.0, **arguments):
    defaults = {
        "audio_dir": "",
        "weak_paths": [],
        "strong_paths": [str(folder / "strong.tsv")],
        "class_map_path": str(folder / "classes.csv"),
        "params": RecordParams(held_out_fraction=held_out_fraction),
        "workers": _ONE,
        "clips_path": str(folder / "clips.tsv"),
        "audio_index_path": str(folder / "index.tsv"),
    }
    return prepare_records(
        output_dir=str(output_dir), **{**defaults, **arguments}
    )


def test_records_of_own_recordings(own_data, tmp_path, caplog):
    with caplog.at_level("INFO", logger="absl"):
        manifest = _prepare_own(own_data, tmp_path)
    assert "1 rows of" in caplog.text
    assert "'not labelled'" in caplog.text
    assert manifest["clips"] == {"weak": 0, "strong": 4, "held_out": 0}
    assert manifest["left_out"] == {"too_short": ["over"]}
    assert manifest["faults"] == {}
    assert manifest["events_per_class"]["strong"] == [3]
    # As many label frames as fit into the longest clip.
    assert manifest["label_frames"]["clip_seconds"] == 13.25
    assert manifest["label_frames"]["num_label_frames"] == 13
    assert [i["kind"] for i in manifest["inputs"]] == [
        *("class_map", "strong_labels", "clips", "audio_index")
    ]
    [serialized] = tf.data.TFRecordDataset(
        [str(path) for path in _shards(tmp_path)]
    ).batch(9)
    parsed = parse_records(serialized, "strong", FeatureParams())
    names = [name.decode() for name in parsed.segment_id.numpy()]
    lengths = dict(zip(names, parsed.num_stft_frames.numpy().tolist()))
    assert lengths == {
        "007": 548,
        "rec_105": 1323,
        "rec 106": 648,
        "quiet": 298,
    }
    assert parsed.is_known.numpy().all()
    assert (tmp_path / "groups.tsv").read_text() == (
        "segment_id\tgroup\n007\ttakes/a 1.wav\nquiet\ttakes/b 1.wav\n"
        "rec 106\ttakes/b 1.wav\nrec_105\ttakes/a 1.wav\n"
    )
    records = read_records(str(tmp_path))
    assert records.records_hash == manifest["records_hash"]


@pytest.mark.parametrize("kind", ["strong", "weak"])
def test_clips_whose_lines_are_skipped_are_no_negatives(
    own_data, tmp_path, caplog, kind
):
    bad = {
        "strong": [
            *("quiet\t1.0\t0.5\tdog_bark", "007\t1,0\t2\tdog_bark"),
            *("rec 106\t0.0", "elsewhere\t0.0\t1.0\tdog bark"),
            *("rec_105\t0\t1\tdog_bark", "over\t0\t1\tdog_bark"),
            *("007\t-1\t2\tdog_bark", *["over\t1\t2\tdog_bark"] * 5),
        ],
        "weak": [
            *("quiet,dog bark", '"007",', 'rec 106,"dog_bark'),
            *("rec_105,dog_bark", "over,dog_bark", "x 1,dog_bark,dog_bark"),
            *("y", *["over,dog_bark"] * 6),
        ],
    }[kind]
    labels = tmp_path / "labels"
    header = {
        "strong": "segment_id\tstart_time_seconds\tend_time_seconds\tlabel",
        "weak": "segment_id,labels",
    }[kind]
    labels.write_text("\n".join([header, *bad]) + "\n")
    paths = {"strong_paths": [], f"{kind}_paths": [str(labels)]}
    manifest = _prepare_own(
        own_data,
        tmp_path / "out",
        problems=ProblemLog(skip_bad_lines=True),
        **paths,
    )
    assert manifest["clips"][kind] == 1
    assert manifest["left_out"]["bad_label_lines"] == [
        *("007", "quiet", "rec 106")
    ]
    assert "3 annotated clips are left out" in caplog.text
    num_other = {"strong": 1, "weak": 2}[kind]
    assert f"{num_other} skipped label lines name no clip" in caplog.text


def test_events_of_long_clips_are_no_doubts(own_data, tmp_path, caplog):
    # At 12 s of a clip of 13.25 s.
    _prepare_own(own_data, tmp_path / "a")
    # The index alone knows the length, too.
    _prepare_own(own_data, tmp_path / "b", clips_path="")
    assert "look wrong" not in caplog.text
    strong = tmp_path / "strong.tsv"
    lines = (own_data / "strong.tsv").read_text()
    strong.write_text(f"{lines}007\t0\t40\tdog_bark\n")
    _prepare_own(own_data, tmp_path / "c", strong_paths=[str(strong)])
    assert "inside the clip of 13.25 s" in caplog.text


@pytest.mark.parametrize("clips_path", ["", None])
def test_events_after_their_clip_are_refused(own_data, tmp_path, clips_path):
    # It is shorter than the longest clip.
    strong = tmp_path / "strong.tsv"
    lines = (own_data / "strong.tsv").read_text()
    strong.write_text(f"{lines}quiet\t4.5\t5\tdog_bark\n")
    paths = {"strong_paths": [str(strong)]}
    if clips_path is not None:
        paths["clips_path"] = clips_path
    with pytest.raises(InputError, match=r"at 4\.5 s of 'quiet', which has 3"):
        _prepare_own(own_data, tmp_path / "out", **paths)
    assert not (tmp_path / "out").exists()
    strong.write_text(f"{lines}quiet\t3.5\t5\tdog_bark\n")  # a rounding
    _prepare_own(own_data, tmp_path / "out", **paths)


def test_a_clip_is_not_longer_than_the_index_says(own_data, tmp_path):
    clips = tmp_path / "clips.tsv"
    lines = (own_data / "clips.tsv").read_text()
    for seconds, is_refused in (("13.3", False), ("23.25", True), ("14", True)):
        clips.write_text(lines.replace("13.25", seconds))
        if not is_refused:
            _prepare_own(own_data, tmp_path / "o", clips_path=str(clips))
            continue
        message = f"'rec_105' that fits .* {seconds} s, .* says 13.25 s"
        with pytest.raises(InputError, match=message):
            _prepare_own(own_data, tmp_path / "o", clips_path=str(clips))


def test_recordings_are_not_shared(own_data, tmp_path):
    header, *rows = (own_data / "strong.tsv").read_text().splitlines()
    for name, kept in (("one", [0]), ("same", [1]), ("other", [2])):
        labels = tmp_path / f"{name}.tsv"
        labels.write_text("\n".join([header, *(rows[i] for i in kept)]) + "\n")
        _prepare_own(
            own_data,
            tmp_path / name,
            strong_paths=[str(labels)],
            clips_path="",
        )
    check_no_shared_clips(str(tmp_path / "one"), str(tmp_path / "other"))
    with pytest.raises(InputError, match=r"1 groups .*such as takes/a 1\.wav"):
        check_no_shared_clips(str(tmp_path / "one"), str(tmp_path / "same"))
    # Evaluation clips take their whole recording with them.
    manifest = _prepare_own(
        own_data,
        tmp_path / "train",
        eval_label_paths=[str(tmp_path / "one.tsv")],
    )
    assert manifest["left_out"]["eval_clip"] == ["007", "rec_105"]
    check_no_shared_clips(str(tmp_path / "train"), str(tmp_path / "one"))


def test_finished_records_are_not_taken_away(own_data, tmp_path):
    folder, output_dir = tmp_path / "own", tmp_path / "out"
    shutil.copytree(own_data, folder)
    first = _prepare_own(folder, output_dir)
    contents = _contents(output_dir)
    strong = (folder / "strong.tsv").read_text()
    take_b = (folder / "takes" / "b 1.wav").read_bytes()
    for change, message, written in (
        (
            lambda: (folder / "takes" / "b 1.wav").unlink(),
            "4 finished clips.*2 would have no label or no audio .*'quiet'",
            2,
        ),
        (
            lambda: (folder / "strong.tsv").write_text(
                strong.replace("007\t1.0\t2.0\tdog_bark\n", "")
            ),
            "1 would have fewer events or be shorter, such as '007'",
            4,
        ),
    ):
        change()
        with pytest.raises(InputError, match=message):
            _prepare_own(folder, output_dir)
        assert _contents(output_dir) == contents
        assert _manifest(output_dir) == first
        manifest = _prepare_own(folder, output_dir, replace=True)
        assert sum(manifest["clips"].values()) == written
        assert _contents(output_dir) != contents
        # What comes back is added without being asked.
        (folder / "takes" / "b 1.wav").write_bytes(take_b)
        (folder / "strong.tsv").write_text(strong)
        _prepare_own(folder, output_dir)
        assert _contents(output_dir) == contents
    # Other settings.
    features = FeatureParams(log_offset=0.001)
    message = r"settings \(features.log_offset: 0.01 there, 0.001 now\)"
    with pytest.raises(InputError, match=message):
        _prepare_own(folder, output_dir, features=features)
    assert _contents(output_dir) == contents
    _prepare_own(folder, output_dir, features=features, replace=True)
    assert read_records(str(output_dir)).features == features


def test_audio_replaced_in_place_is_written_again(own_data, tmp_path):
    folder, output_dir = tmp_path / "own", tmp_path / "out"
    shutil.copytree(own_data, folder)
    first = _prepare_own(folder, output_dir)
    path = folder / "takes" / "b 1.wav"
    status, content = path.stat(), path.read_bytes()
    os.utime(path, ns=(1, 1))  # copied: nothing to do
    times = [p.stat().st_mtime_ns for p in _shards(output_dir)]
    assert _prepare_own(folder, output_dir) == first
    assert [p.stat().st_mtime_ns for p in _shards(output_dir)] == times
    path.write_bytes(content[:200_000] + bytes(8000) + content[208_000:])
    assert path.stat().st_size == status.st_size
    second = _prepare_own(folder, output_dir)
    assert second["records_hash"] != first["records_hash"]


def test_two_runs_do_not_write_to_one_folder(own_data, tmp_path):
    with (
        files.hold_lock(tmp_path),
        pytest.raises(InputError, match=f"process {os.getpid()} on .* another"),
    ):
        _prepare_own(own_data, tmp_path)
    assert not (tmp_path / "settings.json").exists()
    _prepare_own(own_data, tmp_path)


def test_audio_that_is_not_that_of_the_labels(own_data, tmp_path):
    names = [f"take {n}" for n in range(20)]
    rows = [f"{name}\t0.0\t1.0\tdog_bark\n" for name in names]
    strong = tmp_path / "strong.tsv"
    strong.write_text((own_data / "strong.tsv").read_text() + "".join(rows[:8]))
    arguments = {"strong_paths": [str(strong)], "clips_path": ""}
    # A third is there: a part of a data set.
    manifest = _prepare_own(own_data, tmp_path / "part", **arguments)
    assert len(manifest["left_out"]["missing"]) == 8
    header = strong.read_text().splitlines()[0]
    strong.write_text(f"{header}\n007\t1.0\t2.0\tdog_bark\n{''.join(rows)}")
    message = r"20 of 21 .*no audio.* 'take 0', .*index\.tsv has such as '007'"
    with pytest.raises(InputError, match=message):
        _prepare_own(own_data, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
    index = tmp_path / "index.csv"
    index.write_text(
        "segment_id,path\n" + "".join(f"{n},x/{n}\n" for n in names)
    )
    arguments["audio_index_path"] = str(index)
    with pytest.raises(
        InputError, match="names files that are not there, .*/x/t"
    ):
        _prepare_own(own_data, tmp_path / "out", **arguments)
    arguments["audio_index_path"] = str(own_data / "index.tsv")
    manifest = _prepare_own(
        own_data, tmp_path / "out", max_loss=1.0, **arguments
    )
    assert manifest["clips"]["strong"] == 1
    for paths in ({"audio_index_path": ""}, {"clips_path": "no.tsv"}):
        with pytest.raises((InputError, FileNotFoundError)):
            _prepare_own(own_data, tmp_path / "none", **paths)

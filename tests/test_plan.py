"""Labels and audio joined into clips and shards; plans, reports, settings."""

import dataclasses
import json
import os
import pathlib

import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.labels.training_sets import (
    is_held_out,
    is_in_strong_fraction,
)
from audioset_strong.params import AudioParams, FeatureParams, RecordParams
from audioset_strong.records.plan import (
    Clip,
    ShardSettings,
    ShardTask,
    check_settings,
    load_task,
    plan_clips,
    plan_shards,
    read_label_tables,
    read_reports,
    save_settings,
    save_tasks,
)

_WEAK_HEADER = "# a\n# b\n# YTID, start_seconds, end_seconds, positive_labels\n"
_STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
_MAP = ClassMap(("/m/x", "/m/y"), ("X", "Y"))
_NO_AUDIO: dict[str, str] = {}


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "w1.csv").write_text(
        _WEAK_HEADER + 'video-----a, 0.000, 10.000, "/m/x,/m/u"\n'
        'video-----b, 5.000, 9.000, "/m/u"\n'
    )
    (tmp_path / "w2.csv").write_text(
        _WEAK_HEADER + 'video-----c, 0.000, 10.000, "/m/y"\nbroken\n'
    )
    (tmp_path / "s.tsv").write_text(
        _STRONG_HEADER + "video-----a_0\t1.0\t2.0\t/m/y\n"
        "video-----a_0\t3.0\t4.0\t/m/u\nvideo-----d_0\t0.0\t1.0\t/m/x\n"
        "video-----d_0\t2.0\t1.0\t/m/x\n"
    )
    problems = ProblemLog(skip_bad_lines=True)
    weak, strong = read_label_tables(
        [str(tmp_path / "w1.csv"), str(tmp_path / "w2.csv")],
        [str(tmp_path / "s.tsv")],
        problems,
    )
    return weak, strong, problems


def test_label_files_are_joined_and_bad_lines_noted(tables):
    weak, strong, problems = tables
    assert weak["segment_id"].tolist() == [
        "video-----a_0",
        "video-----b_5000",
        "video-----c_0",
    ]
    assert strong["segment_id"].tolist() == [
        "video-----a_0",
        "video-----a_0",
        "video-----d_0",
    ]
    left_out = [p for p in problems.problems if p.is_left_out]
    assert [p.line for p in left_out] == [5, 5]


def test_clips_of_each_group(tables, tmp_path):
    weak, strong, _ = tables
    path_a = str(tmp_path / "video-----a_0.wav")
    path_b = str(tmp_path / "video-----b.wav")
    pathlib.Path(path_a).write_bytes(b"123")
    pathlib.Path(path_b).write_bytes(b"12345")
    audio = {"video-----a_0": path_a, "video-----b": path_b}
    versions = [str(os.stat(path).st_mtime_ns) for path in (path_a, path_b)]
    params = RecordParams(held_out_fraction=0.0)
    plan = plan_clips(weak, strong, _MAP, audio, params)
    assert plan.unmapped == {"/m/u": 3}
    assert plan.longest_clip_seconds == 10.0
    assert plan.split_groups == {}
    assert plan.clips == {
        "weak": [
            # All its mids are unmapped: kept, as an example of negatives. The
            # file may be the whole video.
            Clip(
                "video-----b_5000",
                path_b,
                4.0,
                {"weak": []},
                audio_bytes=5,
                start_seconds=5.0,
                extent="video",
                audio_version=versions[1],
            ),
            Clip("video-----c_0", "", 10.0, {"weak": [(1, 0.0, 10.0)]}),
        ],
        "strong": [
            Clip(
                "video-----a_0",
                path_a,
                10.0,
                {"weak": [(0, 0.0, 10.0)], "strong": [(1, 1.0, 2.0)]},
                audio_bytes=3,
                audio_version=versions[0],
            ),
            Clip("video-----d_0", "", 10.0, {"strong": [(0, 0.0, 1.0)]}),
        ],
        "held_out": [],
    }


def _segment_ids(plan):
    return {g: [c.segment_id for c in cs] for g, cs in plan.clips.items()}


def test_held_out_clips_are_in_no_other_group(tables):
    weak, strong, _ = tables
    params = RecordParams(held_out_fraction=1.0)
    plan = plan_clips(weak, strong, _MAP, _NO_AUDIO, params)
    # Only clips with strong labels are held out, and then out of Weak too.
    assert _segment_ids(plan) == {
        "weak": ["video-----b_5000", "video-----c_0"],
        "strong": [],
        "held_out": ["video-----a_0", "video-----d_0"],
    }


def test_clips_of_evaluation_videos_are_left_out(tables):
    weak, strong, _ = tables
    params = RecordParams(held_out_fraction=0.0)
    # Only the ytid counts, not the start.
    plan = plan_clips(
        weak,
        strong,
        _MAP,
        _NO_AUDIO,
        params,
        {"video-----b", "video-----d", "other"},
    )
    assert _segment_ids(plan) == {
        "weak": ["video-----c_0"],
        "strong": ["video-----a_0"],
        "held_out": [],
    }
    assert [row[:2] for row in plan.left_out] == [
        ("video-----b_5000", "eval_clip"),
        ("video-----d_0", "eval_clip"),
    ]
    # Their mids do not count either: one /m/u is left in each of a's lists.
    assert plan.unmapped == {"/m/u": 2}


def test_a_share_of_strong():
    ids = [f"video----{i:02d}_0" for i in range(60)]
    strong = pd.DataFrame(
        {
            "segment_id": pd.Series(ids, dtype=object),
            "onset_seconds": 1.0,
            "offset_seconds": 2.0,
            "mid": pd.Series(["/m/x"] * 60, dtype=object),
        }
    )
    weak = pd.DataFrame(
        {
            "segment_id": pd.Series(ids[:50], dtype=object),
            "start_seconds": 0.0,
            "end_seconds": 10.0,
            "mids": pd.Series([("/m/x",)] * 50, dtype=object),
        }
    )
    whole = RecordParams(held_out_fraction=0.2)
    params = dataclasses.replace(whole, strong_fraction=0.5)
    of_whole = _segment_ids(plan_clips(weak, strong, _MAP, _NO_AUDIO, whole))
    plan = plan_clips(weak, strong, _MAP, _NO_AUDIO, params)
    found = _segment_ids(plan)
    # The held-out part is the same, with its labels.
    held_out = [s for s in ids if is_held_out(s[:-2], 0.2)]
    assert found["held_out"] == of_whole["held_out"] == held_out
    assert all("strong" in c.events for c in plan.clips["held_out"])
    expected = [
        s for s in of_whole["strong"] if is_in_strong_fraction(s[:-2], 0.5)
    ]
    assert found["strong"] == expected
    # The others stay for their weak labels, if they have any.
    others = set(ids) - {*held_out, *expected}
    assert set(found["weak"]) == others & set(ids[:50])
    assert all(set(c.events) == {"weak"} for c in plan.clips["weak"])
    assert plan.notes == {
        "strong labels left out by strong_fraction": len(found["weak"])
    }
    assert [row[:2] for row in plan.left_out] == [
        (s, "outside_strong_fraction") for s in ids[50:] if s in others
    ]
    assert plan.left_out


def test_shards_hold_each_clip_once_at_a_stable_place(tables):
    weak, strong, _ = tables
    params = RecordParams(held_out_fraction=0.0, clips_per_shard=1)
    plan = plan_clips(weak, strong, _MAP, _NO_AUDIO, params)
    tasks = plan_shards(plan, "out", params.clips_per_shard, ShardSettings())
    assert [t.name for t in tasks] == [
        "weak-00000-of-00002.tfrecord",
        "weak-00001-of-00002.tfrecord",
        "strong-00000-of-00002.tfrecord",
        "strong-00001-of-00002.tfrecord",
    ]
    ids = sorted(clip.segment_id for task in tasks for clip in task.clips)
    assert ids == [
        "video-----a_0",
        "video-----b_5000",
        "video-----c_0",
        "video-----d_0",
    ]
    again = plan_shards(plan, "out", params.clips_per_shard, ShardSettings())
    assert [t.fingerprint for t in tasks] == [t.fingerprint for t in again]


@pytest.fixture
def task(tmp_path):
    for name in ("plan", "reports"):
        (tmp_path / name).mkdir()
    clips = (
        Clip("-a_b_30000", '/x/é "q".wav', 10.0, {"weak": []}, 7),
        Clip("b_0", "", 9.5, {"weak": [(3, 0.0, 10.0)], "strong": []}),
        Clip("c_0", "s3://b/c.flac", 0.1, {"strong": [(0, 0.1, 1 / 3)]}, 2**40),
        Clip("d 0", "d", 0.0, {"weak": []}, 5, 1 / 3, "part", "12\u00e4"),
    )
    settings = ShardSettings(
        FeatureParams(log_offset=0.001), AudioParams(silent_peak_dbfs=-60.5)
    )
    name = "strong-00000-of-00001.tfrecord"
    return ShardTask(str(tmp_path), "strong", name, clips, settings)


def _report(task, num_bytes):
    report = {
        "fingerprint": task.fingerprint,
        "shard": {"num_bytes": num_bytes},
    }
    pathlib.Path(task.report_path).write_text(json.dumps(report))


def test_a_plan_is_read_back_as_it_was(task):
    empty = dataclasses.replace(task, clips=())
    for saved in (task, empty):
        save_tasks([saved])
        assert load_task(task.output_dir, task.name) == saved


def test_all_that_changes_a_shard_changes_its_fingerprint(task):
    clip = task.clips[1]
    others = [
        dataclasses.replace(task, clips=task.clips[:2]),
        dataclasses.replace(task, group="weak"),
        dataclasses.replace(task, settings=ShardSettings()),
        *(
            dataclasses.replace(
                task, clips=(dataclasses.replace(clip, **change),)
            )
            for change in (
                {},
                {"audio_path": "found.wav"},
                {"audio_bytes": 1},
                {"clip_seconds": 9.0},
                {"events": {"weak": []}},
                {"start_seconds": 0.5},
                {"extent": "part"},
            )
        ),
    ]
    fingerprints = {other.fingerprint for other in others}
    assert len(fingerprints | {task.fingerprint}) == len(others) + 1
    # Nor when a file was written, which reports are compared by.
    touched = dataclasses.replace(clip, audio_version="1")
    touched = dataclasses.replace(task, clips=(task.clips[0], touched))
    whole = dataclasses.replace(task, clips=task.clips[:2])
    assert touched.fingerprint == whole.fingerprint
    # Where the folder lies does not matter.
    moved = dataclasses.replace(task, output_dir="/elsewhere")
    assert moved.fingerprint == task.fingerprint


def test_a_shard_is_finished_with_its_report_plan_and_size(task):
    assert not read_reports([task])
    _report(task, 3)
    assert not read_reports([task])  # no shard
    pathlib.Path(task.path).write_bytes(b"ab")
    assert not read_reports([task])  # too short
    pathlib.Path(task.path).write_bytes(b"abc")
    assert read_reports([task])[task.name]["shard"] == {"num_bytes": 3}
    other = dataclasses.replace(task, clips=task.clips[:1])
    assert not read_reports([other])  # made for another plan
    missing = dataclasses.replace(task, name="weak-00000-of-00001.tfrecord")
    assert set(read_reports([missing, task])) == {task.name}


def _settings(class_map, **changes):
    return {"class_map_hash": class_map.content_hash, **changes}


def test_a_new_folder_keeps_its_settings(tmp_path):
    settings = _settings(_MAP, features={"log_offset": 0.01})
    for _ in range(2):
        check_settings(str(tmp_path), settings, _MAP)
        save_settings(str(tmp_path), settings)
    other = {**settings, "features": {"log_offset": 0.001}}
    with pytest.raises(InputError, match="features: .*0.01} there, .*0.001} n"):
        check_settings(str(tmp_path), other, _MAP)


def test_other_classes_are_named(tmp_path):
    save_settings(str(tmp_path), _settings(_MAP))
    other = ClassMap(("/m/y", "/m/x"), ("Y", "X"))
    both = f"{_MAP.content_hash} there, {other.content_hash} now"
    with pytest.raises(InputError, match=both) as error:
        check_settings(str(tmp_path), _settings(other), other)
    assert "class 0" not in str(error.value)
    write_class_map(_MAP, tmp_path / "class_map.csv")
    with pytest.raises(InputError, match="class 0 is /m/x there, /m/y here"):
        check_settings(str(tmp_path), _settings(other), other)

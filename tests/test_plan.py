"""Labels and audio joined into clips and shards; plans, reports, settings."""

import dataclasses
import json
import os
import pathlib
import re

import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.labels.clips import make_clips_table
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import AudioParams, FeatureParams, RecordParams
from audioset_strong.records.audio_index import read_audio_index
from audioset_strong.records.plan import (
    plan_clips,
    plan_shards,
    read_label_tables,
)
from audioset_strong.records.tasks import (
    Clip,
    ShardSettings,
    ShardTask,
    check_settings,
    describe_clips,
    find_shrinking,
    hash_audio,
    load_task,
    read_reports,
    save_settings,
    save_tasks,
    verify_audio,
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
    with pytest.raises(
        InputError, match=r"features\.log_offset: 0.01 there, 0.001 n"
    ):
        check_settings(str(tmp_path), other, _MAP)


def test_a_folder_of_an_older_version_goes_on(tmp_path):
    old = {"clips_per_shard": 9, "strong_fraction": 1.0}
    save_settings(str(tmp_path), _settings(_MAP, records=old))
    settings = _settings(_MAP, records={"clips_per_shard": 9})
    check_settings(str(tmp_path), settings, _MAP)
    old["strong_fraction"] = 0.25
    save_settings(str(tmp_path), _settings(_MAP, records=old))
    with pytest.raises(InputError, match=r"strong_fraction=0\.25 chose"):
        check_settings(str(tmp_path), settings, _MAP)


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


def _weak(seconds_of_clip, mids=("/m/x",)):
    return pd.DataFrame(
        {
            "segment_id": pd.Series(list(seconds_of_clip), dtype=object),
            "start_seconds": 0.0,
            "end_seconds": list(seconds_of_clip.values()),
            "mids": pd.Series([mids] * len(seconds_of_clip), dtype=object),
        }
    )


def _strong(*segment_ids):
    return pd.DataFrame(
        {
            "segment_id": pd.Series(segment_ids, dtype=object),
            "onset_seconds": 1.0,
            "offset_seconds": 2.0,
            "mid": pd.Series(["/m/y"] * len(segment_ids), dtype=object),
        }
    )


def _index(folder, rows):
    path = folder / "index.csv"
    header = "segment_id,path,start_seconds,duration_seconds,group"
    path.write_text("\n".join([header, *rows]) + "\n")
    return read_audio_index(str(path))


_ALL = RecordParams(held_out_fraction=0.0)


def _plan_clips(weak=None, strong=None, params=_ALL, **arguments):
    weak = _weak({}) if weak is None else weak
    strong = _strong() if strong is None else strong
    stems = arguments.pop("path_of_stem", {})
    return plan_clips(weak, strong, _MAP, stems, params, **arguments)


def test_an_index_says_where_clips_are(tmp_path):
    (tmp_path / "long.wav").write_bytes(b"1234")
    index = _index(
        tmp_path,
        [
            "007,long.wav,12.5,7,",
            "dog 1,long.wav,0,,site",
            "whole,other.wav,,,",
            "unused,x.wav,,,",
        ],
    )
    weak = _weak({"007": 5.0, "dog 1": 5.0, "whole": float("nan"), "lost": 5.0})
    clips = {
        c.segment_id: c for c in _plan_clips(weak, index=index).clips["weak"]
    }
    places = {
        name: (
            clip.start_seconds,
            clip.clip_seconds,
            clip.extent,
            clip.is_there,
        )
        for name, clip in clips.items()
    }
    assert places == {
        "007": (12.5, 7.0, "part", True),
        "dog 1": (0.0, 5.0, "part", True),
        "whole": (0.0, 10.0, "file", False),
        "lost": (0.0, 5.0, "file", False),
    }
    assert clips["007"].audio_path == str(tmp_path / "long.wav")
    assert clips["whole"].audio_path == str(tmp_path / "other.wav")
    assert clips["lost"].audio_path == ""
    # Weak events span the longest clip.
    assert clips["007"].events == {"weak": [(0, 0.0, 10.0)]}


def test_the_length_is_that_of_the_list_before_the_index(tmp_path):
    index = _index(tmp_path, ["a,a.wav,,33.5,", "b,b.wav,,4,", "c,c.wav,,,"])
    clips = make_clips_table(["a", "b", "c"], [12.25, 4.0, 5.5], list("abc"))
    weak = _weak({"a": 2.0, "b": 2.0, "c": 2.0})
    plan = _plan_clips(weak, index=index, clips=clips)
    assert [c.clip_seconds for c in plan.clips["weak"]] == [12.25, 4.0, 5.5]
    assert [c.extent for c in plan.clips["weak"]] == ["part", "part", "file"]
    # The events of a clip that is longer than usual span it.
    assert plan.clips["weak"][0].events["weak"] == [(0, 0.0, 12.25)]
    assert plan.longest_clip_seconds == 12.25
    # Nothing says the length: the usual one, or all of the file.
    weak = _weak({"c": float("nan")})
    for seconds in (6.0, 0.0):
        params = dataclasses.replace(_ALL, clip_seconds=seconds)
        [clip] = _plan_clips(weak, params=params, index=index).clips["weak"]
        assert clip.clip_seconds == seconds
    # A weak CSV that says it is believed then, whatever it says.
    [clip] = _plan_clips(_weak({"c": 44.0}), params=params).clips["weak"]
    assert clip.clip_seconds == 44.0


@pytest.mark.parametrize(
    ("weak", "strong", "label_set"),
    [
        (_weak({"a": 3.0}), _strong(), "weak"),
        (_weak({}), _strong("a"), "strong"),
        (_weak({"a": 3.0}), _strong("b"), "strong"),
        (_weak({}), _strong(), "strong"),
    ],
    ids=["weak", "strong", "both", "no events at all"],
)
def test_annotated_clips_without_events_are_negatives(weak, strong, label_set):
    clips = make_clips_table(list("abcd"), [3.0] * 4, list("abcd"))
    plan = _plan_clips(weak, strong, clips=clips)
    labelled = {*weak["segment_id"], *strong["segment_id"]}
    found = {c.segment_id: c for cs in plan.clips.values() for c in cs}
    assert set(found) == set("abcd")
    for name in set("abcd") - labelled:
        assert found[name].events == {label_set: []}
        assert found[name].clip_seconds == 3.0
    [(_, number)] = plan.notes.items()
    assert number == 4 - len(labelled)
    # Labels of others do not change: what has weak ones only stays so.
    assert all(events for name in labelled for events in found[name].events)


def test_a_labelled_clip_that_is_not_annotated_stops_the_run():
    clips = make_clips_table(["a.wav", "b"], [3.0] * 2, ["a.wav", "b"])
    message = r"2 of 3 are not, such as 'a', 'c'.*names such as 'a\.wav', 'b'"
    with pytest.raises(InputError, match=message):
        _plan_clips(_weak({"a": 3.0}), _strong("b", "c"), clips=clips)


def test_two_clips_are_not_one_file(tmp_path):
    path = str(tmp_path / "Yabcdefghijk.wav")
    pathlib.Path(path).touch()
    strong = _strong("abcdefghijk_30000", "abcdefghijk_70000")
    stems = {"Yabcdefghijk": path}
    message = f"_30000 and abcdefghijk_70000 .* {path} .* audio index"
    with pytest.raises(InputError, match=message):
        _plan_clips(strong=strong, path_of_stem=stems)
    # One of them has a file of its own, or the index says where they are.
    stems["abcdefghijk/70000"] = str(tmp_path / "abcdefghijk_70.0.wav")
    plan = _plan_clips(strong=strong, path_of_stem=stems)
    assert [c.extent for c in plan.clips["strong"]] == ["video", "file"]
    rows = [f"abcdefghijk_{s}000,{path},{s},10," for s in (30, 70)]
    plan = _plan_clips(strong=strong, index=_index(tmp_path, rows))
    assert [c.start_seconds for c in plan.clips["strong"]] == [30.0, 70.0]


def _groups(plan):
    return {
        clip.segment_id: group
        for group, clips in plan.clips.items()
        for clip in clips
    }


def test_groups_stay_on_one_side(tmp_path):
    names = [f"{site}-{n}" for site in range(40) for n in range(3)]
    (tmp_path / "x.wav").touch()
    rows = [
        f"{name},x.wav,{row},1,site {name.split('-')[0]}"
        for row, name in enumerate(names)
    ]
    index = _index(tmp_path, rows)
    params = RecordParams(held_out_fraction=0.3)
    # Of weak labels only, of strong ones, and of some of each.
    for weak_names, strong_names in (
        (names, []),
        ([], names),
        (names[::2], names[1::2]),
    ):
        plan = _plan_clips(
            _weak(dict.fromkeys(weak_names, 1.0)),
            _strong(*strong_names),
            params,
            index=index,
        )
        held_out = {
            name.split("-")[0]
            for name, group in _groups(plan).items()
            if group == "held_out"
        }
        trained = {
            name.split("-")[0]
            for name, group in _groups(plan).items()
            if group != "held_out"
        }
        assert 5 < len(held_out) < 20
        assert not held_out & trained
        assert set(plan.split_groups.values()) <= {
            f"site {n}" for n in range(40)
        }
        left_out = {(row[0], row[1]) for row in plan.left_out}
        assert left_out == {
            (name, "group_held_out")
            for name in names
            if name not in _groups(plan)
        }
        assert bool(left_out) == bool(weak_names and strong_names)


def test_a_group_is_said_once(tmp_path):
    index = _index(tmp_path, ["a,a.wav,,,site", "b,b.wav,,,"])
    clips = make_clips_table(["a", "b"], [1.0, 1.0], ["site", "room"])
    assert _plan_clips(index=index, clips=clips).split_groups == {
        "a": "site",
        "b": "room",
    }
    clips = make_clips_table(["a", "b"], [1.0, 1.0], ["other", "b"])
    with pytest.raises(
        InputError, match="one group for 'a': .*'other'.*'site'"
    ):
        _plan_clips(index=index, clips=clips)


def test_an_empty_held_out_part_says_what_would_do():
    names = [f"recording {n}" for n in range(7)]
    paths = {name: __file__ for name in names}
    clips = make_clips_table(names, [2.0] * 7, names)
    for fraction, what in ((0.001, "none is"), (0.999, "all are")):
        params = RecordParams(held_out_fraction=fraction)
        with pytest.raises(
            InputError, match=f"some of 7 groups .*{what} held out"
        ) as error:
            _plan_clips(clips=clips, params=params, path_of_stem=paths)
        found = re.search(
            r"held_out_fraction=(0\.\d+) for (\d)", str(error.value)
        )
        params = RecordParams(held_out_fraction=float(found[1]))
        plan = _plan_clips(clips=clips, params=params, path_of_stem=paths)
        assert len(plan.clips["held_out"]) == int(found[2])
        assert plan.clips["strong"]
    # One group cannot be split.
    one = make_clips_table(names, [2.0] * 7, ["all"] * 7)
    params = RecordParams(held_out_fraction=0.4)
    with pytest.raises(InputError, match="of 1 groups .* Add groups, or held_"):
        _plan_clips(clips=one, params=params, path_of_stem=paths)


def test_evaluation_clips_take_their_recordings_with_them(tmp_path):
    index = _index(
        tmp_path,
        [
            "a,x.wav,0,1,",
            "b,x.wav,1,1,",
            "c,y.wav,0,1,",
            "tested,x.wav,2,1,",
        ],
    )
    plan = _plan_clips(
        strong=_strong("a", "b", "c"), index=index, eval_ytids={"tested"}
    )
    by_group = _plan_clips(
        strong=_strong("a", "b", "c"), index=index, eval_ytids={"x.wav"}
    )
    assert _groups(plan) == _groups(by_group) == {"c": "strong"}
    assert [row[:2] for row in plan.left_out] == [
        ("a", "eval_clip"),
        ("b", "eval_clip"),
    ]


def _finish(task, **report):
    """Writes a plan, a shard of three bytes, and its report."""
    for name in ("plan", "reports"):
        os.makedirs(os.path.join(task.output_dir, name), exist_ok=True)
    save_tasks([task])
    pathlib.Path(task.path).write_bytes(b"abc")
    values = {
        "fingerprint": task.fingerprint,
        "shard": {"num_bytes": 3, "num_clips": len(task.clips)},
        "left_out": [],
        **report,
    }
    pathlib.Path(task.report_path).write_text(json.dumps(values))


def test_what_finished_shards_would_lose(tmp_path):
    def clip(name, seconds=10.0, num_events=2, version="1"):
        events = {"strong": [(0, 0.0, 1.0)] * num_events}
        return Clip(name, "x", seconds, events, 1, audio_version=version)

    def task(*clips):
        return ShardTask(str(tmp_path), "strong", _STRONG_SHARD, clips)

    old = task(*map(clip, "abcde"))
    assert find_shrinking([old], str(tmp_path)) == (0, [], [])
    _finish(old, left_out=[["e", "missing", ""]])
    same = dataclasses.replace(clip("a"), audio_version="2")
    more = [clip("b", 11.0), clip("c", num_events=3), clip("d"), clip("f")]
    assert find_shrinking([task(same, *more)], str(tmp_path)) == (5, [], [])
    new = task(
        clip("a", version=""),
        clip("b", 9.0),
        clip("c", num_events=1),
        clip("f"),
    )
    assert find_shrinking([new], str(tmp_path))[1:] == (["a", "d"], ["b", "c"])
    weak = dataclasses.replace(clip("a"), events={"weak": []})
    new = task(weak, *map(clip, "bcd"))
    assert find_shrinking([new], str(tmp_path))[1:] == ([], ["a"])


def test_finished_clips_are_known_after_a_killed_run(tmp_path):
    def task(*names):
        clips = (
            Clip(n, "x", 9.5, {"weak": [(1, 0.0, 9.5)]}, 1, audio_version="1")
            for n in names
        )
        return ShardTask(str(tmp_path), "strong", _STRONG_SHARD, tuple(clips))

    old = task("a", "b\u2028 c")
    _finish(old, clips=describe_clips(old.clips))
    # The run that was killed had saved its plan, and written nothing.
    save_tasks([task("a", "b\u2028 c", "d")])
    shrinking = find_shrinking([task("a", "d", "e")], str(tmp_path))
    assert shrinking == (2, ["b\u2028 c"], [])
    _finish(task(), clips=describe_clips(()))
    assert find_shrinking([old], str(tmp_path)) == (0, [], [])


_STRONG_SHARD = "strong-00000-of-00001.tfrecord"


def test_audio_that_was_replaced_is_noticed(tmp_path):
    path = tmp_path / "a.wav"

    def task():
        status = path.stat()
        version = str(status.st_mtime_ns)
        clip = Clip("a", str(path), 1.0, {}, 5, audio_version=version)
        folder = str(tmp_path / "out")
        return ShardTask(folder, "strong", _STRONG_SHARD, (clip,))

    path.write_bytes(b"first")
    first = task()
    report = {
        "audio_versions": [first.clips[0].audio_version],
        "audio_hashes": [hash_audio(str(path))],
    }
    _finish(first, **report)
    names = [first.name]
    assert read_reports([task()])
    assert verify_audio(first.output_dir, names) == ([], [])
    # Copied or touched: the same content, whose new time is kept.
    os.utime(path, ns=(10**18, 10**18))
    assert read_reports([task()])
    kept = json.loads(pathlib.Path(first.report_path).read_text())
    assert kept["audio_versions"] == [str(10**18)]
    # Other content of the same size, and of the same time.
    path.write_bytes(b"other")
    assert not read_reports([task()])
    assert verify_audio(first.output_dir, names) == ([str(path)], [])
    path.unlink()
    assert verify_audio(first.output_dir, names) == ([], [str(path)])
    # Reports of before there were hashes say nothing.
    path.write_bytes(b"other")
    _finish(first)
    assert read_reports([task()])
    assert verify_audio(first.output_dir, names) == ([], [str(path)])


def test_large_files_are_hashed_at_their_ends(tmp_path):
    path = tmp_path / "long.wav"
    path.write_bytes(bytes(5 << 20))
    first = hash_audio(str(path))
    assert first.startswith("~")
    for place, is_seen in ((0, True), (5 << 19, False), ((5 << 20) - 1, True)):
        content = bytearray(5 << 20)
        content[place] = 1
        path.write_bytes(content)
        assert (hash_audio(str(path)) != first) == is_seen

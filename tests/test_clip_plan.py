"""Labels and audio joined into clips and shards."""

import collections
import dataclasses

import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.labels.training_sets import (
    is_held_out,
    is_in_strong_fraction,
)
from audioset_strong.params import RecordParams
from audioset_strong.records.plan import (
    AudioIndex,
    ShardSettings,
    index_events,
    plan_clips,
    plan_shards,
    read_label_tables,
)

_WEAK_HEADER = "# a\n# b\n# YTID, start_seconds, end_seconds, positive_labels\n"
_STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
_MAP = ClassMap(("/m/x", "/m/y"), ("X", "Y"))
_NO_AUDIO = AudioIndex({}, {})


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "w1.csv").write_text(
        _WEAK_HEADER + 'a, 0.000, 10.000, "/m/x,/m/u"\n'
        'b, 5.000, 9.000, "/m/u"\n'
    )
    (tmp_path / "w2.csv").write_text(
        _WEAK_HEADER + 'c, 0.000, 10.000, "/m/y"\nbroken\n'
    )
    (tmp_path / "s.tsv").write_text(
        _STRONG_HEADER + "a_0\t1.0\t2.0\t/m/y\n"
        "a_0\t3.0\t4.0\t/m/u\nd_0\t0.0\t1.0\t/m/x\nd_0\t2.0\t1.0\t/m/x\n"
    )
    problems = ProblemLog()
    weak, strong = read_label_tables(
        [str(tmp_path / "w1.csv"), str(tmp_path / "w2.csv")],
        [str(tmp_path / "s.tsv")],
        problems,
    )
    return weak, strong, problems


def test_label_files_are_joined_and_bad_lines_noted(tables):
    weak, strong, problems = tables
    assert weak["segment_id"].tolist() == ["a_0", "b_5000", "c_0"]
    assert strong["segment_id"].tolist() == ["a_0", "a_0", "d_0"]
    left_out = [p for p in problems.problems if p.is_left_out]
    assert [p.line for p in left_out] == [5, 5]


def test_a_wrong_header_is_refused(tmp_path):
    path = tmp_path / "s.tsv"
    path.write_text("segment_id,start,end,label\n")
    with pytest.raises(InputError, match=r"s\.tsv:1: expected the header"):
        read_label_tables([], [str(path)], ProblemLog())


def test_clips_of_each_group(tables):
    weak, strong, _ = tables
    stems = {"a_0": "audio/a_0.wav", "b": "audio/b.wav"}
    params = RecordParams(held_out_fraction=0.0)
    plan = plan_clips(weak, strong, _MAP, AudioIndex(stems, {}), params)
    assert plan.unmapped == {"/m/u": 3}
    found = {
        group: [
            (c.segment_id, c.audio_path, c.clip_seconds, c.events)
            for c in clips
        ]
        for group, clips in plan.clips.items()
    }
    assert found == {
        "weak": [
            # All its mids are unmapped: kept, as an example of negatives.
            ("b_5000", "audio/b.wav", 4.0, {"weak": []}),
            ("c_0", "", 10.0, {"weak": [(1, 0.0, 10.0)]}),
        ],
        "strong": [
            (
                "a_0",
                "audio/a_0.wav",
                10.0,
                {"weak": [(0, 0.0, 10.0)], "strong": [(1, 1.0, 2.0)]},
            ),
            ("d_0", "", 10.0, {"strong": [(0, 0.0, 1.0)]}),
        ],
        "held_out": [],
    }


def test_held_out_clips_are_in_no_other_group(tables):
    weak, strong, _ = tables
    params = RecordParams(held_out_fraction=1.0)
    plan = plan_clips(weak, strong, _MAP, _NO_AUDIO, params)
    ids = {g: [c.segment_id for c in cs] for g, cs in plan.clips.items()}
    # Only clips with strong labels are held out, and then out of Weak too.
    assert ids == {
        "weak": ["b_5000", "c_0"],
        "strong": [],
        "held_out": ["a_0", "d_0"],
    }


def _segment_ids(plan):
    return {g: [c.segment_id for c in cs] for g, cs in plan.clips.items()}


def test_clips_of_evaluation_videos_are_left_out(tables):
    weak, strong, _ = tables
    params = RecordParams(held_out_fraction=0.0)
    # Only the ytid counts, not the start.
    plan = plan_clips(
        weak, strong, _MAP, _NO_AUDIO, params, {"b", "d", "other"}
    )
    assert _segment_ids(plan) == {
        "weak": ["c_0"],
        "strong": ["a_0"],
        "held_out": [],
    }
    assert [row[:2] for row in plan.left_out] == [
        ("b_5000", "eval_clip"),
        ("d_0", "eval_clip"),
    ]
    # Their mids do not count either: one /m/u is left in each of a's lists.
    assert plan.unmapped == {"/m/u": 2}


def test_a_share_of_strong():
    ids = [f"y{i:02d}_0" for i in range(60)]
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
    assert ids == ["a_0", "b_5000", "c_0", "d_0"]
    again = plan_shards(plan, "out", params.clips_per_shard, ShardSettings())
    assert [t.fingerprint for t in tasks] == [t.fingerprint for t in again]


def test_the_size_of_audio_is_noted(tables):
    weak, strong, _ = tables
    audio = AudioIndex({"c": "x/c.wav"}, {"x/c.wav": 123})
    plan = plan_clips(weak, strong, _MAP, audio, RecordParams())
    sizes = {c.segment_id: c.audio_bytes for c in plan.clips["weak"]}
    assert sizes == {"b_5000": 0, "c_0": 123}


def test_unmapped_mids_are_counted_and_the_others_kept():
    unmapped = collections.Counter()
    events = [Event("/m/x", 0, 1), Event("/m/u", 1, 2), Event("/m/u", 3, 4)]
    assert index_events(events, {"/m/x": 5}, unmapped) == [(5, 0, 1)]
    assert unmapped == {"/m/u": 2}

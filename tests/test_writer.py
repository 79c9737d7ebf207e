"""One shard: what is written, what is left out, and when it is made again."""

import collections
import dataclasses
import pathlib

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from audioset_strong.features.log_mel import waveform_to_log_mel
from audioset_strong.labels.frame_targets import Event
from audioset_strong.params import FeatureParams
from audioset_strong.records.schema import decode_log_mel, parse_record
from audioset_strong.records.writer import (
    Clip,
    ShardTask,
    index_events,
    make_record,
    write_shard,
)

_FEATURES = FeatureParams()


@pytest.fixture
def clips(tmp_path):
    """Four usable clips and one of each kind that is not."""
    rng = np.random.default_rng(0)
    seconds = {
        "good": 10.0,
        "long": 12.0,
        "short": 3.0,
        "patch": 0.975,
        "tooshort": 0.974,
    }
    clips = []
    for name, duration in seconds.items():
        path = tmp_path / f"{name}.wav"
        samples = 0.1 * rng.standard_normal(round(duration * 16000))
        soundfile.write(path, samples, 16000)
        clips.append(Clip(f"{name}_0", str(path), 10.0, {"weak": []}))
    (tmp_path / "zero.wav").touch()
    (tmp_path / "corrupt.flac").write_text("not audio")
    for name in ("zero.wav", "corrupt.flac"):
        path = str(tmp_path / name)
        clips.append(Clip(f"{name.split('.')[0]}_0", path, 10.0, {}))
    clips.append(Clip("absent_0", "", 10.0, {"strong": []}))
    # Removed since the folder was listed, or a link to nowhere.
    clips.append(Clip("removed_0", str(tmp_path / "no.wav"), 10.0, {}))
    return tuple(clips)


@pytest.fixture
def task(clips, tmp_path):
    (tmp_path / "out" / "reports").mkdir(parents=True)
    name = "weak-00000-of-00001.tfrecord"
    return ShardTask(str(tmp_path / "out"), "weak", name, clips, _FEATURES)


def test_unusable_clips_are_left_out_with_the_reason(task):
    report = write_shard(task)
    shard = report["shard"]
    assert shard["num_clips"] == 4
    assert (shard["num_weak_clips"], shard["num_strong_clips"]) == (4, 0)
    assert shard["num_bytes"] == pathlib.Path(task.path).stat().st_size
    reasons = {row[0]: row[1] for row in report["left_out"]}
    assert reasons == {
        "tooshort_0": "too_short",
        "zero_0": "empty_file",
        "corrupt_0": "unreadable",
        "absent_0": "missing",
        "removed_0": "missing",
    }
    details = {row[0]: row[2] for row in report["left_out"]}
    assert "has 0.974 s, one patch needs 0.975 s" in details["tooshort_0"]
    assert report["notes"] == {
        "longer than the clip, cut": 1,
        "shorter than the clip": 2,
    }
    records = [
        parse_record(r, "weak", _FEATURES)
        for r in tf.data.TFRecordDataset(task.path)
    ]
    assert [r.segment_id.numpy().decode() for r in records] == [
        "good_0",
        "long_0",
        "short_0",
        "patch_0",
    ]
    assert [int(r.num_stft_frames) for r in records] == [998, 998, 298, 96]


def test_features_are_those_of_the_audio(task, clips):
    write_shard(task)
    [record] = list(tf.data.TFRecordDataset(task.path).take(1))
    samples, _ = soundfile.read(clips[0].audio_path, dtype="float32")
    np.testing.assert_array_equal(
        decode_log_mel(parse_record(record, "weak", _FEATURES), _FEATURES),
        waveform_to_log_mel(samples, _FEATURES).astype(np.float16),
    )


def test_a_finished_shard_is_kept_and_a_damaged_one_made_again(task):
    first = write_shard(task)
    path = pathlib.Path(task.path)
    data, changed = path.read_bytes(), path.stat().st_mtime_ns
    again = write_shard(task)
    assert again["shard"] == first["shard"]
    assert path.stat().st_mtime_ns == changed
    path.write_bytes(data[:-1])
    write_shard(task)
    assert path.read_bytes() == data
    path.unlink()
    write_shard(task)
    assert path.read_bytes() == data
    assert not list(path.parent.glob("**/*.tmp"))


def test_other_events_or_settings_make_another_shard(task):
    write_shard(task)
    fewer = dataclasses.replace(task, clips=task.clips[:2])
    assert write_shard(fewer)["shard"]["num_clips"] == 2
    features = FeatureParams(log_offset=0.001)
    other = dataclasses.replace(fewer, features=features)
    assert other.fingerprint != fewer.fingerprint
    with_events = dataclasses.replace(
        task.clips[0], events={"weak": [(0, 0.0, 10.0)]}
    )
    other = dataclasses.replace(fewer, clips=(with_events,))
    assert other.fingerprint != fewer.fingerprint


def test_conversions_are_counted(tmp_path):
    samples = np.random.default_rng(0).standard_normal([22050, 2]) * 0.1
    soundfile.write(tmp_path / "a.wav", samples, 22050)
    notes = collections.Counter()
    clip = Clip("a_0", str(tmp_path / "a.wav"), 1.0, {})
    record = make_record(clip, _FEATURES, notes)
    assert +notes == {"mixed to mono": 1, "resampled": 1}
    assert record.audio_seconds == pytest.approx(1.0, abs=1e-4)


def test_unmapped_mids_are_counted_and_the_others_kept():
    unmapped = collections.Counter()
    events = [Event("/m/x", 0, 1), Event("/m/u", 1, 2), Event("/m/u", 3, 4)]
    assert index_events(events, {"/m/x": 5}, unmapped) == [(5, 0, 1)]
    assert unmapped == {"/m/u": 2}

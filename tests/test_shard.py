"""One shard: what is written, what is left out, and when it is made again."""

import dataclasses
import hashlib
import json
import os
import pathlib

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from audioset_strong.audio.decode import AudioError
from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.params import AudioParams, FeatureParams
from audioset_strong.records import shard
from audioset_strong.records.parse import (
    decode_first_rows,
    parse_records,
)
from audioset_strong.records.shard import (
    MachineError,
    ShardError,
    make_record,
    write_planned_shard,
    write_shard,
)
from audioset_strong.records.tasks import (
    Clip,
    ShardSettings,
    ShardTask,
    read_reports,
    save_tasks,
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
    return ShardTask(str(tmp_path / "out"), "weak", name, clips)


def test_unusable_clips_are_left_out_with_the_reason(task):
    report = write_shard(task)
    shard = report["shard"]
    assert shard["num_clips"] == 3
    assert (shard["num_weak_clips"], shard["num_strong_clips"]) == (3, 0)
    assert shard["audio_seconds"] == pytest.approx(10 + 3 + 0.975, abs=1e-3)
    assert shard["num_bytes"] == pathlib.Path(task.path).stat().st_size
    reasons = {row[0]: row[1] for row in report["left_out"]}
    assert reasons == {
        "long_0": "long",
        "tooshort_0": "too_short",
        "zero_0": "empty_file",
        "corrupt_0": "unreadable",
        "absent_0": "missing",
        "removed_0": "missing",
    }
    details = {row[0]: row[2] for row in report["left_out"]}
    assert (
        "has 0.974 s of the clip, one patch needs 0.975"
        in details["tooshort_0"]
    )
    assert [row[:2] for row in report["faults"]] == [
        ("short_0", "short"),
        ("patch_0", "short"),
    ]
    assert report["notes"] == {}
    serialized = list(tf.data.TFRecordDataset(task.path).as_numpy_iterator())
    found = hashlib.sha256(b"".join(serialized)).hexdigest()
    assert shard["content_hash"] == found[:16]
    records = parse_records(tf.constant(serialized), "weak", _FEATURES)
    assert records.segment_id.numpy().tolist() == [
        b"good_0",
        b"short_0",
        b"patch_0",
    ]
    assert records.num_stft_frames.numpy().tolist() == [998, 298, 96]


def test_features_are_those_of_the_audio(task, clips):
    write_shard(task)
    [serialized] = tf.data.TFRecordDataset(task.path).batch(1).take(1)
    log_mel = parse_records(serialized, "weak", _FEATURES).log_mel
    rows = decode_first_rows(log_mel.values, 998, _FEATURES, "float16")
    samples, _ = soundfile.read(clips[0].audio_path, dtype="float32")
    np.testing.assert_array_equal(
        rows[0],
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
    assert not list(path.parent.glob("**/.tmp-*"))


def test_other_events_or_settings_make_another_shard(task):
    write_shard(task)
    fewer = dataclasses.replace(task, clips=task.clips[:1])
    assert write_shard(fewer)["shard"]["num_clips"] == 1
    features = FeatureParams(log_offset=0.001)
    other = dataclasses.replace(fewer, settings=ShardSettings(features))
    data = pathlib.Path(task.path).read_bytes()
    write_shard(other)
    assert pathlib.Path(task.path).read_bytes() != data


def test_clips_are_tallied(task, tmp_path):
    (tmp_path / "out" / "plan").mkdir()
    save_tasks([task])
    path = tmp_path / "tally"
    write_planned_shard(task.output_dir, task.name, str(path))
    # In the order of the clips: see the fixture.
    assert path.read_bytes() == b"wuwwuuumm"


def test_faults_are_left_out_where_it_is_said_so(task):
    audio = AudioParams(leave_out_long=False, leave_out_short=True)
    report = write_shard(
        dataclasses.replace(task, settings=ShardSettings(audio=audio))
    )
    assert report["shard"]["num_clips"] == 2
    assert [row[:2] for row in report["faults"]] == [("long_0", "long")]
    reasons = {row[0]: row[1] for row in report["left_out"]}
    assert (reasons["short_0"], reasons["patch_0"]) == ("short", "short")
    # Of the long file the start is taken.
    [serialized] = tf.data.TFRecordDataset(task.path).batch(2)
    records = parse_records(serialized, "weak", _FEATURES)
    assert records.num_stft_frames[1] == 998


def test_a_killed_write_leaves_no_shard(task, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shard, "write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        write_shard(task)
    monkeypatch.undo()
    # The shard is there, but without a report it does not count.
    assert not read_reports([task])
    monkeypatch.setattr(shard, "serialize_record", stop)
    pathlib.Path(task.path).unlink()
    with pytest.raises(KeyboardInterrupt):
        write_shard(task)
    assert list(pathlib.Path(task.output_dir).iterdir()) == [
        pathlib.Path(task.output_dir) / "reports"
    ]


def test_a_shard_that_cannot_be_written_is_told_in_one_line(task):
    (pathlib.Path(task.output_dir) / "plan").mkdir()
    save_tasks([task])
    # A folder stands where the shard should go.
    pathlib.Path(task.path).mkdir()
    with pytest.raises(ShardError) as caught:
        write_planned_shard(task.output_dir, task.name)
    message = str(caught.value)
    assert "\n" not in message
    assert f"{task.name}: [Errno 21] Is a directory" in message
    assert "the same command goes on from there" in message
    assert not list(pathlib.Path(task.output_dir).glob(".tmp-*"))


def _write_noise(path, seconds, rate=16000, channels=1, level=0.1):
    shape = [round(seconds * rate), channels]
    samples = level * np.random.default_rng(0).standard_normal(shape)
    soundfile.write(path, samples, rate)
    return str(path)


def test_conversions_are_noted(tmp_path):
    path = _write_noise(tmp_path / "a.wav", 1.0, rate=22050, channels=2)
    checked = make_record(Clip("a_0", path, 1.0, {}), ShardSettings())
    assert checked.notes == ["mixed to mono", "resampled"]
    assert checked.faults == {}
    assert checked.record.audio_seconds == pytest.approx(1.0, abs=1e-4)


def test_faults_that_are_left_out_give_the_reason(tmp_path):
    path = _write_noise(tmp_path / "a.wav", 10.0, level=0.0)
    with pytest.raises(AudioError) as caught:
        make_record(Clip("a_0", path, 10.0, {}), ShardSettings())
    assert caught.value.reason == "silent"
    assert caught.value.detail.startswith(f"{path}: peak of -inf dBFS")
    kept = ShardSettings(audio=AudioParams(leave_out_silent=False))
    checked = make_record(Clip("a_0", path, 10.0, {}), kept)
    assert list(checked.faults) == ["silent"]


def _write_steps(path, seconds, rate=16000):
    """Each second of the file is a tone of its own, louder than the last."""
    time = np.arange(seconds * rate) / rate
    samples = 0.01 * (1 + np.floor(time)) * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return str(path)


def _loudness(record):
    """Mean of the log-mel of each whole second."""
    num_seconds = len(record.log_mel) // 100
    return record.log_mel[: num_seconds * 100].reshape(num_seconds, -1).mean(1)


@pytest.mark.parametrize("extent", ["part", "video"])
@pytest.mark.parametrize("start", [0.0, 7.0])
def test_clips_are_cut_out_of_long_files(tmp_path, extent, start):
    path = _write_steps(tmp_path / "long.wav", 20)
    whole = make_record(Clip("a", path, 20.0, {}), ShardSettings()).record
    clip = Clip("a", path, 4.0, {}, 0, start, extent)
    checked = make_record(clip, ShardSettings())
    assert checked.faults == {}
    assert checked.record.audio_seconds == 4.0
    first = int(start)
    np.testing.assert_allclose(
        _loudness(checked.record),
        _loudness(whole)[first : first + 3],
        atol=0.05,
    )
    is_video = extent == "video"
    assert checked.notes == ["cut out of the whole video"] * is_video


def test_a_clip_that_its_file_does_not_hold(tmp_path):
    path = _write_steps(tmp_path / "long.wav", 9)
    # It ends before the clip does: short. Before it starts: no clip.
    part = Clip("a", path, 6.0, {}, 0, 5.0, "part")
    checked = make_record(part, ShardSettings())
    assert checked.record.audio_seconds == 4.0
    assert checked.faults == {"short": "4.000 s, 6 s expected, within 0.5 s"}
    for start in (9.5, 60.0):
        with pytest.raises(AudioError, match="begins at .* file has 9.000 s"):
            make_record(
                dataclasses.replace(part, start_seconds=start), ShardSettings()
            )
    # A file that is named after its video: too short to be the whole of it, so
    # it is a clip that has the wrong length.
    video = Clip("a", path, 6.0, {}, 0, 60.0, "video")
    with pytest.raises(AudioError, match="long: .*9.000 s, 6 s expected"):
        make_record(video, ShardSettings())
    # It is the clip.
    video = dataclasses.replace(video, clip_seconds=9.0, start_seconds=3.0)
    checked = make_record(video, ShardSettings())
    assert checked.record.audio_seconds == 9.0
    assert checked.notes == []


def test_whole_files_have_the_length_that_they_have(tmp_path):
    path = _write_steps(tmp_path / "a.wav", 13)
    events = {"weak": [(2, 0.0, 0.0)], "strong": [(1, 0.5, 1.5)]}
    clip = Clip("a", path, 0.0, events)
    record = make_record(clip, ShardSettings()).record
    assert record.audio_seconds == 13.0
    assert record.events["weak"].offset_seconds.tolist() == [13.0]
    assert record.events["strong"].offset_seconds.tolist() == [1.5]
    part = dataclasses.replace(clip, start_seconds=4.0, extent="part")
    checked = make_record(part, ShardSettings())
    assert checked.record.audio_seconds == 9.0
    assert checked.faults == {}


def test_reports_hold_what_the_shard_was_made_of(task, clips):
    clips = tuple(
        dataclasses.replace(clip, audio_version=f"v{number}")
        for number, clip in enumerate(clips[:5])
    )
    report = write_shard(dataclasses.replace(task, clips=clips))
    assert report["audio_versions"] == ["v0", "v1", "v2", "v3", "v4"]
    assert report["audio_hashes"] == [
        hashlib.sha256(pathlib.Path(c.audio_path).read_bytes()).hexdigest()[:16]
        for c in clips
    ]
    assert report["longest_clip_seconds"] == 10.0
    assert report["versions"]["libsndfile"] == soundfile.__libsndfile_version__
    assert {"audioset_strong", "records", "numpy", "soxr"} < {
        *report["versions"]
    }


def _raise(error):
    def compute_log_mel(*_):
        raise error

    return compute_log_mel


@pytest.mark.parametrize(
    "error",
    [
        AudioError("unreadable", "x.m4a: PyAV is not installed", True),
        AudioError("missing", "x.m4a: No such file", True),
        PermissionError(13, "Denied"),
        OSError("the object storage does not answer"),
    ],
    ids=["package", "gone since", "permission", "storage"],
)
def test_what_the_machine_lacks_is_no_loss(task, clips, monkeypatch, error):
    (pathlib.Path(task.output_dir) / "plan").mkdir()
    listed = dataclasses.replace(clips[0], audio_version="1")
    task = dataclasses.replace(task, clips=(listed,))
    save_tasks([task])
    with monkeypatch.context() as patched:
        patched.setattr(shard, "compute_log_mel", _raise(error))
        with pytest.raises(MachineError):
            write_shard(task)
        # Workers say it in a file, and go on with other shards.
        assert write_planned_shard(task.output_dir, task.name) is None
    failure = json.loads(pathlib.Path(task.failure_path).read_text())
    assert failure["detail"].endswith(getattr(error, "detail", str(error)))
    assert not os.path.exists(task.path)
    assert not read_reports([task])
    report = write_planned_shard(task.output_dir, task.name)
    assert report["shard"]["num_clips"] == 1


def test_a_file_that_was_never_there_is_a_loss(task, clips):
    gone = clips[-1]
    assert not os.path.exists(gone.audio_path)
    report = write_shard(dataclasses.replace(task, clips=(gone,)))
    assert report["left_out"][0][1] == "missing"
    listed = dataclasses.replace(gone, audio_version="1")
    with pytest.raises(MachineError, match=gone.audio_path):
        write_shard(dataclasses.replace(task, clips=(listed,)))

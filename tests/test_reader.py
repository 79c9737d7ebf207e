"""Streams of clips: label frames for scoring, random windows for training."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from tiny_release import MIDS

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import get_training_set
from audioset_strong.params import FeatureParams
from audioset_strong.records.manifest import Records, read_records
from audioset_strong.records.parse import decode_log_mel, parse_record
from audioset_strong.records.streams import (
    Reading,
    label_frame_batches,
    label_frame_examples,
    training_examples,
)

_FEATURES = FeatureParams()
_LOW, _HIGH, _NOISE, _NEVER = range(len(MIDS))


@pytest.fixture(scope="module")
def records(tiny_records_dir):
    return read_records(tiny_records_dir)


def _take(records, name, number, num_skipped=0, seed=3, block=4):
    """First examples of a stream, as arrays."""
    stream = training_examples(
        records, get_training_set(name), Reading(seed, block, num_skipped)
    )
    patches, targets = next(iter(stream.batch(number)))
    return patches.numpy(), targets.numpy()


def _clips_and_windows(records, patches):
    """Finds each patch in the records: (segment_id, first STFT frame)."""
    log_mels = {}
    for shard in records.shards_of("weak", "strong"):
        for serialized in tf.data.TFRecordDataset(records.path_of(shard)):
            record = parse_record(serialized, "weak", _FEATURES)
            name = record.segment_id.numpy().decode()
            log_mels[name] = decode_log_mel(record, _FEATURES).numpy()
    found = []
    for patch in patches:
        matches = [
            (name, int(start))
            for name, log_mel in log_mels.items()
            for start in np.flatnonzero((log_mel == patch[0]).all(axis=1))
            if np.array_equal(log_mel[start : start + 96], patch)
        ]
        assert len(matches) == 1
        found += matches
    return found


# --- Label frames -----------------------------------------------------------


def test_label_frames_of_held_out_clips(records):
    clips = list(label_frame_examples(records, ["held_out"]))
    assert len(clips) == 4
    for clip in clips:
        assert clip["patches"].shape == (10, 96, 64)
        assert clip["num_label_frames"] == 10
        name = clip["segment_id"].numpy().decode()
        tone = _LOW if int(name[5:7]) % 2 else _HIGH
        targets = clip["targets"].numpy()
        # Noise all along; a tone from 2.0 to 6.0 s: 0.88 s of label frame 2
        # and 0.24 s of label frame 6.
        assert targets[:, _NOISE].tolist() == [1] * 10
        assert np.flatnonzero(targets[:, tone]).tolist() == [2, 3, 4, 5]
        assert targets.sum() == 14


def test_label_frames_are_the_consecutive_patches(records):
    shard = records.shards_of("held_out")[0]
    [serialized] = tf.data.TFRecordDataset(records.path_of(shard)).take(1)
    log_mel = decode_log_mel(
        parse_record(serialized, "strong", _FEATURES), _FEATURES
    )
    [clip] = label_frame_examples(records, ["held_out"]).take(1)
    np.testing.assert_array_equal(
        tf.reshape(clip["patches"], [960, 64]), log_mel[:960]
    )


def test_label_frames_beyond_the_audio_are_not_counted(records):
    numbers = {
        clip["segment_id"].numpy().decode(): clip
        for clip in label_frame_examples(records, ["weak"], "weak")
    }
    # 4 s are 398 STFT frames: four whole label frames.
    short = numbers["weak03_0"]
    assert short["num_label_frames"] == 4
    assert not short["patches"][4:].numpy().any()
    assert short["patches"][:4].numpy().all()
    assert numbers["weak00_0"]["num_label_frames"] == 10
    assert short["targets"].numpy()[0].tolist() == [0, 1, 1, 0]


def test_batches_of_label_frames_are_the_clips(records):
    batches = list(label_frame_batches(records, ["weak", "strong"], "weak"))
    assert [len(batch["segment_id"]) for batch in batches] == [10]
    clips = label_frame_examples(records, ["weak", "strong"], "weak")
    for number, clip in enumerate(clips):
        for name, values in clip.items():
            np.testing.assert_array_equal(batches[0][name][number], values)


def test_groups_without_clips(records):
    with pytest.raises(InputError, match=r"no clip in the groups \['none'\]"):
        label_frame_examples(records, ["none"])


# --- Training examples ------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "clips"),
    [
        ("strong", {f"train{i:02d}_30000" for i in (1, 2, 3, 4, 8, 9)}),
        ("diffuse", {f"train{i:02d}_30000" for i in (1, 2, 3, 4, 8, 9)}),
        # train09 has no weak labels.
        ("weak_small", {f"train{i:02d}_30000" for i in (1, 2, 3, 4, 8)}),
        (
            "weak",
            {f"train{i:02d}_30000" for i in (1, 2, 3, 4, 8)}
            | {f"weak{i:02d}_0" for i in range(4)},
        ),
    ],
)
def test_a_pass_gives_every_clip_once(records, name, clips):
    num_passes = 3
    patches, _ = _take(records, name, num_passes * len(clips))
    found = [clip for clip, _ in _clips_and_windows(records, patches)]
    passes = np.reshape(found, [num_passes, len(clips)])
    for names in passes:
        assert sorted(names) == sorted(clips)
    # Each pass has its own order.
    assert len({tuple(names) for names in passes}) == num_passes


def test_windows_lie_inside_the_audio_and_vary(records):
    patches, _ = _take(records, "weak", 9 * 20)
    starts = collections.defaultdict(list)
    for clip, start in _clips_and_windows(records, patches):
        starts[clip].append(start)
    for clip, of_clip in starts.items():
        num_stft_frames = 398 if clip == "weak03_0" else 998
        assert max(of_clip) <= num_stft_frames - 96
        assert len(set(of_clip)) > 15
    flat = np.concatenate([starts[c] for c in starts if c != "weak03_0"])
    # Uniform from 0 to 902: mean 451, standard error of 160 draws 21.
    assert abs(flat.mean() - 451) < 80


def test_targets_of_strong_windows_follow_the_events(records):
    patches, targets = _take(records, "strong", 60)
    num_with_tone = 0
    for (clip, start), target in zip(
        _clips_and_windows(records, patches), targets
    ):
        tone = _LOW if int(clip[5:7]) % 2 else _HIGH
        # The tone lasts from 2000 to 6000 ms: half of the window is 480 ms.
        has_tone = 2000 - 480 <= start * 10 <= 6000 - 480
        expected = np.zeros(4)
        expected[[tone, _NOISE]] = has_tone, 1
        np.testing.assert_array_equal(target, expected)
        num_with_tone += has_tone
    assert 10 < num_with_tone < 50


def test_targets_of_diffuse_windows_are_those_of_the_clip(records):
    patches, targets = _take(records, "diffuse", 30)
    for (clip, _), target in zip(_clips_and_windows(records, patches), targets):
        tone = _LOW if int(clip[5:7]) % 2 else _HIGH
        assert np.flatnonzero(target).tolist() == sorted([tone, _NOISE])


def test_targets_of_weak_windows_are_those_of_the_clip(records):
    patches, targets = _take(records, "weak_small", 10)
    for (clip, _), target in zip(_clips_and_windows(records, patches), targets):
        assert np.flatnonzero(target).tolist() == [
            _LOW if int(clip[5:7]) % 2 else _HIGH
        ]


def test_the_seed_decides(records):
    first, again, other = (
        _take(records, "weak", 30, seed=seed)[0] for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("num_skipped", [1, 8, 9, 10, 17, 18, 27, 40])
def test_skipping_is_dropping_the_first(records, num_skipped):
    # Nine clips a pass, in blocks of four.
    patches, targets = _take(records, "weak", 50)
    later_patches, later_targets = _take(
        records, "weak", 50 - num_skipped, num_skipped
    )
    np.testing.assert_array_equal(later_patches, patches[num_skipped:])
    np.testing.assert_array_equal(later_targets, targets[num_skipped:])


def _records_without_strong(records):
    shards = tuple(s for s in records.shards if s.group == "weak")
    return Records(
        records.records_dir,
        records.features,
        records.label_frames,
        records.class_map,
        shards,
        records.events_per_class,
    )


def test_a_training_set_without_clips_is_refused(records):
    with pytest.raises(InputError, match="no clip for the training set 'stro"):
        _take(_records_without_strong(records), "strong", 1)

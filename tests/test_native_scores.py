"""Scores at the hop used: read, pooled, and evaluated with label tracks."""

import dataclasses
import logging

import numpy as np
import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.evaluation import native_scores
from audioset_strong.evaluation.native_scores import (
    NativeScores,
    make_native,
    read_recordings,
    read_score_file,
)
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.evaluation.truth import read_truth
from audioset_strong.inference.event_files import write_native_scores
from audioset_strong.labels.class_map import ClassMap, KnownClasses

_CLASSES = ClassMap(("/m/a", "own"), ("Dog", "Own sound"))


def _scores(num_frames, audio_seconds, hop=0.24):
    rng = np.random.default_rng(0)
    return NativeScores(
        segment_ids=np.array([f"rec {i}" for i in range(len(num_frames))]),
        mids=np.array(_CLASSES.mids),
        scores=rng.random((sum(num_frames), 2), dtype=np.float32),
        num_frames=np.array(num_frames),
        frame_seconds=hop,
        audio_seconds=np.array(audio_seconds, dtype=np.float64),
    )


def _write(path, scores):
    write_native_scores(
        str(path),
        _CLASSES,
        scores.frame_seconds,
        scores.segment_ids.tolist(),
        scores.num_frames.tolist(),
        scores.audio_seconds.tolist(),
        [scores.scores],
    )


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "scores.npz"
    scores = _scores([9, 42, 1], [2.0, 10.0, 0.2])
    _write(path, scores)
    found = read_score_file(path, KnownClasses(display_names={"/m/a": "Hound"}))
    np.testing.assert_array_equal(found.scores, scores.scores)
    np.testing.assert_array_equal(found.of_clip(1), scores.scores[9:51])
    assert found.display_names == {"/m/a": "Hound", "own": "Own sound"}
    class_map, clips = read_recordings(path)
    assert class_map == _CLASSES
    assert clips["segment_id"].tolist() == ["rec 0", "rec 1", "rec 2"]
    assert clips["duration_seconds"].tolist() == [2.0, 10.0, 0.2]


def test_frames_are_pooled_onto_the_label_frames_of_the_audio(caplog):
    scores = _scores([9, 42, 1], [2.0, 10.0, 0.2])
    with caplog.at_level(logging.INFO, logger="absl"):
        pooled = scores.pool()
    # 2.0 s hold two whole label frames, 10.0 s ten, 0.2 s none.
    assert pooled.num_label_frames.tolist() == [2, 10, 0]
    expected = scores.of_clip(1)[:40].reshape(10, 4, 2)
    np.testing.assert_allclose(
        pooled.scores[1], expected.mean(axis=1), rtol=1e-6
    )
    np.testing.assert_array_equal(
        scores.pool("max").scores[1], expected.max(axis=1)
    )
    note = "52 frames of 0.24 s in 3 clips, pooled by mean onto 12 label"
    assert note in caplog.text
    assert note in pooled.notes[0]


def test_one_long_recording_among_many_is_refused(monkeypatch):
    scores = _scores([1000, *[5] * 19], [240.0, *[1.2] * 19])
    assert scores.pool().scores.shape == (20, 250, 2)
    monkeypatch.setattr(native_scores, "_MOST_BYTES", 39999)
    with pytest.raises(InputError, match="room for those of 'rec 0'"):
        scores.pool()


def test_frames_of_a_label_frame_stay_as_they_are():
    scores = _scores([3, 11], [2.5, 10.0], hop=0.96)
    pooled = scores.pool()
    assert pooled.num_label_frames.tolist() == [2, 10]
    np.testing.assert_array_equal(pooled.scores[0, :2], scores.scores[:2])
    np.testing.assert_array_equal(pooled.scores[1], scores.scores[3:13])


def test_frames_end_with_the_audio():
    scores = _scores([9, 42], [2.0, 9.6])
    np.testing.assert_allclose(scores.edges_seconds(0)[-2:], [1.92, 2.0])
    # Two frames more than the audio has.
    np.testing.assert_allclose(scores.edges_seconds(1)[-2:], [9.36, 9.6])
    assert len(scores.edges_seconds(1)) == 41
    clips = pd.DataFrame({"segment_id": ["rec 1"], "duration_seconds": [5.0]})
    within = scores.within(clips)
    assert within.audio_seconds.tolist() == [2.0, 5.0]


def test_label_frames_are_the_same_from_either_file(tmp_path):
    native, plain = tmp_path / "native.npz", tmp_path / "plain.npz"
    _write(native, _scores([42], [10.0]))
    pooled = read_scores(native).pool()
    write_score_file(pooled, plain)
    assert read_recordings(plain) == (None, None)
    assert read_recordings(tmp_path) == (None, None)
    read = read_scores(plain)
    found = read.pool()
    np.testing.assert_array_equal(found.scores, pooled.scores)
    assert np.shares_memory(found.scores, read.scores)
    assert "logits" in read_scores(native, is_logits=True).notes[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": np.array([3, 3])}, r"\[6, 2\], found \[5, 2\]"),
        ({"num_frames": np.array([8, -3])}, "sum of num_frames"),
        ({"num_frames": np.array([5])}, r"num_clips\] = \[2\]"),
        ({"audio_seconds": np.array([1.0, 0.0])}, "above 0"),
        ({"audio_seconds": np.array([1.0, np.inf])}, "above 0"),
        ({"frame_seconds": 0.0}, "frame_seconds must be above 0"),
        ({"segment_ids": np.array(["a", "a"])}, "segment_ids must be unique"),
        (
            {"scores": np.array([[0, 0]] * 3 + [[0, np.nan], [0, 0]])},
            "infinity for rec 1 at 0.24 s, class own",
        ),
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make_native(
            dataclasses.replace(_scores([2, 3], [0.48, 0.7]), **changes)
        )


def test_a_file_without_an_array_is_refused(tmp_path):
    path = tmp_path / "scores.npz"
    np.savez(path, num_frames=np.array([1]), mids=np.array(["/m/a"]))
    with pytest.raises(InputError, match=r"scores.npz: .* found no \['segm"):
        read_scores(path)
    _write(path, _scores([2], [0.48]))
    arrays = dict(np.load(path))
    arrays["mids"] = arrays["mids"][::-1]
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="expected .* write the file again"):
        read_scores(path)


# --- Truth of one's own recordings -------------------------------------------


def _recordings():
    return _scores([100, 100, 9], [24.0, 23.5, 2.0])


def _clips_of(scores, tmp_path):
    _write(tmp_path / "scores.npz", scores)
    return read_recordings(tmp_path / "scores.npz")


@pytest.mark.parametrize("is_track", [True, False])
def test_recordings_are_as_long_as_their_scores(tmp_path, is_track):
    class_map, recordings = _clips_of(_recordings(), tmp_path)
    tracks = tmp_path / "tracks"
    tracks.mkdir()
    (tracks / "rec 0.txt").write_text("20.5\t23.0\tDog\n1,5\t3\town\n")
    (tracks / "rec 1.txt").write_text("")
    path = tracks
    if not is_track:
        path = tmp_path / "strong.tsv"
        path.write_text(
            "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
            "rec 0\t20.500\t23.000\tDog\nrec 0\t1.500\t3.000\town\n"
        )
    truth = read_truth(
        strong_labels=path,
        class_map=class_map,
        recordings=recordings,
        names=KnownClasses(class_map).mids_of_name(),
    )
    # Tracks name the recording without events too, a TSV cannot.
    ids = ["rec 0", "rec 1"] if is_track else ["rec 0"]
    assert truth.clips["segment_id"].tolist() == ids
    assert truth.clips["duration_seconds"].tolist() == [24.0, 23.5][: len(ids)]
    items = truth.items(_recordings().pool(), "strong", "implied")
    num_label_frames = 25 + 24 * is_track
    assert len(items.scores) == num_label_frames
    # 20.5 to 23.0 s fill label frames 21 to 23, the last by more than half.
    of_dog = np.flatnonzero(items.is_positive[:, 0])
    assert of_dog.tolist() == [21, 22, 23]


def test_what_is_labelled_and_not_scored_is_reported(tmp_path):
    class_map, recordings = _clips_of(_recordings(), tmp_path)
    path = tmp_path / "strong.tsv"
    path.write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "rec 0\t1.000\t3.000\t/m/a\nother\t50.000\t51.000\t/m/a\n"
    )
    truth = read_truth(strong_labels=path, recordings=recordings)
    items = truth.items(_recordings().pool(), "strong", "implied")
    assert items.alignment.clips_not_scored == ("other",)

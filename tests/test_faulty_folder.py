"""A folder in the state of real downloads: every fault is found and told.

Of 220 clips, 5 % each are missing, truncated, of zero bytes, text renamed
.flac, silent, of 3 s, of 60 s (the whole video), at 8 kHz, at 96 kHz, with 5.1
channels and with the extension of another format; the other 45 % are good.
"""

import collections
import csv
import json
import random

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from audioset_strong.params import FeatureParams, RecordParams
from audioset_strong.records.parse import parse_records
from audioset_strong.records.prepare import WorkerParams, prepare_records

_NUM_CLIPS = 220
_NUM_OF_EACH = 11  # 5 %

# State of a clip -> reason in left_out.csv, faults in faults.csv and notes.
_LEFT_OUT = {
    "missing": "missing",
    "truncated": "truncated",
    "zero_bytes": "empty_file",
    "text": "unreadable",
    "silent": "silent",
}
_FAULTS = {"3_s": "short", "8_khz": "low_rate"}
_NOTES = {
    "60_s": ("cut out of the whole video",),
    "8_khz": ("resampled",),
    "96_khz": ("resampled",),
    "5.1": ("mixed to mono",),
    "wrong_extension": ("extension of another format",),
}
_STATES = (*_LEFT_OUT, "3_s", *_NOTES)


def _write_clip(folder, ytid, state, rng):
    """Writes one file in a state; extensions differ from clip to clip."""
    extension = ("flac", "wav", "ogg")[int(ytid[-3:]) % 3]
    path = folder / f"{ytid}.{extension}"
    if state == "missing":
        return
    if state == "zero_bytes":
        path.touch()
    elif state == "text":
        path = folder / f"{ytid}.flac"
        path.write_text("ERROR: Video unavailable. " * 400)
    else:
        seconds = {"3_s": 3, "60_s": 60}.get(state, 10)
        rate = {"8_khz": 8000, "96_khz": 96000}.get(state, 16000)
        shape = [seconds * rate, 6 if state == "5.1" else 1]
        samples = 0.1 * rng.standard_normal(shape).astype(np.float32)
        soundfile.write(path, samples * (state != "silent"), rate)
    if state == "truncated":
        content = path.read_bytes()
        path.write_bytes(content[: round(len(content) * rng.uniform(0.3, 0.9))])
    if state == "wrong_extension":
        other = {"flac": "wav", "wav": "flac", "ogg": "mp3"}[extension]
        path.rename(path.with_suffix(f".{other}"))


@pytest.fixture(scope="module")
def faulty_release(tmp_path_factory):
    """The folder, and the state of each clip."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "audio").mkdir()
    states = [s for s in _STATES for _ in range(_NUM_OF_EACH)]
    states += ["good"] * (_NUM_CLIPS - len(states))
    random.Random(0).shuffle(states)
    rng = np.random.default_rng(0)
    lines = [
        "# a",
        "# b",
        "# YTID, start_seconds, end_seconds, positive_labels",
    ]
    state_of_clip = {}
    for number, state in enumerate(states):
        ytid = f"clip{number:07d}"
        state_of_clip[f"{ytid}_0"] = state
        lines.append(f'{ytid}, 0.000, 10.000, "/m/x"')
        _write_clip(folder / "audio", ytid, state, rng)
    (folder / "weak.csv").write_text("\n".join(lines) + "\n")
    (folder / "classes.csv").write_text("index,mid,display_name\n0,/m/x,X\n")
    return folder, state_of_clip


def _rows(path):
    with open(path, newline="") as file:
        return [(r["segment_id"], r["reason"]) for r in csv.DictReader(file)]


@pytest.mark.slow
def test_every_fault_has_its_class_and_every_good_clip_a_record(
    faulty_release, tmp_path
):
    folder, state_of_clip = faulty_release
    prepare_records(
        str(folder / "audio"),
        [str(folder / "weak.csv")],
        [],
        str(folder / "classes.csv"),
        str(tmp_path),
        RecordParams(held_out_fraction=0.0, clips_per_shard=50),
        workers=WorkerParams(num_workers=1),
    )
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    expected = {
        segment_id: _LEFT_OUT[state]
        for segment_id, state in state_of_clip.items()
        if state in _LEFT_OUT
    }
    assert dict(_rows(tmp_path / "left_out.csv")) == expected
    assert manifest["left_out_by_reason"] == dict.fromkeys(
        sorted(_LEFT_OUT.values()), _NUM_OF_EACH
    )
    assert dict(_rows(tmp_path / "faults.csv")) == {
        segment_id: _FAULTS[state]
        for segment_id, state in state_of_clip.items()
        if state in _FAULTS
    }
    notes = collections.Counter(
        note
        for state in state_of_clip.values()
        for note in _NOTES.get(state, ())
    )
    assert manifest["notes"] == notes
    paths = [str(path) for path in sorted(tmp_path.glob("*.tfrecord"))]
    [serialized] = tf.data.TFRecordDataset(paths).batch(_NUM_CLIPS)
    written = parse_records(serialized, "weak", FeatureParams())
    assert {name.decode() for name in written.segment_id.numpy()} == {
        *state_of_clip
    } - {*expected}
    # Nothing is padded: 3 s give 298 STFT frames, 10 s give 998.
    lengths = collections.Counter(written.num_stft_frames.numpy().tolist())
    assert lengths == {
        998: _NUM_CLIPS - _NUM_OF_EACH * (len(_LEFT_OUT) + 1),
        298: _NUM_OF_EACH,
    }
    assert manifest["clips"]["weak"] == len(serialized)

"""Walks from somebody's recordings to a model, by commands alone.

The first runs the commands of docs/your_own_data.md as they stand there, on 60
recordings with Audacity tracks; the second is a data set in the form of DESED.
TensorFlow is slow to start, so that training in the second runs with `-m slow`;
the rest of it takes scores of our own making. The third evaluates what predict
wrote of long recordings.
"""

import importlib.util
import json
import math
import os
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from audioset_strong.evaluation.scores import LabelFrameScores, write_score_file
from audioset_strong.inference.event_files import write_native_scores
from audioset_strong.labels.class_map import ClassMap, read_class_map
from audioset_strong.labels.frame_rule import num_label_frames_of

_ROOT = pathlib.Path(__file__).parents[1]
# Pitch of each class.
_LABELS = {
    "dog bark": 300,
    "small bird": 2600,
    "door, slammed": 700,
    "water tap": 1200,
    "Tür zu": 1800,
    "tea kettle": 3400,
}


def _recording(rng, seconds, sample_rate, num_events):
    """Noise with tones in it: the waveform, and (onset, offset, label)."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    waveform = 0.01 * rng.standard_normal(len(time))
    events = []
    for _ in range(num_events):
        label = list(_LABELS)[rng.integers(len(_LABELS))]
        length = rng.uniform(0.3, min(6, seconds / 2))
        onset = rng.uniform(0, seconds - length)
        is_on = (time >= onset) & (time < onset + length)
        tone = np.sin(2 * np.pi * _LABELS[label] * time)
        waveform += 0.2 * tone * is_on
        events.append((onset, onset + length, label))
    return waveform.clip(-1, 1), sorted(events)


def _run(commands, folder):
    """Runs commands in one process; returns what each printed, by its verb."""
    (folder / "commands.json").write_text(json.dumps(commands))
    done = subprocess.run(
        [sys.executable, _ROOT / "tests" / "run_commands.py", "commands.json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    parts = f"\n{done.stdout}".split("\n--- ")[1:]
    return {part.split()[0]: part for part in parts}


def _documented_commands():
    text = (_ROOT / "docs" / "your_own_data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines]
    assert {command[0] for command in commands} == {"audioset-strong"}
    return [command[1:] for command in commands]


def _split_at(commands, verb):
    """Splits commands into those before a verb, and the others."""
    index = [command[0] for command in commands].index(verb)
    return commands[:index], commands[index:]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Folder of the first walk, and what each command before `train` said."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(1)
    (folder / "recordings").mkdir()
    (folder / "tracks").mkdir()
    for number in range(60):
        place = ("kitchen", "yard", "rec_105")[number % 3]
        name = f"{place} {number // 3 + 1}"
        # Most are short; the longest have two minutes.
        seconds = (4, 120, 4 + 116 * rng.random() ** 5)[min(number, 2)]
        num_events = 0 if number % 5 == 4 else int(rng.integers(1, 6))
        waveform, events = _recording(rng, seconds, 16000, num_events)
        path = folder / "recordings" / f"{name}.wav"
        soundfile.write(path, waveform, 16000)
        if number < 57:  # three were never listened to
            (folder / "tracks" / f"{name}.txt").write_text(
                "".join(f"{a:.6f}\t{b:.6f}\t{c}\n" for a, b, c in events)
            )
    commands, _ = _split_at(_documented_commands(), "train")
    return folder, _run(commands, folder)


@pytest.fixture(scope="module")
def walk(records):
    """The same folder, and what the commands from `train` on said."""
    folder, _ = records
    return folder, _run(_split_at(_documented_commands(), "train")[1], folder)


def _table(path):
    return [line.split("\t") for line in path.read_text().splitlines()[1:]]


def test_the_walk_imports_everything(records):
    folder, said = records
    assert "Recordings: 57 (" in said["import_labels"]
    assert "left out as not annotated: 3 (" in said["import_labels"]
    clips = {row[0]: float(row[1]) for row in _table(folder / "own/clips.tsv")}
    assert max(clips.values()) == 10
    with_events = {row[0] for row in _table(folder / "own/strong.tsv")}
    assert with_events < set(clips)
    classes = (folder / "own" / "class_map.csv").read_text()
    assert 'dog_bark,"dog bark"' in classes
    assert 'door_slammed,"door, slammed"' in classes


def test_the_walk_loses_no_clip(records):
    folder, _ = records
    manifest = json.loads((folder / "records" / "manifest.json").read_text())
    num_clips = len(_table(folder / "own" / "clips.tsv"))
    assert sum(s["num_clips"] for s in manifest["shards"]) == num_clips
    left_out = (folder / "records" / "left_out.csv").read_text().splitlines()
    assert len(left_out) == 1


@pytest.mark.slow
def test_the_walk_holds_out_whole_recordings(walk):
    folder, _ = walk
    group_of_clip = {
        row[0]: row[2] for row in _table(folder / "own" / "clips.tsv")
    }
    scored = np.load(folder / "scores.npz", allow_pickle=False)["segment_ids"]
    held_out = set(scored.tolist())
    groups = {group_of_clip[clip] for clip in held_out}
    assert 3 <= len(groups) <= 25
    assert held_out == {c for c, g in group_of_clip.items() if g in groups}


def _recordings_of(folder):
    """Recordings of the clips, which are their groups."""
    return {row[2] for row in _table(folder / "own" / "clips.tsv")}


@pytest.mark.slow
def test_the_walk_trains_evaluates_and_predicts(walk):
    folder, said = walk
    assert "inf" not in re.findall(r"validation d' (\S+)", said["train"])
    report = json.loads((folder / "report" / "report.json").read_text())
    assert report
    assert "report/report.html" in said["evaluate"]
    predicted = _table(folder / "found" / "files.tsv")
    assert len(predicted) == 60
    assert {row[3] for row in predicted} == {"ok"}
    # The ids are those of the labels.
    assert _recordings_of(folder) <= {row[0] for row in predicted}
    heard = {row[0] for row in _table(folder / "found" / "events.tsv")}
    assert heard <= {row[0] for row in predicted}
    assert (folder / "found" / "audacity" / "kitchen 1.txt").exists()


# --- DESED ------------------------------------------------------------------

_TINY = ["--width=0.0625", "--stem_stride=2", "--global_batch_size=8"]
_DESED = [
    *(
        ["import_labels", "--format=dcase", f"--labels=metadata/{part}.tsv"]
        + [f"--audio_dir=audio/{part}", f"--output_dir=own/{part}", *more]
        for part, more in (
            ("train", ["--unlabelled=negative"]),
            ("validation", ["--class_map=own/train/class_map.csv"]),
        )
    ),
    *(
        ["prepare_records", f"--audio_index=own/{part}/audio_index.tsv"]
        + [f"--clips=own/{part}/clips.tsv"]
        + [f"--strong_labels=own/{part}/strong.tsv"]
        + ["--class_map=own/train/class_map.csv"]
        + [f"--held_out_fraction={held_out}", f"--output_dir=records/{part}"]
        for part, held_out in (("train", 0.25), ("validation", 0))
    ),
    ["train", "--records_dir=records/train", "--workdir=run", *_TINY]
    + ["--training_set=strong", "--num_steps=4"]
    + ["--checkpoint_interval_steps=4"],
    ["score_records", "--workdir=run", "--records_dir=records/validation"]
    + ["--output=scores.npz"],
    ["evaluate", "--scores=scores.npz", "--report_dir=report"]
    + ["--strong_labels=own/validation/strong.tsv"]
    + ["--clips=own/validation/clips.tsv", "--num_resamples=100"],
    ["choose_thresholds", "--scores=scores.npz", "--output=thresholds.csv"]
    + ["--strong_labels=own/validation/strong.tsv"]
    + ["--clips=own/validation/clips.tsv"],
    ["export_saved_model", "--workdir=run", "--output_dir=export"],
    ["predict", "--model=export", "--output_dir=found"]
    + ["--thresholds=thresholds.csv", "audio/validation/val00.wav"]
    + ["audio/validation/val01.wav"],
]


@pytest.fixture(scope="module")
def desed_records(tmp_path_factory):
    """Folder of the second walk, with records."""
    folder = tmp_path_factory.mktemp("desed")
    rng = np.random.default_rng(2)
    (folder / "metadata").mkdir()
    for part, number, prefix in (
        ("train", 24, "Ytr"),
        ("validation", 8, "val"),
    ):
        (folder / "audio" / part).mkdir(parents=True)
        lines = ["filename\tonset\toffset\tevent_label"]
        for index in range(number):
            seconds = (3, 37, rng.uniform(3, 37))[min(index, 2)]
            num_events = 0 if index % 4 == 3 else 4
            waveform, events = _recording(rng, seconds, 22050, num_events)
            name = f"{prefix}{index:02d}.wav"
            soundfile.write(folder / "audio" / part / name, waveform, 22050)
            for onset, offset, label in events:
                label = label.replace(" ", "_").replace(",", "")
                lines.append(f"{name}\t{onset:.3f}\t{offset:.3f}\t{label}")
            # Of the training clips, those without events are not listed.
            if not events and part == "validation":
                lines.append(name)
        (folder / "metadata" / f"{part}.tsv").write_text("\n".join(lines))
    _run(_split_at(_DESED, "train")[0], folder)
    return folder


@pytest.fixture(scope="module")
def desed_walk(desed_records):
    """The same folder, and what the commands from `train` on said."""
    return desed_records, _run(_split_at(_DESED, "train")[1], desed_records)


@pytest.mark.slow
def test_desed_keeps_clips_of_any_length(desed_records):
    folder = desed_records
    for part, number in (("train", 24), ("validation", 8)):
        clips = _table(folder / "own" / part / "clips.tsv")
        assert len(clips) == number
        assert {"3.000", "37.000"} <= {clip[1] for clip in clips}
        manifest = json.loads(
            (folder / "records" / part / "manifest.json").read_text()
        )
        assert sum(s["num_clips"] for s in manifest["shards"]) == number
        labels = manifest["label_frames"]
        assert labels["clip_seconds"] == 37
        assert labels["num_label_frames"] == 38


def _seconds_of_clips(folder):
    rows = _table(folder / "own" / "validation" / "clips.tsv")
    return {segment_id: float(seconds) for segment_id, seconds, _ in rows}


@pytest.mark.slow
def test_desed_counts_clips_without_events(desed_records):
    """A model that hears all events, and one in each clip without any."""
    folder = desed_records
    mids = read_class_map(folder / "own" / "train" / "class_map.csv").mids
    seconds = _seconds_of_clips(folder)
    counts = num_label_frames_of(list(seconds.values()))
    scores = np.zeros((len(seconds), counts.max(), len(mids)), np.float32)
    labels = _table(folder / "own" / "validation" / "strong.tsv")
    with_events = {row[0] for row in labels}
    for clip, segment_id in enumerate(seconds):
        if segment_id not in with_events:
            scores[clip, 0] = 1
        for row in labels:
            if row[0] == segment_id:
                frames = np.arange(counts.max()) * 0.96
                is_in = (frames < float(row[2])) & (
                    frames + 0.96 > float(row[1])
                )
                scores[clip, is_in, mids.index(row[3])] = 0.5
    made = LabelFrameScores(
        segment_ids=np.array(list(seconds)),
        mids=np.array(mids),
        scores=scores,
        num_label_frames=counts,
    )
    write_score_file(made, folder / "made.npz")
    evaluate = ["evaluate", "--scores=made.npz", "--num_resamples=100"]
    evaluate.append("--strong_labels=own/validation/strong.tsv")
    aucs, said = {}, {}
    for name, more in (
        ("with", ["--clips=own/validation/clips.tsv"]),
        ("no", ["--clip_seconds=37"]),
    ):
        said[name] = _run([[*evaluate, f"--report_dir={name}", *more]], folder)
        report = json.loads((folder / name / "report.json").read_text())
        aucs[name] = report["strong"]["implied"]["mean_auc"]
    assert aucs["with"] < aucs["no"]
    assert "2 scored clips have no strong labels" in said["no"]["evaluate"]
    assert "2 of them without any event" in said["with"]["evaluate"]


@pytest.mark.slow
def test_desed_scores_every_whole_label_frame(desed_walk):
    folder, _ = desed_walk
    seconds = _seconds_of_clips(folder)
    with np.load(folder / "scores.npz", allow_pickle=False) as file:
        num_scored = dict(
            zip(file["segment_ids"], file["num_label_frames"], strict=True)
        )
        assert file["scores"].shape[1] == 38
    lengths_ms = {
        clip: round(1000 * length) for clip, length in seconds.items()
    }
    assert num_scored == {
        # The last STFT window reaches 15 ms past its label frame.
        segment_id: length_ms // 960 - (length_ms % 960 < 16)
        for segment_id, length_ms in lengths_ms.items()
    }


@pytest.mark.slow
def test_desed_evaluates_and_predicts(desed_walk):
    folder, said = desed_walk
    assert "report/report.html" in said["evaluate"]
    assert (folder / "thresholds.csv").exists()
    assert "Results are in found" in said["predict"]


# --- Scores of long recordings ----------------------------------------------

_TRACKS = {
    "yard/one": "1.440\t3.600\tDog bark\n20.160\t23.040\town_id\n",
    "yard/two": "2.4\t5,28\tDog bark\n9.600\t10.560\tTür, zu\n",
    "yard/still": "",
}
_SECONDS = {"yard/one": 24.0, "yard/two": 61.3, "yard/still": 5.0}
_NAMES = ("Dog bark", "Own sound", "Tür, zu")


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """Folder with scores as predict writes them, at a hop of 0.24 s."""
    folder = tmp_path_factory.mktemp("predicted")
    class_map = ClassMap(("/m/05tny_", "own_id", "tür_zu"), _NAMES)
    rng = np.random.default_rng(3)
    blocks, rows = [], []
    for name, text in _TRACKS.items():
        path = folder / "tracks" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        number = math.ceil(_SECONDS[name] / 0.24)
        scores = 0.3 * rng.random((number, 3), dtype=np.float32)
        for line in text.splitlines():
            *times, label = line.split("\t")
            onset, offset = (float(t.replace(",", ".")) for t in times)
            index = ("Dog bark", "own_id", "Tür, zu").index(label)
            scores[round(onset / 0.24) : round(offset / 0.24), index] = 0.9
            mid = class_map.mids[index]
            rows.append(f"{name}\t{onset:.3f}\t{offset:.3f}\t{mid}\n")
        blocks.append(scores)
    write_native_scores(
        str(folder / "scores.npz"),
        class_map,
        0.24,
        list(_SECONDS),
        [len(block) for block in blocks],
        list(_SECONDS.values()),
        blocks,
    )
    header = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
    (folder / "strong.tsv").write_text(header + "".join(rows))
    clips = [f"{name}\t{seconds}\n" for name, seconds in _SECONDS.items()]
    (folder / "clips.tsv").write_text(
        "segment_id\tduration_seconds\n" + "".join(clips)
    )
    return folder


def _own_commands(labels, output, more):
    scored = ["--scores=scores.npz", f"--strong_labels={labels}", *more]
    protocols = "hershey2021,segment_auroc"
    if importlib.util.find_spec("sed_scores_eval"):
        protocols += ",events"
    return [
        ["choose_thresholds", f"--output={output}.csv", *scored],
        [
            "evaluate",
            f"--report_dir={output}",
            "--num_resamples=0",
            f"--protocol={protocols}",
            f"--thresholds={output}.csv",
            *scored,
        ],
    ]


@pytest.mark.slow
def test_predicted_scores_and_tracks_are_evaluated_as_they_are(predicted):
    """With a TSV and a list of clips, one track, and a folder of tracks."""
    commands = [
        *_own_commands("strong.tsv", "tsv", ["--clips=clips.tsv"]),
        *_own_commands("tracks/yard/two.txt", "track", []),
        *_own_commands("tracks", "tracks", []),
    ]
    said = _run(commands, predicted)["evaluate"]
    assert "frames of 0.24 s in 3 clips, pooled by mean onto 93 " in said
    reports = {}
    # 24.0, 61.3 and 5.0 s hold 25, 63 and 5 whole label frames.
    for name, num_items, hours in (
        ("tsv", 93, "0.03"),
        ("track", 63, "0.02"),
        ("tracks", 93, "0.03"),
    ):
        report = json.loads((predicted / name / "report.json").read_text())
        reports[name] = report["strong"]["implied"]
        assert reports[name]["mean_auc"] == 1
        assert reports[name]["num_items"] == num_items
        thresholds = (predicted / f"{name}.csv").read_text()
        assert thresholds.count("/m/05tny_,Dog bark") == 1
        segments, *events = report["protocols"]
        assert segments["values"]["auroc"] > 0.9
        for of_events in events:
            # At their own hop every event is found at its very times.
            assert of_events["values"]["collar_f1"] == 1
            assert f"{hours} hours" in of_events["conditions"]["clips"]
    assert reports["tracks"] == reports["tsv"]

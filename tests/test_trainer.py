"""Training: it learns, it starts warm, and a killed run ends in the same bits.

Runs are processes of their own where bits are compared, since deterministic
kernels are a setting of the whole process.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tensorboard_points import read_points
from tiny_release import MIDS
from untrained_run import MODEL_PARAMS as _UNTRAINED
from untrained_run import save_untrained_run

from audioset_strong.errors import InputError
from audioset_strong.evaluation.ranking_metrics import validation_metrics
from audioset_strong.files import hold_lock
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.models.frame_classifier import HEAD_NAME
from audioset_strong.params import (
    ModelParams,
    RecipeParams,
    RecordParams,
    TrainParams,
)
from audioset_strong.records.manifest import read_records
from audioset_strong.records.prepare import WorkerParams, prepare_records
from audioset_strong.records.streams import label_frame_batches
from audioset_strong.training import state, trainer
from audioset_strong.training.metrics_log import read_metrics
from audioset_strong.training.trainer import train
from audioset_strong.training.workdir import load_classifier, read_run

_ROOT = pathlib.Path(__file__).parents[1]
# Tracing a ResNet-50 takes half a minute on a busy machine, several times that
# on an overloaded one.
_TIMEOUT_SECONDS = 600
_NETWORK = ModelParams(width=1 / 32, stem_stride=4)
_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    num_steps=30,
    global_batch_size=8,
    learning_rate=0.003,
    checkpoint_interval_steps=10,
    log_interval_steps=1,
    shuffle_block_clips=4,
    strategy="cpu",
)

_RECIPE = RecipeParams(
    ema_decay=0.9,
    mixup_share=0.3,
    max_masked_stft_frames=20,
    max_masked_mel_bands=8,
    balance_classes=True,
)

# What differs between equal runs.
_TIMES = ("examples_per_second", "input_share")


def _start_training(records_dir, workdir):
    settings = {
        "records_dir": records_dir,
        "workdir": workdir,
        **dataclasses.asdict(_NETWORK),
        **dataclasses.asdict(_PARAMS),
        **dataclasses.asdict(_RECIPE),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "audioset_strong.train"]
        + [f"--{name}={value}" for name, value in settings.items()],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process):
    _, errors = process.communicate(timeout=_TIMEOUT_SECONDS)
    assert process.returncode == 0, errors
    return errors


def _metrics(workdir):
    path = pathlib.Path(workdir) / "metrics.jsonl"
    return read_metrics(str(path)) if path.exists() else []


def _kill_after_step(process, workdir, step):
    """Kills a run once its metrics have come to a step."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not any(m["step"] >= step for m in _metrics(workdir)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def workdirs(tiny_records_dir, tmp_path_factory):
    """Workdirs of a run, and of one that was killed and resumed."""
    folder = tmp_path_factory.mktemp("runs")
    whole, killed = str(folder / "whole"), str(folder / "killed")
    whole_run = _start_training(tiny_records_dir, whole)
    killed_run = _start_training(tiny_records_dir, killed)
    processes = [whole_run, killed_run]
    try:
        _kill_after_step(killed_run, killed, 13)
        # Killed between its first checkpoint and its second.
        steps_killed = [m["step"] for m in _metrics(killed)]
        assert 13 <= max(steps_killed) < 20
        resumed_run = _start_training(tiny_records_dir, killed)
        processes.append(resumed_run)
        errors = _finish(resumed_run)
        _finish(whole_run)
    finally:
        for process in processes:
            process.kill()
    assert f"Resuming {killed} at step 10." in errors
    return whole, killed


def _variables(workdir, folder):
    path = tf.train.latest_checkpoint(os.path.join(workdir, folder))
    reader = tf.train.load_checkpoint(path)
    return os.path.basename(path), {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        # The network's: neither a graph of the objects nor the run's own.
        if name.startswith(("model/", "optimizer/"))
    }


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["checkpoints", "best"])
def test_a_killed_run_ends_in_the_same_bits(workdirs, folder):
    whole, killed = (
        {
            path.name: path.read_bytes()
            for path in pathlib.Path(workdir, folder).iterdir()
        }
        for workdir in workdirs
    )
    assert whole == killed
    assert len(_variables(workdirs[0], folder)[1]) > 250


@pytest.mark.slow
def test_a_killed_run_writes_the_same_metrics(workdirs):
    whole, killed = (
        [
            {k: v for k, v in m.items() if k not in _TIMES}
            for m in _metrics(workdir)
        ]
        for workdir in workdirs
    )
    assert whole == killed
    assert [m["step"] for m in whole if "loss" in m] == list(range(1, 31))
    validated = [m["step"] for m in whole if "validation_d_prime" in m]
    assert validated == [10, 20, 30]


@pytest.mark.slow
def test_a_killed_run_has_the_same_points_for_tensorboard(workdirs):
    whole, killed = (
        {
            name: points
            for name, points in read_points(workdir).items()
            if name not in _TIMES
        }
        for workdir in workdirs
    )
    assert whole == killed
    assert [step for step, _ in whole["loss_strong"]] == list(range(1, 31))
    assert [step for step, _ in whole["validation_lwlrap"]] == [10, 20, 30]
    assert [step for step, _ in whole["clips"]] == [10, 20, 30]


@pytest.mark.slow
def test_it_learns_and_logs(workdirs):
    metrics = [m for m in _metrics(workdirs[0]) if "loss" in m]
    losses = [m["loss"] for m in metrics]
    # At first four scores of 0.01, one or two of which should be 1: 4.6 nats
    # each.
    assert losses[0] > 4.6
    assert np.mean(losses[-5:]) < 3
    # 240 examples at mu = 0.5: standard error 0.03.
    assert abs(np.mean([m["mixed_share"] for m in metrics]) - 0.5) < 0.13


@pytest.mark.slow
def test_settings_are_saved_with_the_run(workdirs):
    params, class_map = read_run(workdirs[0])
    found = (params.train, params.model, params.recipe)
    assert found == (_PARAMS, _NETWORK, _RECIPE)
    assert class_map.num_classes == 4


@pytest.mark.slow
def test_a_finished_run_stays_as_it_is(workdirs, tiny_records_dir):
    before = _variables(workdirs[0], "checkpoints")[1]
    result = train(tiny_records_dir, workdirs[0], _NETWORK, _PARAMS, _RECIPE)
    after = _variables(workdirs[0], "checkpoints")[1]
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])
    d_primes = {
        m["step"]: m["validation_d_prime"]
        for m in _metrics(workdirs[0])
        if "validation_d_prime" in m
    }
    # Of equal ones the last.
    assert result["selection_metric"] == "strong_d_prime"
    assert result["best_value"] == max(d_primes.values())
    assert d_primes[result["best_step"]] == result["best_value"]


@pytest.mark.slow
def test_a_warm_start_goes_on_from_the_weights(
    workdirs, tiny_records_dir, tmp_path, monkeypatch
):
    # A step that changes nothing shows the weights that training starts from.
    monkeypatch.setattr(
        trainer, "make_run_steps", lambda *_: lambda *_: (tf.ones([1, 7]), 0.0)
    )
    monkeypatch.setattr(
        trainer,
        "make_score_patches",
        lambda *_: lambda patches: tf.zeros([len(patches), 4]),
    )
    params = dataclasses.replace(
        _PARAMS,
        num_steps=1,
        deterministic=False,
        warm_start_workdir=workdirs[0],
    )
    train(tiny_records_dir, str(tmp_path), _NETWORK, params)
    warm = _variables(tmp_path, "best")[1]
    source = _variables(workdirs[0], "best")[1]
    assert set(warm) == set(source)
    for name, values in source.items():
        np.testing.assert_array_equal(warm[name], values, err_msg=name)
    # The weights only: step and optimizer are new.
    state = _variables(tmp_path, "checkpoints")[1]
    [iterations] = [v for n, v in state.items() if "iterations" in n]
    assert iterations == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            ModelParams(width=1 / 64, stem_stride=4),
            r"another network \(width: 0.03125 there, 0.015625 in",
        ),
        (_NETWORK, "holds no params"),
    ],
)
def test_a_warm_start_from_elsewhere_is_refused(
    workdirs, tiny_records_dir, tmp_path, network, message
):
    source = str(tmp_path / "none") if "no params" in message else workdirs[0]
    params = dataclasses.replace(
        _PARAMS, warm_start_workdir=source, deterministic=False
    )
    with pytest.raises(InputError, match=message):
        train(tiny_records_dir, str(tmp_path / "new"), network, params)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mu": 0.6, "deterministic": False},
            r"train\.mu: 0\.5 there, 0\.6 now",
        ),
        ({"deterministic_input": False}, "Turn deterministic off too"),
    ],
)
def test_settings_that_do_not_fit(workdirs, tiny_records_dir, changes, message):
    params = dataclasses.replace(_PARAMS, **changes)
    with pytest.raises(InputError, match=message):
        train(tiny_records_dir, workdirs[0], _NETWORK, params, _RECIPE)


# --- Refused starts ----------------------------------------------------------

# Starts from the run in the folder `source`, of a smaller network and of the
# classes Bell, Dog and Rain.
_REFUSED = {
    "no steps": ({"num_steps": 0}, "num_steps of at least 1. Received: 0"),
    "never a checkpoint": ({"checkpoint_interval_steps": -5}, "Received: -5"),
    "rate": ({"learning_rate": float("nan")}, "learning_rate above 0"),
    "decay": ({"learning_rate_decay": "linear"}, "Received: 'linear'"),
    "device": ({"strategy": "cuda"}, "Received: 'cuda'"),
    "mu": ({"mu": 1.5}, r"mu in \[0, 1\]. Received: 1.5"),
    "mixed without mu": ({"mu": 0.0}, "'strong' needs mu above 0"),
    "mu without mixed": ({"mixed_training_set": ""}, "needs mixed_training"),
    "the same set": ({"training_set": "strong"}, "two different sets"),
    "set": ({"training_set": "loud"}, "Received: 'loud'"),
    "no such records": ({"records_dir": "none"}, "no finished records"),
    "no such run": ({"warm_start_workdir": "none"}, "holds no params"),
    "score": ({"initial_score": 1.0}, "initial_score in .0, 1.. Rec.* 1.0"),
    "no clips": ({"records_dir": "weak_only"}, "no clip for the training set"),
    "what to match": ({"warm_start_classes": "match"}, "Give its folder"),
    "classes": (
        {"warm_start_workdir": "source"},
        "class 0 is /m/bell there, .*warm_start_classes match",
    ),
    "nothing to match": (
        {"warm_start_workdir": "source", "warm_start_classes": "match"},
        "a class that the records share with .*run., found none",
    ),
    "network": (
        {
            "warm_start_workdir": "source",
            "warm_start_classes": "new",
            "width": 0.5,
        },
        r"another network \(width: 0\.0625 there, 0\.5 in this run\)",
    ),
    "no checkpoint": (
        {"warm_start_workdir": "begun", "warm_start_classes": "new"},
        "has no best checkpoint yet",
    ),
}


@pytest.fixture
def small_network(monkeypatch):
    """Stands in for the ResNet where only what is around it matters."""

    def build(num_classes, *_):
        patches = keras.Input((96, 64))
        means = keras.layers.GlobalAveragePooling1D()(patches)
        logits = keras.layers.Dense(num_classes, name=HEAD_NAME)(means)
        return keras.Model(patches, {"logits": logits})

    monkeypatch.setattr(state, "build_frame_classifier", build)


@pytest.mark.parametrize("case", _REFUSED)
def test_a_refused_start_leaves_nothing(
    case, untrained_workdir, tiny_records_dir, tmp_path, monkeypatch, request
):
    if case != "score":
        request.getfixturevalue("small_network")
    # Everything fits but for the one thing.
    monkeypatch.setattr(trainer, "_run_steps", lambda *_: pytest.fail("began"))
    changes, message = _REFUSED[case]
    settings = {
        "deterministic": False,
        "records_dir": tiny_records_dir,
        **{n: getattr(_UNTRAINED, n) for n in ("width", "initial_score")},
        **changes,
    }
    folders = {"source": untrained_workdir}
    for name in ("records_dir", "warm_start_workdir"):
        folder = settings.get(name)
        if folder == "begun":
            shutil.copytree(untrained_workdir, tmp_path / "begun")
            shutil.rmtree(tmp_path / "begun" / "best")
        if folder == "weak_only":
            _copy_records(tiny_records_dir, tmp_path / folder, ["weak"])
        if folder and folder != tiny_records_dir:
            settings[name] = folders.get(folder, str(tmp_path / folder))
    records_dir = settings.pop("records_dir")
    network = dataclasses.replace(
        _UNTRAINED,
        width=settings.pop("width"),
        initial_score=settings.pop("initial_score"),
    )
    workdir = tmp_path / "above" / "new"
    with pytest.raises(InputError, match=message):
        train(
            records_dir,
            str(workdir),
            network,
            dataclasses.replace(_PARAMS, **settings),
        )
    assert not workdir.parent.exists()


@pytest.mark.parametrize("is_records", [True, False])
def test_a_workdir_is_a_folder_of_its_own(tiny_records_dir, is_records):
    before = sorted(os.listdir(tiny_records_dir))
    workdir = tiny_records_dir if is_records else ""
    with pytest.raises(InputError, match="a folder of the run's own"):
        train(tiny_records_dir, workdir, _NETWORK, _PARAMS)
    assert sorted(os.listdir(tiny_records_dir)) == before


def test_other_records_are_refused(small_network, tiny_records_dir, tmp_path):
    params = dataclasses.replace(_PARAMS, num_steps=2, deterministic=False)
    workdir = str(tmp_path / "run")
    train(tiny_records_dir, workdir, _NETWORK, params)
    before = read_records(tiny_records_dir).records_hash
    # The same records in another place resume it.
    moved = tmp_path / "moved"
    _copy_records(tiny_records_dir, moved, ["weak", "strong", "held_out"])
    train(str(moved), workdir, _NETWORK, params)
    manifest = json.loads((moved / "manifest.json").read_text())
    manifest["shards"][-1]["content_hash"] = "f" * 16
    (moved / "manifest.json").write_text(json.dumps(manifest))
    after = read_records(str(moved)).records_hash
    with pytest.raises(InputError, match=f"{before} there, {after} now"):
        train(str(moved), workdir, _NETWORK, params)
    with (
        hold_lock(workdir),
        pytest.raises(InputError, match=rf"process {os.getpid()} on .* does"),
    ):
        train(tiny_records_dir, workdir, _NETWORK, params)


# --- Validation --------------------------------------------------------------


def _copy_records(records_dir, folder, groups, held_out=None):
    """Copies records with shards of some groups; may hold a group out."""
    shutil.copytree(records_dir, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"] = [
        {**shard, "group": "held_out"} if shard["group"] == held_out else shard
        for shard in manifest["shards"]
        if shard["group"] in groups
    ]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return str(folder)


def _score_by_loudness(*_):
    """Gives all classes but the first the loudness of the patch."""

    def score_patches(patches):
        loudness = tf.sigmoid(tf.reduce_mean(patches, [1, 2]))
        return tf.stack([1 - loudness, loudness, loudness, loudness], axis=1)

    return score_patches


def test_without_a_held_out_part_the_last_is_the_best(
    small_network, tiny_records_dir, tmp_path
):
    records_dir = _copy_records(
        tiny_records_dir, tmp_path / "records", ["weak", "strong"]
    )
    params = dataclasses.replace(
        _PARAMS, num_steps=7, checkpoint_interval_steps=3, deterministic=False
    )
    workdir = str(tmp_path / "run")
    for _ in range(2):  # a finished run says the same
        found = train(records_dir, workdir, _NETWORK, params)
        assert (found["best_step"], found["best_value"]) == (7, None)
    assert _variables(workdir, "best")[0] == "ckpt-7"
    text = pathlib.Path(workdir, "metrics.jsonl").read_text()
    assert "validation" not in text
    assert "nfinity" not in text


def test_weak_labels_alone_validate_by_clip(
    small_network, tiny_records_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainer, "make_score_patches", _score_by_loudness)
    records_dir = _copy_records(
        tiny_records_dir, tmp_path / "records", ["weak", "strong"], "weak"
    )
    params = dataclasses.replace(
        _PARAMS, training_set="strong", mixed_training_set="", mu=0.0,
        num_steps=1, deterministic=False, selection_metric="lwlrap",
    )  # fmt: skip
    workdir = str(tmp_path / "run")
    found = train(records_dir, workdir, _NETWORK, params)
    # By hand: means of the label frames of each clip, against its weak labels.
    records = read_records(records_dir)
    score_patches = _score_by_loudness(None)
    scores, targets = [], []
    for clip in label_frame_batches(records, ["held_out"], "weak").unbatch():
        number = int(clip["num_label_frames"])
        scores.append(score_patches(clip["patches"][:number]).numpy().mean(0))
        targets.append(clip["targets"].numpy()[:number].max(0))
    assert {tuple(t) for t in targets} == {(1, 0, 1, 0), (0, 1, 1, 0)}
    expected = validation_metrics(np.array(scores), np.array(targets))
    assert set(expected) == {"d_prime", "lwlrap", "mAP"}
    validated = _metrics(workdir)[-1]
    assert validated.pop("step") == 1
    assert validated == {
        f"validation_weak_{name}": pytest.approx(value)
        for name, value in expected.items()
    }
    assert found == {
        "best_step": 1,
        "selection_metric": "lwlrap",
        "best_value": pytest.approx(expected["lwlrap"]),
    }


def test_own_recordings_with_weak_labels(small_network, tmp_path):
    rng = np.random.default_rng(0)
    audio = tmp_path / "audio"
    audio.mkdir()
    weak = ["segment_id,labels"]
    clips = ["segment_id\tduration_seconds\tgroup"]
    index = ["segment_id\tpath"]
    for number in range(24):
        name, seconds = f"Küche {number:03d}", 1.1 + number / 4
        path = audio / f"{number}.wav"
        waveform = rng.uniform(-0.1, 0.1, round(seconds * 16000))
        soundfile.write(path, waveform, 16000)
        labels = ("dog_bark", "cat", "dog_bark,cat", "")[number % 4]
        if labels:
            weak.append(f'"{name}","{labels}"')
        clips.append(f"{name}\t{seconds}\tsite {number // 4}")
        index.append(f"{name}\t{path}")
    classes = ["index,mid,display_name", '0,dog_bark,"Dog"', '1,cat,"Cat"']
    paths = {}
    for name, lines in {
        "weak.csv": weak,
        "clips.tsv": clips,
        "index.tsv": index,
        "classes.csv": classes,
    }.items():
        paths[name] = str(tmp_path / name)
        pathlib.Path(paths[name]).write_text("\n".join(lines) + "\n")
    records_dir = str(tmp_path / "records")
    prepare_records(
        "",
        [paths["weak.csv"]],
        [],
        paths["classes.csv"],
        records_dir,
        RecordParams(held_out_fraction=0.5),
        workers=WorkerParams(num_workers=1),
        clips_path=paths["clips.tsv"],
        audio_index_path=paths["index.tsv"],
    )
    params = dataclasses.replace(
        _PARAMS, mixed_training_set="", mu=0.0, num_steps=3, deterministic=False
    )
    workdir = str(tmp_path / "run")
    found = train(records_dir, workdir, _NETWORK, params)
    validated = _metrics(workdir)[-1]
    assert validated["validation_weak_d_prime"] == found["best_value"]
    # Whole groups are held out: 1.1 to 6.85 s, each as long as it is.
    records = read_records(records_dir)
    batches = label_frame_batches(records, ["weak", "held_out"], "weak")
    for clip in batches.unbatch():
        number = int(clip["segment_id"].numpy().decode().removeprefix("Küche "))
        inside = int(clip["num_label_frames"])
        assert inside == int((1.1 + number / 4 - 0.015) / 0.96)
        expected = [(1, 0), (0, 1), (1, 1), (0, 0)][number % 4]
        assert {tuple(t) for t in clip["targets"].numpy()[:inside]} == {
            expected
        }


# --- Other classes -----------------------------------------------------------


@pytest.mark.parametrize(
    "classes", ["match", pytest.param("new", marks=pytest.mark.slow)]
)
def test_a_warm_start_with_other_classes(
    classes, tiny_records_dir, tmp_path, monkeypatch, caplog
):
    # A step that changes nothing shows the weights that training starts from.
    monkeypatch.setattr(
        trainer, "make_run_steps", lambda *_: lambda *_: (tf.ones([1, 7]), 0.0)
    )
    monkeypatch.setattr(trainer, "validate", lambda *_: ({}, None))
    source_map = ClassMap(
        ("dog_bark", MIDS[3], "site_3", MIDS[0], "/m/x"), tuple("DNSLX")
    )
    source_dir, workdir = str(tmp_path / "source"), str(tmp_path / "new")
    save_untrained_run(source_dir, source_map)
    params = dataclasses.replace(
        _PARAMS,
        num_steps=1,
        deterministic=False,
        warm_start_workdir=source_dir,
        warm_start_classes=classes,
    )
    with caplog.at_level("INFO", logger="absl"):
        train(tiny_records_dir, workdir, _UNTRAINED, params)
    source, *_ = load_classifier(source_dir)
    model, run_params, class_map = load_classifier(workdir)
    assert (run_params.model, class_map.mids) == (_UNTRAINED, MIDS)
    for found, expected in zip(model.layers[:-1], source.layers[:-1]):
        for one, other in zip(found.get_weights(), expected.get_weights()):
            np.testing.assert_array_equal(one, other)
    kernel, bias = model.layers[-1].get_weights()
    source_kernel, source_bias = source.layers[-1].get_weights()
    is_equal = (kernel[:, :, np.newaxis] == source_kernel[:, np.newaxis]).all(0)
    # [4 classes, 5 classes of the source]
    shared = [[0, 3], [3, 1]] if classes == "match" else []
    assert np.argwhere(is_equal).tolist() == shared
    for index, source_index in shared:
        assert bias[index] == source_bias[source_index]
    # The others as in a new head.
    is_new = ~is_equal.any(1)
    np.testing.assert_allclose(bias[is_new], np.log(0.4 / 0.6), rtol=1e-6)
    assert 0.005 < kernel[:, is_new].std() < 0.015
    expected = "2 classes keep" if shared else "0 classes keep their weights (n"
    assert expected in caplog.text


def _write_tones(folder, pitches, num_clips, seed):
    """A release with one pitch a class, and noise: audio, strong.tsv, classes.

    `pitches` are those of each class id.
    """
    rng = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True)
    lines = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
    time_seconds = np.arange(4 * 16000) / 16000
    for index, (class_id, pitch) in enumerate(pitches.items()):
        for number in range(num_clips):
            clip = f"{seed:02d}{index:04d}{number:04d}A_0"
            onset = rng.uniform(0, 1.5)
            is_on = (time_seconds > onset) & (time_seconds < onset + 2)
            level = 10 ** rng.uniform(-1.5, -0.3)
            tone = level * np.sin(2 * np.pi * pitch * time_seconds) * is_on
            noise = 0.01 * rng.standard_normal(len(time_seconds))
            soundfile.write(folder / f"audio/{clip}.wav", tone + noise, 16000)
            lines.append(f"{clip}\t{onset:.3f}\t{onset + 2:.3f}\t{class_id}")
    (folder / "strong.tsv").write_text("\n".join(lines) + "\n")
    names = [f'{i},{c},"{c}"' for i, c in enumerate(pitches)]
    (folder / "classes.csv").write_text(
        "\n".join(["index,mid,display_name", *names]) + "\n"
    )


@pytest.mark.slow
def test_fine_tuning_to_other_classes_is_ahead_of_training_anew(tmp_path):
    mels = np.linspace(3, 7.4, 40)  # of the logarithm: 20 to 1,600 Hz, times 5
    pitches = 4 * np.exp(mels)
    first = {f"tone_{i:02d}": pitches[i] for i in range(35)}
    # Three of these are old ones, under their ids, and two are new.
    second = {
        "whistle": pitches[37],
        "tone_31": pitches[31],
        "tone_04": pitches[4],
        "hum": pitches[39],
        "tone_18": pitches[18],
    }
    for name, classes, number, seed in (
        ("many", first, 8, 1),
        ("few", second, 20, 2),
    ):
        _write_tones(tmp_path / name, classes, number, seed)
        prepare_records(
            str(tmp_path / name / "audio"),
            [],
            [str(tmp_path / name / "strong.tsv")],
            str(tmp_path / name / "classes.csv"),
            str(tmp_path / f"{name}_records"),
            RecordParams(held_out_fraction=0.25, clips_per_shard=100),
            workers=WorkerParams(num_workers=1),
        )
    network = ModelParams(width=1 / 16, stem_stride=4)
    params = TrainParams(
        training_set="strong",
        num_steps=300,
        global_batch_size=32,
        learning_rate=0.003,
        checkpoint_interval_steps=300,
        deterministic=False,
        strategy="cpu",
    )
    source_dir = str(tmp_path / "source")
    train(str(tmp_path / "many_records"), source_dir, network, params)
    d_primes = {}
    for start in ("", source_dir):
        found = train(
            str(tmp_path / "few_records"),
            str(tmp_path / f"few_{bool(start)}"),
            network,
            dataclasses.replace(
                params,
                num_steps=10,
                warm_start_workdir=start,
                warm_start_classes="match" if start else "same",
            ),
        )
        d_primes[bool(start)] = found["best_value"]
    assert d_primes[True] > d_primes[False] + 0.3, d_primes

"""A run whose files are damaged: one line each, nothing lost, and it goes on.

The network is a linear one, and batches are made up, so that a run takes a
second.
"""

import dataclasses
import json
import pathlib
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.models.frame_classifier import HEAD_NAME
from audioset_strong.params import ModelParams, TrainParams
from audioset_strong.training import run as run_module
from audioset_strong.training import state, trainer
from audioset_strong.training import workdir as workdirs
from audioset_strong.training.metrics_log import read_metrics
from audioset_strong.training.progress import Progress
from audioset_strong.training.signals import Signals
from audioset_strong.training.strategy import distribute_stream
from audioset_strong.training.trainer import train

_NETWORK = ModelParams()
_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    num_steps=12,
    global_batch_size=8,
    learning_rate=0.003,
    checkpoint_interval_steps=4,
    # Not with every checkpoint.
    log_interval_steps=3,
    shuffle_block_clips=4,
    strategy="cpu",
    deterministic=False,
)
_TIMES = ("examples_per_second", "input_share")


def _build(num_classes, *_):
    patches = keras.Input((96, 64))
    means = keras.layers.GlobalAveragePooling1D()(patches)
    logits = keras.layers.Dense(num_classes, name=HEAD_NAME)(means)
    return keras.Model(patches, {"logits": logits})


def _stream(strategy, records, params, first_step, *_):
    """Batches that are a function of the step, without the cost of reading."""

    def batch_of(step):
        patches, targets = (
            tf.random.stateless_uniform(
                [params.global_batch_size, *shape], seed
            )
            for shape, seed in (((96, 64), [step, 1]), ((4,), [step, 2]))
        )
        return {
            "patches": patches,
            "targets": tf.round(targets),
            "target_mask": tf.ones_like(targets),
            "source": tf.round(targets[:, 0]),
        }

    return tf.data.Dataset.counter(first_step).map(batch_of)


def _validate(score_patches, *_):
    """A number that depends on the weights alone."""
    value = float(tf.reduce_mean(score_patches(tf.ones([2, 96, 64]))))
    return {"validation_d_prime": value}, value


@pytest.fixture(autouse=True, scope="module")
def _stand_ins():
    with pytest.MonkeyPatch.context() as patched:
        for module in (state, workdirs):
            patched.setattr(module, "build_frame_classifier", _build)
        patched.setattr(run_module, "distribute_stream", _stream)
        patched.setattr(trainer, "validate", _validate)
        patched.setattr(
            trainer,
            "draw_clips",
            lambda *_: np.zeros([1, 2, 2, 3], np.uint8),
        )
        yield


def _changed(**changes):
    return dataclasses.replace(_PARAMS, **changes)


def _metrics(workdir):
    return [
        {k: v for k, v in m.items() if k not in _TIMES}
        for m in read_metrics(str(pathlib.Path(workdir, "metrics.jsonl")))
    ]


def _weights(workdir, checkpoint="last"):
    model = _build(4)
    path = workdirs.restore_weights(str(workdir), model, checkpoint)
    return pathlib.Path(path).name, [w.numpy() for w in model.weights]


def _check_same(workdir, whole, is_cut=False):
    """Checks that a run ended as if nothing had happened."""
    for checkpoint in ("last", "best"):
        name, weights = _weights(workdir, checkpoint)
        expected_name, expected = _weights(whole, checkpoint)
        assert name == expected_name
        for found, values in zip(weights, expected):
            np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6)
    found, expected = _metrics(workdir), _metrics(whole)
    if is_cut:
        assert {m["step"] for m in found} >= {9, 12}
        return
    assert [m["step"] for m in found] == [m["step"] for m in expected]
    for one, other in zip(found, expected):
        assert one == pytest.approx(other, rel=1e-4)


class _Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def runs(tiny_records_dir, tmp_path_factory):
    """Workdirs of a run killed after 8 steps, a whole one, and another run."""
    folder = tmp_path_factory.mktemp("runs")
    begun, whole, other = (folder / name for name in ("begun", "whole", "o"))
    advance = Progress.advance

    def advance_or_end(progress, *arguments):
        advance(progress, *arguments)
        if progress._step > 8:
            raise _Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Progress, "advance", advance_or_end)
        for workdir, params in ((begun, _PARAMS), (other, _changed(seed=7))):
            with pytest.raises(_Killed):
                train(tiny_records_dir, str(workdir), _NETWORK, params)
    shutil.copytree(begun, whole)
    train(tiny_records_dir, str(whole), _NETWORK, _PARAMS)
    return begun, whole, other


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


_DAMAGES = {
    "truncated": lambda path: path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 2]
    ),
    "emptied": lambda path: path.write_bytes(b""),
    "flipped": _flip,
    "junk": lambda path: path.write_bytes(b"\xff\x00\n\x80" * 700),
    "missing": lambda path: path.unlink(),
}
# What is said of each file, and what it is restored to.
_FILES = {
    "checkpoints/ckpt-8.data-00000-of-00001": "ckpt-8: .* step 4",
    "checkpoints/ckpt-8.index": "ckpt-8: .* step 4",
    "checkpoints/checkpoint": "",
    "best/ckpt-8.data-00000-of-00001": "best checkpoint, of step 8 .* damaged",
    "best/ckpt-8.index": "best checkpoint, of step 8 .* damaged",
    "metrics.jsonl": r"metrics.jsonl (was cut|has \d+ damaged lines)",
    "class_map.csv": "class_map.csv .* written anew",
}


def _damaged_copy(runs, tmp_path, name, damage):
    begun, _, other = runs
    workdir = tmp_path / "run"
    shutil.copytree(begun, workdir)
    [path] = workdir.glob(name)
    if damage == "of another run":
        shutil.copy(other / name, path)
    else:
        _DAMAGES[damage](path)
    return workdir


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        # One of each file; the others take a minute.
        pytest.param(name, damage, marks=[] if i == j % 5 else pytest.mark.slow)
        for i, damage in enumerate(_DAMAGES)
        for j, name in enumerate(_FILES)
    ],
)
def test_the_run_goes_on(
    name, damage, runs, tiny_records_dir, tmp_path, caplog
):
    workdir = _damaged_copy(runs, tmp_path, name, damage)
    with caplog.at_level("INFO", logger="absl"):
        train(tiny_records_dir, str(workdir), _NETWORK, _PARAMS)
    _check_same(workdir, runs[1], is_cut=name == "metrics.jsonl")
    said = [
        record.getMessage()
        for record in caplog.records
        if record.levelname == "WARNING" and record.name == "absl"
    ]
    expected = _FILES[name]
    assert len(said) == bool(expected), said
    if expected:
        assert re.search(expected, said[0]), said
        assert "\n" not in said[0]


def _contents(workdir, pattern="*"):
    return {p: p.read_bytes() for p in workdir.rglob(pattern) if p.is_file()}


def _slow(*values):
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.mark.parametrize(
    "damage",
    [
        "truncated",
        *_slow("of another run", "emptied", "flipped", "junk", "missing"),
    ],
)
def test_settings_that_are_damaged(
    damage, runs, tiny_records_dir, tmp_path, caplog
):
    workdir = _damaged_copy(runs, tmp_path, "params.json", damage)
    run = tiny_records_dir, str(workdir), _NETWORK, _PARAMS
    if damage == "flipped":  # which may change a name, a value or the JSON
        text = (runs[0] / "params.json").read_text()
        path = workdir / "params.json"
        path.write_text(text.replace('"mu": 0.5', '"mu": 0.7'))
    if damage != "missing":
        before = _contents(workdir)
        with pytest.raises(InputError, match="params.json|seed: 7|mu: 0.7"):
            train(*run)
        assert before == _contents(workdir)
        # As the message says: other settings are not those of the checkpoints.
        (workdir / "params.json").unlink()
    other = _changed(learning_rate=0.1)
    with pytest.raises(InputError, match="ckpt-8: it is of another run"):
        train(tiny_records_dir, str(workdir), _NETWORK, other)
    assert not (workdir / "params.json").exists()
    with caplog.at_level("INFO", logger="absl"):
        train(*run)
    assert "held no params.json" in caplog.text
    _check_same(workdir, runs[1])


def test_checkpoints_of_another_run(runs, tiny_records_dir, tmp_path):
    begun, _, other = runs
    workdir = tmp_path / "run"
    shutil.copytree(begun, workdir)
    shutil.rmtree(workdir / "checkpoints")
    shutil.copytree(other / "checkpoints", workdir / "checkpoints")
    with pytest.raises(InputError, match="ckpt-8: it is of another run"):
        train(tiny_records_dir, str(workdir), _NETWORK, _PARAMS)


@pytest.mark.parametrize("is_run", [True, False])
def test_checkpoints_that_are_gone(runs, tiny_records_dir, tmp_path, is_run):
    workdir = tmp_path / "run"
    shutil.copytree(runs[0], workdir)
    shutil.rmtree(workdir / "checkpoints")
    if not is_run:
        (workdir / "params.json").unlink()
    before = _contents(workdir)
    with pytest.raises(InputError, match="no checkpoint, .* come to step 8"):
        train(tiny_records_dir, str(workdir), _NETWORK, _PARAMS)
    assert _contents(workdir) == before


def test_readers_of_damaged_runs(runs, tmp_path):
    workdir = _damaged_copy(runs, tmp_path, "class_map.csv", "truncated")
    with pytest.raises(InputError, match="class_map.csv .* records"):
        workdirs.load_classifier(str(workdir))
    (workdir / "params.json").write_text("{}")
    with pytest.raises(InputError, match="params.json.*damaged"):
        workdirs.load_classifier(str(workdir))
    (workdir / "metrics.jsonl").write_text('{"step": 1}\n{"st\n{"step": 2}\n')
    with pytest.raises(InputError, match="metrics.jsonl:2: expected"):
        read_metrics(str(workdir / "metrics.jsonl"))


# --- Changes -----------------------------------------------------------------


def test_what_may_change(runs, tiny_records_dir, tmp_path, caplog):
    workdir = tmp_path / "moved" / "run"
    shutil.copytree(runs[0], workdir)
    params = _changed(
        num_steps=14,
        log_interval_steps=2,
        checkpoint_interval_steps=6,
        steps_per_call=2,
        cache_dir=str(tmp_path / "cache"),
    )
    with caplog.at_level("INFO", logger="absl"):
        train(tiny_records_dir, str(workdir), _NETWORK, params)
    for words in (
        "num_steps: 12 there, 14 now",
        "log_interval_steps: 3 there, 2 now",
        "steps_per_call: 1 there, 2 now",
    ):
        assert words in caplog.text
    assert workdirs.read_run(str(workdir))[0].train == params
    with pytest.raises(InputError, match="has taken 14 steps.* Received: 13"):
        train(tiny_records_dir, str(workdir), _NETWORK, _changed(num_steps=13))
    assert workdirs.read_run(str(workdir))[0].train == params


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.004},
        {"seed": 1},
        {"global_batch_size": 4},
        {"warmup_steps": 2},
        {"selection_metric": "lwlrap"},
        {"learning_rate_decay": "cosine"},
    ],
)
def test_what_may_not_change(changes, runs, tiny_records_dir, tmp_path):
    shutil.copytree(runs[0], tmp_path / "run")
    [name] = changes
    with pytest.raises(InputError, match=f"{name}: .* there, .* now"):
        train(
            tiny_records_dir, str(tmp_path / "run"), _NETWORK,
            _changed(**changes),
        )  # fmt: skip


def test_the_end_of_a_cosine_may_not_change(tiny_records_dir, tmp_path):
    run = tiny_records_dir, str(tmp_path / "run"), _NETWORK
    train(*run, _changed(num_steps=4, learning_rate_decay="cosine"))
    with pytest.raises(InputError, match="num_steps: 4 there, 12 now"):
        train(*run, _changed(learning_rate_decay="cosine"))


@pytest.mark.slow
def test_a_start_that_moves_or_changes(
    runs, tiny_records_dir, tmp_path, caplog
):
    source, moved = tmp_path / "source", tmp_path / "moved"
    shutil.copytree(runs[0], source)
    workdir = str(tmp_path / "run")

    def resume(start, num_steps):
        params = _changed(num_steps=num_steps, warm_start_workdir=str(start))
        train(tiny_records_dir, workdir, _NETWORK, params)
        start = workdirs.read_run(workdir)[0].train.warm_start_workdir
        assert start == params.warm_start_workdir

    resume(source, 4)
    source.rename(moved)
    resume(moved, 5)
    # Other weights, in another place or in the same one.
    for other in (runs[1], runs[2]):
        with pytest.raises(InputError, match="start.weights_hash: .* there"):
            resume(other, 6)
    shutil.rmtree(moved)
    with pytest.raises(InputError, match="no params.json"):
        resume(source, 6)
    with caplog.at_level("INFO", logger="absl"):
        resume(moved, 6)
    assert "Going on without the run that this one started" in caplog.text
    shutil.copytree(runs[2], moved)
    with pytest.raises(InputError, match="start.weights_hash: .* there"):
        resume(moved, 7)
    # Without a checkpoint of its own it needs its start.
    shutil.rmtree(moved)
    shutil.rmtree(pathlib.Path(workdir, "checkpoints"))
    with pytest.raises(InputError, match="no params.json"):
        resume(moved, 7)


# --- Not a number ------------------------------------------------------------


@pytest.mark.parametrize(
    "what", ["loss", *_slow("moment", "gradient_norm", "weights")]
)
def test_what_is_not_finite_is_not_saved(
    what, runs, tiny_records_dir, tmp_path, monkeypatch
):
    workdir = tmp_path / "run"
    shutil.copytree(runs[0], workdir)
    made = {}

    def make_run_steps(strategy, model, optimizer, *arguments):
        run_steps = made["make"](strategy, model, optimizer, *arguments)

        def run_badly(batches, num_steps):
            rows, seconds = run_steps(batches, num_steps)
            step = int(optimizer.iterations.numpy())
            if what in trainer.COLUMNS:
                rows = rows.numpy()
                if step == 10:
                    column = trainer.COLUMNS.index(what)
                    rows[-1, column] = {"loss": np.nan}.get(what, np.inf)
                rows = tf.constant(rows)
            elif step == 12:
                bad = model.weights[0].value
                if what == "moment":
                    bad = optimizer.first_moments[0]
                bad.assign(bad * np.inf)
            return rows, seconds

        return run_badly

    made["make"] = trainer.make_run_steps
    monkeypatch.setattr(trainer, "make_run_steps", make_run_steps)
    before = _contents(workdir, "ckpt-*")
    step = 10 if what in trainer.COLUMNS else 12
    with pytest.raises(InputError) as error:
        train(tiny_records_dir, str(workdir), _NETWORK, _PARAMS)
    message = str(error.value)
    assert message.startswith(f"Training ends at step {step}: ")
    assert "learning rate of 0.003" in message
    assert "\n" not in message
    assert len(message.partition("The batch: ")[2].split(", ")) == 8
    if what == "weights":
        assert "infinite values in logits/kernel, " in message
    if what == "moment":
        assert "infinite values in optimizer/" in message
    assert before == _contents(workdir, "ckpt-*")


# --- Records that change -----------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("change", ["replaced", "touched", "removed"])
def test_records_that_change_under_a_run(
    change, runs, tiny_records_dir, tmp_path, monkeypatch
):
    records_dir, workdir = tmp_path / "records", tmp_path / "run"
    shutil.copytree(tiny_records_dir, records_dir)
    shutil.copytree(runs[0], workdir)
    shards = sorted(records_dir.glob("*.tfrecord"))
    original = {path: path.read_bytes() for path in shards}

    class ChangingProgress(trainer.Progress):
        def __enter__(self):
            for path, content in original.items():
                if change == "removed":
                    path.unlink()
                elif change == "touched":
                    path.write_bytes(content)
                else:
                    path.write_bytes(content[:-1] + b"x")
            return super().__enter__()

    monkeypatch.setattr(run_module, "distribute_stream", distribute_stream)
    monkeypatch.setattr(trainer, "Progress", ChangingProgress)
    before = _contents(workdir, "ckpt-*")
    run = str(records_dir), str(workdir), _NETWORK, _PARAMS
    if change == "touched":
        train(*run)
    else:
        with pytest.raises(InputError, match="records .*again|could not be re"):
            train(*run)
        assert before == _contents(workdir, "ckpt-*")
        for path, content in original.items():
            path.write_bytes(content)
        monkeypatch.setattr(trainer, "Progress", Progress)
        train(*run)
    assert max(m["step"] for m in _metrics(workdir)) == 12


# --- Full disks --------------------------------------------------------------


@pytest.mark.slow
def test_files_that_may_not_grow(runs, tiny_records_dir, tmp_path):
    """Like a full disk, and without the right to mount one."""
    resource = pytest.importorskip("resource")
    workdir = tmp_path / "run"
    shutil.copytree(runs[0], workdir)
    run = tiny_records_dir, str(workdir), _NETWORK, _PARAMS
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = _contents(workdir / "checkpoints", "ckpt-*")
    for most in (10, 700, 2000, 4000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
        try:
            with pytest.raises((InputError, OSError)) as error:
                train(*run)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert "File too large" in str(error.value)
        assert before == _contents(workdir / "checkpoints", "ckpt-*")
    train(*run)
    _check_same(workdir, runs[1])


# --- Signals -----------------------------------------------------------------


def test_a_signal_between_lines_and_in_a_validation(
    runs, tiny_records_dir, tmp_path, monkeypatch
):
    """Ends after 1, 6 and 8 steps, the last one in its validation."""
    run = tiny_records_dir, str(tmp_path / "run"), _NETWORK, _PARAMS

    class EndingSignals(Signals):
        pass

    for last_step in (1, 6, 8):
        signals = EndingSignals()
        monkeypatch.setattr(trainer, "Signals", lambda *_, s=signals: s)
        validate, advance = trainer.validate, trainer.Progress.advance

        def send(signals=signals):
            signals._note(15, None)

        def validate_and_end(*arguments, send=send, validate=validate):
            send()
            return validate(*arguments)

        def advance_and_end(
            progress, *arguments, send=send, advance=advance, last=last_step
        ):
            advance(progress, *arguments)
            if progress._step == last:
                send()

        with monkeypatch.context() as patched:
            if last_step == 8:
                patched.setattr(trainer, "validate", validate_and_end)
            else:
                patched.setattr(trainer.Progress, "advance", advance_and_end)
            with pytest.raises(SystemExit) as error:
                train(*run)
        assert error.value.code == 143
        assert _weights(tmp_path / "run")[0] == f"ckpt-{last_step}"
    monkeypatch.undo()
    lines = _metrics(tmp_path / "run")
    assert not any("validation_d_prime" in m for m in lines if m["step"] == 8)
    # A validation that was killed before its checkpoint was written again.
    with open(tmp_path / "run/metrics.jsonl", "a") as file:
        line = {"step": 8, "validation_d_prime": 0.0}
        file.write(json.dumps(line) + "\n")
    train(*run)
    _check_same(tmp_path / "run", runs[1])

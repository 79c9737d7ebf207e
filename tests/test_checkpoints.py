"""Checkpoints: damaged ones are found, and the last good one is used."""

import contextlib
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.training.checkpoints import (
    Checkpoints,
    hash_tensors,
    restore_newest,
    steps_in,
)

_SIZE = 300


def _open(folder, run_hash="aaaa", interval_steps=1):
    state = {"weights": tf.Variable(tf.zeros([_SIZE])), "n": tf.Variable(0)}
    return Checkpoints(str(folder), run_hash, state, interval_steps), state


def _save(folder, *steps, **options):
    checkpoints, state = _open(folder, **options)
    for step in steps:
        state["weights"].assign(tf.fill([_SIZE], float(step)))
        state["n"].assign(step)
        checkpoints.save(step)
    return checkpoints


def _restored(folder, **options):
    """Restores; returns the step, which the values must agree with."""
    checkpoints, state = _open(folder, **options)
    step = checkpoints.restore()
    np.testing.assert_array_equal(state["weights"], np.full(_SIZE, step))
    assert int(state["n"]) == step
    return step


def _names(folder):
    return sorted(path.name for path in pathlib.Path(folder).iterdir())


def test_the_last_two_are_kept_and_the_newest_is_restored(tmp_path):
    folder = tmp_path / "above" / "checkpoints"
    assert _restored(folder) == 0
    _save(folder, 7, 14, 21)
    assert _names(folder) == [
        "checkpoint",
        *(
            f"ckpt-{step}.{end}"
            for step in (14, 21)
            for end in ("data-00000-of-00001", "index")
        ),
    ]
    assert _restored(folder) == 21
    # TensorFlow's own tools find it, too.
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "ckpt-21")
    assert _restored(shutil.move(folder, tmp_path / "moved")) == 21


def test_one_that_a_signal_caused_makes_room_for_regular_ones(tmp_path):
    _save(tmp_path, 10, 20, 27, interval_steps=10)
    assert steps_in(str(tmp_path)) == [20, 27]
    _save(tmp_path, 30, interval_steps=10)
    assert steps_in(str(tmp_path)) == [20, 30]


def _flip(path, position):
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 4
    path.write_bytes(content)


_DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "emptied": lambda path: path.write_bytes(b""),
    "flipped early": lambda path: _flip(path, 0.1),
    "flipped late": lambda path: _flip(path, 0.7),
    "overwritten": lambda path: path.write_bytes(os.urandom(5000)),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", _DAMAGES)
@pytest.mark.parametrize("ending", ["data-00000-of-00001", "index"])
def test_the_one_before_a_damaged_one(tmp_path, caplog, damage, ending):
    _save(tmp_path, 3, 6)
    _DAMAGES[damage](tmp_path / f"ckpt-6.{ending}")
    with caplog.at_level("INFO", logger="absl"):
        assert _restored(tmp_path) == 3
    [message] = caplog.messages
    assert "ckpt-6: " in message
    assert "before, step 3" in message
    # It is out of the way: not tried again, and no obstacle for a new one.
    assert steps_in(str(tmp_path)) == [3]
    assert any(name.startswith("damaged-ckpt-6") for name in _names(tmp_path))
    caplog.clear()
    with caplog.at_level("INFO", logger="absl"):
        assert _restored(tmp_path) == 3
    assert not caplog.messages
    _save(tmp_path, 6, 9)
    assert _restored(tmp_path) == 9


@pytest.mark.parametrize("damage", _DAMAGES)
def test_the_state_file_does_not_matter(tmp_path, damage):
    _save(tmp_path, 3, 6)
    _DAMAGES[damage](tmp_path / "checkpoint")
    assert _restored(tmp_path) == 6


@pytest.mark.parametrize("damage", _DAMAGES)
def test_no_good_one_is_never_the_first_step(tmp_path, damage):
    _save(tmp_path, 3, 6)
    paths = list(tmp_path.glob("ckpt-*"))
    for path in paths:
        _DAMAGES[damage](path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r"No checkpoint in .*ckpt-6: .*copy"):
        _restored(tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_one_of_another_run(tmp_path, caplog):
    _save(tmp_path / "other", 6, run_hash="bbbb")
    _save(tmp_path / "own", 3)
    for path in (tmp_path / "other").iterdir():
        shutil.copy(path, tmp_path / "own")
    with caplog.at_level("INFO", logger="absl"):
        assert _restored(tmp_path / "own") == 3
    assert "ckpt-6: it is of another run" in caplog.text
    with pytest.raises(InputError, match="ckpt-6: it is of another run"):
        _restored(tmp_path / "other")


def test_readers_change_nothing(tmp_path):
    _save(tmp_path, 3, 6)
    _DAMAGES["truncated"](tmp_path / "ckpt-6.index")
    before = _names(tmp_path)
    weights = tf.Variable(tf.zeros([_SIZE]))
    step, bad = restore_newest(
        str(tmp_path), tf.train.Checkpoint(weights=weights), "aaaa", True
    )
    assert (step, bad) == (3, [6])
    assert float(weights[0]) == 3
    assert _names(tmp_path) == before


def test_one_of_another_network(tmp_path):
    _save(tmp_path, 3)
    other = tf.train.Checkpoint(weights=tf.Variable(tf.zeros([_SIZE + 1])))
    with pytest.raises(InputError, match="ckpt-3: it is of another network"):
        restore_newest(str(tmp_path), other, "aaaa", True)


class _Killed(BaseException):
    pass


def test_a_kill_at_any_moment_leaves_a_good_one(tmp_path, monkeypatch):
    """Ends a save before each of the calls that change the folder."""

    def save_and_end_after(num_calls):
        folder = tmp_path / str(num_calls)
        _save(folder, 10, 20)
        checkpoints, state = _open(folder)
        state["weights"].assign(tf.fill([_SIZE], 30.0))
        state["n"].assign(30)
        left = [num_calls]

        def counted(call):
            def call_or_end(*arguments, **options):
                left[0] -= 1
                if left[0] < 0:
                    raise _Killed
                return call(*arguments, **options)

            return call_or_end

        with monkeypatch.context() as patched:
            for module, name in (
                (tf.train.Checkpoint, "write"),
                (os, "replace"),
                (os, "remove"),
                # A killed process does not clear up behind itself.
                (shutil, "rmtree"),
            ):
                patched.setattr(module, name, counted(getattr(module, name)))
            try:
                checkpoints.save(30)
            except _Killed:
                return folder, True
        return folder, False

    num_calls, found = 0, []
    while True:
        folder, was_killed = save_and_end_after(num_calls)
        (folder / ".tmp-checkpoint-abc").mkdir(exist_ok=True)
        (folder / "ckpt-30.tempstate123").write_text("")
        found.append(_restored(folder))
        # Nothing unfinished is left, and the run goes on.
        assert not [n for n in _names(folder) if "tmp" in n or "temp" in n]
        _save(folder, 30)
        assert steps_in(str(folder)) == [20, 30]
        if not was_killed:
            break
        num_calls += 1
    assert found == sorted(found)
    assert set(found) == {20, 30}
    assert num_calls > 4


def test_files_that_may_not_grow(tmp_path):
    resource = pytest.importorskip("resource")
    _save(tmp_path, 3, 6)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    checkpoints, _ = _open(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(
            InputError, match="of step 9 could not be written .*Make room"
        ):
            checkpoints.save(9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}
    checkpoints.save(9)
    assert steps_in(str(tmp_path)) == [6, 9]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount")
@pytest.mark.parametrize("options", ["size=40k", "ro"])
def test_a_full_or_read_only_disk(tmp_path, options):
    def mount(*arguments):
        done = subprocess.run(["mount", *arguments, str(tmp_path)])
        if done.returncode:
            pytest.skip("needs the right to mount")

    mount("-t", "tmpfs", "-o", "size=40k", "tmpfs")
    try:
        _save(tmp_path, 3, 6)
        mount("-o", f"remount,{options}")
        if options != "ro":
            with (
                contextlib.suppress(OSError),
                open(tmp_path / "filler", "wb", buffering=0) as file,
            ):
                while True:
                    file.write(bytes(1 << 10))
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        checkpoints, _ = _open(tmp_path)
        with pytest.raises(InputError, match="step 9 could not be written"):
            checkpoints.save(9)
        assert before == {p: p.read_bytes() for p in tmp_path.iterdir()}
        mount("-o", "remount,rw,size=400k")
        assert _restored(tmp_path) == 6
        _save(tmp_path, 9)
        assert _restored(tmp_path) == 9
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_tensors_are_hashed(tmp_path):
    _save(tmp_path / "a", 3, 6)
    _save(tmp_path / "b", 6, run_hash="bbbb")
    hashes = {
        hash_tensors(str(tmp_path / name), step, "weights/")
        for name, step in (("a", 6), ("b", 6))
    }
    assert len(hashes) == 1
    assert hash_tensors(str(tmp_path / "a"), 3, "weights/") not in hashes


def test_checkpoints_in_object_storage(s3_dir, caplog):
    _save(s3_dir, 10, 20)
    assert _restored(s3_dir) == 20
    with caplog.at_level("INFO", logger="absl"):
        with files.replace_when_whole(f"{s3_dir}/ckpt-20.index") as path:
            pathlib.Path(path).write_bytes(b"damaged")
        assert _restored(s3_dir) == 10
    assert "ckpt-20: it is damaged" in caplog.text
    _save(s3_dir, 20, 30)
    assert steps_in(s3_dir) == [20, 30]

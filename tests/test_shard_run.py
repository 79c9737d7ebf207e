"""What is made again and what is kept, and what an old plan leaves behind."""

import pathlib

import pytest

from audioset_strong.errors import InputError
from audioset_strong.records import prepare
from audioset_strong.records.beam import BeamRun
from audioset_strong.records.plan import Clip, ShardTask
from audioset_strong.records.prepare import (
    make_folders,
    remove_outdated,
    run_tasks,
)

_ONE = BeamRun(num_workers=1)


def _task(folder, number, num_shards=2):
    name = f"weak-{number:05d}-of-{num_shards:05d}.tfrecord"
    clip = Clip(f"clip{number}_0", "", 10.0, {"weak": []})
    return ShardTask(str(folder), "weak", name, (clip,))


def test_folders_are_made_and_cleared(tmp_path):
    folder = tmp_path / "a" / "b"
    make_folders(str(folder))
    for place in (folder, folder / "plan", folder / "reports"):
        (place / ".tmp-0123-x.tfrecord").touch()
    (folder / "kept.txt").touch()
    make_folders(str(folder))
    left = sorted(path.name for path in folder.rglob("*"))
    assert left == ["kept.txt", "plan", "reports"]


def test_only_what_is_missing_is_written(tmp_path, monkeypatch):
    make_folders(str(tmp_path))
    tasks = [_task(tmp_path, 0), _task(tmp_path, 1)]
    first = run_tasks(tasks, str(tmp_path), _ONE)
    assert [report["left_out"][0][0] for report in first] == [
        "clip0_0",
        "clip1_0",
    ]
    pathlib.Path(tasks[1].path).unlink()
    (tmp_path / "manifest.json").touch()
    written = []
    write = prepare.write_shards
    monkeypatch.setattr(
        prepare,
        "write_shards",
        lambda names, *rest: written.append(names) or write(names, *rest),
    )
    assert run_tasks(tasks, str(tmp_path), _ONE) == first
    assert run_tasks(tasks, str(tmp_path), _ONE) == first
    assert written == [[tasks[1].name]]
    # While a shard was missing the folder was not finished.
    assert not (tmp_path / "manifest.json").exists()


def test_workers_that_write_elsewhere_are_found_out(tmp_path, monkeypatch):
    make_folders(str(tmp_path))
    monkeypatch.setattr(prepare, "write_shards", lambda *_: None)
    with pytest.raises(InputError, match="1 of 1 shards, .* the same folder"):
        run_tasks([_task(tmp_path, 0, 1)], str(tmp_path), _ONE)


def test_shards_of_an_earlier_plan_are_removed(tmp_path):
    make_folders(str(tmp_path))
    old = [_task(tmp_path, 0, 1)]
    run_tasks(old, str(tmp_path), _ONE)
    (tmp_path / "weak-notes.txt").touch()
    new = [_task(tmp_path, 0), _task(tmp_path, 1)]
    run_tasks(new, str(tmp_path), _ONE)
    remove_outdated(new, str(tmp_path))
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    of_shards = {task.name for task in new}
    assert names == {
        *of_shards,
        *(f"{name}.json" for name in of_shards),
        "weak-notes.txt",
    }

"""The view of a folder: what it says, and that --verify reads the records."""

import dataclasses
import shutil
import subprocess
import sys

import pytest

from audioset_strong.errors import InputError
from audioset_strong.records.folder_view import (
    content_hash,
    describe_folder,
    verify_shards,
)
from audioset_strong.records.manifest import read_records


@pytest.fixture
def folder(tiny_records_dir, tmp_path):
    return str(shutil.copytree(tiny_records_dir, tmp_path / "records"))


def _view(folder):
    first, *rest = describe_folder(folder, 2)
    assert first == folder
    return {line[2:15].strip(): line[17:] for line in rest}


def test_the_view_counts_what_is_there(folder):
    view = _view(folder)
    # 13 clips of 10 s and one of 4 s.
    assert view["clips"] == "14 (4 weak, 6 strong, 4 held_out), 0.04 hours"
    assert view["weak"] == (
        "13 clips, 3 of 4 classes have training labels, 13 in all: "
        "tone_high 5, tone_low 4"
    )
    assert view["left out"] == "1 missing, 1 unreadable"
    assert view["faults"] == "1 short"
    assert view["converted"] == "none"
    assert view["class hash"] == read_records(folder).class_map.content_hash
    assert "held_out_fraction=0.2" in view["records"]
    assert "log_offset=0.01" in view["features"]
    assert "MB in" in view["bytes"]
    assert "KB a clip" in view["bytes"]


def test_the_hash_is_of_the_records_and_not_of_the_place(
    tiny_records_dir, folder
):
    shards = read_records(tiny_records_dir).shards
    assert content_hash(shards) == content_hash(read_records(folder).shards)
    other = dataclasses.replace(shards[0], content_hash="0" * 16)
    assert content_hash([other, *shards[1:]]) != content_hash(shards)
    old = dataclasses.replace(shards[0], content_hash="")
    assert content_hash([old, *shards[1:]]) == ""


def test_records_are_verified(folder):
    records = read_records(folder)
    verify_shards(records)
    first, *others = records.shards
    wrong = dataclasses.replace(first, content_hash="0" * 16)
    changed = dataclasses.replace(records, shards=(wrong, *others))
    with pytest.raises(InputError, match="other records than the manifest"):
        verify_shards(changed)


def test_a_flipped_bit_is_found(folder):
    records = read_records(folder)
    path = records.path_of(records.shards[0])
    with open(path, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(InputError, match="is corrupt"):
        verify_shards(records)


def test_the_command(folder):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.records_info",
            f"--records_dir={folder}",
            "--verify",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == list(describe_folder(folder, 5))
    assert "Every shard holds what was written" in done.stderr


def test_a_folder_without_records(tmp_path):
    with pytest.raises(InputError, match="holds no manifest.json"):
        list(describe_folder(str(tmp_path), 2))

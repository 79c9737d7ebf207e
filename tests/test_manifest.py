"""A folder of records: refused if it is not whole, described, verified."""

import dataclasses
import json
import pathlib
import shutil
import sys

import forked
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.params import FeatureParams, LabelFrameParams
from audioset_strong.records.manifest import (
    check_no_shared_clips,
    describe_folder,
    read_records,
    verify_shards,
)


@pytest.fixture
def records_dir(tiny_records_dir, tmp_path):
    return pathlib.Path(shutil.copytree(tiny_records_dir, tmp_path / "records"))


def _shard(records_dir):
    return sorted(records_dir.glob("strong-*.tfrecord"))[0]


def test_a_whole_folder(tiny_records_dir):
    records = read_records(tiny_records_dir)
    assert records.features == FeatureParams()
    assert records.label_frames == LabelFrameParams()
    assert records.class_map.num_classes == 4
    strong = records.shards_of("strong")
    assert sum(s.num_clips for s in strong) == 6
    assert sum(s.num_clips_with("weak") for s in strong) == 5
    assert sum(s.num_clips_with("strong") for s in strong) == 6
    weak = records.shards_of("weak")
    assert sum(s.num_clips_with("strong") for s in weak) == 0
    assert len(records.shards_of("weak", "strong")) == len(strong) + len(weak)
    assert all(pathlib.Path(records.path_of(s)).exists() for s in strong)


def test_an_empty_or_missing_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=r"holds no manifest\.json"):
            read_records(str(folder))


def test_records_of_an_older_version(records_dir):
    path = records_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["records"] |= {"strong_fraction": 1.0, "strong_fraction_seed": 0}
    path.write_text(json.dumps(manifest))
    assert read_records(str(records_dir)).log_mel_dtype == "float16"
    manifest["records"]["strong_fraction"] = 0.4
    path.write_text(json.dumps(manifest))
    with pytest.raises(
        InputError,
        match=r"manifest.json: The setting strong_fraction=0.4 chose",
    ):
        read_records(str(records_dir))


def test_a_missing_shard(records_dir):
    _shard(records_dir).unlink()
    with pytest.raises(InputError, match=r"strong-.* is missing"):
        read_records(str(records_dir))


def test_a_truncated_shard(records_dir):
    path = _shard(records_dir)
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with pytest.raises(
        InputError,
        match=f"should have {len(data)} bytes, it has {len(data) - 10}",
    ):
        read_records(str(records_dir))


def test_another_class_map(records_dir):
    other = ClassMap(("/m/a", "/m/b"), ("A", "B"))
    write_class_map(other, records_dir / "class_map.csv")
    with pytest.raises(
        InputError, match=f"class hash {other.content_hash} .* /m/a, /m/b"
    ):
        read_records(str(records_dir))


def test_a_broken_manifest(records_dir):
    path = records_dir / "manifest.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(InputError, match=r"manifest\.json: expected JSON"):
        read_records(str(records_dir))


def test_settings_of_another_version(records_dir):
    path = records_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["features"]["mel_power"] = 2
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="'mel_power'.*another version"):
        read_records(str(records_dir))


def test_evaluation_clips_in_training_records(tiny_records_dir, tmp_path):
    other = tmp_path / "eval"
    other.mkdir()
    (other / "segment_ids.txt").write_text("new_0\nother_0\n")
    check_no_shared_clips(tiny_records_dir, str(other))
    # nukatrain00 is held out; another segment of it counts too.
    (other / "segment_ids.txt").write_text("new_0\nnukatrain00_5000\n")
    with pytest.raises(
        InputError, match="1 groups .*, such as nukatrain00, .*eval_labels"
    ):
        check_no_shared_clips(tiny_records_dir, str(other))
    (other / "segment_ids.txt").unlink()
    with pytest.raises(InputError, match=r"eval holds no segment_ids\.txt"):
        check_no_shared_clips(tiny_records_dir, str(other))


def _view(folder):
    first, *rest = describe_folder(folder, 2)
    assert first == folder
    return {line[2:15].strip(): line[17:] for line in rest}


def test_the_view_counts_what_is_there(records_dir):
    view = _view(str(records_dir))
    # 13 clips of 10 s and one of 4 s.
    assert view["clips"] == "14 (4 weak, 6 strong, 4 held_out), 0.04 hours"
    assert view["weak"] == (
        "13 clips, 3 of 4 classes have training labels, 13 in all: "
        "tone_high 5, tone_low 4"
    )
    assert view["left out"] == "1 missing, 1 unreadable"
    assert view["faults"] == "1 short"
    assert view["converted"] == "none"
    assert (
        view["class hash"]
        == read_records(str(records_dir)).class_map.content_hash
    )
    assert "held_out_fraction=0.2" in view["records"]
    assert "log_offset=0.01" in view["features"]
    assert "MB in" in view["bytes"]
    assert "KB a clip" in view["bytes"]


def test_the_hash_is_of_the_records_and_not_of_the_place(
    tiny_records_dir, records_dir
):
    found = _view(str(records_dir))["record hash"]
    assert found == _view(tiny_records_dir)["record hash"]
    path = records_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][0]["content_hash"] = "0" * 16
    path.write_text(json.dumps(manifest))
    assert _view(str(records_dir))["record hash"] != found


def test_records_are_verified(records_dir):
    records = read_records(str(records_dir))
    verify_shards(records)
    first, *others = records.shards
    wrong = dataclasses.replace(first, content_hash="0" * 16)
    changed = dataclasses.replace(records, shards=(wrong, *others))
    with pytest.raises(InputError, match="other records than the manifest"):
        verify_shards(changed)


def test_a_flipped_bit_is_found(records_dir):
    records = read_records(str(records_dir))
    path = records.path_of(records.shards[0])
    with open(path, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(InputError, match="is corrupt"):
        verify_shards(records)


def test_the_command(records_dir):
    done = forked.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.records_info",
            f"--records_dir={records_dir}",
            "--verify",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == list(
        describe_folder(str(records_dir), 5)
    )
    assert "Every shard holds what was written" in done.stderr

"""A folder of records that is not whole is refused when it is opened."""

import json
import pathlib
import shutil

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.params import FeatureParams, LabelFrameParams
from audioset_strong.records.manifest import (
    check_no_shared_clips,
    read_records,
    read_segment_ids,
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


def test_the_clips_are_listed(tiny_records_dir):
    assert read_segment_ids(tiny_records_dir) == [
        *(f"train{i:02d}_30000" for i in range(10)),
        *(f"weak{i:02d}_0" for i in range(4)),
    ]


def test_evaluation_clips_in_training_records(tiny_records_dir, tmp_path):
    other = tmp_path / "eval"
    other.mkdir()
    (other / "segment_ids.txt").write_text("new_0\nother_0\n")
    check_no_shared_clips(tiny_records_dir, str(other))
    # train00 is held out; another segment of it counts too.
    (other / "segment_ids.txt").write_text("new_0\ntrain00_5000\n")
    with pytest.raises(
        InputError, match="1 YouTube ids, such as train00, .*--eval_labels"
    ):
        check_no_shared_clips(tiny_records_dir, str(other))
    (other / "segment_ids.txt").unlink()
    with pytest.raises(InputError, match=r"eval holds no segment_ids\.txt"):
        check_no_shared_clips(tiny_records_dir, str(other))

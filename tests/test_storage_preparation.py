"""Preparing from and to object storage gives the records of local files."""

import pathlib
import shutil

import pytest
from tiny_release import prepare_tiny

from audioset_strong import files
from audioset_strong.files import list_files
from audioset_strong.params import RecordParams
from audioset_strong.records.manifest import read_records
from audioset_strong.records.prepare import WorkerParams, prepare_records

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(scope="module")
def remote_release(s3_bucket, tiny_release):
    """The tiny release in a bucket."""
    folder = f"{s3_bucket}/tiny_release"
    for path, _ in list_files(str(tiny_release)):
        name = pathlib.Path(path).relative_to(tiny_release)
        with files.replace_when_whole(f"{folder}/{name}") as temporary:
            shutil.copy(path, temporary)
    return folder


def _prepare(release, output_dir):
    return prepare_records(
        f"{release}/audio",
        [f"{release}/weak.csv"],
        [f"{release}/strong.tsv"],
        f"{release}/classes.csv",
        output_dir,
        RecordParams(held_out_fraction=0.2, clips_per_shard=4),
        workers=WorkerParams(num_workers=1),
    )


def test_records_are_those_of_local_files(
    remote_release, tiny_release, tiny_records_dir, s3_dir, tmp_path
):
    manifest = _prepare(remote_release, s3_dir)
    local = prepare_tiny(tiny_release, tmp_path)
    problems = manifest.pop("label_problems")
    assert [p.replace(remote_release, str(tiny_release)) for p in problems] == (
        local.pop("label_problems")
    )
    assert manifest == local
    found = read_records(s3_dir)
    for shard in read_records(tiny_records_dir).shards:
        expected = (pathlib.Path(tiny_records_dir) / shard.name).read_bytes()
        assert files.read_bytes(found.path_of(shard)) == expected
    names = {path.removeprefix(f"{s3_dir}/") for path, _ in list_files(s3_dir)}
    assert names == {
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if path.is_file()
    }


def test_only_what_is_missing_is_written_again(
    remote_release, s3_dir, monkeypatch
):
    manifest = _prepare(remote_release, s3_dir)
    first, *others = read_records(s3_dir).shards
    files.remove(f"{s3_dir}/{first.name}")
    uploaded = []
    replace_when_whole = files.replace_when_whole

    def note(path):
        uploaded.append(path)
        return replace_when_whole(path)

    monkeypatch.setattr(files, "replace_when_whole", note)
    assert _prepare(remote_release, s3_dir) == manifest
    assert [p for p in uploaded if p.endswith(".tfrecord")] == [
        f"{s3_dir}/{first.name}"
    ]

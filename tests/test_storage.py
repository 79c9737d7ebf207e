"""The same calls on local folders and on S3; boto3 says what is in a bucket."""

import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from audioset_strong import files
from audioset_strong.files import list_files

pytestmark = pytest.mark.xdist_group("s3")
_ROOT = pathlib.Path(__file__).parents[1]

# Names that people, and youtube ids, have.
_ODD_NAMES = (
    "-dash_30.wav",
    "_under.wav",
    "a clip.wav",
    "a+b%20c.wav",
    "#h?q.wav",
    "[x]*.wav",
    "Füße é.wav",
)


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path):
    """An empty folder of either kind."""
    if request.param == "local":
        return str(tmp_path)
    return request.getfixturevalue("s3_dir")


@pytest.fixture
def client(s3_bucket):
    """boto3's client of the server: knows nothing of TensorFlow."""
    boto3 = pytest.importorskip("boto3")
    return boto3.client("s3")


def _write(path, content):
    if not files.is_remote(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with files.replace_when_whole(path) as temporary:
        pathlib.Path(temporary).write_bytes(content)


def _key(path):
    return path.split("/", 3)[3]


@pytest.mark.parametrize("num_bytes", [0, 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_what_is_written_is_read(folder, num_bytes):
    # TensorFlow reads by the MiB; the ends of such pieces are where it fails.
    content = os.urandom(num_bytes)
    _write(f"{folder}/clip.wav", content)
    assert files.read_bytes(f"{folder}/clip.wav") == content
    assert list(files.num_bytes_of([f"{folder}/clip.wav"])) == [num_bytes]


@pytest.mark.parametrize("name", _ODD_NAMES)
def test_odd_names(folder, name):
    _write(f"{folder}/{name}", name.encode())
    assert files.read_bytes(f"{folder}/{name}") == name.encode()
    assert files.exists(f"{folder}/{name}")
    size = len(name.encode())
    assert list(list_files(folder)) == [(f"{folder}/{name}", size)]


def test_an_object_is_what_was_written(s3_dir, client):
    _write(f"{s3_dir}/Füße é.wav", b"one")
    _write(f"{s3_dir}/Füße é.wav", b"second")
    bucket = s3_dir.split("/")[2]
    answer = client.get_object(Bucket=bucket, Key=_key(f"{s3_dir}/Füße é.wav"))
    assert answer["Body"].read() == b"second"
    assert client.list_multipart_uploads(Bucket=bucket).get("Uploads") is None


def test_a_large_object_comes_in_parts(s3_dir, client):
    # tensorflow-io uploads parts of 50 MiB; the last one is short.
    content = os.urandom(1 << 20) * 101
    _write(f"{s3_dir}/large.tfrecord", content)
    bucket, key = s3_dir.split("/")[2], _key(f"{s3_dir}/large.tfrecord")
    tag = client.head_object(Bucket=bucket, Key=key)["ETag"]
    assert tag.strip('"').endswith("-3")
    stored = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert stored == content


def test_after_an_error_the_old_file_stays(folder):
    path = f"{folder}/shard.tfrecord"
    _write(path, b"old")

    def fail_halfway():
        with files.replace_when_whole(path) as temporary:
            pathlib.Path(temporary).write_bytes(b"half")
            temporaries.append(temporary)
            raise KeyboardInterrupt

    temporaries = []
    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert files.read_bytes(path) == b"old"
    assert not os.path.exists(temporaries[0])
    assert list(list_files(folder)) == [(path, 3)]


def test_an_error_before_anything_is_written_passes(folder):
    with (
        pytest.raises(ZeroDivisionError),
        files.replace_when_whole(f"{folder}/shard"),
    ):
        1 / 0  # noqa: B018
    assert not files.exists(f"{folder}/shard")


def test_two_writers_of_one_file_do_not_meet(folder):
    path = f"{folder}/shard.tfrecord"
    with files.replace_when_whole(path) as first:
        pathlib.Path(first).write_bytes(b"first")
        with files.replace_when_whole(path) as second:
            assert second != first
            assert second.endswith(".tfrecord")
            pathlib.Path(second).write_bytes(b"second")
        assert files.read_bytes(path) == b"second"
    assert files.read_bytes(path) == b"first"


def test_what_a_killed_run_left_is_removed(folder, tmp_path, monkeypatch):
    code = (
        f"import os, signal\nfrom audioset_strong import storage\n"
        f"with storage.replace_when_whole({folder + '/shard'!r}) as path:\n"
        f"    open(path, 'w').close()\n"
        f"    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    temporary_dir = tmp_path / "tmp"
    temporary_dir.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=_ROOT,
        env={**os.environ, "TMPDIR": str(temporary_dir)},
    )
    assert done.returncode == -9
    monkeypatch.setattr(tempfile, "tempdir", str(temporary_dir))
    _write(f"{folder}/done", b"1")
    # Of the folder beside it nothing is removed.
    assert files.remove_temporary_files(f"{folder}2") == 0
    assert files.remove_temporary_files(f"{folder}/") == 1
    assert files.remove_temporary_files(folder) == 0
    assert files.exists(f"{folder}/done")
    assert list(temporary_dir.iterdir()) == []


def test_files_are_listed_folder_by_folder(folder):
    names = ["b/d.wav", "b/a/x.wav", "c.wav", "a.wav", "b-.wav"]
    for name in names:
        _write(f"{folder}/{name}", b"12")
    expected = ["a.wav", "b-.wav", "c.wav", "b/d.wav", "b/a/x.wav"]
    assert list(list_files(folder)) == [
        (f"{folder}/{name}", 2) for name in expected
    ]


def test_more_files_than_a_page_are_listed(s3_dir, client):
    # tensorflow-io asks for 100 at a time.
    bucket = s3_dir.split("/")[2]
    names = [f"{i:03d}.wav" for i in range(250)]
    for name in names:
        client.put_object(Bucket=bucket, Key=_key(f"{s3_dir}/{name}"), Body=b"")
    assert list(list_files(s3_dir)) == [
        (f"{s3_dir}/{name}", 0) for name in names
    ]


def test_marker_objects_are_no_files(s3_dir, client):
    # Consoles make empty objects for folders.
    bucket = s3_dir.split("/")[2]
    for key in ("", "empty/", "full/", "full/a.wav"):
        client.put_object(Bucket=bucket, Key=_key(f"{s3_dir}/{key}"), Body=b"")
    assert list(list_files(s3_dir)) == [(f"{s3_dir}/full/a.wav", 0)]


def test_a_whole_bucket_is_listed(client):
    client.create_bucket(Bucket="other-clips")
    assert list(list_files("s3://other-clips")) == []
    _write("s3://other-clips/a.wav", b"1")
    listed = [("s3://other-clips/a.wav", 1)]
    assert list(list_files("s3://other-clips")) == listed
    assert list(list_files("s3://other-clips/")) == listed


def test_a_folder_that_is_not_there(folder):
    missing = f"{folder}/none"
    assert list(list_files(missing)) == []
    assert not files.exists(missing)
    assert list(files.num_bytes_of([missing])) == [None]
    assert files.remove_temporary_files(missing) == 0
    with pytest.raises(FileNotFoundError):
        files.read_bytes(missing)


def test_a_folder_has_no_size(folder):
    _write(f"{folder}/sub/a.wav", b"1")
    assert files.exists(f"{folder}/sub")
    assert list(files.num_bytes_of([f"{folder}/sub"])) == [None]


@pytest.mark.parametrize(
    "call",
    [
        files.read_bytes,
        files.exists,
        files.make_folder,
        lambda path: list(list_files(path)),
        lambda path: _write(path, b"1"),
    ],
)
def test_a_missing_bucket_is_named(s3_bucket, call):
    with pytest.raises(FileNotFoundError, match="bucket") as caught:
        call("s3://no-such-bucket/a/b")
    assert caught.value.filename == "s3://no-such-bucket/a/b"


def test_a_folder_can_be_made(folder):
    files.make_folder(f"{folder}/a/b")
    files.make_folder(f"{folder}/a/b")
    _write(f"{folder}/a/b/c", b"1")


def test_remote_files_are_copied_here(folder, tmp_path):
    _write(f"{folder}/labels.csv", b"12")
    copied = files.local_copy(f"{folder}/labels.csv", str(tmp_path))
    assert pathlib.Path(copied) == tmp_path / "labels.csv"
    assert pathlib.Path(copied).read_bytes() == b"12"


def test_local_calls_need_no_tensorflow(tmp_path):
    code = (
        f"import sys\nfrom audioset_strong import storage\n"
        f"from audioset_strong.storage_listing import list_files\n"
        f"with storage.replace_when_whole({str(tmp_path / 'a')!r}) as path:\n"
        f"    open(path, 'w').close()\n"
        f"print(list(list_files({str(tmp_path)!r})))\n"
        f"sys.exit('tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT)
    assert done.returncode == 0

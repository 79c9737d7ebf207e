"""The same calls on local folders and on S3; output files; clear errors."""

import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from s3_server import environment_of

from audioset_strong import files
from audioset_strong.errors import InputError

_ROOT = pathlib.Path(__file__).parents[1]

# Names that people, and youtube ids, have.
_ODD_NAMES = (
    "-dash_30.wav",
    "a clip.wav",
    "a+b%20c.wav",
    "#h?q.wav",
    "[x]*.wav",
    "a::b.wav",
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
    """boto3's client of the server: knows nothing of fsspec."""
    return pytest.importorskip("boto3").client("s3", region_name="eu-west-3")


def _write(path, content):
    if not files.is_remote(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with files.replace_when_whole(path) as temporary:
        pathlib.Path(temporary).write_bytes(content)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://bucket/clip.wav", True),
        (pathlib.Path("clip.wav"), False),
        ("/a/s3://b", False),
        ("s3:/bucket/clip.wav", False),
        ("C:\\clips", False),
        ("", False),
    ],
)
def test_a_scheme_makes_a_path_remote(path, expected):
    assert files.is_remote(path) == expected


@pytest.mark.parametrize("name", _ODD_NAMES)
def test_what_is_written_is_read(folder, name, tmp_path):
    path = f"{folder}/sub/{name}"
    _write(path, b"old")
    _write(path, name.encode())
    size = len(name.encode())
    assert files.read_bytes(path) == name.encode()
    assert files.exists(path)
    assert files.num_bytes_of([path]) == [size]
    assert files.num_bytes_of([path, f"{folder}/sub/none"]) == [size, None]
    assert files.list_files(folder) == [(path, size)]
    assert files.list_names(f"{folder}/sub") == [name]
    files.copy_here(path, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == name.encode()
    files.remove(path)
    files.remove(path)
    assert not files.exists(path)


def test_folders(folder):
    assert not files.exists(f"{folder}/sub")
    files.make_folder(f"{folder}/sub")
    files.make_folder(f"{folder}/sub")
    _write(f"{folder}/sub/a.wav", b"1")
    assert files.exists(f"{folder}/sub")
    assert files.num_bytes_of([f"{folder}/sub"]) == [None]
    assert files.num_bytes_of([f"{folder}/sub", f"{folder}/a"]) == [None, None]


def test_nothing_is_there(folder, tmp_path):
    missing = f"{folder}/none"
    assert files.list_files(missing) == []
    assert files.list_names(missing) == []
    assert files.remove_temporary_files(missing) == 0
    for call in (
        files.read_bytes,
        lambda path: files.copy_here(path, str(tmp_path / "copy")),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            call(missing)
        assert caught.value.filename == missing


def test_files_are_listed_folder_by_folder(folder):
    names = ["b/d.wav", "b/a/x.wav", "c.wav", "a.wav", "b-.wav"]
    for name in names:
        _write(f"{folder}/{name}", b"12")
    expected = ["a.wav", "b-.wav", "c.wav", "b/d.wav", "b/a/x.wav"]
    assert files.list_files(folder) == [
        (f"{folder}/{name}", 2) for name in expected
    ]
    assert files.list_names(f"{folder}/") == ["a.wav", "b", "b-.wav", "c.wav"]


def test_objects_that_mark_folders_are_no_files(s3_dir, client):
    bucket, key = s3_dir.removeprefix("s3://").split("/", 1)
    for name in ("", "empty/", "full/", "full/a.wav"):
        client.put_object(Bucket=bucket, Key=f"{key}/{name}", Body=b"")
    assert files.list_files(s3_dir) == [(f"{s3_dir}/full/a.wav", 0)]
    assert files.list_names(s3_dir) == ["empty", "full"]


def test_a_whole_bucket_of_several_pages_is_listed(client):
    client.create_bucket(
        Bucket="other-clips",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-3"},
    )
    assert files.list_files("s3://other-clips") == []
    names = [f"{i:02d}.wav" for i in range(50)]
    for name in names:
        client.put_object(Bucket="other-clips", Key=name, Body=b"1")
    # Another process's objects are seen: no listing is kept.
    for folder in ("s3://other-clips", "s3://other-clips/"):
        assert files.list_files(folder) == [
            (f"s3://other-clips/{name}", 1) for name in names
        ]


def test_a_large_object_comes_in_parts(s3_dir, client):
    content = os.urandom(1 << 20) * 101  # s3fs uploads parts of 50 MiB
    _write(f"{s3_dir}/large.tfrecord", content)
    bucket, key = s3_dir.removeprefix("s3://").split("/", 1)
    stored = client.get_object(Bucket=bucket, Key=f"{key}/large.tfrecord")
    assert stored["ETag"].strip('"').endswith("-3")
    assert stored["Body"].read() == content
    assert files.read_bytes(f"{s3_dir}/large.tfrecord") == content
    assert client.list_multipart_uploads(Bucket=bucket).get("Uploads") is None


def test_after_an_error_the_old_file_stays(folder):
    path = f"{folder}/shard.tfrecord"
    _write(path, b"old")

    def fail_halfway():
        with files.replace_when_whole(path) as temporary:
            assert temporary.endswith(".tfrecord")
            pathlib.Path(temporary).write_bytes(b"half")
            # Another writer of the same file has a temporary file of its own.
            _write(path, b"new")
            temporaries.append(temporary)
            raise KeyboardInterrupt

    temporaries = []
    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert files.read_bytes(path) == b"new"
    assert not os.path.exists(temporaries[0])
    assert files.list_files(folder) == [(path, 3)]


def test_what_a_killed_run_left_is_removed(folder, tmp_path, monkeypatch):
    code = (
        f"import os, signal\nfrom audioset_strong import files\n"
        f"with files.replace_when_whole({folder + '/shard'!r}) as path:\n"
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
    assert done.returncode == -signal.SIGKILL
    monkeypatch.setattr(tempfile, "tempdir", str(temporary_dir))
    _write(f"{folder}/done", b"1")
    # In the folder beside it nothing is removed.
    assert files.remove_temporary_files(f"{folder}2") == 0
    assert files.remove_temporary_files(f"{folder}/") == 1
    assert files.remove_temporary_files(folder) == 0
    assert files.exists(f"{folder}/done")
    assert list(temporary_dir.iterdir()) == []


def test_local_calls_need_no_fsspec(tmp_path):
    code = (
        f"import sys\nfrom audioset_strong import files\n"
        f"print(files.list_files({str(tmp_path)!r}))\n"
        f"sys.exit('fsspec' in sys.modules or 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT)
    assert done.returncode == 0


# --- output files ----------------------------------------------------------


def test_an_output_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "out.csv"
    with files.open_output(path) as file:
        file.write("a\r\nb\n")
        assert not path.exists()
    assert path.read_bytes() == b"a\r\nb\n"
    assert list(tmp_path.iterdir()) == [path]
    with files.temporary_path(path) as temporary:
        # The same each time, so that nothing a killed run left piles up.
        assert temporary == str(tmp_path / ".tmp-out.csv")
        pathlib.Path(temporary).write_text("new")
    assert path.read_text() == "new"


def test_an_error_leaves_the_old_output_and_nothing_else(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def write_and_stop():
        with files.open_output(path, "wb") as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    with pytest.raises(FileNotFoundError), files.temporary_path(path):
        pass  # nothing was written
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_links_stay_links_and_devices_are_written(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with files.open_output(tmp_path / "link.csv") as file:
        file.write("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"
    with files.open_output("/dev/null") as file:
        file.write("gone")
    assert not os.path.isfile("/dev/null")


def test_outputs_need_a_local_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, message in (
        (tmp_path / "none" / "a.csv", "none is none. Make it first"),
        ("s3://bucket/a.csv", "local path, found s3://bucket/a.csv"),
    ):
        with pytest.raises(InputError, match=message), files.open_output(path):
            pass
    with pytest.raises(InputError, match="local path, found s3://bucket/out"):
        files.make_output_folder("s3://bucket/out")
    assert list(tmp_path.iterdir()) == []


# --- errors of object storage ----------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        files.read_bytes,
        files.exists,
        files.make_folder,
        files.list_files,
        files.list_names,
        lambda path: files.num_bytes_of([path]),
        lambda path: _write(path, b"1"),
    ],
)
def test_a_missing_bucket_is_named(s3_bucket, call):
    for path in ("s3://no-such-bucket/a/b", "s3://no-such-bucket/a"):
        with pytest.raises(FileNotFoundError) as caught:
            call(path)
        assert (
            caught.value.strerror == "The bucket no-such-bucket does not exist"
        )
        assert caught.value.filename == path


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status that is the bucket's name."""

    def _answer(self):
        self.server.headers_seen.append(dict(self.headers))
        self.send_response(int(self.path.split("/")[1].split("?")[0]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = _answer

    def log_message(self, *_):
        """Keeps the test's output clean."""


@pytest.fixture
def statuses():
    """A server that answers with statuses, and what it was asked with."""
    pytest.importorskip("s3fs")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.headers_seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with environment_of(f"http://127.0.0.1:{server.server_port}") as patch:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield server, patch
    server.shutdown()


def test_errors_are_those_of_files(statuses):
    with pytest.raises(PermissionError, match="Check the credentials, such as"):
        files.read_bytes("s3://403/a.wav")
    with pytest.raises(FileNotFoundError, match="No such object"):
        files.read_bytes("s3://404/a.wav")
    with pytest.raises(OSError, match=r"could not be used \(.*500") as caught:
        files.exists("s3://500/a.wav")
    assert caught.value.filename == "s3://500/a.wav"
    assert "\n" not in caught.value.strerror


def test_the_usual_environment_is_read(statuses, tmp_path):
    server, patch = statuses
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = key-of-lab\naws_secret_access_key = s\n"
    )
    patch.delenv("AWS_ACCESS_KEY_ID")
    patch.setenv("AWS_PROFILE", "lab")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert files.read_bytes("s3://200/a.wav") == b""
    headers = {k.lower(): v for k, v in server.headers_seen[0].items()}
    assert "key-of-lab/" in headers["authorization"]
    assert "/eu-west-3/s3/" in headers["authorization"]


def test_a_server_that_does_not_answer_is_named():
    pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        environment_of(endpoint),
        pytest.raises(OSError, match=f"could not be used .*{endpoint}"),
    ):
        files.read_bytes("s3://clips/a.wav")


def test_forked_processes_do_not_share_connections(s3_dir):
    _write(f"{s3_dir}/a", b"1")
    pid = os.fork()
    if not pid:
        os._exit(files.read_bytes(f"{s3_dir}/a") != b"1")
    assert os.waitpid(pid, 0)[1] == 0
    assert files.read_bytes(f"{s3_dir}/a") == b"1"


def test_an_unknown_scheme_is_refused():
    pytest.importorskip("fsspec")
    with pytest.raises(InputError, match="local path or one of s3, gs.*nfs7:"):
        files.exists("nfs7://server/clips")


@pytest.mark.parametrize(
    ("scheme", "extra"), [("s3", "s3"), ("gs", "gcs"), ("abfs", "azure")]
)
def test_a_missing_package_is_named(monkeypatch, scheme, extra):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=rf"audioset_strong\[{extra}\]"):
        files.read_bytes(f"{scheme}://bucket/clip.wav")


def test_a_lock_in_object_storage(s3_dir, monkeypatch):
    monkeypatch.setattr(files, "_LOCK_RENEWAL_SECONDS", 0.2)
    path = f"{s3_dir}/{files.LOCK_NAME}"
    held = pytest.raises(InputError, match=rf"process {os.getpid()} on .* does")
    with files.hold_lock(s3_dir), held, files.hold_lock(s3_dir):
        pytest.fail("two have it")
    assert not files.exists(path)
    # One that was left is taken over: at once if its process was on this host.
    monkeypatch.setattr(files, "_LOCK_RENEWAL_SECONDS", 1.0)
    left = {"host": "elsewhere", "process": 1, "command": "train", "since": "?"}
    for host, least, most in (("elsewhere", 2.5, 60), (None, 0.0, 2.5)):
        holder = {**left, "host": host or socket.gethostname()}
        if not host:
            process = subprocess.Popen(["true"])
            process.wait()
            holder["process"] = process.pid
        _write(path, json.dumps(holder).encode())
        started = time.monotonic()
        with files.hold_lock(s3_dir):
            assert least < time.monotonic() - started < most
            assert str(os.getpid()).encode() in files.read_bytes(path)
    assert not files.exists(path)

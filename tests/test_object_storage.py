"""Object storage: its environment, its errors, and how processes end.

Settings are read once in a process, so each set of them has a process of its
own. The server here is none of S3's: it answers by the name of the bucket and
remembers what it was asked with.
"""

import errno
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

from audioset_strong.errors import InputError
from audioset_strong.files import (
    clear_storage_errors,
    connect,
    is_remote,
    scheme_of,
)

pytestmark = pytest.mark.xdist_group("s3")
_ROOT = pathlib.Path(__file__).parents[1]
_STATUS_OF_BUCKET = {"denied": 403, "gone": 404, "broken": 500, "good": 206}

# Reads, and asks for, an object of each bucket; prints what came of it.
_CLIENT = """
import json, sys
from audioset_strong import storage
for call in (storage.read_bytes, storage.exists):
    for bucket in sys.argv[1:]:
        try:
            result = str(call(f"s3://{bucket}/a.wav"))
        except OSError as error:
            result = [type(error).__name__, error.strerror, error.filename]
        print(json.dumps(result))
"""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the bucket stands for."""

    def _answer(self):
        self.server.headers_seen.append(dict(self.headers))
        status = _STATUS_OF_BUCKET[self.path.split("/")[1].split("?")[0]]
        content = b"clip" if status == 206 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Range", "bytes 0-3/4")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_GET = do_HEAD = _answer

    def log_message(self, *_):
        """Keeps the test's output clean."""


@pytest.fixture
def server():
    """A server that answers by the name of the bucket."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.headers_seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def _run(code, *arguments, **environment):
    """Runs Python with this environment and no other one of AWS."""
    pytest.importorskip("tensorflow_io")
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "S3_"))
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=_ROOT,
        env={
            **others,
            "NO_PROXY": "127.0.0.1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


def _results(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_errors_are_those_of_files(server):
    buckets = ["denied", "gone", "broken", "good"]
    done = _run(
        _CLIENT,
        *buckets,
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}",
        AWS_ACCESS_KEY_ID="key-of-mine",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_SESSION_TOKEN="token-of-mine",
        AWS_DEFAULT_REGION="eu-west-3",
        AWS_MAX_ATTEMPTS="1",
    )
    results = _results(done)
    for denied, gone, broken, good in (results[:4], results[4:]):
        assert denied[0] == "PermissionError"
        assert "AWS_ACCESS_KEY_ID" in denied[1]
        assert denied[2] == "s3://denied/a.wav"
        assert gone[0] == "FileNotFoundError"
        assert gone[1] == "No such object or bucket"
        assert broken[0] == "OSError"
        assert "S3_ENDPOINT is http://127.0.0.1" in broken[1]
        assert good in ("b'clip'", "True")
    # Nothing of TensorFlow's own words, and no noise beside the results.
    assert "{{" not in done.stdout
    assert "[Op" not in done.stdout
    assert done.stderr == ""
    headers = {k.lower(): v for k, v in server.headers_seen[0].items()}
    assert "key-of-mine/" in headers["authorization"]
    assert "/eu-west-3/s3/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "token-of-mine"


def test_keys_may_come_from_a_profile(server, tmp_path):
    credentials = tmp_path / "credentials"
    credentials.write_text(
        "[lab]\naws_access_key_id = key-of-lab\naws_secret_access_key = s\n"
    )
    done = _run(
        _CLIENT,
        "good",
        # As TensorFlow once read it.
        S3_ENDPOINT=f"127.0.0.1:{server.server_port}",
        S3_USE_HTTPS="0",
        AWS_PROFILE="lab",
        AWS_SHARED_CREDENTIALS_FILE=str(credentials),
        AWS_REGION="us-east-1",
        # This way to download crashes tensorflow-io at the end of a file.
        S3_DISABLE_MULTI_PART_DOWNLOAD="1",
    )
    assert _results(done) == ["b'clip'", "True"]
    assert "key-of-lab/" in server.headers_seen[0]["authorization"]


def test_no_server_is_no_missing_file():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = _run(
        _CLIENT,
        "good",
        S3_ENDPOINT=f"http://127.0.0.1:{port}",
        AWS_ACCESS_KEY_ID="k",
        AWS_SECRET_ACCESS_KEY="s",
        AWS_MAX_ATTEMPTS="1",
    )
    for kind, message, _ in _results(done):
        assert kind == "OSError"
        assert "Couldn't connect to server" in message
        assert f"S3_ENDPOINT is http://127.0.0.1:{port}" in message


def test_a_process_keeps_its_exit_status(server):
    code = (
        "import sys\nfrom audioset_strong import storage\n"
        "storage.read_bytes('s3://good/a.wav')\n"
        "sys.stdout.write('done')\nsys.exit(3)"
    )
    done = _run(
        code,
        S3_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
        AWS_ACCESS_KEY_ID="k",
        AWS_SECRET_ACCESS_KEY="s",
    )
    # Without `_end_without_destructors` 134, which is SIGABRT, and words of it.
    assert done.returncode == 3, done.stderr
    assert done.stdout == "done"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("s3://bucket/clip.wav", "s3"),
        (pathlib.Path("clip.wav"), ""),
        ("/a/s3://b", ""),
        ("s3:/bucket/clip.wav", ""),
        ("C:\\clips", ""),
        ("", ""),
    ],
)
def test_schemes(path, scheme):
    assert scheme_of(path) == scheme
    assert is_remote(path) == (scheme != "")


def test_an_unknown_scheme_is_refused():
    with pytest.raises(InputError, match="no file system for nfs7://"):
        connect("local", "nfs7://server/clips")


def test_without_tensorflow_io_the_package_is_named():
    code = (
        "import sys\nsys.modules['tensorflow_io'] = None\n"
        "from audioset_strong import object_storage\n"
        "object_storage.connect('s3://bucket/clip.wav')\n"
    )
    done = _run(code)
    assert done.returncode == 1
    assert "InputError: s3:// paths need tensorflow-io" in done.stderr
    assert "pip install tensorflow-io" in done.stderr


def test_local_errors_keep_their_number(tmp_path):
    import tensorflow as tf

    path = str(tmp_path / "none")
    with (
        pytest.raises(FileNotFoundError) as caught,
        clear_storage_errors(path),
    ):
        tf.io.gfile.stat(path)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == path


def test_other_errors_pass_through():
    with pytest.raises(ZeroDivisionError), clear_storage_errors("clip.wav"):
        1 / 0  # noqa: B018

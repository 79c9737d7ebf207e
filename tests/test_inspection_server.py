"""The server: ranges, and what it does not give out."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from inspection_examples import IDS, make_inputs

from audioset_strong.inspection.reading import read_inspection
from audioset_strong.inspection.server import InspectionServer
from audioset_strong.labels.problems import ProblemLog


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(
        tmp_path_factory.mktemp("clips"), segment_ids=list(IDS[:2])
    )


@pytest.fixture(scope="module")
def server(inputs):
    with InspectionServer(read_inspection(inputs, ProblemLog())) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server, path, method="GET", **headers):
    """Returns status, headers and content."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    headers = {name.replace("_", "-"): v for name, v in headers.items()}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


@pytest.fixture(scope="module")
def known(server):
    status, headers, content = ask(server, "/clips/0/known")
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    return json.loads(content)


def test_the_page_asks_for_clips(server, known):
    status, headers, page = ask(server, "/")
    assert status == 200
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert b'id="clip-0"' not in page
    assert known["audio"] == "audio.flac"
    status, _, image = ask(server, f"/clips/0/{known['log_mel'][0][0]}")
    assert (status, image[1:4]) == (200, b"PNG")


def test_ranges(server, known):
    path = f"/clips/0/{known['audio']}"
    status, headers, whole = ask(server, path)
    assert (status, whole[:4]) == (200, b"fLaC")
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "audio/flac"
    size = len(whole)
    for asked, start, end in (
        ("bytes=0-99", 0, 100),
        ("bytes=1000-", 1000, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=-{size + 5}", 0, size),
        (f"bytes=10-{size + 99}", 10, size),
    ):
        status, headers, part = ask(server, path, Range=asked)
        assert status == 206
        assert part == whole[start:end]
        assert headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    for asked in (f"bytes={size}-", "bytes=-0", "bytes=9-3"):
        status, headers, _ = ask(server, path, Range=asked)
        assert status == 416
        assert headers["Content-Range"] == f"bytes */{size}"
    for asked in ("bytes=0-1,5-6", "lines=0-1", "bytes=-"):
        assert ask(server, path, Range=asked)[2] == whole
    status, headers, content = ask(server, path, "HEAD", Range="bytes=0-99")
    assert (status, headers["Content-Length"], content) == (206, "100", b"")


def test_nothing_else_is_given_out(server, known, inputs):
    name = os.path.relpath(inputs.scores, server.folder)
    for path in (
        "/clips/2/known",
        "/clips/-1/known",
        "/clips/99999999999999/known",
        "/clips/1/audio.flac",  # is not made before its clip is asked for
        "/clips/0/other.flac",
        "/clips/0/..",
        "/clips/0/../0/audio.flac",
        "/clips/0/%2e%2e/0/audio.flac",
        f"/clips/0/{name}",
        inputs.scores,
        "/clips/0/",
        "/clips",
    ):
        assert ask(server, path)[0] == 404, path
    assert ask(server, "/", "POST")[0] == 501


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1"]
)
def test_a_site_that_names_this_machine_is_refused(server, known, host):
    host = host.format(port=server.server_port)
    for path in ("/", "/clips/0/known", "/clips/0/audio.flac"):
        assert ask(server, path, Host=host)[0] == 421
    host = f"localhost:{server.server_port}"
    assert ask(server, "/", Host=host)[0] == 200


def test_only_this_machine_is_listened_to(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    own = socket.gethostbyname(socket.gethostname())
    if own.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((own, server.server_port), timeout=30)


def test_files_go_with_the_server(inputs):
    with InspectionServer(read_inspection(inputs, ProblemLog())) as server:
        server.known(0)
        assert len(os.listdir(server.folder_of(0))) == 3
    assert not os.path.exists(server.folder)


def test_ctrl_c_ends_the_command(inputs):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "audioset_strong.inspect_clips"),
            "--serve",
            f"--audio_dir={inputs.audio_dir}",
            f"--strong_labels={inputs.strong_labels}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("2 clips at http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "")
    assert "rror" not in err

"""Downloads that are cut off, refused, changed on the way, and go on."""

import json
import os
import socket

import pytest
from label_server import running_server

from audioset_strong.errors import InputError
from audioset_strong.labels.download import (
    DownloadError,
    DownloadParams,
    PartFile,
    fetch,
)

_CONTENT = bytes(range(256)) * 40  # 10,240 bytes, no two blocks alike by place
_OTHER = _CONTENT[::-1]
_PARAMS = DownloadParams(
    timeout_seconds=5, max_attempts=3, first_wait_seconds=0.001, block_bytes=777
)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")  # this machine may have a proxy
    with running_server() as label_server:
        label_server.files["/labels/a.csv"] = _CONTENT
        yield label_server


@pytest.fixture
def part(tmp_path):
    return PartFile(str(tmp_path / "a.csv"))


def _fetch(server, part):
    fetch(f"{server.url}/a.csv", part, _PARAMS)


def _content(part):
    with open(part.path, "rb") as file:
        return file.read()


def test_a_whole_file(server, part, tmp_path):
    _fetch(server, part)
    assert _content(part) == _CONTENT
    assert not (tmp_path / "a.csv").exists()
    assert "Range" not in server.requests[0]
    assert server.requests[0]["User-Agent"].startswith("audioset_strong/")


def test_a_dropped_connection_goes_on_where_it_was(server, part):
    server.bytes_before_drops = [3000, 2000]
    _fetch(server, part)
    assert _content(part) == _CONTENT
    asked = [(r.get("Range"), r.get("If-Range")) for r in server.requests]
    assert asked == [
        (None, None),
        ("bytes=3000-", '"v1"'),
        ("bytes=5000-", '"v1"'),
    ]


def test_attempts_that_bring_something_are_no_failures(server, part):
    # Six drops, and only three attempts in a row may bring nothing.
    server.bytes_before_drops = [1000] * 6
    _fetch(server, part)
    assert _content(part) == _CONTENT
    assert len(server.requests) == 7


def test_a_later_call_goes_on_too(server, part):
    server.bytes_before_drops = [3000, 0, 0]
    with pytest.raises(DownloadError, match=r"3,000 of 10,240 bytes came, aft"):
        _fetch(server, part)
    assert _content(part) == _CONTENT[:3000]
    again = PartFile(part.path.removesuffix(".part"))
    _fetch(server, again)
    assert _content(part) == _CONTENT
    assert server.requests[-1]["Range"] == "bytes=3000-"


def test_a_server_without_ranges_begins_anew(server, part):
    server.has_ranges = False
    server.bytes_before_drops = [3000, 2000]
    _fetch(server, part)
    assert _content(part) == _CONTENT
    assert len(server.requests) == 3


def test_a_server_that_never_sends_all_is_given_up(server, part):
    server.has_ranges = False
    server.bytes_before_drops = [3000] * 9
    with pytest.raises(DownloadError, match="after 3 attempts. Try later"):
        _fetch(server, part)
    # The second and third bring no more than the first had.
    assert len(server.requests) == 3


def test_a_file_that_changed_is_begun_anew(server, part):
    server.bytes_before_drops = [3000, 0, 0]
    with pytest.raises(DownloadError):
        _fetch(server, part)
    server.files["/labels/a.csv"], server.etag = _OTHER, '"v2"'
    _fetch(server, part)
    assert _content(part) == _OTHER


def test_a_changed_file_is_noticed_if_the_server_ignores_if_range(server, part):
    server.bytes_before_drops = [3000, 0, 0]
    with pytest.raises(DownloadError):
        _fetch(server, part)
    server.files["/labels/a.csv"], server.etag = _OTHER, '"v2"'
    server._begin = lambda headers: 3000 if headers.get("Range") else 0
    _fetch(server, part)
    assert _content(part) == _OTHER


def test_a_file_that_became_shorter_is_begun_anew(server, part):
    server.bytes_before_drops = [3000, 0, 0]
    with pytest.raises(DownloadError):
        _fetch(server, part)
    server.files["/labels/a.csv"] = _CONTENT[:100]  # and the same ETag: 416
    _fetch(server, part)
    assert _content(part) == _CONTENT[:100]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_name_of_the_version_nothing_is_continued(server, part, etag):
    server.etag = etag
    server.bytes_before_drops = [3000]
    _fetch(server, part)
    assert _content(part) == _CONTENT
    assert [r.get("Range") for r in server.requests] == [None, None]


def test_a_part_of_another_place_is_not_continued(server, part):
    server.files["/labels/b.csv"] = _OTHER
    server.bytes_before_drops = [3000, 0, 0]
    with pytest.raises(DownloadError):
        _fetch(server, part)
    fetch(f"{server.url}/b.csv", part, _PARAMS)
    assert _content(part) == _OTHER


@pytest.mark.parametrize("note", ["", "{", '{"url": 3', '["x"]', '{"x": 1}'])
def test_a_part_with_a_broken_note_is_not_continued(server, part, note):
    with open(part.path, "wb") as file:
        file.write(b"something else")
    with open(f"{part.path}.json", "w") as file:
        file.write(note)
    _fetch(server, part)
    assert _content(part) == _CONTENT


def test_a_part_that_is_whole_is_not_fetched_again(server, part):
    _fetch(server, part)
    _fetch(server, part)
    assert len(server.requests) == 1


def test_no_length_is_taken_as_it_comes(server, part):
    server.sends_length = False
    _fetch(server, part)
    assert _content(part) == _CONTENT


def test_a_busy_server_is_asked_again(server, part):
    server.statuses = [503, 429]
    _fetch(server, part)
    assert _content(part) == _CONTENT


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "404 Not Found. The file is not there"), (403, "403 Forbidden")],
)
def test_a_refusal_is_final(server, part, status, words):
    server.statuses = [status]
    with pytest.raises(DownloadError, match=words) as error:
        _fetch(server, part)
    assert len(server.requests) == 1
    assert f"{server.url}/a.csv" in str(error.value)
    assert not error.value.concerns_all
    assert isinstance(error.value, InputError)
    assert part.num_bytes == 0


def _unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_nobody_listens(part, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    url = f"http://127.0.0.1:{_unused_port()}/a.csv"
    with pytest.raises(DownloadError, match="was refused") as error:
        fetch(url, part, _PARAMS)
    assert error.value.concerns_all
    assert "\n" not in str(error.value)


def test_no_name_server(part, monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DownloadError, match="no address was found for a.test"):
        fetch("https://a.test/a.csv", part, _PARAMS)


def test_a_silent_server_times_out(part, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    params = DownloadParams(0.05, max_attempts=2, first_wait_seconds=0.001)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.csv"
        with pytest.raises(DownloadError, match="timed out.*after 2 attempts"):
            fetch(url, part, params)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk(server, part):
    os.symlink("/dev/full", part.path)  # takes no byte
    with pytest.raises(
        DownloadError, match="No space left.*Make room"
    ) as error:
        _fetch(server, part)
    assert error.value.concerns_all


def test_errors_of_our_own_files_are_not_taken_for_the_network(server, part):
    os.mkdir(part.path)
    with pytest.raises(IsADirectoryError):
        _fetch(server, part)
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/a", "labels"])
def test_other_schemes_are_refused(part, url):
    with pytest.raises(DownloadError, match="starts with https"):
        fetch(url, part, _PARAMS)


def test_ctrl_c_keeps_what_came(server, part, monkeypatch):
    written = []

    class Progress:
        def __init__(self, **_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, num_bytes):
            written.append(num_bytes)
            if sum(written) > 4000:
                raise KeyboardInterrupt

    monkeypatch.setattr("tqdm.tqdm", Progress)
    with pytest.raises(KeyboardInterrupt):
        _fetch(server, part)
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    assert _content(part) == _CONTENT[: sum(written)]
    _fetch(server, part)
    assert _content(part) == _CONTENT
    assert server.requests[-1]["Range"] == f"bytes={sum(written)}-"


def test_the_finished_part_gets_its_name(server, part, tmp_path):
    _fetch(server, part)
    with open(f"{part.path}.json", encoding="utf-8") as file:
        assert json.load(file) == {
            "url": f"{server.url}/a.csv",
            "validator": '"v1"',
            "num_bytes": 10240,
        }
    part.move_to(str(tmp_path / "a.csv"))
    assert os.listdir(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_bytes() == _CONTENT

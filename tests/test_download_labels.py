"""The download_labels binary, and released_folder.py below it."""

import os
import shutil
import subprocess
import sys

import pytest
from label_server import running_server

from audioset_strong.errors import InputError
from audioset_strong.labels.download import (
    DownloadParams,
    FileCounts,
    ReleasedFile,
    check_files,
    fetch_files,
    result_lines,
    select_files,
)

_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
_EVENTS = (_HEADER + "abcdefghijk_0\t0.000\t1.500\t/m/1\n").encode()
_NAMES = b"/m/1\tSpeech\n/m/2\tDog\n"
_PARAMS = DownloadParams(
    timeout_seconds=5, max_attempts=2, first_wait_seconds=0.001
)


def _files(base_url="http://127.0.0.1:1"):
    return [
        ReleasedFile(
            "events.tsv",
            f"{base_url}/events.tsv",
            "strong",
            FileCounts(1, 1, 1),
        ),
        ReleasedFile(
            "names.tsv",
            f"{base_url}/names.tsv",
            "display_names",
            FileCounts(2, classes=2),
        ),
    ]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with running_server() as label_server:
        label_server.files["/labels/events.tsv"] = _EVENTS
        label_server.files["/labels/names.tsv"] = _NAMES
        yield label_server


def _fetch(server, folder, **kwargs):
    return fetch_files(
        _files(server.url), str(folder), params=_PARAMS, **kwargs
    )


def test_files_are_fetched_once_and_checked(server, tmp_path):
    folder = tmp_path / "new"
    results = _fetch(server, folder)
    assert [(r.state, r.is_ok, r.notes) for r in results] == [
        ("fetched", True, ())
    ] * 2
    assert sorted(os.listdir(folder)) == ["events.tsv", "names.tsv"]
    assert (folder / "events.tsv").read_bytes() == _EVENTS
    again = _fetch(server, folder)
    assert [(r.state, r.counts.rows) for r in again] == [
        ("was there", 1),
        ("was there", 2),
    ]
    assert len(server.requests) == 2


def test_a_mirror(server, tmp_path):
    files = _files("http://127.0.0.1:1/not/asked")
    results = fetch_files(files, str(tmp_path), server.url + "/", _PARAMS)
    assert all(result.is_ok for result in results)


def test_other_counts_are_kept_under_another_name(server, tmp_path):
    server.files["/labels/names.tsv"] = _NAMES + b"/m/3\tCat\n"
    events, names = _fetch(server, tmp_path)
    assert events.is_ok
    assert not names.is_ok
    assert names.state == "unexpected"
    kept = str(tmp_path / "names.tsv.unexpected")
    assert names.notes[:2] == (
        "Expected 2 rows, found 3.",
        "Expected 2 classes, found 3.",
    )
    assert kept in names.notes[-1]
    assert sorted(os.listdir(tmp_path)) == [
        "events.tsv",
        "names.tsv.unexpected",
    ]
    # The next call fetches it again, now right.
    server.files["/labels/names.tsv"] = _NAMES
    assert _fetch(server, tmp_path)[1].state == "fetched"
    assert (tmp_path / "names.tsv").read_bytes() == _NAMES


def test_messages_name_the_file_that_is_there_afterwards(server, tmp_path):
    server.files["/labels/events.tsv"] = b"<html>\n"
    events, _ = _fetch(server, tmp_path)
    assert f"{tmp_path}/events.tsv.unexpected:1: expected" in events.notes[0]


def test_a_file_that_somebody_put_there_is_left(server, tmp_path):
    (tmp_path / "names.tsv").write_bytes(b"/m/1\tSpeech\n")
    _, names = _fetch(server, tmp_path)
    assert names.state == "unexpected"
    assert "Move it away" in names.notes[-1]
    assert (tmp_path / "names.tsv").read_bytes() == b"/m/1\tSpeech\n"


def test_a_missing_file_does_not_stop_the_others(server, tmp_path):
    del server.files["/labels/events.tsv"]
    events, names = _fetch(server, tmp_path)
    assert events.state == "failed"
    assert "404" in events.notes[0]
    assert names.state == "fetched"


def test_no_network_stops_at_once_but_checks_what_is_there(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "names.tsv").write_bytes(_NAMES)
    first, second = _files()
    files = [first, ReleasedFile("more.tsv", first.url, "strong", FileCounts())]
    results = fetch_files([*files, second], str(tmp_path), params=_PARAMS)
    assert [r.state for r in results] == ["failed", "not tried", "was there"]
    assert "was refused" in results[0].notes[0]


def test_checking_only(tmp_path):
    (tmp_path / "names.tsv").write_bytes(_NAMES)
    results = check_files(_files(), str(tmp_path))
    assert [r.state for r in results] == ["not there", "was there"]
    lines = result_lines(results)
    assert lines[0].split() == ["file", "rows", "clips", "classes", "result"]
    assert lines[1].split() == ["events.tsv", "-", "-", "-", "not", "there"]
    assert lines[2].split() == [
        "names.tsv",
        "2",
        "-",
        "2",
        "ok,",
        "was",
        "there",
    ]


def test_choosing_files():
    files = _files()
    assert select_files(files, []) == files
    assert select_files(files, ["names.tsv", "names.tsv"]) == [files[1]]
    with pytest.raises(InputError, match=r"\(events.tsv, names.tsv\).*no.tsv"):
        select_files(files, ["no.tsv"])


def _run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "audioset_strong.download_labels", *flags],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "no_proxy": "*"},
    )


def test_binary_checks_real_files(audioset_labels):
    done = _run(f"--output_dir={audioset_labels}", "--check_only")
    assert done.returncode == 0, done.stderr
    [line] = [x for x in done.stdout.splitlines() if x.startswith("eval_seg")]
    assert line.split()[1:] == [
        "20,371",
        "20,371",
        "527",
        "ok,",
        "was",
        "there",
    ]
    assert done.stdout.count("ok, was there") == 5
    assert "audioset_train_strong.tsv" in done.stdout  # listed as not there
    assert "CC BY 4.0" in done.stdout
    assert "CC BY-SA 4.0" in done.stdout


def test_binary_fails_for_a_file_that_is_not_the_release(
    audioset_labels, tmp_path
):
    name = "mid_to_display_name.tsv"
    shutil.copy(audioset_labels / name, tmp_path)
    with open(tmp_path / name, "a", encoding="utf-8") as file:
        file.write("/m/xyz\tNew class\n")
    done = _run(f"--output_dir={tmp_path}", "--check_only")
    assert done.returncode == 2
    assert "Expected 456 rows, found 457." in done.stderr.splitlines()[-1]


def test_binary_fetches_from_a_mirror_and_says_what_failed(tmp_path):
    with running_server() as server:
        server.files["/labels/ontology.json"] = (
            b'[{"id": "/m/1", "name": "Dog", "child_ids": []}]'
        )
        done = _run(
            f"--output_dir={tmp_path}",
            f"--base_url={server.url}",
            "--files=ontology.json,eval_segments.csv",
        )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "2 of 2 files are not there as the release has them" in last
    assert "Expected 632 rows, found 1." in last
    assert "404 Not Found" in done.stdout
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["ontology.json.unexpected"]

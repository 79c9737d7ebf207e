"""Downloads, checks of label files, and download_labels."""

import json
import os
import shutil
import socket
import sys

import forked
import pytest
from label_server import running_server

from audioset_strong.errors import InputError
from audioset_strong.labels.download import (
    LABEL_LICENCE,
    ONTOLOGY_LICENCE,
    RELEASED_FILES,
    DownloadError,
    DownloadParams,
    FileCounts,
    PartFile,
    ReleasedFile,
    check_file,
    check_files,
    fetch,
    fetch_files,
    result_lines,
    select_files,
)

_CONTENT = bytes(range(256)) * 40  # 10,240 bytes, no two blocks alike by place
_OTHER = _CONTENT[::-1]
_STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
_EVENTS = f"{_STRONG_HEADER}\nabcdefghijk_0\t0.000\t1.500\t/m/1\n".encode()
_NAMES = b"/m/1\tSpeech\n/m/2\tDog\n"
_PARAMS = DownloadParams(
    timeout_seconds=5, max_attempts=3, first_wait_seconds=0.001, block_bytes=777
)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")  # this machine may have a proxy
    with running_server() as label_server:
        label_server.files = {
            "/labels/a.csv": _CONTENT,
            "/labels/events.tsv": _EVENTS,
            "/labels/names.tsv": _NAMES,
        }
        yield label_server


@pytest.fixture
def part(tmp_path):
    return PartFile(str(tmp_path / "a.csv"))


def _fetch_part(server, part):
    fetch(f"{server.url}/a.csv", part, _PARAMS)


def _part_content(part):
    with open(part.path, "rb") as file:
        return file.read()


def test_a_whole_file(server, part, tmp_path):
    _fetch_part(server, part)
    assert _part_content(part) == _CONTENT
    assert not (tmp_path / "a.csv").exists()
    assert "Range" not in server.requests[0]
    assert server.requests[0]["User-Agent"].startswith("audioset_strong/")


def test_a_dropped_connection_goes_on_where_it_was(server, part):
    server.bytes_before_drops = [3000, 2000]
    _fetch_part(server, part)
    assert _part_content(part) == _CONTENT
    asked = [(r.get("Range"), r.get("If-Range")) for r in server.requests]
    assert asked == [
        (None, None),
        ("bytes=3000-", '"v1"'),
        ("bytes=5000-", '"v1"'),
    ]


def test_attempts_that_bring_something_are_no_failures(server, part):
    # Six drops, and only three attempts in a row may bring nothing.
    server.bytes_before_drops = [1000] * 6
    _fetch_part(server, part)
    assert _part_content(part) == _CONTENT
    assert len(server.requests) == 7


def test_a_later_call_goes_on_too(server, part):
    server.bytes_before_drops = [3000, 0, 0]
    with pytest.raises(DownloadError, match=r"3,000 of 10,240 bytes came, aft"):
        _fetch_part(server, part)
    assert _part_content(part) == _CONTENT[:3000]
    again = PartFile(part.path.removesuffix(".part"))
    _fetch_part(server, again)
    assert _part_content(part) == _CONTENT
    assert server.requests[-1]["Range"] == "bytes=3000-"


def test_a_server_that_never_sends_all_is_given_up(server, part):
    server.has_ranges = False
    server.bytes_before_drops = [3000] * 9
    with pytest.raises(DownloadError, match="after 3 attempts. Try later"):
        _fetch_part(server, part)
    # The second and third bring no more than the first had.
    assert len(server.requests) == 3


@pytest.mark.parametrize("change", ["changed", "no If-Range", "cut", "moved"])
def test_a_part_of_another_version_is_begun_anew(server, part, change):
    server.bytes_before_drops = [3000, 0, 0]
    with pytest.raises(DownloadError):
        _fetch_part(server, part)
    expected = _CONTENT[:100] if change == "cut" else _OTHER
    if change == "moved":
        server.files["/labels/b.csv"] = expected
        fetch(f"{server.url}/b.csv", part, _PARAMS)
    else:
        server.files["/labels/a.csv"] = expected
        if change != "cut":  # with the same ETag, and answered by 416
            server.etag = '"v2"'
        if change == "no If-Range":  # the server ignores it
            server._begin = lambda headers: 3000 if headers.get("Range") else 0
        _fetch_part(server, part)
    assert _part_content(part) == expected


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_name_of_the_version_nothing_is_continued(server, part, etag):
    server.etag = etag
    server.bytes_before_drops = [3000]
    _fetch_part(server, part)
    assert _part_content(part) == _CONTENT
    assert [r.get("Range") for r in server.requests] == [None, None]


@pytest.mark.parametrize("note", ["{", '["x"]', '{"x": 1}'])
def test_a_part_with_a_broken_note_is_not_continued(server, part, note):
    with open(part.path, "wb") as file:
        file.write(b"something else")
    with open(f"{part.path}.json", "w") as file:
        file.write(note)
    _fetch_part(server, part)
    assert _part_content(part) == _CONTENT


def test_a_part_that_is_whole_is_not_fetched_again(server, part):
    _fetch_part(server, part)
    with open(f"{part.path}.json", encoding="utf-8") as file:
        assert json.load(file) == {
            "url": f"{server.url}/a.csv",
            "validator": '"v1"',
            "num_bytes": 10240,
        }
    _fetch_part(server, part)
    assert len(server.requests) == 1
    part.discard()
    assert not os.listdir(os.path.dirname(part.path))


def test_no_length_is_taken_as_it_comes(server, part):
    server.sends_length = False
    _fetch_part(server, part)
    assert _part_content(part) == _CONTENT


def test_a_busy_server_is_asked_again(server, part):
    server.statuses = [503, 429]
    _fetch_part(server, part)
    assert _part_content(part) == _CONTENT


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "404 Not Found. The file is not there"), (403, "403 Forbidden")],
)
def test_a_refusal_is_final(server, part, status, words):
    server.statuses = [status]
    with pytest.raises(DownloadError, match=words) as error:
        _fetch_part(server, part)
    assert len(server.requests) == 1
    assert f"{server.url}/a.csv" in str(error.value)
    assert not error.value.concerns_all
    assert isinstance(error.value, InputError)
    assert part.num_bytes == 0


def test_nobody_listens(part, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.csv"
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
        _fetch_part(server, part)
    assert error.value.concerns_all


def test_errors_of_our_own_files_are_not_taken_for_the_network(server, part):
    os.mkdir(part.path)
    with pytest.raises(IsADirectoryError):
        _fetch_part(server, part)
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "labels"])
def test_other_schemes_are_refused(part, url):
    with pytest.raises(DownloadError, match="starts with https"):
        fetch(url, part, _PARAMS)


def test_ctrl_c_keeps_what_came(server, part, monkeypatch):
    written = []

    def update(_, num_bytes):
        written.append(num_bytes)
        if sum(written) > 4000:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tqdm.tqdm.update", update)
        with pytest.raises(KeyboardInterrupt):
            _fetch_part(server, part)
    assert _part_content(part) == _CONTENT[: sum(written)]
    _fetch_part(server, part)
    assert _part_content(part) == _CONTENT
    assert server.requests[-1]["Range"] == f"bytes={sum(written)}-"


_BY_NAME = {released.name: released for released in RELEASED_FILES}
# Two clips, three events, two classes; the events of a_0 end in order.
_STRONG = f"""{_STRONG_HEADER}
abcdefghijk_0\t0.000\t1.500\t/m/1
abcdefghijk_0\t2.000\t3.000\t/m/2
bcdefghijkl_10000\t0.100\t9.000\t/m/1
"""
_WEAK = """# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=2, num_segs=2, num_unique_labels=3, num_positive_labels=4
# YTID, start_seconds, end_seconds, positive_labels
abcdefghijk, 0.000, 10.000, "/m/1,/m/2"
bcdefghijkl, 30.000, 40.000, "/m/2,/m/3"
"""


def test_the_list():
    assert len(_BY_NAME) == len(RELEASED_FILES) == 9
    youtube = "https://storage.googleapis.com/us_audioset/youtube_corpus"
    weak, strong = f"{youtube}/v1/csv/", f"{youtube}/strong/"
    folders = {r.kind: r.url.removesuffix(r.name) for r in RELEASED_FILES}
    assert folders == {
        "strong": strong,
        "framed": strong,
        "display_names": strong,
        "weak": weak,
        "class_map": weak,
        "ontology": "https://raw.githubusercontent.com/audioset/ontology/"
        "master/",
    }
    # The framed file's counts are recalled, all others were counted.
    assert [r.kind for r in RELEASED_FILES if not r.is_verified] == ["framed"]
    licences = {r.kind: r.licence for r in RELEASED_FILES}
    assert licences.pop("ontology") == ONTOLOGY_LICENCE
    assert set(licences.values()) == {LABEL_LICENCE}


@pytest.mark.parametrize(
    ("name", "rows", "clips", "classes", "labels"),
    [
        ("eval_segments.csv", 20371, 20371, 527, 51804),
        ("balanced_train_segments.csv", 22160, 22160, 527, 52882),
        ("class_labels_indices.csv", 527, None, 527, None),
        ("mid_to_display_name.tsv", 456, None, 456, None),
        ("ontology.json", 632, None, 632, None),
    ],
)
def test_real_files(audioset_labels, name, rows, clips, classes, labels):
    check = check_file(str(audioset_labels / name), _BY_NAME[name])
    assert check.counts == FileCounts(rows, clips, classes, labels)
    assert (check.errors, check.warnings) == ((), ())


def test_part_of_a_real_file_is_not_the_file(audioset_labels, tmp_path):
    name = "eval_segments.csv"
    lines = (audioset_labels / name).read_text().splitlines(keepends=True)
    path = tmp_path / name
    path.write_text("".join(lines[:1003]))
    check = check_file(str(path), _BY_NAME[name])
    assert check.counts.rows == 1000
    assert "Expected 20,371 rows, found 1,000." in check.errors
    assert "Expected 20,371 clips, found 1,000." in check.errors
    # The second line says the same, which need not be said twice.
    assert sum("clips" in error for error in check.errors) == 1


def test_an_excerpt_of_the_framed_file_is_only_warned_of(strong_excerpts):
    name = "audioset_eval_strong_framed_posneg"
    check = check_file(
        str(strong_excerpts / f"{name}.gun.tsv"), _BY_NAME[f"{name}.tsv"]
    )
    assert check.counts == FileCounts(807, 196, 3)
    assert check.errors == ()
    assert check.warnings == (
        "Expected 958,528 rows, found 807. That number was not verified.",
        "Expected 14,203 clips, found 196. That number was not verified.",
    )


def _check(tmp_path, text, kind, counts, is_verified=True):
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    released = ReleasedFile(
        "file", "https://a.test/f", kind, counts, is_verified
    )
    return check_file(str(path), released)


def test_strong_counts(tmp_path):
    check = _check(tmp_path, _STRONG, "strong", FileCounts(3, 2, 2))
    assert check.counts == FileCounts(3, 2, 2)
    assert not check.errors
    check = _check(tmp_path, _STRONG, "strong", FileCounts(3, 2, 4))
    assert check.errors == ("Expected 4 classes, found 2.",)


def test_bad_lines_of_the_release_itself_are_only_warned_of(tmp_path):
    # The official file may hold lines that our readers leave out. They count
    # as rows, so with the right number of rows the file is the official one.
    text = _STRONG + "bcdefghijkl_10000\t5.000\t4.000\t/m/1\n"
    check = _check(tmp_path, text, "strong", FileCounts(4, 2, 2))
    assert check.errors == ()
    assert check.warnings[0].startswith("1 lines are left out and 0 look wrong")
    assert "file:5: " in check.warnings[0]
    check = _check(tmp_path, text, "strong", FileCounts(3, 2, 2))
    assert check.errors[0] == "Expected 3 rows, found 4."
    assert "file:5: " in check.errors[1]


def test_bad_lines_of_an_unverified_file_with_other_counts(tmp_path):
    text = _STRONG + "half a li"
    counts = FileCounts(9)
    check = _check(tmp_path, text, "strong", counts, is_verified=False)
    assert check.errors[0] == "Expected 9 rows, found 4."
    check = _check(tmp_path, _STRONG, "strong", counts, is_verified=False)
    assert check.errors == ()


def test_weak_csvs_say_their_own_counts(tmp_path):
    unknown = FileCounts()
    check = _check(tmp_path, _WEAK, "weak", unknown)
    assert check.counts == FileCounts(2, 2, 3, 4)
    assert not check.errors
    last = _WEAK.rindex("bcd")
    check = _check(tmp_path, _WEAK[:last], "weak", unknown)
    where = "(by the file's second line)."
    assert check.errors[:4] == (
        f"Expected 2 rows, found 1 {where}",
        f"Expected 2 clips, found 1 {where}",
        f"Expected 3 classes, found 2 {where}",
        f"Expected 4 labels, found 2 {where}",
    )


@pytest.mark.parametrize(
    "kind",
    ["weak", "strong", "framed", "class_map", "display_names", "ontology"],
)
@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\xff\xfe<html>\n"])
def test_what_is_no_label_file(tmp_path, kind, content):
    check = _check(tmp_path, content, kind, FileCounts(rows=5))
    assert check.errors
    assert all("\n" not in error for error in check.errors)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_file(str(tmp_path / "none"), RELEASED_FILES[0])


def _files(base_url="http://127.0.0.1:1"):
    return [
        ReleasedFile(name, f"{base_url}/{name}", kind, counts)
        for name, kind, counts in (
            ("events.tsv", "strong", FileCounts(1, 1, 1)),
            ("names.tsv", "display_names", FileCounts(2, classes=2)),
        )
    ]


def _fetch(server, folder):
    return fetch_files(_files(server.url), str(folder), params=_PARAMS)


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
    assert set(os.listdir(tmp_path)) == {"events.tsv", "names.tsv.unexpected"}
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
    assert " ".join(lines[0].split()) == "file rows clips classes result"
    assert " ".join(lines[1].split()) == "events.tsv - - - not there"
    assert " ".join(lines[2].split()) == "names.tsv 2 - 2 ok, was there"


def test_choosing_files():
    files = _files()
    assert select_files(files, []) == files
    assert select_files(files, ["names.tsv", "names.tsv"]) == [files[1]]
    with pytest.raises(InputError, match=r"\(events.tsv, names.tsv\).*no.tsv"):
        select_files(files, ["no.tsv"])


def _run(*flags):
    return forked.run(
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
    assert " ".join(line.split()[1:]) == "20,371 20,371 527 ok, was there"
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

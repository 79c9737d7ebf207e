"""What people point `predict` at: each gets a row and a line, and no more."""

import importlib.util
import io
import os
import pathlib
import struct
import tarfile
import threading

import numpy as np
import pytest
from audio_bytes import encode, noise
from fake_model import run_predict

_RATE = 16000
_TONE = 0.3 * np.sin(np.arange(3 * _RATE) * 0.3)


def _wav(samples=_TONE, sample_rate=_RATE, subtype="PCM_16"):
    return encode(samples, sample_rate, "WAV", subtype)


def _float_wav(samples):
    return _wav(samples, subtype="FLOAT")


def _changed(content, at, new):
    return content[:at] + new + content[at + len(new) :]


def _mp3():
    return encode(_TONE, _RATE, "MP3")


def _flac():
    return encode(noise(20 * _RATE), _RATE, "FLAC")


_NAN = _TONE.copy()
_NAN[_RATE] = np.nan
_ANTIPHASE = np.stack([_TONE, -_TONE], axis=1)

# Content of files, and what their row of files.tsv says: what a failure begins
# with, or a note of a file that was scored.
_FAILED = {
    "empty.wav": (b"", "empty_file"),
    "page.flac": (b"<html><body>404 Not Found</body></html>", "unreadable"),
    "nan.wav": (_float_wav(_NAN), "unreadable"),
    "infinite.wav": (_float_wav(np.where(_NAN > 0, np.inf, 0)), "unreadable"),
    "zero_channels.wav": (_changed(_wav(), 22, b"\0\0"), "unreadable"),
    "zero_rate.wav": (_changed(_wav(), 24, bytes(4)), "unreadable"),
    "header_only.wav": (_wav(np.zeros(0)), "empty_file"),
    "half_a_header.wav": (_wav()[:20], "unreadable"),
    "header_only.flac": (_flac()[:80], "unreadable"),
    "noise.mp3": (bytes(range(256)) * 40, "unreadable"),
    "playlist.m3u": (b"#EXTM3U\n/etc/passwd\n", "unreadable"),
    "playlist.wav": (b"#EXTM3U\n#EXTINF:1,x\n/etc/passwd\n", "unreadable"),
    "program.wav": (b"\x7fELF" + bytes(500), "unreadable"),
    "integers_as_floats.wav": (_float_wav(_TONE * 32768), "over_range"),
}
_ODD = {
    "truncated.flac": (_flac()[:200_000], "truncated"),
    "truncated.wav": (_wav()[:-40_000], "truncated"),
    "huge_claim.wav": (
        # An hour, of which three seconds are there.
        _changed(_wav(), 40, struct.pack("<I", 2 * 3600 * _RATE)),
        "truncated",
    ),
    "silent.wav": (_wav(np.zeros(_RATE)), "silent"),
    "constant.wav": (_wav(np.full(_RATE, 0.4)), "silent"),
    "antiphase.wav": (_wav(_ANTIPHASE), "silent"),
    "clipped.wav": (_wav(np.clip(9 * _TONE, -1, 1)), "clipped"),
    "8_khz.wav": (_wav(_TONE, 8000), "low_rate"),
}
_GOOD = {
    "a_tenth_of_a_second.wav": _wav(_TONE[: _RATE // 10]),
    "one_sample.wav": _wav(_TONE[5:6]),
    "six_channels.wav": _wav(noise(192_000, 6), 192_000),
    "upper.WAV": _wav(),
    "named_as_flac.flac": _wav(),
    "no_extension": _wav(),
    "one/dog.wav": _wav(),
    "two/dog.wav": _wav(),
    "two/dog.flac": _flac(),
    "tab\there.wav": _wav(),
    "new\nline.wav": _wav(),
    'say "ah".wav': _wav(),
    "-1abc.wav": _wav(),
    " leading space.wav": _wav(),
    "=1+1.wav": _wav(),
    "ünï 🐕.wav": _wav(),
    os.fsdecode(b"not utf-8 \xff\xfe.wav"): _wav(),
    "x" * 240 + ".wav": _wav(),
}


def _write_all(folder):
    contents = {n: c for part in (_FAILED, _ODD) for n, (c, _) in part.items()}
    for name, content in (contents | _GOOD).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("model").mkdir()
    return tmp_path


@pytest.fixture
def predict(monkeypatch):
    """Runs the command; returns its status and the rows of files.tsv."""

    def run(*arguments, **options):
        status = run_predict(
            monkeypatch,
            ["--model=model", "--output_dir=out", *arguments],
            **options,
        )
        text = pathlib.Path("out/files.tsv").read_text(encoding="utf-8")
        header, *lines = text.split("\n")[:-1]
        columns = header.split("\t")
        rows = [
            dict(zip(columns, line.split("\t"), strict=True)) for line in lines
        ]
        return status, {row["path"]: row for row in rows}

    return run


def test_thirty_bad_files_in_a_folder(here, predict, caplog):
    folder = here / "rec"
    _write_all(folder)
    with caplog.at_level("INFO", logger="absl"):
        status, rows = predict(
            "rec", "--threshold=0", "--formats=tsv,csv,jsonl,audacity,raven"
        )
    assert status == 1
    listed = {
        name: name.replace("\t", "%09").replace("\n", "%0A")
        for name in (*_FAILED, *_ODD, *_GOOD)
        # Nobody takes it for audio in a folder.
        if name != "playlist.m3u"
    }
    listed[os.fsdecode(b"not utf-8 \xff\xfe.wav")] = "not utf-8 %FF%FE.wav"
    listed[" leading space.wav"] = "%20leading space.wav"
    assert set(rows) == {f"rec/{name}" for name in listed.values()}
    assert len({row["segment_id"] for row in rows.values()}) == len(rows)
    for name, (_, reason) in _FAILED.items():
        if name in listed:
            row = rows[f"rec/{name}"]
            assert row["status"] == "failed", name
            assert row["notes"].startswith(f"{reason}: "), row
            assert name in row["notes"]
    for name, (_, note) in _ODD.items():
        row = rows[f"rec/{name}"]
        assert row["status"] == "ok", row
        assert f"{note}: " in row["notes"], row
    for name in _GOOD:
        row = rows[f"rec/{listed[name]}"]
        assert row["status"] == "ok", row
        assert int(row["num_events"]) == 3
    failed = [r for r in caplog.records if "Left out:" in r.getMessage()]
    assert len(failed) == len(_FAILED) - 1
    # One line each, in the log as in the table.
    assert not any("\n" in record.getMessage() for record in caplog.records)
    assert f"Files that failed: {len(_FAILED) - 1} (" in caplog.text
    assert "Files that are odd, but were scored: " in caplog.text
    ids = {
        line.split("\t")[0]
        for line in (here / "out" / "events.tsv").read_text().splitlines()[1:]
    }
    assert ids == {
        row["segment_id"] for row in rows.values() if row["status"] == "ok"
    }


def test_what_is_no_file(here, predict):
    (here / "a.wav").write_bytes(_wav())
    (here / "folder.wav").mkdir()
    os.mkfifo("pipe.wav")
    os.symlink("nowhere.wav", "dead_link.wav")
    os.symlink("loop.wav", "loop.wav")
    (here / "playlist.m3u").write_bytes(_FAILED["playlist.m3u"][0])
    names = {
        "pipe.wav": "unreadable: pipe.wav is not a regular file",
        "/dev/zero": "unreadable: /dev/zero is not a regular file",
        "dead_link.wav": "missing: dead_link.wav",
        "missing.wav": "missing: missing.wav",
        "no/such/folder": "missing: no/such/folder",
        "*.ogg": "missing: *.ogg",
        "loop.wav": "unreadable: loop.wav",
        "a.wav/b.wav": "missing: a.wav/b.wav",
        "n" * 300 + ".wav": "unreadable: nnn",
        "playlist.m3u": "unreadable: playlist.m3u",
    }
    status, rows = predict(*names, "a.wav", "folder.wav")
    assert status == 1
    assert rows.pop("a.wav")["status"] == "ok"
    assert set(rows) == set(names)  # an empty folder has nothing to record
    for name, start in names.items():
        assert rows[name]["status"] == "failed"
        assert rows[name]["notes"].startswith(start), rows[name]


def test_pipes_in_a_folder_do_not_stop_it(here, predict):
    (here / "rec").mkdir()
    (here / "rec" / "a.wav").write_bytes(_wav())
    os.mkfifo("rec/pipe.wav")
    os.mkfifo("rec/pipe")
    found = []
    thread = threading.Thread(
        target=lambda: found.append(predict("rec")), daemon=True
    )
    thread.start()
    thread.join(60)
    [(status, rows)] = found
    assert status == 1
    assert rows["rec/pipe.wav"]["notes"].endswith("is not a regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission(here, predict):
    for name in ("a.wav", "rec/b.wav", "closed/c.wav"):
        path = here / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_wav())
    (here / "rec" / "b.wav").chmod(0)
    (here / "closed").chmod(0)
    try:
        status, rows = predict("a.wav", "rec", "closed")
    finally:
        (here / "closed").chmod(0o700)
    assert status == 1
    assert "Permission denied" in rows["rec/b.wav"]["notes"]


def test_an_error_of_the_system_is_one_row(here, predict, monkeypatch):
    """Stands for missing permission, where tests run as root."""
    (here / "a.wav").write_bytes(_wav())
    (here / "b.wav").write_bytes(_wav())
    real = open

    def refuse(path, *arguments, **options):
        if path == "a.wav":
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    status, rows = predict("a.wav", "b.wav")
    assert status == 1
    assert rows["a.wav"]["notes"].startswith("unreadable: a.wav: ")
    assert "Permission denied" in rows["a.wav"]["notes"]
    assert rows["b.wav"]["status"] == "ok"


def test_members_of_tars_and_broken_ones(here, predict):
    (here / "rec").mkdir()
    (here / "rec" / "bad.tar").write_bytes(b"no tar at all " * 100)
    with tarfile.open("rec/clips.tar", "w") as tar:
        for name, content in (("k1.wav", _wav()), ("k2.flac", b"<html>")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    status, rows = predict("rec", "--threshold=0")
    assert status == 1
    by_id = {row["segment_id"]: row for row in rows.values()}
    assert by_id["clips.tar/k1"]["status"] == "ok"
    assert by_id["clips.tar/k2"]["status"] == "failed"
    assert by_id["rec/bad.tar"]["status"] == "failed"


def test_files_that_only_pyav_reads(here, predict):
    if importlib.util.find_spec("av") is None:
        pytest.skip("PyAV is not installed")
    import av
    from pyav_files import encode_with_pyav

    with av.open("mute.mp4", "w") as output:
        video = output.add_stream("mpeg4", rate=5)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        for number in range(5):
            frame = av.VideoFrame(32, 32, "yuv420p")
            frame.pts = number
            output.mux(video.encode(frame))
        output.mux(video.encode())
    samples = _TONE[:, np.newaxis]
    whole = encode_with_pyav(samples, _RATE, "m4a")
    (here / "whole.m4a").write_bytes(whole)
    (here / "cut.m4a").write_bytes(whole[: len(whole) // 2])
    mp3 = _mp3()
    middle = len(mp3) // 2
    (here / "damaged.mp3").write_bytes(
        _changed(mp3, middle, os.urandom(len(mp3) // 4))
    )
    status, rows = predict("mute.mp4", "whole.m4a", "cut.m4a", "damaged.mp3")
    assert status == 1
    assert rows["mute.mp4"]["notes"].startswith("unreadable: mute.mp4: ")
    assert rows["whole.m4a"]["status"] == "ok"
    assert rows["cut.m4a"]["notes"]
    assert rows["damaged.mp3"]["status"] in ("ok", "failed")


def test_nothing_that_can_be_scored_ends_with_status_2(here, predict):
    status, rows = predict("missing.wav", "gone.flac")
    assert status == 2
    assert {row["status"] for row in rows.values()} == {"failed"}

"""The command `predict`, with a model that is a few lines of NumPy."""

import json
import os
import pathlib
import random
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from fake_model import make_fake_model, run_predict, score_bands

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.labels.clips import read_annotated_clips
from audioset_strong.labels.label_files import read_strong_labels

_ROOT = str(pathlib.Path(__file__).parents[1])
_ALL_FORMATS = (
    "tsv,csv,jsonl,audacity,raven,scores,embeddings,embeddings_parquet"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory: a model's file, and rec/ with three recordings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("1")
    rng = np.random.default_rng(0)
    for number, name in enumerate(("a", "b/a", "-0abc"), start=1):
        path = tmp_path / "rec" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = rng.uniform(-0.3, 0.3, 16000 * number + 100)
        samples[: 8000 * number] = 0
        soundfile.write(path, samples, 16000)
    return tmp_path


@pytest.fixture
def predict(monkeypatch):
    """Runs the command with a fake model."""

    def run(*arguments, **options):
        return run_predict(
            monkeypatch, ["--model=model", *arguments], **options
        )

    return run


def _bytes_of(folder):
    """Content of each file below a folder, but that of the lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def _rows(folder):
    lines = (pathlib.Path(folder) / "files.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    return [
        dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]
    ]


class _KilledError(BaseException):
    """Stands for SIGKILL: no handler of ours takes it."""


def _dying_model(num_patches):
    """A model that is killed when it has scored so many patches."""
    left = [num_patches]

    def score(patches):
        left[0] -= len(patches)
        if left[0] < 0:
            raise _KilledError
        return score_bands(patches)

    return make_fake_model(score)


def _counting_model():
    """A model, and the number of patches that it has scored."""
    count = [0]

    def score(patches):
        count[0] += len(patches)
        return score_bands(patches)

    return make_fake_model(score), count


def test_all_formats_of_a_folder(here, predict, caplog):
    with caplog.at_level("INFO", logger="absl"):
        status = predict("rec", "--output_dir=out", f"--formats={_ALL_FORMATS}")
    assert status == 0
    assert set(_bytes_of("out")) == {
        *("events.tsv", "events.csv", "events.jsonl", "scores.npz"),
        *("files.tsv", "predict.json", "embeddings.parquet"),
        *(f"audacity/{i}.txt" for i in ("a", "b/a", "-0abc")),
        *(f"raven/{i}.selections.txt" for i in ("a", "b/a", "-0abc")),
        *(f"embeddings/{i}.npy" for i in ("a", "b/a", "-0abc")),
    }
    rows = _rows("out")
    assert [row["segment_id"] for row in rows] == ["-0abc", "a", "b/a"]
    assert [row["path"] for row in rows][2] == "rec/b/a.wav"
    assert {row["status"] for row in rows} == {"ok"}
    events = read_strong_labels("out/events.tsv")
    assert len(events) == sum(int(row["num_events"]) for row in rows) > 0
    clips = read_annotated_clips("out/files.tsv")
    assert clips["duration_seconds"].tolist() == pytest.approx(
        [3.006, 1.006, 2.006], abs=1e-3
    )
    summary = json.loads(pathlib.Path("out/predict.json").read_text())
    assert summary["num_files"] == 3
    assert summary["thresholds"] == 0.5
    with np.load("out/scores.npz") as kept:
        assert summary["model"]["hash"] in str(kept["made_from"])
        assert kept["scores"].shape[0] == kept["num_frames"].sum()
    embeddings = np.load("out/embeddings/b/a.npy")
    assert embeddings.shape == (kept_frames(2.006), 6)
    assert "3 files, 6.0 s of audio:" in caplog.text
    assert "times real time" in caplog.text


def kept_frames(seconds):
    """Frames of 0.96 s that hear all of a recording."""
    return int(np.ceil((seconds - 0.015) / 0.96))


def test_names_that_begin_with_a_dash_and_flags_after_files(
    here, predict, monkeypatch
):
    monkeypatch.chdir(here / "rec")
    arguments = ["--model=../model", "--output_dir=../out"]
    assert run_predict(monkeypatch, [*arguments, "-0abc.wav", "a.wav"]) == 0
    assert [row["segment_id"] for row in _rows("../out")] == ["-0abc", "a"]
    arguments = ["--model=../model", "--", "-0abc.wav"]
    assert run_predict(monkeypatch, arguments) == 0


def test_events_are_printed_as_a_table_or_as_tsv(
    here, predict, monkeypatch, capsys
):
    assert predict("rec/a.wav", "rec/b/a.wav") == 0
    out = capsys.readouterr().out
    (here / "printed.tsv").write_text(out)
    printed = read_strong_labels("printed.tsv")
    assert set(printed["segment_id"]) == {"rec/a", "rec/b/a"}
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert predict("rec/a.wav", "--classes=Middle, really") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "rec/a.wav  (1.0 s)"
    assert lines[1].split()[-2:] == ["Middle,", "really"]
    assert len(lines) == 3


def test_without_events_the_highest_scores_are_said(here, predict, caplog):
    with caplog.at_level("INFO", logger="absl"):
        assert predict("rec", "--threshold=1", "--output_dir=out") == 0
    assert "0 events, in 0 of them" in caplog.text
    assert "(threshold 1) High, at 0.96 s of rec/b/a.wav" in caplog.text
    assert {row["num_events"] for row in _rows("out")} == {"0"}


def test_thresholds_of_file_flag_and_model(here, predict, caplog):
    model = make_fake_model(thresholds=(0.0, 1.0, 1.0))

    def classes(*arguments):
        assert predict("rec", "--output_dir=out", *arguments, model=model) == 0
        return set(read_strong_labels("out/events.tsv")["mid"])

    assert classes() == {"/m/low"}
    assert classes("--threshold=0") == {"/m/low", "/m/mid", "/m/high"}
    thresholds = here / "T.csv"
    thresholds.write_text("mid,threshold\n/m/low,1\n/m/mid,0\n/m/x,0.5\n")
    with pytest.raises(InputError, match="1 have none: /m/high"):
        classes("--thresholds=T.csv")
    assert classes("--thresholds=T.csv", "--threshold=0") == {
        "/m/mid",
        "/m/high",
    }
    assert classes("--threshold=0", "--classes=High,/m/low") == {
        "/m/low",
        "/m/high",
    }
    with pytest.raises(InputError, match="'Hihg'"):
        classes("--classes=Hihg")


@pytest.mark.parametrize("num_patches", [0, 1, 3, 4, 6, 8])
def test_a_killed_batch_goes_on_and_gives_the_same_bytes(
    here, predict, num_patches
):
    command = ["rec", f"--formats={_ALL_FORMATS}", "--hop_seconds=0.48"]
    assert predict(*command, "--output_dir=whole") == 0
    with pytest.raises(_KilledError):
        predict(*command, "--output_dir=out", model=_dying_model(num_patches))
    assert not (here / "out" / "files.tsv").exists()
    model, count = _counting_model()
    assert predict(*command, "--output_dir=out", model=model) == 0
    assert _bytes_of("out") == _bytes_of("whole")
    # Whatever was whole was not scored again.
    all_patches = sum(kept_frames_of_hop(s, 0.48) for s in (3, 1, 2))
    done = [kept_frames_of_hop(s, 0.48) for s in (3, 1, 2)]
    whole = [d for d, end in zip(done, np.cumsum(done)) if end <= num_patches]
    assert count[0] == all_patches - sum(whole)


def kept_frames_of_hop(seconds, hop_seconds):
    """Frames that hear all of a recording of `here`."""
    num_samples = 16000 * seconds + 100
    return int(np.ceil((num_samples - 240) / (16000 * hop_seconds)))


def test_a_batch_killed_while_it_writes_results_goes_on(
    here, predict, monkeypatch
):
    command = ["rec", f"--formats={_ALL_FORMATS}"]
    assert predict(*command, "--output_dir=whole") == 0
    replace, num_moves = os.replace, 9

    def replace_and_die(source, target):
        nonlocal num_moves
        if ".predict" in str(source) and "/out/" not in str(source):
            num_moves -= 1
            if num_moves == 0:
                raise _KilledError
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_and_die)
        with pytest.raises(_KilledError):
            predict(*command, "--output_dir=out")
    model, count = _counting_model()
    assert predict(*command, "--output_dir=out", model=model) == 0
    assert _bytes_of("out") == _bytes_of("whole")


def test_other_formats_replace_earlier_ones(here, predict):
    assert predict("rec", "--output_dir=out", "--formats=tsv,audacity") == 0
    (here / "out" / "mine.txt").write_text("mine")
    assert predict("rec", "--output_dir=out", "--formats=raven") == 0
    names = set(_bytes_of("out"))
    assert {n for n in names if n.startswith("raven/")}
    assert {"mine.txt", "files.tsv", "predict.json"} == {
        n for n in names if not n.startswith("raven/")
    }


def test_kept_scores_serve_other_thresholds(here, predict):
    first = ["rec", "--output_dir=out", "--keep_scores"]
    assert predict(*first) == 0
    model, count = _counting_model()
    assert predict(*first, "--threshold=0", model=model) == 0
    assert count[0] == 0
    assert predict("rec", "--output_dir=new", "--threshold=0") == 0
    kept, new = _bytes_of("out"), _bytes_of("new")
    assert {n: c for n, c in kept.items() if ".predict" not in n} == new
    # Scores of another hop are not mixed in, and not lost unasked.
    with pytest.raises(InputError, match=r"hop_seconds \(0.96, now 0.48\)"):
        predict(*first, "--hop_seconds=0.48")
    assert predict(*first, "--hop_seconds=0.48", "--overwrite") == 0


def test_results_of_other_inputs_or_models_are_not_lost_unasked(here, predict):
    assert predict("rec", "--output_dir=out") == 0
    before = _bytes_of("out")
    with pytest.raises(InputError, match="of 2 recordings that are not"):
        predict("rec/a.wav", "--output_dir=out")
    (here / "model" / "weights").write_text("2")
    with pytest.raises(InputError, match="results of another model"):
        predict("rec", "--output_dir=out")
    assert _bytes_of("out") == before
    assert predict("rec/a.wav", "--output_dir=out", "--overwrite") == 0
    # More recordings, by another spelling, lose nothing.
    assert predict("./rec/a.wav", "rec", "--output_dir=out") == 0
    assert len(_rows("out")) == 3
    (here / "other").mkdir()
    (here / "other" / "events.tsv").write_text("mine")
    with pytest.raises(InputError, match="predict did not write it"):
        predict("rec", "--output_dir=other")
    assert (here / "other" / "events.tsv").read_text() == "mine"


def test_a_failed_run_keeps_earlier_results(here, predict, caplog):
    assert predict("rec/a.wav", "--output_dir=out") == 0
    before = _bytes_of("out")
    content = (here / "rec" / "a.wav").read_bytes()
    (here / "rec" / "a.wav").write_bytes(b"")
    assert predict("rec/a.wav", "--output_dir=out") == 2
    after = _bytes_of("out")
    assert {n: c for n, c in after.items() if ".predict" not in n} == before
    assert "Earlier results in out are kept" in caplog.text
    assert predict("rec", "--output_dir=out") == 1
    assert "failed now (rec/a.wav)" in caplog.text
    after = _bytes_of("out")
    assert {n: c for n, c in after.items() if ".predict" not in n} == before
    assert predict("rec", "--output_dir=out", "--overwrite") == 1
    assert len(_rows("out")) == 3
    (here / "rec" / "a.wav").write_bytes(content)
    assert predict("rec/a.wav", "--output_dir=out", "--overwrite") == 0
    before = _bytes_of("out")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "audioset_strong.inference.results.write_event_files", full
        )
        with pytest.raises(OSError, match="No space"):
            predict("rec/a.wav", "--output_dir=out")
    after = _bytes_of("out")
    assert {n: c for n, c in after.items() if ".predict" not in n} == before


def test_a_second_process_is_refused(here, predict):
    (here / "out").mkdir()
    with (
        files.hold_lock("out"),
        pytest.raises(InputError, match="to be the only process"),
    ):
        predict("rec", "--output_dir=out")


def test_a_file_that_changes_while_it_is_read_is_noticed(here, predict):
    def append_and_score(patches):
        with open("rec/a.wav", "ab") as file:
            file.write(bytes(100))
        return score_bands(patches)

    model = make_fake_model(append_and_score)
    assert predict("rec", "--output_dir=out", model=model) == 1
    failed = [row for row in _rows("out") if row["status"] == "failed"]
    assert [row["segment_id"] for row in failed] == ["a"]
    assert failed[0]["notes"].startswith("changed: rec/a.wav was written to")
    # Scores of a file that has changed since are not used.
    assert predict("rec", "--output_dir=out", "--keep_scores") == 0
    soundfile.write("rec/a.wav", np.full(40000, 0.1), 16000)
    model, count = _counting_model()
    assert predict("rec", "--output_dir=out", model=model) == 0
    assert count[0] == 3
    assert _rows("out")[1]["duration_seconds"] == "2.500"


def test_commands_that_cannot_be_meant_are_refused(here, predict):
    with pytest.raises(InputError, match="found 'wav'"):
        predict("rec", "--output_dir=out", "--formats=wav,tsv")
    with pytest.raises(InputError, match="--formats needs --output_dir"):
        predict("rec", "--formats=csv")
    with pytest.raises(InputError, match="hop_seconds"):
        predict("rec", "--hop_seconds=0.05")
    with pytest.raises(InputError, match="threshold must be at"):
        predict("rec", "--threshold=1.5")
    assert not (here / "out").exists()


def test_ctrl_c_says_whether_the_batch_can_go_on(here, predict, capsys):
    def interrupt(patches):
        raise KeyboardInterrupt

    model = make_fake_model(interrupt)
    assert predict("rec", model=model) == 130
    assert "With --output_dir it could go on" in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        predict("rec", "--output_dir=out", model=model)


def _run_command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "audioset_strong.predict", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.slow
def test_the_command_with_an_exported_model(export_dir, tmp_path):
    rng = np.random.default_rng(0)
    good = tmp_path / "-two seconds.wav"
    soundfile.write(good, rng.uniform(-0.5, 0.5, (96000, 2)), 48000)
    (tmp_path / "page.flac").write_text("<html>404</html>")
    finished = _run_command(
        f"--model={export_dir}",
        "--threshold=0",
        *("-two seconds.wav", "page.flac", "missing.wav"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": _ROOT},
    )
    assert finished.returncode == 1, finished.stderr
    assert "unreadable: page.flac" in finished.stderr
    assert "missing: missing.wav" in finished.stderr
    assert "Traceback" not in finished.stderr
    rows = [line.split("\t") for line in finished.stdout.splitlines()[1:]]
    # Each class is one event over all.
    assert [row[:3] for row in rows] == [
        ["-two seconds", "0.000", "2.000"] for _ in range(3)
    ]
    assert {row[3] for row in rows} == {"/m/bell", "/m/dog", "/m/rain"}


def test_folder_that_is_no_export_is_one_clear_line(tmp_path):
    (tmp_path / "a.wav").touch()
    finished = _run_command(f"--model={tmp_path}", str(tmp_path / "a.wav"))
    assert finished.returncode == 2
    assert "holds no model" in finished.stderr.splitlines()[-1]


def _num_finished(output_dir):
    """Recordings whose scores are kept."""
    try:
        text = (output_dir / ".predict" / "finished.jsonl").read_bytes()
    except FileNotFoundError:
        return 0
    return text.count(b"\n")


@pytest.mark.stress
def test_a_thousand_files_killed_at_random_give_the_same_bytes(
    export_dir, tmp_path
):
    rng = random.Random(4)
    samples = np.random.default_rng(4).uniform(-0.3, 0.3, 50000)
    (tmp_path / "rec").mkdir()
    for number in range(1000):
        path = tmp_path / "rec" / f"{number:03d}.wav"
        start = rng.randrange(20000)
        stop = start + rng.randrange(10, 30000)
        soundfile.write(path, samples[start:stop], 16000)
    (tmp_path / "rec" / "page.flac").write_text("<html>")

    def start(name):
        return subprocess.Popen(
            [sys.executable, "-m", "audioset_strong.predict", "rec"]
            + [f"--model={export_dir}", f"--output_dir={name}"]
            + ["--threshold=0.4", f"--formats={_ALL_FORMATS}"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": _ROOT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    assert start("whole").wait(900) == 1
    out, num_killed = tmp_path / "out", 0
    for num_finished in (1, 150, 300, 700, 999, 1000, 1000):
        process = start("out")
        while process.poll() is None and _num_finished(out) < num_finished:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.2))
        num_killed += process.poll() is None
        process.kill()
        process.wait()
    assert num_killed >= 5
    assert start("out").wait(900) == 1
    assert _bytes_of(out) == _bytes_of(tmp_path / "whole")

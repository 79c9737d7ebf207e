import subprocess
import sys

import numpy as np
import soundfile

from audioset_strong.labels.label_files import read_strong_labels


def _predict(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "audioset_strong.predict", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_events_of_good_files_are_written_and_bad_files_named(
    export_dir, tmp_path
):
    rng = np.random.default_rng(0)
    good = tmp_path / "two seconds.wav"
    soundfile.write(good, rng.uniform(-0.5, 0.5, (96000, 2)), 48000)
    bad = tmp_path / "page.flac"
    bad.write_text("<html>404</html>")
    output = tmp_path / "events.tsv"
    finished = _predict(
        f"--saved_model={export_dir}",
        f"--output={output}",
        # Every label frame of every class: what is tested is the way there.
        "--threshold=0",
        str(good),
        str(bad),
        str(tmp_path / "missing.wav"),
    )
    assert finished.returncode == 1
    assert "page.flac" in finished.stderr
    assert "missing.wav" in finished.stderr
    assert "Traceback" not in finished.stderr
    header, *lines = output.read_text().splitlines()
    assert header.split("\t")[-1] == "score"
    rows = [line.split("\t") for line in lines]
    # Each class is one event over all.
    assert [row[:3] for row in rows] == [
        ["two seconds", "0.000", "2.000"] for _ in range(3)
    ]
    assert {row[3] for row in rows} == {"/m/bell", "/m/dog", "/m/rain"}
    # Without the scores and with segment ids it is a strong label file.
    strong = tmp_path / "strong.tsv"
    strong.write_text(
        "\n".join(
            "\t".join(line.split("\t")[:4]).replace("two seconds", "two_0")
            for line in [header, *lines]
        )
        + "\n"
    )
    assert len(read_strong_labels(strong)) == 3


def test_folder_that_is_no_export_is_one_clear_line(tmp_path):
    finished = _predict(
        f"--saved_model={tmp_path}", f"--output={tmp_path}/e.tsv", "a.wav"
    )
    assert finished.returncode == 2
    assert "holds no model" in finished.stderr.splitlines()[-1]
    assert not (tmp_path / "e.tsv").exists()


def test_files_of_one_name_are_refused(tmp_path):
    finished = _predict(
        f"--saved_model={tmp_path}",
        f"--output={tmp_path / 'events.tsv'}",
        "monday/door 7.wav",
        "monday/door 8.wav",
        "tuesday/door 7.flac",
    )
    assert finished.returncode == 2
    assert "found more than one of 'door 7': their" in finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_thresholds_of_classes(export_dir, tmp_path):
    sound = tmp_path / "a.wav"
    soundfile.write(sound, np.full(16000, 0.1), 16000)
    thresholds = tmp_path / "T.csv"
    # The first always, the second never: sigmoids stay below 1 here.
    thresholds.write_text("mid,threshold\n/m/dog,0\n/m/rain,1\n/m/x,0.5\n")
    flags = [
        f"--saved_model={export_dir}",
        f"--output={tmp_path}/e.tsv",
        f"--thresholds={thresholds}",
        str(sound),
    ]
    finished = _predict(*flags)
    assert finished.returncode == 2
    last = finished.stderr.splitlines()[-1]
    assert "1 have none: /m/bell. Choose" in last
    assert not (tmp_path / "e.tsv").exists()
    # Asked for, --threshold is for the classes that the file lacks.
    finished = _predict("--threshold=0", *flags)
    assert finished.returncode == 0, finished.stderr
    assert "T.csv and get 0: /m/bell." in finished.stderr
    assert "the model lacks are not used: /m/x." in finished.stderr
    lines = (tmp_path / "e.tsv").read_text().splitlines()
    assert [line.split("\t")[3] for line in lines[1:]] == ["/m/bell", "/m/dog"]

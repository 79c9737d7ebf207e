"""Figure 1 from files: real, hand-written and simulated clips."""

import subprocess
import sys

import matplotlib.image

_STRONG_HEAD = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"


def _run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.figure1", *flags],
        capture_output=True,
        text=True,
        check=False,
    )


def test_with_audio_weak_and_strong_labels(tiny_release, tmp_path):
    done = _run(
        "--segment_id=train00_30000",
        f"--weak_labels={tiny_release}/weak.csv",
        f"--strong_labels={tiny_release}/strong.tsv",
        f"--class_map={tiny_release}/classes.csv",
        f"--audio_dir={tiny_release}/audio",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 0, done.stderr
    # Two weak labels and three events, as tiny_release.py writes them.
    assert "train00_30000: 2 weak labels, 3 events, 0 explicit" in done.stdout
    assert "explicit negatives are not known" in done.stderr
    assert matplotlib.image.imread(tmp_path / "figure1.png").std() > 0.01


def test_with_framed_labels_and_without_audio(tmp_path):
    strong = [_STRONG_HEAD, "a_0\t1.000\t2.000\t/m/x"]
    framed = [_STRONG_HEAD + "\tpresent"]
    for i in range(10):
        times = f"a_0\t{0.96 * i:.3f}\t{0.96 * (i + 1):.3f}"
        framed.append(f"{times}\t/m/x\t{'' if i == 1 else 'NOT_'}PRESENT")
        framed.append(f"{times}\t/m/y\tNOT_PRESENT")
    (tmp_path / "S.tsv").write_text("\n".join(strong) + "\n")
    (tmp_path / "F.tsv").write_text("\n".join(framed) + "\n")
    done = _run(
        "--segment_id=a_0",
        f"--strong_labels={tmp_path}/S.tsv",
        f"--framed_labels={tmp_path}/F.tsv",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 0, done.stderr
    assert "a_0: 0 weak labels, 1 events, 1 explicit negatives" in done.stdout
    assert "the spectrogram is left out" in done.stderr
    assert (tmp_path / "figure1.png").stat().st_size > 1000


def test_unknown_clip_names_one_that_exists(tiny_release, tmp_path):
    done = _run(
        "--segment_id=gone_0",
        f"--strong_labels={tiny_release}/strong.tsv",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 2
    assert "such as train00_30000. Received: --segment_id=gone_0" in done.stderr
    assert not list(tmp_path.iterdir())


def test_clip_without_audio_is_an_error(tiny_release, tmp_path):
    done = _run(
        "--segment_id=gone00_0",
        f"--weak_labels={tiny_release}/weak.csv",
        f"--strong_labels={tiny_release}/strong.tsv",
        f"--audio_dir={tiny_release}/audio",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 2
    assert "Expected the audio of gone00_0" in done.stderr


def test_real_clip(audioset_labels, strong_excerpts, tmp_path):
    strong = strong_excerpts / "audioset_eval_strong.top110.tsv"
    done = _run(
        "--segment_id=s9d-2nhuJCQ_30000",
        f"--weak_labels={audioset_labels}/eval_segments.csv",
        f"--strong_labels={strong}",
        f"--display_names={audioset_labels}/mid_to_display_name.tsv",
        f"--output={tmp_path}/figure1.png",
    )
    assert done.returncode == 0, done.stderr
    # 7 mids and 6 lines of this clip in the files, counted with grep.
    assert "7 weak labels, 6 events" in done.stdout

"""Runs the whole loop with an installed package, from an empty folder.

    python tests/installed_loop.py

`make test-wheel` runs this with the Python of an environment into which a wheel
was installed without constraints. It needs nothing but the package: no pytest,
no checkout. Every command must end well, and must say what a user waits for;
messages that only a checkout shows are what this is for.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

_COMMAND = pathlib.Path(sys.executable).with_name("audioset-strong")
_LABELS = "release/labels"
_TINY_NETWORK = ["--width=0.125", "--stem_stride=2", "--global_batch_size=8"]

# Verb, arguments, and what it has to say.
_STEPS = [
    (
        ["make_soundscapes", "--num_weak_clips=24", "--num_strong_clips=24"]
        + ["--num_eval_clips=12", "--seed=1", "--output_dir=release"],
        ["Wrote the release to release", "weak: "],
    ),
    (
        ["prepare_records", "--audio_dir=release/audio/train"]
        + [f"--class_map={_LABELS}/class_labels_indices.csv"]
        + [f"--weak_labels={_LABELS}/balanced_train_segments.csv"]
        + [f"--strong_labels={_LABELS}/audioset_train_strong.tsv"]
        + [f"--eval_labels={_LABELS}/eval_segments.csv"]
        + ["--held_out_fraction=0.25", "--output_dir=records/train"],
        ["clips written ("],
    ),
    (
        ["prepare-records", "--audio_dir=release/audio/eval"]
        + [f"--class_map={_LABELS}/class_labels_indices.csv"]
        + [f"--weak_labels={_LABELS}/eval_segments.csv"]
        + [f"--strong_labels={_LABELS}/audioset_eval_strong.tsv"]
        + ["--held_out_fraction=0", "--output_dir=records/eval"],
        ["No --eval_labels", "12 clips written (0 weak, 12 strong"],
    ),
    (
        ["train", "--records_dir=records/train", "--workdir=run"]
        + ["--training_set=strong", "--num_steps=4", *_TINY_NETWORK]
        + ["--log_interval_steps=2", "--checkpoint_interval_steps=4"],
        ["Done. Best checkpoint in run: step 4, validation strong_d_prime "],
    ),
    (
        ["score_records", "--workdir=run", "--records_dir=records/eval"]
        + ["--output=scores.npz"],
        ["12 clips x 10 label frames x 35 classes written to scores.npz"],
    ),
    (
        ["evaluate", "--scores=scores.npz", "--report_dir=report"]
        + [f"--framed_labels={_LABELS}/audioset_eval_strong_framed_posneg.tsv"]
        + [f"--weak_labels={_LABELS}/eval_segments.csv"]
        + ["--num_resamples=100"],
        ["strong explicit ", "report/report.html"],
    ),
    (
        ["export_saved_model", "--workdir=run", "--output_dir=export"],
        ["Exported to export/saved_model.pb; reloaded in a new process"],
    ),
    (
        ["predict", "--model=export", "--output_dir=found"]
        + ["--threshold=0.001", "AUDIO"],
        ["Results are in found", "1 file, 10.0 s of audio: "],
    ),
    # With the small model that is a file of the package.
    (["predict", "AUDIO"], ["No --model", "1 file, 10.0 s of audio: "]),
    (
        ["inspect_clips", "--audio_dir=release/audio/eval"]
        + [f"--strong_labels={_LABELS}/audioset_eval_strong.tsv"]
        + ["--max_clips=2", "--output=clips.html"],
        ["clips.html"],
    ),
]


def _run(arguments: list[str], folder: str) -> tuple[int, str]:
    # Neither the checkout nor the user's own settings help the package.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "TF_"))
    }
    done = subprocess.run(
        [str(_COMMAND), *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def main() -> None:
    """Runs all steps; ends with status 1 at the first that fails."""
    with tempfile.TemporaryDirectory() as folder:
        for arguments, expected in _STEPS:
            if arguments[-1] == "AUDIO":
                audio = sorted(pathlib.Path(folder).glob("release/audio/*/*"))
                arguments = [*arguments[:-1], str(audio[0])]
            print("audioset-strong", *arguments, flush=True)
            status, output = _run(arguments, folder)
            missing = [text for text in expected if text not in output]
            if status or missing or "Traceback" in output:
                print(output)
                sys.exit(f"status {status}; not said: {missing}")
        status, output = _run(["evalute"], folder)
        assert status == 2, output
        assert "Did you mean evaluate?" in output, output
        page = pathlib.Path(folder, "report", "report.html").read_text()
        assert "<style>" in page, "the page lacks its package files"
        assert pathlib.Path(folder, "found", "events.tsv").stat().st_size
    print("The installed package runs the whole loop.")


if __name__ == "__main__":
    main()

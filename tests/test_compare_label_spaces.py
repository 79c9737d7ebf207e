"""The compare_label_spaces command, on the released files."""

import json
import subprocess
import sys

import pandas as pd

from audioset_strong.labels.class_map import read_class_map


def _run(*arguments):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "audioset_strong.compare_label_spaces",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_released_files(audioset_labels, strong_excerpts, tmp_path):
    framed = strong_excerpts / "audioset_eval_strong_framed_posneg.gun.tsv"
    done = _run(
        f"--class_map={audioset_labels / 'class_labels_indices.csv'}",
        f"--display_names={audioset_labels / 'mid_to_display_name.tsv'}",
        f"--ontology={audioset_labels / 'ontology.json'}",
        f"--framed_labels={framed}",
        f"--output_dir={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    counts = dict(line.split() for line in lines[: lines.index("")])
    assert counts["weak"] == "527"
    assert counts["strong"] == "456"
    assert counts["strong_and_weak"] == "382"
    assert counts["strong_not_weak"] == "74"
    assert counts["strong_not_ontology"] == "32"
    assert counts["renamed"] == "12"
    # The excerpt of the framed file holds no negatives.
    assert counts["evaluable"] == "0"
    # Needs files that were not given.
    assert "strong_train" not in counts
    assert "  /m/0j6m2      Stream -> Stream, river" in lines

    table = pd.read_csv(tmp_path / "classes.csv")
    assert table["class_index"].dropna().tolist() == list(range(527))
    content = json.loads((tmp_path / "label_sets.json").read_text())
    sets = content["sets"]
    class_map = read_class_map(audioset_labels / "class_labels_indices.csv")
    assert content["class_map_hash"] == class_map.content_hash
    assert sets["weak"]["mids"] == sorted(class_map.mids)

    # A set has the same hash whatever it is compared with.
    again = _run(
        f"--display_names={audioset_labels / 'mid_to_display_name.tsv'}",
        f"--output_dir={tmp_path / 'again'}",
    )
    assert again.returncode == 0, again.stderr
    alone = json.loads((tmp_path / "again" / "label_sets.json").read_text())
    assert alone["sets"]["strong"] == sets["strong"]
    assert {s: v["num_classes"] for s, v in sets.items()} == {
        s: int(count) for s, count in counts.items()
    }


def test_strong_files_give_train_and_eval_classes(tmp_path):
    header = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
    for name, mids in (("train", "xy"), ("eval", "yz")):
        rows = "".join(f"a_0\t0.000\t1.000\t/m/{mid}\n" for mid in mids)
        (tmp_path / f"{name}.tsv").write_text(header + rows)
    done = _run(
        f"--strong_train_labels={tmp_path / 'train.tsv'}",
        f"--strong_eval_labels={tmp_path / 'eval.tsv'}",
        f"--output_dir={tmp_path / 'out'}",
    )
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "label_sets.json").read_text())
    assert content["class_map_hash"] is None
    assert {n: found["mids"] for n, found in content["sets"].items()} == {
        "strong_train": ["/m/x", "/m/y"],
        "strong_eval": ["/m/y", "/m/z"],
        "common": ["/m/y"],
        "strong_train_only": ["/m/x"],
        "strong_eval_only": ["/m/z"],
    }


def test_nothing_to_compare(tmp_path):
    done = _run(f"--output_dir={tmp_path}")
    assert done.returncode == 2
    assert "expected at least one file" in done.stderr.lower()

"""Label spaces of the released files, counted, and compare_label_spaces."""

import json
import sys

import forked
import pandas as pd
import pytest

from audioset_strong.errors import InputError
from audioset_strong.label_analysis.label_spaces import (
    count_label_sets,
    evaluable_mids,
    label_space_table,
    select_label_set,
)
from audioset_strong.labels.class_map import ClassMap, read_class_map
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.ontology import MUSIC_MID, Ontology, read_ontology

_MAP = ClassMap(("/m/a", "/m/b"), ("A", "B"))
_NAMES = {"/m/b": "B, wider", "/m/c": "C"}


@pytest.fixture(scope="module")
def released(audioset_labels, strong_excerpts):
    """The table of the released files."""
    # How often each class has events in the whole release; the strong TSVs
    # themselves are larger than what tests can have.
    counts = pd.read_csv(
        strong_excerpts / "class_counts.full_release.tsv", sep="\t"
    ).set_index("class_id")
    return label_space_table(
        read_class_map(audioset_labels / "class_labels_indices.csv"),
        read_display_names(audioset_labels / "mid_to_display_name.tsv"),
        read_ontology(audioset_labels / "ontology.json"),
        counts.index[counts["train_event_count"] > 0],
        counts.index[counts["eval_event_count"] > 0],
    )


def test_small_table():
    ontology = Ontology(
        {MUSIC_MID: "Music", "/m/b": "B", "/m/d": "D"},
        {MUSIC_MID: ("/m/b",)},
        {"/m/d": ("abstract", "blacklist")},
    )
    table = label_space_table(
        _MAP, _NAMES, ontology, ["/m/b", "/m/x"], ["/m/c"], ["/m/b"]
    )
    assert table["mid"].tolist() == [
        *("/m/a", "/m/b", "/m/c", MUSIC_MID, "/m/d", "/m/x"),
    ]
    row = table.set_index("mid").loc["/m/b"]
    assert row[["weak_name", "strong_name", "ontology_name"]].tolist() == [
        *("B", "B, wider", "B"),
    ]
    flags = table.columns[4:]
    found = {
        mid: [flag for flag in flags if row[flag]]
        for mid, row in table.set_index("mid").iterrows()
    }
    assert found == {
        "/m/a": ["in_weak"],
        "/m/b": [
            *("in_weak", "in_strong", "in_strong_train", "in_ontology"),
            *("is_renamed", "is_evaluable", "is_music_descendant"),
        ],
        "/m/c": ["in_strong", "in_strong_eval"],
        MUSIC_MID: ["in_ontology"],
        "/m/d": ["in_ontology", "is_abstract", "is_blacklisted"],
        # Has events, but no name in any file.
        "/m/x": ["in_strong_train"],
    }


def test_what_was_not_given_is_missing():
    table = label_space_table(_MAP, _NAMES)
    assert table["in_ontology"].isna().all()
    assert count_label_sets(table) == {
        "weak": 2,
        "strong": 2,
        "strong_and_weak": 1,
        "strong_not_weak": 1,
        "renamed": 1,
        "weak_not_strong": 1,
    }
    with pytest.raises(InputError, match=r"needs the files for \['in_ontology"):
        select_label_set(table, "strong_not_ontology")
    with pytest.raises(InputError, match="Received: 'new'"):
        select_label_set(table, "new")
    assert count_label_sets(label_space_table()) == {}


def test_evaluable_classes_have_both_kinds_of_label_frames():
    framed = pd.DataFrame(
        {
            "segment_id": "a_0",
            "label_frame": [0, 1, 0, 0],
            "mid": ["/m/b", "/m/b", "/m/a", "/m/c"],
            "is_present": [True, False, True, False],
        }
    )
    assert evaluable_mids(framed) == ["/m/b"]
    assert evaluable_mids(framed[:0]) == []


def test_sets_of_the_release(released):
    counts = count_label_sets(released)
    # Of the paper: 527 classes, of which 151 have no strong training label.
    assert counts["weak"] == 527
    assert counts["strong_train_and_weak"] == 527 - 151
    # Of the release, counted by others too: facts of the label files.
    expected = {
        "strong": 456,
        "strong_train": 447,
        "strong_eval": 416,
        "common": 407,
        "strong_train_only": 40,
        "strong_eval_only": 9,
        "strong_without_events": 0,
        "strong_and_weak": 382,
        "strong_eval_and_weak": 381,
        "common_and_weak": 375,
        "strong_not_weak": 74,
        "strong_train_not_weak": 71,
        "strong_eval_not_weak": 35,
        "strong_not_ontology": 32,
        "renamed": 12,
        "weak_not_strong": 145,
        "weak_not_strong_music": 137,
        "weak_not_strong_other": 8,
        "strong_music": 12,
        "strong_abstract": 15,
        "strong_blacklisted": 13,
        "ontology": 632,
    }
    assert {name: counts[name] for name in expected} == expected
    # All of the 527 and 456, and of the ontology: 632 nodes and 32 others.
    assert len(released) == 632 + 32


def test_names_of_small_sets(released):
    others = select_label_set(released, "weak_not_strong_other")
    assert set(others["weak_name"]) == {
        *("Chatter", "Goose", "Rustling leaves", "Toot", "Skidding"),
        *("Harmonic", "Sidetone", "Pink noise"),
    }
    renamed = select_label_set(released, "renamed")
    names = dict(zip(renamed["weak_name"], renamed["strong_name"]))
    assert names["Stream"] == "Stream, river"
    assert names["Duck"] == "Ducks, geese, waterfowl"
    # The ontology has the weak names.
    assert (renamed["ontology_name"] == renamed["weak_name"]).all()


def _run(*flags):
    command = [sys.executable, "-m", "audioset_strong.compare_label_spaces"]
    return forked.run([*command, *flags], capture_output=True, text=True)


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
    assert counts["strong_and_weak"] == "382"
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

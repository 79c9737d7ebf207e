r"""Says which classes the released files share, and tabulates every class.

    python -m audioset_strong.compare_label_spaces \
        --class_map=labels/class_labels_indices.csv \
        --display_names=labels/mid_to_display_name.tsv \
        --ontology=labels/ontology.json \
        --strong_train_labels=labels/audioset_train_strong.tsv \
        --strong_eval_labels=labels/audioset_eval_strong.tsv \
        --framed_labels=labels/audioset_eval_strong_framed_posneg.tsv \
        --output_dir=label_spaces

Every input is optional; sets that need a missing file are left out. Prints how
many classes each set has (527 weak, 456 strong, ...) and lists what surprises
people: classes that were renamed, and strong classes outside the weak release
or the ontology. Writes to --output_dir:

    classes.csv      every mid: its class index, names, and which sets it is in
    label_sets.json  the mids of each set, sorted, with their number and a hash;
                     and the hash of the class map, which depends on its order

Classes are joined on mid, never on display name. Needs no TensorFlow.
"""

import json
import os
from collections.abc import Sequence

import pandas as pd
from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.label_analysis.label_spaces import (
    count_label_sets,
    evaluable_mids,
    label_space_table,
    select_label_set,
)
from audioset_strong.labels.class_map import (
    ClassMap,
    hash_of_mids,
    read_known_classes,
)
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_strong_labels,
)
from audioset_strong.labels.ontology import read_ontology
from audioset_strong.labels.problems import ProblemLog

_CLASS_MAP = run_flags.define_class_map()
_DISPLAY_NAMES = flags.DEFINE_string(
    "display_names", None, "mid_to_display_name.tsv: the strong classes."
)
_ONTOLOGY = flags.DEFINE_string("ontology", None, "ontology.json.")
_STRONG_TRAIN_LABELS = flags.DEFINE_string(
    "strong_train_labels", None, "audioset_train_strong.tsv."
)
_STRONG_EVAL_LABELS = flags.DEFINE_string(
    "strong_eval_labels", None, "audioset_eval_strong.tsv."
)
_FRAMED_LABELS = flags.DEFINE_string(
    "framed_labels", None, "Framed TSV, for the classes that can be evaluated."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for the tables.", required=True
)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()

# Sets whose classes are printed, with a heading.
_PRINTED_SETS = {
    "renamed": "Renamed: one mid, two names",
    "strong_not_weak": "Strong classes outside the weak release",
    "strong_not_ontology": "Strong classes outside the ontology",
}


def _read_table(problems: ProblemLog) -> tuple[pd.DataFrame, ClassMap | None]:
    """Reads what was given and puts the label spaces side by side."""
    known = read_known_classes(_CLASS_MAP.value, _DISPLAY_NAMES.value, problems)
    names = known.mids_of_name()
    train, evaluation, framed = (
        read(path, problems, names=names) if path else None
        for read, path in (
            (read_strong_labels, _STRONG_TRAIN_LABELS.value),
            (read_strong_labels, _STRONG_EVAL_LABELS.value),
            (read_framed_labels, _FRAMED_LABELS.value),
        )
    )
    table = label_space_table(
        known.class_map,
        known.display_names if _DISPLAY_NAMES.value else None,
        read_ontology(_ONTOLOGY.value) if _ONTOLOGY.value else None,
        None if train is None else set(train["mid"]),
        None if evaluation is None else set(evaluation["mid"]),
        None if framed is None else evaluable_mids(framed),
    )
    return table, known.class_map


def main(argv: Sequence[str]) -> None:
    """Tabulates, writes, and prints the sets."""
    run_flags.refuse_arguments(argv)
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    table, class_map = _read_table(problems)
    problems.report()
    if not len(table):
        raise InputError("Expected at least one file with classes, found none.")
    counts = count_label_sets(table)
    _write(table, class_map, counts)
    width = max(map(len, counts))
    for name, count in counts.items():
        print(f"{name:<{width}}  {count:>4}")
    for name, heading in _PRINTED_SETS.items():
        if name in counts:
            print(f"\n{heading} ({counts[name]}):")
            rows = select_label_set(table, name)
            columns = (rows["mid"], rows["weak_name"], rows["strong_name"])
            for mid, weak_name, strong_name in zip(*columns, strict=True):
                names = dict.fromkeys(n for n in (weak_name, strong_name) if n)
                print(f"  {mid:<13} {' -> '.join(names)}")
    print(f"\nTables: {_OUTPUT_DIR.value}")


def _write(
    table: pd.DataFrame, class_map: ClassMap | None, counts: dict[str, int]
) -> None:
    """Writes the table of classes and the list of sets."""
    make_output_folder(_OUTPUT_DIR.value)
    if class_map is not None:
        index = table["mid"].map(class_map.index_of_mid).astype("Int64")
        table = table.assign(class_index=index)
    with open_output(os.path.join(_OUTPUT_DIR.value, "classes.csv")) as file:
        table.to_csv(file, index=False, lineterminator="\n")
    sets = {}
    for name in counts:
        # Sorted, so that a set has one hash whatever else was compared.
        mids = sorted(select_label_set(table, name)["mid"])
        sets[name] = {
            "num_classes": len(mids),
            "set_hash": hash_of_mids(mids),
            "mids": mids,
        }
    content = {
        "class_map_hash": class_map and class_map.content_hash,
        "sets": sets,
    }
    path = os.path.join(_OUTPUT_DIR.value, "label_sets.json")
    with open_output(path) as file:
        file.write(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    run_flags.run(main)

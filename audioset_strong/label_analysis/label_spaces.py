"""Label spaces: which classes the released files share, mid by mid.

The weak and the strong release, the ontology and the framed labels each have
their own list of classes. `label_space_table` puts them side by side, one row a
mid; `LABEL_SETS` defines the sets that matter; `count_label_sets` counts them.
Every input is optional: flags of what was not given are missing (`pd.NA`), and
so are the sets that need them.

Display names are shown and never joined on: twelve mids changed theirs.
"""

import re
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.ontology import MUSIC_MID, Ontology

# Which classes are in each set, by the flags of `label_space_table`.
LABEL_SETS = {
    "weak": "in_weak",
    "strong": "in_strong",
    "strong_train": "in_strong_train",
    "strong_eval": "in_strong_eval",
    "ontology": "in_ontology",
    # Common to the strong training and evaluation labels.
    "common": "in_strong_train & in_strong_eval",
    "strong_train_only": "in_strong_train & ~in_strong_eval",
    "strong_eval_only": "in_strong_eval & ~in_strong_train",
    "strong_without_events": "in_strong & ~in_strong_train & ~in_strong_eval",
    "strong_and_weak": "in_strong & in_weak",
    "strong_train_and_weak": "in_strong_train & in_weak",
    "strong_eval_and_weak": "in_strong_eval & in_weak",
    "common_and_weak": "in_strong_train & in_strong_eval & in_weak",
    "strong_not_weak": "in_strong & ~in_weak",
    "strong_train_not_weak": "in_strong_train & ~in_weak",
    "strong_eval_not_weak": "in_strong_eval & ~in_weak",
    "strong_not_ontology": "in_strong & ~in_ontology",
    "renamed": "is_renamed",
    "weak_not_strong": "in_weak & ~in_strong",
    "weak_not_strong_music": "in_weak & is_music_descendant & ~in_strong",
    "weak_not_strong_other": "in_weak & ~in_strong & ~is_music_descendant",
    "strong_music": "in_strong & is_music_descendant",
    "strong_abstract": "in_strong & is_abstract",
    "strong_blacklisted": "in_strong & is_blacklisted",
    "evaluable": "is_evaluable",
    "evaluable_and_weak": "is_evaluable & in_weak",
    "evaluable_not_weak": "is_evaluable & ~in_weak",
}


def label_space_table(
    class_map: ClassMap | None = None,
    strong_names: Mapping[str, str] | None = None,
    ontology: Ontology | None = None,
    strong_train_mids: Collection[str] | None = None,
    strong_eval_mids: Collection[str] | None = None,
    evaluable: Collection[str] | None = None,
) -> pd.DataFrame:
    """Puts the label spaces side by side; each input is optional.

    Args:
      class_map: Classes of the weak release, class_labels_indices.csv.
      strong_names: Display names of the strong release's classes,
        mid_to_display_name.tsv.
      ontology: ontology.json.
      strong_train_mids: Mids with an event in audioset_train_strong.tsv.
      strong_eval_mids: Mids with an event in audioset_eval_strong.tsv.
      evaluable: Classes that can be evaluated (`evaluable_mids`).

    Returns:
      One row a mid of any input: those of the class map in its order, then the
      others of strong_names, of the ontology, and of the rest. `mid`,
      `weak_name`, `strong_name` and `ontology_name` str, "" where there is
      none; and flags, boolean with `pd.NA` where an input was not given:
      `in_weak`, `in_strong`, `in_strong_train`, `in_strong_eval`,
      `in_ontology`, `is_renamed` (its weak and strong names differ),
      `is_evaluable`, `is_music_descendant`, `is_abstract`, `is_blacklisted`.
    """
    weak_names = ontology_names = renamed = None
    music = abstract = blacklisted = None
    if class_map is not None:
        weak_names = dict(zip(class_map.mids, class_map.display_names))
    if ontology is not None:
        ontology_names = ontology.display_names
        music = ontology.descendants(MUSIC_MID)
        marks = ontology.restrictions.items()
        abstract = {mid for mid, found in marks if "abstract" in found}
        blacklisted = {mid for mid, found in marks if "blacklist" in found}
    if weak_names is not None and strong_names is not None:
        shared = weak_names.keys() & strong_names.keys()
        renamed = {m for m in shared if weak_names[m] != strong_names[m]}
    names = {
        "weak_name": weak_names or {},
        "strong_name": strong_names or {},
        "ontology_name": ontology_names or {},
    }
    flags: dict[str, Collection[str] | None] = {
        "in_weak": weak_names,
        "in_strong": strong_names,
        "in_strong_train": strong_train_mids,
        "in_strong_eval": strong_eval_mids,
        "in_ontology": ontology_names,
        "is_renamed": renamed,
        "is_evaluable": evaluable,
        "is_music_descendant": music,
        "is_abstract": abstract,
        "is_blacklisted": blacklisted,
    }
    # Every mid once, in the order that the docstring states.
    ordered = [mid for name_of_mid in names.values() for mid in name_of_mid]
    for members in flags.values():
        ordered += sorted(() if members is None else members)
    mids = list(dict.fromkeys(ordered))
    columns = {"mid": pd.Series(mids, dtype=object)}
    for column, name_of_mid in names.items():
        found = [name_of_mid.get(mid, "") for mid in mids]
        columns[column] = pd.Series(found, dtype=object)
    for column, members in flags.items():
        is_member = pd.Series(pd.NA, index=range(len(mids)), dtype="boolean")
        if members is not None:
            is_member[:] = columns["mid"].isin(list(members))
        columns[column] = is_member
    return pd.DataFrame(columns)


def evaluable_mids(framed: pd.DataFrame) -> list[str]:
    """Returns the sorted mids with a positive and a negative label frame.

    Section 3.3 of the paper has 356 such classes and does not list them; they
    follow from the released framed file.
    """
    is_present = framed["is_present"].to_numpy()
    mids = framed["mid"].to_numpy()
    both = set(mids[is_present]) & set(mids[~is_present])
    return sorted(str(mid) for mid in both)


def select_label_set(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Returns the rows of one of `LABEL_SETS`.

    Raises:
      InputError: There is no such set, or an input that it needs was not given.
    """
    if name not in LABEL_SETS:
        raise InputError(
            f"Expected a label set of {sorted(LABEL_SETS)}. Received: {name!r}."
        )
    missing = _missing_flags(table, name)
    if missing:
        raise InputError(
            f"The label set {name!r} needs the files for {missing}. Give them "
            f"to label_space_table."
        )
    flags = table[_flags_of_set(name)].astype(bool)
    is_member = np.asarray(flags.eval(LABEL_SETS[name], engine="python"))
    return table[is_member].reset_index(drop=True)


def _flags_of_set(name: str) -> list[str]:
    return re.findall(r"\w+", LABEL_SETS[name])


def _missing_flags(table: pd.DataFrame, name: str) -> list[str]:
    """Lists the flags of a set whose inputs were not given."""
    return [f for f in _flags_of_set(name) if table[f].isna().all()]


def count_label_sets(table: pd.DataFrame) -> dict[str, int]:
    """Counts the classes of each of `LABEL_SETS` whose files were given."""
    return {
        name: len(select_label_set(table, name))
        for name in LABEL_SETS
        if not _missing_flags(table, name)
    }

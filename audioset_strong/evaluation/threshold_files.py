r"""Threshold files: one threshold a class, written once, read by `predict`.

A CSV whose first line is a comment that holds the settings as JSON:

    # {"class_map_hash": "...", "scores": "val.npz", ...}
    mid,display_name,threshold,f1,precision,recall,num_positives,...
    /m/0bt9lr,Dog,0.3125,0.71,0.75,0.67,120,4013,

Columns are those of `thresholds.choose_thresholds`; numbers that are undefined
are empty. Only mid and threshold are needed, so that thresholds can be written
by hand, without the comment too.

Settings that `choose_thresholds` writes:

    scores             name of the score file or folder
    class_map_hash     `class_map.hash_of_mids` of its classes
    score_notes        how it was read, such as that logits were turned into
                       probabilities
    labels             name of the label file
    items              "label frames" or "clips"
    negatives          "explicit" or "implied"
    num_items          how many there were
    score_range        lowest and highest score
    default_threshold  threshold of classes with a reason
    min_positives      positives that F1 needs to choose
"""

import dataclasses
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.thresholds import are_probabilities
from audioset_strong.labels.class_map import check_class_hash
from audioset_strong.output_files import open_output

COLUMNS = (
    "mid",
    "display_name",
    "threshold",
    "f1",
    "precision",
    "recall",
    "num_positives",
    "num_negatives",
    "reason",
)

_Path = str | os.PathLike[str]
_NUM_SHOWN = 5


@dataclasses.dataclass(frozen=True, eq=False)
class ThresholdFile:
    """Thresholds and how they were chosen.

    Attributes:
      path: Where they were read, for messages.
      thresholds: float64 of each mid, finite.
      settings: As in the module docstring; empty for a file without them.
    """

    path: str
    thresholds: dict[str, float]
    settings: dict[str, Any]

    def missing_mids(self, mids: Sequence[str]) -> list[str]:
        """Returns the classes that have no threshold, in their order."""
        return [mid for mid in mids if mid not in self.thresholds]

    def extra_mids(self, mids: Sequence[str]) -> list[str]:
        """Returns the classes of the file that are not among these."""
        known = set(mids)
        return [mid for mid in self.thresholds if mid not in known]

    def vector(
        self, mids: Sequence[str], threshold_of_missing: float | None = None
    ) -> npt.NDArray[np.float64]:
        """Returns the threshold of each class, for scores in [0, 1].

        Args:
          mids: One mid a class.
          threshold_of_missing: Threshold of classes that the file lacks; None
            if it has to have all.

        Returns:
          float64 `[num_classes]`, in [0, 1].

        Raises:
          InputError: The file lacks a class, or a threshold is outside [0, 1].
        """
        missing = self.missing_mids(mids)
        if missing and threshold_of_missing is None:
            raise InputError(
                f"{self.path}: expected a threshold for each of the "
                f"{len(mids)} classes of the model; {len(missing)} have none: "
                f"{listed(missing)}. Choose thresholds on a score file of this "
                f"model, or give --threshold too, which they then get."
            )
        outside = [
            mid
            for mid in mids
            if not 0 <= self.thresholds.get(mid, 0.0) <= 1  # the model's only
        ]
        if outside:
            raise InputError(
                f"{self.path}: expected thresholds in [0, 1], as the model's "
                f"scores are; {len(outside)} lie outside: {outside[0]} has "
                f"{self.thresholds[outside[0]]:g}. Thresholds on logits do "
                f"not fit: choose them again, with --logits."
            )
        return np.array(
            [self.thresholds.get(mid, threshold_of_missing) for mid in mids],
            dtype=np.float64,
        )


def listed(mids: Sequence[str]) -> str:
    """Names the first classes, and how many more there are."""
    shown = ", ".join(mids[:_NUM_SHOWN])
    num_more = len(mids) - _NUM_SHOWN
    return f"{shown} and {num_more} more" if num_more > 0 else shown


def write_threshold_file(
    table: pd.DataFrame, settings: Mapping[str, Any], path: _Path
) -> None:
    """Writes thresholds, whole or not at all.

    Args:
      table: From `thresholds.choose_thresholds`.
      settings: As in the module docstring, JSON-ready.
      path: CSV to write; the folder exists.
    """
    with open_output(path) as file:
        file.write(f"# {json.dumps(dict(settings))}\n")
        # repr of a float reads back as the same float: a score that is its
        # class's threshold stays accepted.
        table[list(COLUMNS)].to_csv(file, index=False, lineterminator="\n")


def read_threshold_file(path: _Path) -> ThresholdFile:
    """Reads thresholds.

    Args:
      path: What `write_threshold_file` wrote, or a CSV with the columns mid and
        threshold.

    Returns:
      The thresholds and their settings.

    Raises:
      InputError: A column is missing, a class stands twice, a threshold is not
        a finite number, or the classes are not those of the file's hash. Names
        the file, and the class.
    """
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    name = os.fspath(path)
    settings: dict[str, Any] = {}
    if text.startswith("#"):
        first, _, text = text.partition("\n")
        settings = _parse_settings(first, name)
    table = _parse_table(text, name)
    mids = table["mid"].tolist()
    if "class_map_hash" in settings:
        check_class_hash(
            mids,
            str(settings["class_map_hash"]),
            name,
            "Lines were added, removed or reordered: choose thresholds again, "
            "or remove the first line, which holds the hash.",
        )
    thresholds = [
        _threshold(name, mid, value)
        for mid, value in zip(mids, table["threshold"], strict=True)
    ]
    return ThresholdFile(
        name, dict(zip(mids, thresholds, strict=True)), settings
    )


def read_model_thresholds(
    path: _Path,
    mids: Sequence[str],
    threshold_of_missing: float | None = None,
) -> npt.NDArray[np.float64]:
    """Reads the thresholds of a model whose scores are probabilities.

    Warns of classes that get `threshold_of_missing`, of classes of the file
    that the model lacks, and of thresholds from scores of another scale.

    Args:
      path: Threshold file.
      mids: Classes of the model.
      threshold_of_missing: As in `ThresholdFile.vector`.

    Returns:
      float64 `[num_classes]`, in [0, 1].

    Raises:
      InputError: As `read_threshold_file` and `ThresholdFile.vector`.
    """
    file = read_threshold_file(path)
    thresholds = file.vector(mids, threshold_of_missing)
    missing, extra = file.missing_mids(mids), file.extra_mids(mids)
    if missing:
        logging.warning(
            "%d of %d classes have no threshold in %s and get %g: %s.",
            len(missing),
            len(mids),
            file.path,
            threshold_of_missing,
            listed(missing),
        )
    if extra:
        logging.warning(
            "Thresholds of %d classes that the model lacks are not used: %s.",
            len(extra),
            listed(extra),
        )
    low, high = file.settings.get("score_range", (0, 1))
    if not are_probabilities(low, high):
        logging.warning(
            "%s was chosen on scores in [%g, %g], which are no probabilities "
            "as the model's are: choose thresholds on its own score file.",
            file.path,
            low,
            high,
        )
    return thresholds


def _parse_settings(line: str, name: str) -> dict[str, Any]:
    try:
        settings = json.loads(line.lstrip("#"))
    except json.JSONDecodeError:
        settings = None
    if not isinstance(settings, dict):
        raise InputError(
            f"{name}:1: expected the settings as a JSON object after '#', "
            f"found '{line[:60].rstrip()}'. Remove the line, or choose "
            f"thresholds again."
        )
    return settings


def _parse_table(text: str, name: str) -> pd.DataFrame:
    """Parses the lines; every value is a str."""
    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise InputError(
            f"{name}: expected a CSV of thresholds. It cannot be read as one: "
            f"{error}".splitlines()[0]
        ) from error
    needed = {"mid", "threshold"}
    if not needed <= set(table.columns):
        raise InputError(
            f"{name}: expected a CSV with the columns mid and threshold, found "
            f"{list(table.columns)[:9]}. Give what choose_thresholds wrote."
        )
    if table.empty:
        raise InputError(f"{name}: expected at least one class, found none.")
    repeated = table.loc[table["mid"].duplicated(), "mid"].tolist()
    if repeated:
        raise InputError(
            f"{name}: expected one threshold a class; {len(repeated)} stand "
            f"more than once: {listed(repeated)}. Keep one of each."
        )
    return table


def _threshold(name: str, mid: str, value: str) -> float:
    """Parses one threshold."""
    try:
        threshold = float(value)
    except ValueError:
        threshold = float("nan")
    if not np.isfinite(threshold):
        raise InputError(
            f"{name}: expected a finite number as threshold of {mid}, found "
            f"'{value}'."
        )
    return threshold

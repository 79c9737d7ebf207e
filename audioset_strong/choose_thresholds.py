r"""Chooses the threshold of each class that maximises F1.

    python -m audioset_strong.choose_thresholds \
      --scores=validation.npz --strong_labels=validation_strong.tsv \
      --display_names=mid_to_display_name.tsv --output=thresholds.csv

Takes strong labels (framed by the paper's rule) or framed ones, for thresholds
on label frames, or weak labels, for thresholds on clips. Use clips that the
model was not trained on, and not those that it is reported on. Writes:

    --output                    thresholds for `predict --thresholds`, with F1
                                (`evaluation/threshold_files.py`)
    <output>.reliability.csv    the reliability curve, pooled and of each class
    <output>.reliability.png    the same, drawn

Negatives are implied unless --negatives says otherwise: explicit negatives are
hard clips and few, against which thresholds come out too low for audio as it
comes. Scores are read as `evaluate` reads them; those that are no probabilities
get no curve. Needs no TensorFlow.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.evaluation.items import warn_of_gaps
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.scores import POOLING, read_known_classes
from audioset_strong.evaluation.thresholds import (
    ThresholdItems,
    ThresholdParams,
    are_probabilities,
    choose_thresholds,
    read_threshold_items,
    reliability_curve,
    score_range,
    summary_text,
    warn_of_defaults,
    write_reliability,
    write_threshold_file,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.plots import plot_reliability

_SCORES = flags.DEFINE_string(
    "scores",
    None,
    "Score file (.npz), or folder of score tables, of validation clips.",
    required=True,
)
_POOLING = flags.DEFINE_enum(
    "pooling", "mean", POOLING, "How score tables become label frames."
)
_LOGITS = flags.DEFINE_boolean(
    "logits", False, "Whether scores are logits, to be made probabilities."
)
_STRONG_LABELS = flags.DEFINE_string(
    "strong_labels", None, "Strong TSV of those clips; will be framed."
)
_FRAMED_LABELS = flags.DEFINE_string(
    "framed_labels", None, "Framed TSV of those clips."
)
_WEAK_LABELS = flags.DEFINE_string(
    "weak_labels", None, "Weak CSV of those clips, for thresholds on clips."
)
_NEGATIVES = flags.DEFINE_enum(
    "negatives",
    "implied",
    ["implied", "explicit"],
    "What counts as absent: all that is not positive, or what the labels mark.",
)
_CLASS_MAP = flags.DEFINE_string(
    "class_map",
    None,
    "class_labels_indices.csv: display names, and what columns of scores name.",
)
_DISPLAY_NAMES = flags.DEFINE_string(
    "display_names", None, "mid_to_display_name.tsv, for the same."
)
_PARAMS_FLAGS = run_flags.define_params(ThresholdParams)
_OUTPUT = flags.DEFINE_string(
    "output", None, "CSV of thresholds to write.", required=True
)
_STRICT = run_flags.define_strict()


def main(argv: Sequence[str]) -> None:
    """Chooses, writes the files and prints what came out."""
    run_flags.refuse_arguments(argv)
    problems = ProblemLog(is_strict=_STRICT.value)
    params = run_flags.read_params(ThresholdParams, _PARAMS_FLAGS)
    known = read_known_classes(_CLASS_MAP.value, _DISPLAY_NAMES.value, problems)
    score_file = read_scores(
        _SCORES.value, known, _POOLING.value, _LOGITS.value
    )
    truth = read_threshold_items(
        score_file,
        problems,
        strong_path=_STRONG_LABELS.value,
        framed_path=_FRAMED_LABELS.value,
        weak_path=_WEAK_LABELS.value,
        negatives=_NEGATIVES.value,
    )
    problems.report()
    warn_of_gaps(truth.items.alignment)

    table = choose_thresholds(truth.items, params, known.name_of_mid)
    write_threshold_file(
        table,
        {
            "scores": os.path.basename(os.path.normpath(_SCORES.value)),
            "class_map_hash": score_file.class_map_hash,
            "score_notes": list(score_file.notes),
            **truth.settings(),
            **dataclasses.asdict(params),
        },
        _OUTPUT.value,
    )
    print(f"{summary_text(table)}; {truth.text()}: {_OUTPUT.value}")
    warn_of_defaults(table)
    low, high = score_range(truth.items)
    if are_probabilities(low, high):
        _write_curve(truth, known.name_of_mid)
    else:
        logging.warning(
            "Scores lie in %s, not in [0, 1]: thresholds hold for scores of "
            "this scale only, which those of predict are not. Give --logits "
            "if they are logits. The reliability curve is left out.",
            f"[{low:g}, {high:g}]",
        )


def _write_curve(truth: ThresholdItems, names: Mapping[str, str]) -> None:
    """Writes and draws the reliability curve."""
    curve = reliability_curve(truth.items)
    write_reliability(curve, f"{_OUTPUT.value}.reliability.csv", names)
    path = f"{_OUTPUT.value}.reliability.png"
    plot_reliability(curve, path, truth.item_name)
    error = curve.pooled().calibration_errors()[0]
    print(f"Expected calibration error {error:.3f}, all classes pooled: {path}")


if __name__ == "__main__":
    run_flags.run(main)

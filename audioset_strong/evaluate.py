"""Evaluates a score file against AudioSet labels.

    python -m audioset_strong.evaluate \
        --scores=scores.npz \
        --framed_labels=audioset_eval_strong_framed_posneg.tsv \
        --weak_labels=eval_segments.csv \
        --class_map=class_labels_indices.csv \
        --display_names=mid_to_display_name.tsv \
        --report_dir=report

Writes to --report_dir:

    report.json    every number; `evaluation/report.py` documents the schema
    per_class.csv  AUC, d' and lwlrap of each class
    report.html    the same for a person, in one file that loads nothing

Framed labels give the Strong eval, weak labels the Weak eval; the explicit
negatives of the Weak eval need both. The score file can come from any model:
`evaluation/score_files.py` documents it. Labels are taken as they are, unless
--smear_labels, --subsume_music or --canonicalize_mids says otherwise. A score
file and a baseline with other classes are compared over the classes that both
have. Needs no TensorFlow.
"""

import os
from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.evaluation import report
from audioset_strong.evaluation.evaluator import RANK_OVER
from audioset_strong.evaluation.file_evaluation import evaluate_files
from audioset_strong.labels.label_mapping import read_label_mapping
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelMappingParams

_SCORES = flags.DEFINE_string(
    "scores", None, "Score file (.npz) to evaluate.", required=True
)
_BASELINE_SCORES = flags.DEFINE_string(
    "baseline_scores", None, "Score file to compare with."
)
_FRAMED_LABELS = flags.DEFINE_string(
    "framed_labels", None, "Framed TSV with positives and negatives."
)
_WEAK_LABELS = flags.DEFINE_string(
    "weak_labels", None, "Weak CSV such as eval_segments.csv."
)
_CLASS_MAP = flags.DEFINE_string(
    "class_map", None, "class_labels_indices.csv, for display names."
)
_DISPLAY_NAMES = flags.DEFINE_string(
    "display_names",
    None,
    "mid_to_display_name.tsv, for display names; holds over --class_map. Says "
    "which classes --subsume_music keeps.",
)
_ONTOLOGY = flags.DEFINE_string(
    "ontology", None, "ontology.json, for --smear_labels and --subsume_music."
)
_LABEL_MAPPING_FLAGS = run_flags.define_params(LabelMappingParams)
_STRICT = run_flags.define_strict()
_RANK_OVER = flags.DEFINE_enum(
    "rank_over",
    "all",
    RANK_OVER,
    "Classes that lwlrap ranks: all that are scored, or those with a positive.",
)
_REPORT_DIR = flags.DEFINE_string(
    "report_dir", None, "Folder for the report.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Evaluates, writes the report and prints the headline."""
    run_flags.refuse_arguments(argv)
    mapping = read_label_mapping(
        run_flags.read_params(LabelMappingParams, _LABEL_MAPPING_FLAGS),
        _ONTOLOGY.value,
        _DISPLAY_NAMES.value,
    )
    evaluated = evaluate_files(
        _SCORES.value,
        _FRAMED_LABELS.value,
        _WEAK_LABELS.value,
        baseline_scores_path=_BASELINE_SCORES.value,
        class_map_path=_CLASS_MAP.value,
        display_names_path=_DISPLAY_NAMES.value,
        rank_over=_RANK_OVER.value,
        mapping=mapping,
        problems=ProblemLog(is_strict=_STRICT.value),
    )
    report.write_report(evaluated, _REPORT_DIR.value)
    print(report.headline_text(evaluated))
    print(f"Report: {os.path.join(_REPORT_DIR.value, 'report.html')}")


if __name__ == "__main__":
    run_flags.run(main)

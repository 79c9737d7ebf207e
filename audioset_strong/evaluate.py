r"""Evaluates the scores of any model against AudioSet labels.

    python -m audioset_strong.evaluate \
        --scores=scores.npz \
        --framed_labels=audioset_eval_strong_framed_posneg.tsv \
        --weak_labels=eval_segments.csv \
        --class_map=class_labels_indices.csv \
        --display_names=mid_to_display_name.tsv \
        --report_dir=report

Writes to --report_dir:

    report.json    every number; `evaluation/report.py` documents the schema
    per_class.csv  the metrics of each class
    report.html    the same for a person, in one file that loads nothing
    report.md      the headline as tables for papers
    figures/       with --figures, pictures for papers (`evaluation/figures.py`)

Scores are a score file (`evaluation/scores.py`), what `predict` wrote at the
hop used (`native_scores.py`), or a folder with one table a clip, at any frame
rate, as sed_scores_eval writes (`score_tables.py`). Framed labels, or strong
ones that are framed here, give the Strong eval, weak labels the Weak eval;
`truth.py` lists the negatives of each. Labels are taken as they are, unless
--smear_labels, --subsume_music or --canonicalize_mids says otherwise. Scores
and a baseline are compared over their common classes. Clips that annotators
listened to and that have no event count if --clips lists them, or if they have
a label track; others that no label names are left out. Needs no TensorFlow.
"""

import dataclasses
import os
from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.evaluation import report
from audioset_strong.evaluation.evaluating import (
    BootstrapSettings,
    EvalSettings,
    evaluate,
)
from audioset_strong.evaluation.items import RANK_OVER, STRONG_NEGATIVES
from audioset_strong.evaluation.native_scores import read_recordings
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.scores import POOLING
from audioset_strong.evaluation.truth import read_truth
from audioset_strong.labels.class_map import read_known_classes
from audioset_strong.labels.ids import read_clip_list
from audioset_strong.labels.label_mapping import read_label_mapping
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelMappingParams

_SCORES = flags.DEFINE_string(
    "scores",
    None,
    "Score file (.npz), or folder of score tables, to evaluate.",
    required=True,
)
_BASELINE_SCORES = flags.DEFINE_string(
    "baseline_scores", None, "Scores to compare with, as --scores."
)
_POOLING = flags.DEFINE_enum(
    "pooling",
    "mean",
    POOLING,
    "How frames of other lengths become label frames of 0.96 s.",
)
_LOGITS = flags.DEFINE_boolean(
    "logits", False, "Whether scores are logits, to be made probabilities."
)
_FRAMED_LABELS = flags.DEFINE_string(
    "framed_labels", None, "Framed TSV with positives and negatives."
)
_STRONG_LABELS = flags.DEFINE_string(
    "strong_labels",
    None,
    "Strong TSV, or Audacity label track or folder of them, to be framed here; "
    "instead of --framed_labels.",
)
_WEAK_LABELS = flags.DEFINE_string(
    "weak_labels", None, "Weak CSV such as eval_segments.csv."
)
_EXPLICIT_NEGATIVES = flags.DEFINE_string(
    "explicit_negatives",
    None,
    "Pairs that annotators marked absent, for --strong_labels or "
    "--weak_labels: a TSV or framed TSV, as frame_labels takes it.",
)
_CLIPS = run_flags.define_clips()
_CLIP_SECONDS = run_flags.define_clip_seconds()
_CLASS_MAP = flags.DEFINE_string(
    "class_map",
    None,
    "class_labels_indices.csv: display names, and what columns of scores name.",
)
_DISPLAY_NAMES = flags.DEFINE_string(
    "display_names",
    None,
    "mid_to_display_name.tsv, for the same; overrides --class_map, and says "
    "which classes --subsume_music keeps.",
)
_ONTOLOGY = flags.DEFINE_string(
    "ontology", None, "ontology.json, for --smear_labels and --subsume_music."
)
_LABEL_MAPPING_FLAGS = run_flags.define_params(LabelMappingParams)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()
_COMMON_CLIPS = flags.DEFINE_string(
    "common_clips",
    None,
    "Clip list, as report_coverage writes: evaluate on these clips only.",
)
_COMMON_WITH_BASELINE = flags.DEFINE_boolean(
    "common_with_baseline", False, "Only what both have scored counts."
)
_NEGATIVES = flags.DEFINE_multi_enum(
    "negatives",
    None,
    STRONG_NEGATIVES,
    "Kinds of negatives; repeat the flag for several. Default: all.",
)
_RANK_OVER = flags.DEFINE_enum(
    "rank_over",
    "all",
    RANK_OVER,
    "Classes that lwlrap ranks: all that are scored, or those with a positive.",
)
_BOOTSTRAP_FLAGS = run_flags.define_params(BootstrapSettings)
_SYSTEM_NAME = flags.DEFINE_string(
    "system_name",
    None,
    "What the report calls the system. Default: made of the path of --scores.",
)
_REPORT_DIR = flags.DEFINE_string(
    "report_dir", None, "Folder for the report.", required=True
)
_FIGURES = flags.DEFINE_boolean(
    "figures", False, "Whether to write pictures for papers too, PNG and PDF."
)


def main(argv: Sequence[str]) -> None:
    """Evaluates, writes the report and prints the headline."""
    run_flags.refuse_arguments(argv)
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    mapping = read_label_mapping(
        run_flags.read_params(LabelMappingParams, _LABEL_MAPPING_FLAGS),
        _ONTOLOGY.value,
        _DISPLAY_NAMES.value,
        problems,
    )
    class_map, recordings = read_recordings(_SCORES.value)
    known = read_known_classes(
        _CLASS_MAP.value or class_map, _DISPLAY_NAMES.value, problems
    )
    truth = read_truth(
        _FRAMED_LABELS.value,
        _STRONG_LABELS.value,
        _WEAK_LABELS.value,
        _EXPLICIT_NEGATIVES.value,
        problems,
        _CLIPS.value,
        _CLIP_SECONDS.value,
        known.mids_of_name(),
        known.class_map,
        recordings,
    )
    known = dataclasses.replace(known, labelled_mids=frozenset(truth.mids()))
    settings = EvalSettings(
        rank_over=_RANK_OVER.value,
        negatives=_NEGATIVES.value,
        mapping=mapping,
        clips=read_clip_list(_COMMON_CLIPS.value)
        if _COMMON_CLIPS.value
        else None,
        only_common_label_frames=_COMMON_WITH_BASELINE.value,
        bootstrap=run_flags.read_params(BootstrapSettings, _BOOTSTRAP_FLAGS),
    )
    how = known, _POOLING.value, _LOGITS.value, truth.clips, _CLIP_SECONDS.value
    scores = read_scores(_SCORES.value, *how)
    baseline = None
    if _BASELINE_SCORES.value is not None:
        baseline = read_scores(_BASELINE_SCORES.value, *how)
    evaluated = evaluate(
        scores,
        truth,
        settings,
        baseline,
        system_name=_SYSTEM_NAME.value or "",
        other_inputs={
            "class_map": _CLASS_MAP.value,
            "display_names": _DISPLAY_NAMES.value,
            "ontology": _ONTOLOGY.value,
            "common_clips": _COMMON_CLIPS.value,
        },
    )
    report.write_report(evaluated, _REPORT_DIR.value, _FIGURES.value)
    print(report.headline_text(evaluated))
    print(f"Report: {os.path.join(_REPORT_DIR.value, 'report.html')}")


if __name__ == "__main__":
    run_flags.run(main)

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

--protocol asks for other metrics than the paper's, by the names of published
protocols: PSDS, F1 of events, areas under segments' ROC curves. They count
scores at their own hop and need --strong_labels; `docs/protocols.md` has the
table. Each number is printed with all that it depends on.

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

import os
from collections.abc import Sequence
from typing import Any

from absl import flags

from audioset_strong import evaluation_flags, run_flags
from audioset_strong.errors import InputError
from audioset_strong.evaluation import report
from audioset_strong.evaluation.evaluating import (
    BootstrapSettings,
    EvalSettings,
    evaluate,
)
from audioset_strong.evaluation.items import RANK_OVER, STRONG_NEGATIVES
from audioset_strong.evaluation.protocols import (
    HERSHEY,
    PROTOCOLS,
    EventScoreParams,
    MedianFilter,
    ProtocolSettings,
    classes_of_training,
    read_class_list,
    read_lengths,
)
from audioset_strong.evaluation.thresholds import read_threshold_file
from audioset_strong.labels.class_map import KnownClasses
from audioset_strong.labels.ids import read_clip_list
from audioset_strong.labels.label_files import read_strong_labels

_SCORES = flags.DEFINE_string(
    "scores",
    None,
    "Score file (.npz), or folder of score tables, to evaluate.",
    required=True,
)
_BASELINE_SCORES = flags.DEFINE_string(
    "baseline_scores", None, "Scores to compare with, as --scores."
)
_INPUTS = evaluation_flags.define_inputs()
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
_PROTOCOL = flags.DEFINE_list(
    "protocol",
    [HERSHEY],
    f"Metrics by the names of published protocols, with commas: "
    f"{', '.join(PROTOCOLS)}.",
)
_TRAIN_STRONG_LABELS = flags.DEFINE_string(
    "train_strong_labels",
    None,
    "Strong TSV of the training set, for protocols of classes of both splits.",
)
_PROTOCOL_CLASSES = flags.DEFINE_string(
    "protocol_classes",
    None,
    "Classes of protocols of events and segments: a mid or display name a "
    "line, and its group (common, rare) after a tab.",
)
_MEDIAN_FILTERS = {
    unit: flags.DEFINE_string(
        f"median_filter_{unit}",
        None,
        f"Length in {unit} of the median filter over scores of events and "
        f"segments, instead of the protocol's: a number, or a CSV with mid "
        f"and length.",
    )
    for unit in ("seconds", "frames")
}
_EVENT_FLAGS = run_flags.define_params(EventScoreParams)
_THRESHOLD = flags.DEFINE_float(
    "threshold", 0.5, "Least score of an event, for F1 of the protocol events."
)
_THRESHOLDS = flags.DEFINE_string(
    "thresholds", None, "File of choose_thresholds; instead of --threshold."
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    os.cpu_count() or 1,
    "Processes for metrics of events and segments.",
    lower_bound=1,
)
_SYSTEM_NAME = flags.DEFINE_string(
    "system_name",
    None,
    "What the report calls the system. Default: made of the path of --scores.",
)
# Files that numbers depend on, besides those of scores and labels.
_FILES = (_COMMON_CLIPS, _TRAIN_STRONG_LABELS, _PROTOCOL_CLASSES, _THRESHOLDS)
_REPORT_DIR = flags.DEFINE_string(
    "report_dir", None, "Folder for the report.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Evaluates, writes the report and prints the headline."""
    run_flags.refuse_arguments(argv)
    paths = [p for p in (_SCORES.value, _BASELINE_SCORES.value) if p]
    inputs = evaluation_flags.read_inputs(_INPUTS, paths)
    settings = EvalSettings(
        rank_over=_RANK_OVER.value,
        negatives=_NEGATIVES.value,
        mapping=inputs.mapping,
        clips=read_clip_list(_COMMON_CLIPS.value)
        if _COMMON_CLIPS.value
        else None,
        pooling=inputs.pooling,
        allow_partial_scores=inputs.allow_partial,
        only_common_label_frames=_COMMON_WITH_BASELINE.value,
        bootstrap=run_flags.read_params(BootstrapSettings, _BOOTSTRAP_FLAGS),
    )
    scores, *baseline = map(inputs.read_scores, paths)
    evaluated = evaluate(
        scores,
        inputs.truth,
        settings,
        *baseline,
        protocols=_PROTOCOL.value,
        protocol_settings=_read_protocol_settings(inputs.known),
        system_name=_SYSTEM_NAME.value or "",
        other_inputs={
            **inputs.files,
            **{flag.name: flag.value for flag in _FILES},
        },
    )
    report.write_report(evaluated, _REPORT_DIR.value)
    print(report.headline_text(evaluated))
    print(f"Report: {os.path.join(_REPORT_DIR.value, 'report.html')}")


def _read_protocol_settings(known: KnownClasses) -> ProtocolSettings:
    """Reads what flags say of protocols of events and segments."""
    classes = None
    if _PROTOCOL_CLASSES.value and _TRAIN_STRONG_LABELS.value:
        raise InputError(
            "Expected one of --protocol_classes and --train_strong_labels, "
            "found both. Leave one out."
        )
    if _PROTOCOL_CLASSES.value:
        classes = read_class_list(_PROTOCOL_CLASSES.value, known.mids_of_name())
    elif _TRAIN_STRONG_LABELS.value:
        classes = classes_of_training(
            read_strong_labels(
                _TRAIN_STRONG_LABELS.value, names=known.mids_of_name()
            ),
            os.path.basename(_TRAIN_STRONG_LABELS.value),
        )
    given = {
        unit: flag.value for unit, flag in _MEDIAN_FILTERS.items() if flag.value
    }
    if len(given) > 1:
        raise InputError(
            "Expected one length of the median filter, found both "
            "--median_filter_seconds and --median_filter_frames. Leave one out."
        )
    median_filter = None
    for unit, text in given.items():
        length: Any = _as_number(text)
        if length is None:
            length = read_lengths(text)
        median_filter = MedianFilter(length, unit)
    return ProtocolSettings(
        classes=classes,
        median_filter=median_filter,
        events=run_flags.read_params(EventScoreParams, _EVENT_FLAGS),
        thresholds=read_threshold_file(_THRESHOLDS.value).thresholds
        if _THRESHOLDS.value
        else _THRESHOLD.value,
        num_jobs=_NUM_WORKERS.value,
    )


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


if __name__ == "__main__":
    run_flags.run(main)

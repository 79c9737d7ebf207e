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

from absl import flags

from audioset_strong import evaluation_flags, run_flags
from audioset_strong.evaluation import report
from audioset_strong.evaluation.evaluating import evaluate

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
_COMMON_WITH_BASELINE = flags.DEFINE_boolean(
    "common_with_baseline", False, "Only what both have scored counts."
)
_SETTINGS = evaluation_flags.define_settings()
_PROTOCOLS = evaluation_flags.define_protocols()
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
    paths = [p for p in (_SCORES.value, _BASELINE_SCORES.value) if p]
    inputs = evaluation_flags.read_inputs(_INPUTS, paths)
    settings = evaluation_flags.read_settings(
        _SETTINGS, inputs, _COMMON_WITH_BASELINE.value
    )
    scores, *baseline = map(inputs.read_scores, paths)
    evaluated = evaluate(
        scores,
        inputs.truth,
        settings,
        *baseline,
        protocols=_PROTOCOLS["protocol"].value,
        protocol_settings=evaluation_flags.read_protocol_settings(
            _PROTOCOLS, inputs.known
        ),
        system_name=_SYSTEM_NAME.value or "",
        other_inputs={
            **inputs.files,
            **evaluation_flags.files_of_protocols(_PROTOCOLS),
            "common_clips": _SETTINGS["common_clips"].value,
        },
    )
    report.write_report(evaluated, _REPORT_DIR.value, _FIGURES.value)
    print(report.headline_text(evaluated))
    print(f"Report: {os.path.join(_REPORT_DIR.value, 'report.html')}")


if __name__ == "__main__":
    run_flags.run(main)

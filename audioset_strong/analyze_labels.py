r"""Analyses weak and strong labels: counts, priors and odds ratios.

    python -m audioset_strong.analyze_labels \
        --weak_labels=labels/eval_segments.csv \
        --strong_labels=labels/audioset_eval_strong.tsv \
        --framed_labels=labels/audioset_eval_strong_framed_posneg.tsv \
        --class_map=labels/class_labels_indices.csv \
        --display_names=labels/mid_to_display_name.tsv \
        --ontology=labels/ontology.json \
        --classes=Speech,Mechanisms \
        --output_dir=analysis

Writes to --output_dir, computed over the clips that both label sets have
(per_class.csv: over all clips):

    summary.md, summary.json      the numbers of Sections 3.1 and 3.3
    figure2.png                   Figure 2: priors, weak against strong
    priors.csv                    its points
    per_class.csv                 clips, events and negatives of each class
    odds_ratios.csv               every pair of a weak and a strong class
    top_lists.md, top_lists.json  the classes that --classes occur with most

Only the first two flags and --output_dir are required. Classes are joined on
mid; names come from --display_names, then --class_map, then --ontology. The
ontology also tells which classes are below Music, which the paper's annotators
were not offered. Needs no TensorFlow.
"""

import os
from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.label_analysis.analysis import analyze_files
from audioset_strong.label_analysis.class_names import read_class_info
from audioset_strong.label_analysis.odds_ratios import OddsRatioParams
from audioset_strong.label_analysis.tables import summary_text, write_analysis
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.plots import priors_figure, save_figure

_WEAK_LABELS = flags.DEFINE_list(
    "weak_labels",
    None,
    "Weak CSVs such as eval_segments.csv.",
    required=True,
)
_STRONG_LABELS = flags.DEFINE_list(
    "strong_labels",
    None,
    "Strong TSVs such as audioset_eval_strong.tsv.",
    required=True,
)
_FRAMED_LABELS = flags.DEFINE_string(
    "framed_labels", None, "Framed TSV, to count positives and negatives."
)
_CLASS_MAP = flags.DEFINE_string(
    "class_map",
    None,
    "class_labels_indices.csv: the weak release's classes, of which those "
    "without labels are listed too, and their display names.",
)
_DISPLAY_NAMES = run_flags.define_display_names()
_ONTOLOGY = flags.DEFINE_string(
    "ontology", None, "ontology.json, to tell which classes are below Music."
)
_CLASSES = flags.DEFINE_list(
    "classes",
    [],
    "Classes to write ranked lists of, by mid or display name (up to its first "
    "comma is enough); by default the most frequent.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for tables and figure.", required=True
)
_ODDS_RATIOS = run_flags.define_params(OddsRatioParams)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()


def main(argv: Sequence[str]) -> None:
    """Analyses, writes everything and prints the summary."""
    run_flags.refuse_arguments(argv)
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    classes = read_class_info(
        _CLASS_MAP.value, _DISPLAY_NAMES.value, _ONTOLOGY.value, problems
    )
    analysis = analyze_files(
        _WEAK_LABELS.value,
        _STRONG_LABELS.value,
        _FRAMED_LABELS.value,
        classes,
        _CLASSES.value,
        run_flags.read_params(OddsRatioParams, _ODDS_RATIOS),
        problems,
    )
    paths = write_analysis(analysis, _OUTPUT_DIR.value)
    figure_path = os.path.join(_OUTPUT_DIR.value, "figure2.png")
    figure = priors_figure(
        analysis.priors,
        analysis.common.num_clips,
        classes.name,
        classes.music_mids,
    )
    save_figure(figure, figure_path)
    print(summary_text(analysis))
    print("\n".join([*paths, figure_path]))


if __name__ == "__main__":
    run_flags.run(main)

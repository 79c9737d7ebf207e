r"""Compares the scores of many systems against AudioSet labels.

    python -m audioset_strong.compare_systems \
        --scores='Weak-large=runs/weak/eval_scores.npz' \
        --scores='+ Diffuse=runs/plus_diffuse/eval_scores.npz' \
        --scores='+ Strong=runs/plus_strong/eval_scores.npz' \
        --framed_labels=audioset_eval_strong_framed_posneg.tsv \
        --weak_labels=eval_segments.csv \
        --class_map=class_labels_indices.csv \
        --output_dir=comparison

Writes to --output_dir (`evaluation/comparison_report.py`):

    comparison.html  a leaderboard with intervals, differences from one system
                     and of all pairs, for a person, in one file
    comparison.md    the same as tables for papers
    comparison.json  every number; comparison.csv: one row a metric and system
    comparison.png   d' with error bars, and its differences; comparison.pdf

A system is NAME=PATH, of a score file or folder of tables as `evaluate` takes
it, or a path alone, which then gives the name. Systems are evaluated over the
classes that all have and, without --noonly_common_clips, the clips and label
frames that all have scored. P-values are corrected for the number of systems.
Labels, scores and protocols have the flags of `evaluate`. Needs no TensorFlow.
"""

import functools
import os
from collections.abc import Sequence

from absl import flags

from audioset_strong import evaluation_flags, run_flags
from audioset_strong.evaluation.comparison import compare
from audioset_strong.evaluation.comparison_report import (
    comparison_text,
    write_comparison,
)

_SCORES = flags.DEFINE_multi_string(
    "scores",
    None,
    "NAME=PATH of a system's scores; repeat the flag for each system.",
    required=True,
)
_AGAINST = flags.DEFINE_string(
    "against",
    "first",
    "What the others are compared with: the first system, the best, or a name.",
)
_INPUTS = evaluation_flags.define_inputs()
_ONLY_COMMON_CLIPS = flags.DEFINE_boolean(
    "only_common_clips",
    True,
    "Whether only clips and label frames count that all systems have scored.",
)
_SETTINGS = evaluation_flags.define_settings()
_PROTOCOLS = evaluation_flags.define_protocols()
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for the comparison.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Compares, writes the comparison and prints the leaderboards."""
    run_flags.refuse_arguments(argv)
    paths = evaluation_flags.find_systems(_SCORES.value)
    inputs = evaluation_flags.read_inputs(_INPUTS, list(paths.values()))
    settings = evaluation_flags.read_settings(
        _SETTINGS, inputs, _ONLY_COMMON_CLIPS.value
    )
    comparison = compare(
        {
            name: functools.partial(inputs.read_scores, path)
            for name, path in paths.items()
        },
        inputs.truth,
        settings,
        _AGAINST.value,
        protocols=_PROTOCOLS["protocol"].value,
        protocol_settings=evaluation_flags.read_protocol_settings(
            _PROTOCOLS, inputs.known
        ),
        other_inputs={
            **inputs.files,
            **evaluation_flags.files_of_protocols(_PROTOCOLS),
            "common_clips": _SETTINGS["common_clips"].value,
        },
    )
    write_comparison(comparison, _OUTPUT_DIR.value)
    print(comparison_text(comparison))
    print(f"Comparison: {os.path.join(_OUTPUT_DIR.value, 'comparison.html')}")


if __name__ == "__main__":
    run_flags.run(main)

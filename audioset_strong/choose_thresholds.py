r"""Chooses the threshold of each class that maximises F1.

    python -m audioset_strong.choose_thresholds \
      --scores=validation.npz --strong_labels=validation_strong.tsv \
      --display_names=mid_to_display_name.tsv --output=thresholds.csv

Takes strong labels (framed by the paper's rule) or framed ones, for thresholds
on label frames, or weak labels, for thresholds on clips. Use clips that the
model was not trained on, and not those that it is reported on. Writes:

    --output                    thresholds for `predict --thresholds`, with F1
                                (`evaluation/thresholds.py`)
    <output>.reliability.csv    the reliability curve, pooled and of each class
    <output>.reliability.png    the same, drawn

Negatives are implied unless --negatives says otherwise: explicit negatives are
hard clips and few, against which thresholds come out too low for audio as it
comes. Clips without any event, which make thresholds higher, count if --clips
lists them. Scores are read as `evaluate` reads them; those that are no
probabilities get no curve. Needs no TensorFlow.
"""

import dataclasses
import os
from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import evaluation_flags, run_flags
from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import warn_of_gaps
from audioset_strong.evaluation.scores import (
    are_probabilities,
    score_range,
)
from audioset_strong.evaluation.thresholds import (
    ThresholdParams,
    choose_item_thresholds,
    reliability_curve,
    summary_text,
    threshold_items,
    warn_of_defaults,
    write_threshold_file,
)
from audioset_strong.files import open_output
from audioset_strong.plots import plot_reliability

_SCORES = flags.DEFINE_string(
    "scores",
    None,
    "Score file (.npz), or folder of score tables, of validation clips.",
    required=True,
)
_INPUTS = evaluation_flags.define_inputs(has_mapping=False)
_NEGATIVES = flags.DEFINE_enum(
    "negatives",
    "implied",
    ["implied", "explicit"],
    "What counts as absent: all that is not positive, or what the labels mark.",
)
_PARAMS_FLAGS = run_flags.define_params(ThresholdParams)
_OUTPUT = flags.DEFINE_string(
    "output", None, "CSV of thresholds to write.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Chooses, writes the files and prints what came out."""
    run_flags.refuse_arguments(argv)
    params = run_flags.read_params(ThresholdParams, _PARAMS_FLAGS)
    given = [
        _INPUTS[name].value
        for name in ("strong_labels", "framed_labels", "weak_labels")
        if _INPUTS[name].value is not None
    ]
    if len(given) != 1:
        raise InputError(
            f"Expected one of --strong_labels, --framed_labels and "
            f"--weak_labels; found {len(given)}."
        )
    inputs = evaluation_flags.read_inputs(_INPUTS, [_SCORES.value])
    truth = inputs.truth
    scores = truth.label_frames(
        inputs.read_scores(_SCORES.value), inputs.pooling, inputs.allow_partial
    )
    items, item_name = threshold_items(scores, truth, _NEGATIVES.value)
    warn_of_gaps(items.alignment, has_clips=truth.clips is not None)

    names = inputs.known.name_of_mid
    table = choose_item_thresholds(items, params, names)
    low, high = score_range(items.scores)
    clips = _INPUTS["clips"].value
    settings = {
        "scores": os.path.basename(os.path.normpath(_SCORES.value)),
        "class_map_hash": scores.class_map_hash,
        "score_notes": list(scores.notes),
        "labels": os.path.basename(given[0]),
        **({"clips": os.path.basename(clips)} if clips else {}),
        "items": item_name,
        "negatives": _NEGATIVES.value,
        "num_items": len(items.scores),
        "score_range": [low, high],
        **dataclasses.asdict(params),
    }
    write_threshold_file(table, settings, _OUTPUT.value)
    print(
        f"{summary_text(table)}; {len(items.scores)} {item_name} with "
        f"{_NEGATIVES.value} negatives: {_OUTPUT.value}"
    )
    warn_of_defaults(table)
    if not are_probabilities(low, high):
        logging.warning(
            "Scores lie in %s, not in [0, 1]: thresholds hold for scores of "
            "this scale only, which those of predict are not. Give --logits "
            "if they are logits. The reliability curve is left out.",
            f"[{low:g}, {high:g}]",
        )
        return
    curve = reliability_curve(items)
    with open_output(f"{_OUTPUT.value}.reliability.csv") as file:
        curve.table(names).to_csv(file, index=False, lineterminator="\n")
    path = f"{_OUTPUT.value}.reliability.png"
    plot_reliability(curve, path, item_name)
    error = curve.pooled().calibration_errors()[0]
    print(f"Expected calibration error {error:.3f}, all classes pooled: {path}")


if __name__ == "__main__":
    run_flags.run(main)

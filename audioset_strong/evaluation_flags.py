"""The flags of scores and labels that commands of evaluation share.

A command defines them once and reads them once (`evaluate`, `choose_thresholds`
and `compare_systems` do), besides flags of its own such as --scores:

    _INPUTS = evaluation_flags.define_inputs()

    inputs = evaluation_flags.read_inputs(_INPUTS, [_SCORES.value])
    scores = inputs.read_scores(_SCORES.value)

so that scores and labels mean the same to all of them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from audioset_strong import run_flags
from audioset_strong.evaluation.native_scores import (
    NativeScores,
    read_recordings,
)
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.scores import POOLING
from audioset_strong.evaluation.truth import Truth, read_truth
from audioset_strong.labels.class_map import KnownClasses, read_known_classes
from audioset_strong.labels.label_mapping import (
    LabelMapping,
    read_label_mapping,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams, LabelMappingParams

Holders = Mapping[str, flags.FlagHolder[Any]]

# Files besides scores and labels that results depend on.
_OTHER_FILES = ("class_map", "display_names", "ontology")


@dataclasses.dataclass(frozen=True)
class EvaluationInputs:
    """What the flags say, read.

    Attributes:
      truth: The labels.
      known: What class columns of scores can name.
      mapping: What labels become first; None for a command without mapping.
      problems: Label lines that were left out.
      pooling: How frames become label frames (`scores.py`).
      allow_partial: Whether scores need not end with their clips.
      is_logits: Whether scores are logits.
      frame_seconds: Of score files that do not say it; None for none.
      window_seconds: The same.
      files: Path of each further file, by the name of its flag.
    """

    truth: Truth
    known: KnownClasses
    mapping: LabelMapping | None
    problems: ProblemLog
    pooling: str
    allow_partial: bool
    is_logits: bool
    frame_seconds: float | None
    window_seconds: float | None
    files: Mapping[str, str | None]

    def read_scores(self, path: str) -> NativeScores:
        """Reads the scores of one system."""
        return read_scores(
            path,
            self.known,
            frame_seconds=self.frame_seconds,
            window_seconds=self.window_seconds,
            is_logits=self.is_logits,
        )


def define_inputs(has_mapping: bool = True) -> Holders:
    """Defines the flags, all but --scores.

    Args:
      has_mapping: Whether labels can be smeared and so on first.
    """
    holders = {
        "framed_labels": flags.DEFINE_string(
            "framed_labels", None, "Framed TSV with positives and negatives."
        ),
        "strong_labels": flags.DEFINE_string(
            "strong_labels",
            None,
            "Strong TSV, or Audacity label track or folder of them, to be "
            "framed here; instead of --framed_labels.",
        ),
        "weak_labels": flags.DEFINE_string(
            "weak_labels", None, "Weak CSV such as eval_segments.csv."
        ),
        "explicit_negatives": flags.DEFINE_string(
            "explicit_negatives",
            None,
            "Pairs that annotators marked absent, for --strong_labels or "
            "--weak_labels: a TSV or framed TSV, as frame_labels takes it.",
        ),
        "clips": run_flags.define_clips(),
        "clip_seconds": run_flags.define_clip_seconds(),
        "label_frame_seconds": flags.DEFINE_float(
            "label_frame_seconds",
            LabelFrameParams().label_frame_seconds,
            "Length of the label frames that are evaluated: the paper's, or "
            "your own, of --framed_labels too.",
            lower_bound=0.001,
        ),
        "class_map": flags.DEFINE_string(
            "class_map",
            None,
            "class_labels_indices.csv: display names, and what columns of "
            "scores name.",
        ),
        "display_names": flags.DEFINE_string(
            "display_names",
            None,
            "mid_to_display_name.tsv, for the same; overrides --class_map, and "
            "says which classes --subsume_music keeps.",
        ),
        "frame_seconds": flags.DEFINE_float(
            "frame_seconds",
            None,
            "From the start of one frame of scores to the next, for score "
            "files that do not say it.",
        ),
        "window_seconds": flags.DEFINE_float(
            "window_seconds",
            None,
            "How much audio a frame of scores stands for, if frames overlap.",
        ),
        "logits": flags.DEFINE_boolean(
            "logits",
            False,
            "Whether scores are logits. They are ranked as they are; means and "
            "thresholds are of their probabilities.",
        ),
        "pooling": flags.DEFINE_enum(
            "pooling",
            "mean",
            POOLING,
            "How frames of scores become label frames.",
        ),
        "allow_partial_scores": flags.DEFINE_boolean(
            "allow_partial_scores",
            False,
            "Whether the scores of most clips may end long before or after "
            "their clip.",
        ),
        "skip_bad_lines": run_flags.define_skip_bad_lines(),
    }
    if has_mapping:
        holders["ontology"] = flags.DEFINE_string(
            "ontology",
            None,
            "ontology.json, for --smear_labels and --subsume_music.",
        )
        holders |= run_flags.define_params(LabelMappingParams)
    return holders


def read_inputs(
    holders: Holders, score_paths: Sequence[str]
) -> EvaluationInputs:
    """Reads everything but the scores.

    Args:
      holders: Of `define_inputs`.
      score_paths: Scores of all systems. Without a list of clips, the first
        ones that say how long their recordings are say it for all; and what
        their classes are, without a class map.

    Raises:
      InputError: A file is not what it should be.
    """
    given = {name: holder.value for name, holder in holders.items()}
    problems = ProblemLog(given["skip_bad_lines"])
    mapping = None
    if "ontology" in given:
        names = [f.name for f in dataclasses.fields(LabelMappingParams)]
        mapping = read_label_mapping(
            LabelMappingParams(**{name: given[name] for name in names}),
            given["ontology"],
            given["display_names"],
            problems,
        )
    class_map = recordings = None
    for path in score_paths:
        class_map, recordings = read_recordings(path)
        if recordings is not None:
            break
    known = read_known_classes(
        given["class_map"] or class_map, given["display_names"], problems
    )
    truth = read_truth(
        given["framed_labels"],
        given["strong_labels"],
        given["weak_labels"],
        given["explicit_negatives"],
        problems,
        given["clips"],
        given["clip_seconds"],
        known.mids_of_name(),
        known.class_map,
        recordings,
        given["label_frame_seconds"],
    )
    return EvaluationInputs(
        truth=truth,
        known=dataclasses.replace(known, labelled_mids=frozenset(truth.mids())),
        mapping=mapping,
        problems=problems,
        pooling=given["pooling"],
        allow_partial=given["allow_partial_scores"],
        is_logits=given["logits"],
        frame_seconds=given["frame_seconds"],
        window_seconds=given["window_seconds"],
        files={name: given.get(name) for name in _OTHER_FILES},
    )

"""The flags of scores and labels that commands of evaluation share.

A command defines them once and reads them once (`evaluate`, `choose_thresholds`
and `compare_systems` do), besides flags of its own such as --scores:

    _INPUTS = evaluation_flags.define_inputs()

    inputs = evaluation_flags.read_inputs(_INPUTS, [_SCORES.value])
    scores = inputs.read_scores(_SCORES.value)

so that scores and labels mean the same to all of them.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.evaluation.evaluating import (
    EvalSettings,
    ResamplingSettings,
)
from audioset_strong.evaluation.identity import name_of_source
from audioset_strong.evaluation.items import RANK_OVER, STRONG_NEGATIVES
from audioset_strong.evaluation.native_scores import (
    NativeScores,
    read_recordings,
)
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
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.scores import POOLING
from audioset_strong.evaluation.thresholds import read_threshold_file
from audioset_strong.evaluation.truth import Truth, read_truth
from audioset_strong.labels.class_map import KnownClasses, read_known_classes
from audioset_strong.labels.ids import read_clip_list
from audioset_strong.labels.label_files import read_strong_labels
from audioset_strong.labels.label_mapping import (
    LabelMapping,
    read_label_mapping,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams, LabelMappingParams

# Flags that are defined here are those of the command, which --help lists.
flags.disclaim_key_flags()

Holders = Mapping[str, flags.FlagHolder[Any]]

# Files besides scores and labels that results depend on.
_OTHER_FILES = ("class_map", "display_names", "ontology")
_FILES_OF_PROTOCOLS = ("train_strong_labels", "protocol_classes", "thresholds")
# Of lengths of median filters.
_UNITS = ("seconds", "frames")


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
            "Strong TSV, or Audacity label track or folder of them: to be "
            "framed here unless --framed_labels are given, and for protocols "
            "of events.",
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


def define_settings() -> Holders:
    """Defines what is computed on label frames."""
    return {
        "common_clips": flags.DEFINE_string(
            "common_clips",
            None,
            "Clip list, as report_coverage writes: evaluate on these clips "
            "only.",
        ),
        "negatives": flags.DEFINE_multi_enum(
            "negatives",
            None,
            STRONG_NEGATIVES,
            "Kinds of negatives; repeat the flag for several. Default: all.",
        ),
        "rank_over": flags.DEFINE_enum(
            "rank_over",
            "all",
            RANK_OVER,
            "Classes that lwlrap ranks: all that are scored, or those with a "
            "positive.",
        ),
        **run_flags.define_params(ResamplingSettings),
    }


def read_settings(
    holders: Holders, inputs: EvaluationInputs, only_common: bool
) -> EvalSettings:
    """Reads what is computed on label frames.

    Args:
      holders: Of `define_settings`.
      inputs: Of `read_inputs`.
      only_common: Whether only what all systems have scored counts.
    """
    given = {name: holder.value for name, holder in holders.items()}
    names = [f.name for f in dataclasses.fields(ResamplingSettings)]
    clips = given["common_clips"]
    return EvalSettings(
        rank_over=given["rank_over"],
        negatives=given["negatives"],
        mapping=inputs.mapping,
        clips=read_clip_list(clips) if clips else None,
        pooling=inputs.pooling,
        allow_partial_scores=inputs.allow_partial,
        only_common_label_frames=only_common,
        resampling=ResamplingSettings(**{name: given[name] for name in names}),
    )


# --- Protocols of events and segments ----------------------------------------


def define_protocols() -> Holders:
    """Defines --protocol, and what the named protocols are given."""
    holders: dict[str, flags.FlagHolder[Any]] = {
        "protocol": flags.DEFINE_list(
            "protocol",
            [HERSHEY],
            f"Metrics by the names of published protocols, with commas: "
            f"{', '.join(PROTOCOLS)}.",
        ),
        "train_strong_labels": flags.DEFINE_string(
            "train_strong_labels",
            None,
            "Strong TSV of the training set, for protocols of classes of both "
            "splits.",
        ),
        "protocol_classes": flags.DEFINE_string(
            "protocol_classes",
            None,
            "Classes of protocols of events and segments: a mid or display "
            "name a line, and its group (common, rare) after a tab.",
        ),
        "threshold": flags.DEFINE_float(
            "threshold",
            0.5,
            "Least score of an event, for F1 of the protocol events.",
        ),
        "thresholds": flags.DEFINE_string(
            "thresholds",
            None,
            "File of choose_thresholds; instead of --threshold.",
        ),
        "num_workers": flags.DEFINE_integer(
            "num_workers",
            os.cpu_count() or 1,
            "Processes for metrics of events and segments.",
            lower_bound=1,
        ),
    }
    for unit in _UNITS:
        holders[f"median_filter_{unit}"] = flags.DEFINE_string(
            f"median_filter_{unit}",
            None,
            f"Length in {unit} of the median filter over scores of events and "
            f"segments, instead of the protocol's: a number, or a CSV with mid "
            f"and length.",
        )
    return holders | run_flags.define_params(EventScoreParams)


def files_of_protocols(holders: Holders) -> dict[str, str | None]:
    """Returns the path of each file that protocols are given."""
    return {name: holders[name].value for name in _FILES_OF_PROTOCOLS}


def read_protocol_settings(
    holders: Holders, known: KnownClasses
) -> ProtocolSettings:
    """Reads what flags say of protocols of events and segments.

    Raises:
      InputError: Flags exclude each other, or a file is not what it should be.
    """
    given = {name: holder.value for name, holder in holders.items()}
    classes = None
    if given["protocol_classes"] and given["train_strong_labels"]:
        raise InputError(
            "Expected one of --protocol_classes and --train_strong_labels, "
            "found both. Leave one out."
        )
    if given["protocol_classes"]:
        classes = read_class_list(
            given["protocol_classes"], known.mids_of_name()
        )
    elif given["train_strong_labels"]:
        path = given["train_strong_labels"]
        classes = classes_of_training(
            read_strong_labels(path, names=known.mids_of_name()),
            os.path.basename(path),
        )
    lengths = {
        unit: text
        for unit in _UNITS
        if (text := given[f"median_filter_{unit}"])
    }
    if len(lengths) > 1:
        raise InputError(
            "Expected one length of the median filter, found both "
            "--median_filter_seconds and --median_filter_frames. Leave one out."
        )
    median_filter = None
    for unit, text in lengths.items():
        length: Any = _as_number(text)
        if length is None:
            length = read_lengths(text)
        median_filter = MedianFilter(length, unit)
    names = [f.name for f in dataclasses.fields(EventScoreParams)]
    return ProtocolSettings(
        classes=classes,
        median_filter=median_filter,
        events=EventScoreParams(**{name: given[name] for name in names}),
        thresholds=read_threshold_file(given["thresholds"]).thresholds
        if given["thresholds"]
        else given["threshold"],
        num_jobs=given["num_workers"],
    )


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# --- Many systems ------------------------------------------------------------


def find_systems(given: Sequence[str]) -> dict[str, str]:
    """Returns the path of each system, by name, of NAME=PATH or PATH.

    Names and paths can have "=" in them: the path is what exists.

    Raises:
      InputError: There is no such file, or a name stands twice.
    """
    paths: dict[str, str] = {}
    for text in given:
        parts = text.split("=")
        # (name, path), the whole text as a path first.
        splits = [
            ("=".join(parts[:i]), "=".join(parts[i:]))
            for i in range(len(parts))
        ]
        found = [(n, p) for n, p in splits if p and os.path.exists(p)]
        if not found:
            _, path = splits[min(1, len(splits) - 1)]
            raise InputError(
                f"Expected NAME=PATH of a system, found {text!r}: there is no "
                f"file or folder {path!r}. Write the path of its scores after "
                f"its name."
            )
        name, path = found[0]
        name = name.strip() or name_of_source(path)
        if name in paths:
            raise InputError(
                f"Expected names of one system each, found {name!r} for "
                f"{paths[name]} and {path}. Give each a NAME=PATH with a name "
                f"of its own."
            )
        for other, other_path in paths.items():
            if os.path.realpath(other_path) == os.path.realpath(path):
                logging.warning(
                    "%s and %s are the same scores, %s.", other, name, path
                )
        paths[name] = path
    return paths

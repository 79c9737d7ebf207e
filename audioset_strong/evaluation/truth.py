"""Truth: label files -> what scores are evaluated against.

    given                              Strong eval   Weak eval, explicit
    framed labels                      as they are   -
    strong labels                      framed here   -
    strong labels, explicit negatives  framed here   -
    weak labels                        -             -
    weak labels, explicit negatives    -             those negatives
    weak and framed labels             as they are   pairs that are NOT_PRESENT
                                                     in all label frames
    ... and explicit negatives         as they are   those negatives
    weak and strong labels, explicit   framed here   those negatives, but where
    negatives                                        the clip has such events

Weak labels always give the Weak eval with implied negatives too. Strong labels
without explicit negatives have complementary negatives only, and say nothing of
what is absent from all of a clip, so that they leave the explicit Weak eval
out. Strong labels are framed by the frame rule (`labels/frame_targets.py`).

Label mapping of everything that scores are evaluated against.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import (
    STRONG_NEGATIVES,
    WEAK_NEGATIVES,
    EvalItems,
    check_negatives,
    strong_items,
    weak_items,
)
from audioset_strong.evaluation.scores import ScoreFile
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import (
    absent_pairs,
    read_explicit_negatives,
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.label_mapping import (
    LabelMapping,
    map_framed_labels,
    map_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

# --- truth files -----------------------------------------------------------


Path = str | os.PathLike[str]
Labels = Path | pd.DataFrame

_PAIR = ["segment_id", "mid"]
_COLUMNS = {
    "framed_labels": [*_PAIR, "label_frame", "is_present"],
    "strong_labels": [*_PAIR, "onset_seconds", "offset_seconds"],
    "weak_labels": ["segment_id", "mids"],
    "explicit_negatives": _PAIR,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """What scores are evaluated against.

    Attributes:
      framed: Framed table (`label_files`), for the Strong eval; None for none.
      weak: Weak table, for the Weak eval; None for none.
      explicit_negatives: Pairs for the Weak eval; None to take those that are
        NOT_PRESENT in all label frames of `framed`.
      has_explicit_negatives: Whether annotators marked pairs absent, so that
        there are such pairs.
      notes: What a reader of results must know of how labels were made.
    """

    framed: pd.DataFrame | None = None
    weak: pd.DataFrame | None = None
    explicit_negatives: pd.DataFrame | None = None
    has_explicit_negatives: bool = False
    notes: tuple[str, ...] = ()

    def evaluations(
        self, negatives: Sequence[str] | None = None
    ) -> list[tuple[str, str]]:
        """Lists what the labels allow.

        Args:
          negatives: Kinds of negatives; None for all.

        Returns:
          (evaluation, negatives) of `evaluator`, the paper's two first.

        Raises:
          InputError: A kind is unknown, or the labels allow none of them.
        """
        asked = STRONG_NEGATIVES if negatives is None else tuple(negatives)
        for kind in asked:
            check_negatives(kind, STRONG_NEGATIVES)
        strong = () if self.framed is None else STRONG_NEGATIVES
        weak = () if self.weak is None else WEAK_NEGATIVES
        allowed = [
            (evaluation, kind)
            for kind in STRONG_NEGATIVES
            for evaluation, kinds in (("strong", strong), ("weak", weak))
            if kind in kinds
            and kind in asked
            and (
                self.has_explicit_negatives
                or not _needs_pairs(evaluation, kind)
            )
        ]
        if not allowed:
            raise InputError(
                f"Expected labels that allow negatives {list(asked)}; those "
                f"given allow none of them. Give other labels, or ask for "
                f"implied negatives."
            )
        return allowed

    def items(
        self, score_file: ScoreFile, evaluation: str, negatives: str
    ) -> EvalItems:
        """Aligns scores with the labels.

        Args:
          score_file: What the model scored.
          evaluation: "strong" or "weak", one of `evaluations`.
          negatives: Kind of negatives, with it.

        Returns:
          The items of `ground_truth`.

        Raises:
          InputError: No clip is both scored and labelled.
        """
        if evaluation == "strong":
            assert self.framed is not None
            return strong_items(score_file, self.framed, negatives)
        assert self.weak is not None
        if negatives == "implied":
            return weak_items(score_file, self.weak)
        if self.explicit_negatives is not None:
            return weak_items(
                score_file,
                self.weak,
                explicit_negatives=self.explicit_negatives,
            )
        return weak_items(score_file, self.weak, self.framed)


def _needs_pairs(evaluation: str, negatives: str) -> bool:
    """Whether an evaluation has no negatives without explicit ones."""
    return negatives == "explicit_only" or (
        (evaluation, negatives) == ("weak", "explicit")
    )


def read_truth(
    framed_labels: Labels | None = None,
    strong_labels: Labels | None = None,
    weak_labels: Labels | None = None,
    explicit_negatives: Labels | None = None,
    problems: ProblemLog | None = None,
) -> Truth:
    """Reads labels and frames strong ones.

    Args:
      framed_labels: Framed TSV, or a framed table.
      strong_labels: Strong TSV, or a strong table.
      weak_labels: Weak CSV, or a weak table.
      explicit_negatives: TSV of pairs that annotators marked absent, a framed
        TSV that holds them, or a table of pairs.
      problems: Takes what is wrong with files.

    Returns:
      The truth (module docstring).

    Raises:
      InputError: The labels given are none or contradict each other, or a file
        or table is not what it should be.
    """
    _check_given(
        framed_labels is not None,
        strong_labels is not None,
        weak_labels is not None,
        explicit_negatives is not None,
    )
    framed = _read("framed_labels", framed_labels, read_framed_labels, problems)
    strong = _read("strong_labels", strong_labels, read_strong_labels, problems)
    weak = _read("weak_labels", weak_labels, read_weak_labels, problems)
    absent = _read(
        "explicit_negatives",
        explicit_negatives,
        read_explicit_negatives,
        problems,
    )
    notes = []
    if strong is not None:
        framed = frame_strong_labels(strong, absent)
        notes.append(_framing_note(framed, strong, absent))
        logging.info("Truth: %s.", notes[-1])
    return Truth(
        framed=framed,
        weak=weak,
        # With strong labels, events hold over them, as framing has it.
        explicit_negatives=absent if strong is None else None,
        has_explicit_negatives=absent is not None or framed_labels is not None,
        notes=tuple(notes),
    )


def _check_given(
    has_framed: bool, has_strong: bool, has_weak: bool, has_negatives: bool
) -> None:
    """Raises `InputError` for labels that are missing or contradictory."""
    if has_framed and has_strong:
        raise InputError(
            "Expected framed labels or strong labels, which are framed here; "
            "found both. Give one of --framed_labels and --strong_labels."
        )
    if not (has_framed or has_strong or has_weak):
        found = "explicit negatives only" if has_negatives else "none"
        raise InputError(
            f"Expected framed or strong labels, weak labels or both; found "
            f"{found}. Give --framed_labels, --strong_labels or --weak_labels."
        )
    if has_negatives and has_framed and not has_weak:
        raise InputError(
            "Expected no explicit negatives with framed labels alone, which "
            "hold their own negatives. Leave out --explicit_negatives, or give "
            "--strong_labels instead of --framed_labels."
        )


def _read(
    name: str,
    labels: Labels | None,
    read: Callable[[Path, ProblemLog | None], pd.DataFrame],
    problems: ProblemLog | None,
) -> pd.DataFrame | None:
    """Reads a label file; takes a table as it is, if it has the columns."""
    if labels is None:
        return None
    if not isinstance(labels, pd.DataFrame):
        return read(labels, problems)
    missing = [c for c in _COLUMNS[name] if c not in labels.columns]
    if missing:
        raise InputError(
            f"{name} must be a file or a table with {_COLUMNS[name]}, found no "
            f"{missing}."
        )
    return labels


def _framing_note(
    framed: pd.DataFrame, strong: pd.DataFrame, absent: pd.DataFrame | None
) -> str:
    """Says what framing made of strong labels."""
    num_present = int(framed["is_present"].sum())
    text = (
        f"strong labels were framed here: {len(strong)} events became "
        f"{num_present} PRESENT and {len(framed) - num_present} NOT_PRESENT "
        f"label frames"
    )
    if absent is None:
        return f"{text}, complementary negatives only"
    pairs = pd.MultiIndex.from_frame(absent[_PAIR].drop_duplicates())
    has_events = pairs.isin(pd.MultiIndex.from_frame(strong[_PAIR]))
    return (
        f"{text}, with {len(pairs)} explicit negatives, of which "
        f"{int(has_events.sum())} have events, which hold"
    )


# --- truth mapping ---------------------------------------------------------


def map_truth(truth: Truth, mapping: LabelMapping) -> tuple[Truth, str]:
    """Maps the labels that were given, and says what was done.

    Args:
      truth: The labels.
      mapping: What labels become.

    Returns:
      The mapped labels, and a line that says what changed.
    """
    params = dataclasses.asdict(mapping.params)
    done = [", ".join(name for name, is_on in params.items() if is_on)]
    weak, framed, pairs = truth.weak, truth.framed, truth.explicit_negatives
    if weak is not None:
        before = weak["mids"].map(len).sum()
        weak = map_weak_labels(weak, mapping)
        after = weak["mids"].map(len).sum()
        done.append(f"{before} weak labels became {after}")
    if framed is not None:
        framed, counts = map_framed_labels(framed, mapping)
        done.append(
            f"{counts.num_pairs_gained} framed (clip, class) pairs gained "
            f"positives, against {counts.num_contradicted_pairs} explicit "
            f"negatives; {counts.num_overridden_negatives} negative label "
            f"frames became positive and {counts.num_replaced_negatives} of "
            f"replaced classes were left out"
        )
    if pairs is not None:
        mapped = absent_pairs(map_framed_labels(frame_pairs(pairs), mapping)[0])
        done.append(
            f"{len(pairs)} explicit negatives became {len(mapped)}; those of "
            f"replaced classes were left out"
        )
        pairs = mapped
    text = "; ".join(done)
    logging.info("Label mapping: %s.", text)
    mapped_truth = dataclasses.replace(
        truth, weak=weak, framed=framed, explicit_negatives=pairs
    )
    return mapped_truth, text


def frame_pairs(
    pairs: pd.DataFrame, params: LabelFrameParams = LabelFrameParams()
) -> pd.DataFrame:
    """Makes the framed table of pairs that are absent from all of a clip.

    Args:
      pairs: Columns segment_id and mid.
      params: The grid of label frames.

    Returns:
      Framed table, ten NOT_PRESENT rows for each distinct pair.
    """
    distinct = pairs[["segment_id", "mid"]].drop_duplicates()
    num_label_frames = params.num_label_frames
    rows = np.repeat(np.arange(len(distinct)), num_label_frames)
    framed = distinct.iloc[rows].reset_index(drop=True)
    label_frames = np.tile(np.arange(num_label_frames), len(distinct))
    return framed.assign(label_frame=label_frames, is_present=False)[
        ["segment_id", "label_frame", "mid", "is_present"]
    ]

r"""Thresholds, the files that hold them, and reliability curves.

A threshold is the score from which on a class counts as present: for each class
the one that maximises F1 over the items of a validation set, which are label
frames (Strong eval) or clips (Weak eval).

  * A threshold lies halfway between the lowest accepted score and the next
    lower one, so that rounding of scores moves no item across it; where nothing
    lies below, it is the lowest score.
  * Where several give the same F1, the highest is taken: fewest false alarms.
  * F1 says nothing of a class without positives, and accepting everything is
    best for one without negatives. Such classes get a default, and a reason.
  * F1 is of the items that chose the threshold, so optimistic where they are
    few, and depends on how common the class is among them. Explicit negatives
    are few and some of the hardest clips: thresholds chosen against them are
    too low for audio as it comes. Implied ones are the default.

A threshold file is a CSV whose first line is a comment with the settings:

    # {"class_map_hash": "...", "scores": "val.npz", ...}
    mid,display_name,threshold,f1,precision,recall,num_positives,...
    /m/0bt9lr,Dog,0.3125,0.71,0.75,0.67,120,4013,

Numbers that are undefined are empty. Only mid and threshold are needed, so that
thresholds can be written by hand, without the comment too. The settings:

    scores             name of the score file or folder
    class_map_hash     `class_map.hash_of_mids` of its classes
    score_notes        how it was read (`LabelFrameScores.notes`)
    labels             name of the label file
    clips              name of the list of annotated clips, if there was one
    items              "label frames" or "clips"
    negatives          "explicit" or "implied"
    num_items          how many there were
    score_range        lowest and highest score
    default_threshold  threshold of classes with a reason
    min_positives      positives that F1 needs to choose

A reliability curve asks whether of the items with a score of 0.8 eight of ten
are positive. It sorts the listed items of a class into bins of equal width by
their score and sets the mean score of a bin beside its share of positives; bin
i of n holds scores in [i / n, (i + 1) / n), the last holds 1 too. Pooled are
all listed (item, class) pairs together. The expected calibration error is the
mean distance of the two over bins, weighted by items:

    ECE = sum over bins of  num_items / num_all_items * |mean score - share|

The interval of a pooled bin's share is Wilson's, with an effective number of
items in place of their number: items of a clip (or of a group of clips) are
alike, so that their share varies more than that of as many items drawn one by
one. It is share * (1 - share) / variance, where the variance is that of a ratio
of sums over clips; the number of clips where the share is 0 or 1.

Source: thresholds are our choice, the paper uses none (BUILD_NOTES.md
"Thresholds"). Calibration: Guo et al., "On calibration of modern neural
networks", ICML 2017, Section 2; for one class at a time, as its items are
(BUILD_NOTES.md "Calibration"). Intervals: Wilson, "Probable inference, the law
of succession, and statistical inference", JASA 1927; effective size: Kish,
"Survey sampling", 1965.
"""

import dataclasses
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging
from scipy.special import ndtri

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import EvalItems
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.scores import (
    LabelFrameScores,
    Path,
    are_probabilities,
    as_probabilities,
    score_range,
)
from audioset_strong.evaluation.truth import Truth
from audioset_strong.files import open_output
from audioset_strong.labels.class_map import check_class_hash
from audioset_strong.labels.problems import listed

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Scores = npt.NDArray[np.floating[Any]]

# --- Choosing ----------------------------------------------------------------


def threshold_items(
    score_file: LabelFrameScores, truth: Truth, negatives: str = "implied"
) -> tuple[EvalItems, str]:
    """Makes the items that thresholds are chosen on.

    Args:
      score_file: What the model scored.
      truth: Framed or strong labels, whose explicit negatives are then the
        complementary ones, or weak labels, which have implied ones only.
      negatives: "implied" or "explicit".

    Returns:
      The items, and what they are: "label frames" or "clips".

    Raises:
      InputError: There are labels of both kinds or no such negatives, or no
        clip is both scored and labelled.
    """
    if truth.framed is not None and truth.weak is not None:
        raise InputError(
            "Expected framed or strong labels, for thresholds on label frames, "
            "or weak labels, for thresholds on clips; found both. Give one."
        )
    [(evaluation, _)] = truth.evaluations([negatives])
    items = truth.items(score_file, evaluation, negatives)
    if items.is_logits:
        # Thresholds are of probabilities, as the scores of predict are.
        scores = as_probabilities(items.scores, is_logits=True)
        items = dataclasses.replace(items, scores=scores, is_logits=False)
    return items, "label frames" if evaluation == "strong" else "clips"


@dataclasses.dataclass(frozen=True)
class ThresholdParams:
    """How thresholds are chosen.

    Attributes:
      default_threshold: Threshold of classes that the items say nothing of.
      min_positives: Classes with fewer positives get the default.
    """

    default_threshold: float = 0.5
    min_positives: int = 1

    def __post_init__(self) -> None:
        """Raises `InputError` for a value out of range."""
        if not np.isfinite(self.default_threshold):
            raise InputError(
                f"default_threshold must be finite. Received: "
                f"{self.default_threshold}."
            )
        if self.min_positives < 1:
            raise InputError(
                f"min_positives must be 1 or more. Received: "
                f"{self.min_positives}."
            )


class Accepted(NamedTuple):
    """What a threshold accepts of one class.

    Attributes:
      threshold: Least score that is accepted.
      f1: Harmonic mean of precision and recall, in [0, 1]; NaN without any
        positive.
      precision: Share of accepted items that are positive; NaN if none is.
      recall: Share of positives that are accepted; NaN without any.
    """

    threshold: float
    f1: float
    precision: float
    recall: float


def best_f1_threshold(
    positive_scores: _Scores, negative_scores: _Scores
) -> Accepted:
    """Finds the threshold of one class with the highest F1.

    Args:
      positive_scores: float `[num_positives]`, at least one, finite.
      negative_scores: float `[num_negatives]`, finite.
    """
    # The lowest accepted score is a positive's: a negative there only costs.
    candidates, num_equal = np.unique(positive_scores, return_counts=True)
    candidates, num_equal = candidates[::-1], num_equal[::-1]
    # All [num_candidates], highest first.
    num_true = np.cumsum(num_equal)
    negatives = np.sort(negative_scores[negative_scores >= candidates[-1]])
    num_false = negatives.size - np.searchsorted(negatives, candidates)
    # 2 precision recall / (precision + recall), in whole numbers up to the one
    # division, so that equal values are equal in floating point too.
    f1 = 2 * num_true / (num_true + num_false + positive_scores.size)
    best = int(np.argmax(f1))  # the first, which is the highest score
    lowest = candidates[best]
    both = np.concatenate([candidates, negative_scores])
    # Where nothing is lower, the middle is the lowest itself.
    next_lower = both[both < lowest].max(initial=-np.inf)
    high = float(lowest)
    low = high if np.isneginf(next_lower) else float(next_lower)
    # float64 holds the middle of any two float16 or float32; of neighbouring
    # float64 it may be the lower one.
    middle = low + (high - low) / 2
    threshold = middle if middle > low else high
    return accepted_at(threshold, positive_scores, negative_scores)


def accepted_at(
    threshold: float, positive_scores: _Scores, negative_scores: _Scores
) -> Accepted:
    """Counts what a threshold accepts of one class."""
    # As arrays of float64, because NumPy would round a float to float16.
    least = np.asarray([threshold])
    num_true = int((positive_scores >= least).sum())
    num_accepted = num_true + int((negative_scores >= least).sum())
    return Accepted(
        threshold=float(threshold),
        f1=_share(2 * num_true, num_accepted + positive_scores.size)
        if positive_scores.size
        else float("nan"),
        precision=_share(num_true, num_accepted),
        recall=_share(num_true, positive_scores.size),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def choose_thresholds(
    scores: NativeScores | LabelFrameScores,
    truth: Truth,
    params: ThresholdParams = ThresholdParams(),
    negatives: str = "implied",
    *,
    pooling: str = "mean",
    allow_partial_scores: bool = False,
) -> pd.DataFrame:
    """Chooses the threshold of each class that maximises F1.

    Args:
      scores: What a model scored: of `read_scores` or `make_scores`. Thresholds
        of logits are probabilities.
      truth: Labels of clips that it was not trained on: of `read_truth`; as in
        `threshold_items`.
      params: How they are chosen.
      negatives: "implied" or "explicit".
      pooling: As in `EvalSettings`.
      allow_partial_scores: As in `EvalSettings`.

    Returns:
      As `choose_item_thresholds`. `write_threshold_file` writes it.

    Raises:
      InputError: As `threshold_items` and `Truth.label_frames`.
    """
    label_frames = truth.label_frames(scores, pooling, allow_partial_scores)
    items, _ = threshold_items(label_frames, truth, negatives)
    return choose_item_thresholds(items, params, scores.display_names)


def choose_item_thresholds(
    items: EvalItems,
    params: ThresholdParams = ThresholdParams(),
    display_names: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Chooses the threshold of each class that maximises F1.

    Returns:
      One row a class, in the order of the scores: mid str, display_name str,
      threshold float64, f1, precision and recall float64 in [0, 1] with NaN
      where undefined, num_positives and num_negatives int64, reason str: why
      the class has the default threshold, "" where F1 chose.
    """

    def choose(
        index: int, item: _Ints, scores: _Scores, p: _Bools, n: _Bools
    ) -> dict[str, Any]:
        # float16 is widened, which is exact: NumPy sorts it slowly.
        wide = np.result_type(scores.dtype, np.float32)
        positives, negatives = scores[p].astype(wide), scores[n].astype(wide)
        reason = ""
        if positives.size == 0:
            reason = "no positives"
        elif negatives.size == 0:
            reason = "no negatives"
        elif positives.size < params.min_positives:
            reason = f"fewer than {params.min_positives} positives"
        if reason:
            default = params.default_threshold
            accepted = accepted_at(default, positives, negatives)
        else:
            accepted = best_f1_threshold(positives, negatives)
        mid = str(items.mids[index])
        return {
            "mid": mid,
            "display_name": (display_names or {}).get(mid, ""),
            **accepted._asdict(),
            "num_positives": positives.size,
            "num_negatives": negatives.size,
            "reason": reason,
        }

    return pd.DataFrame(items.map_classes(choose))


def summary_text(table: pd.DataFrame) -> str:
    """Counts the thresholds that `choose_thresholds` chose, with mean F1."""
    f1 = table.loc[table["reason"] == "", "f1"]
    mean = f", mean F1 {f1.mean():.3f}" if len(f1) else ""
    return f"Thresholds of {len(f1)} of {len(table)} classes{mean}"


def warn_of_defaults(table: pd.DataFrame) -> None:
    """Logs which classes of `choose_thresholds` have the default, and why."""
    for reason, rows in table[table["reason"] != ""].groupby("reason"):
        logging.warning(
            "%d classes get the default threshold %g: %s, such as %s.",
            len(rows),
            rows["threshold"].iloc[0],
            reason,
            rows["mid"].iloc[0],
        )


# --- Threshold files ---------------------------------------------------------


class ThresholdFile(NamedTuple):
    """Thresholds and how they were chosen.

    Attributes:
      thresholds: Of each mid, finite.
      settings: As in the module docstring; empty for a file without them.
    """

    thresholds: dict[str, float]
    settings: dict[str, Any]


def write_threshold_file(
    table: pd.DataFrame, settings: Mapping[str, Any], path: Path
) -> None:
    """Writes what `choose_thresholds` chose, whole or not at all.

    Args:
      table: The thresholds.
      settings: As in the module docstring, JSON-ready.
      path: CSV to write; the folder exists.
    """
    with open_output(path) as file:
        file.write(f"# {json.dumps(dict(settings))}\n")
        # repr of a float reads back as the same float: a score that is its
        # class's threshold stays accepted.
        table.to_csv(file, index=False, lineterminator="\n")


def read_threshold_file(path: Path) -> ThresholdFile:
    """Reads what `write_threshold_file` wrote, or a CSV with mid and threshold.

    Raises:
      InputError: A column is missing, a class stands twice, a threshold is not
        a finite number, or the classes are not those of the file's hash. Names
        the file, and the class.
    """
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    name = os.fspath(path)
    settings: Any = {}
    if text.startswith("#"):
        first, _, text = text.partition("\n")
        try:
            settings = json.loads(first.lstrip("#"))
        except json.JSONDecodeError:
            settings = None
        if not isinstance(settings, dict):
            raise InputError(
                f"{name}:1: expected the settings as a JSON object after '#', "
                f"found '{first[:60].rstrip()}'. Remove the line, or choose "
                f"thresholds again."
            )
    table = _parse_table(text, name)
    mids = table["mid"].tolist()
    if "class_map_hash" in settings:
        check_class_hash(
            mids,
            str(settings["class_map_hash"]),
            name,
            "Lines were added, removed or reordered: choose thresholds again, "
            "or remove the first line, which holds the hash.",
        )
    thresholds = {}
    for mid, value in zip(mids, table["threshold"], strict=True):
        try:
            thresholds[mid] = float(value)
        except ValueError:
            thresholds[mid] = float("nan")
        if not np.isfinite(thresholds[mid]):
            raise InputError(
                f"{name}: expected a finite number as threshold of {mid}, "
                f"found '{value}'."
            )
    return ThresholdFile(thresholds, settings)


def read_model_thresholds(
    path: Path,
    mids: Sequence[str],
    threshold_of_missing: float | None = None,
) -> npt.NDArray[np.float64]:
    """Reads the thresholds of a model whose scores are probabilities.

    Warns of classes that get `threshold_of_missing`, of classes of the file
    that the model lacks, and of thresholds from scores of another scale.

    Args:
      path: Threshold file.
      mids: Classes of the model.
      threshold_of_missing: Threshold of classes that the file lacks; None if it
        has to have all.

    Returns:
      float64 `[num_classes]`, in [0, 1].

    Raises:
      InputError: As `read_threshold_file`; or the file lacks a class, or a
        threshold of the model's classes is outside [0, 1].
    """
    threshold_of, settings = read_threshold_file(path)
    missing = [mid for mid in mids if mid not in threshold_of]
    if missing and threshold_of_missing is None:
        raise InputError(
            f"{os.fspath(path)}: expected a threshold for each of the "
            f"{len(mids)} classes of the model; {len(missing)} have none: "
            f"{listed(missing)}. Choose thresholds on a score file of this "
            f"model, or give a threshold for classes without one."
        )
    # Classes that the model lacks may have any.
    outside = [mid for mid in mids if not 0 <= threshold_of.get(mid, 0) <= 1]
    if outside:
        raise InputError(
            f"{os.fspath(path)}: expected thresholds in [0, 1], as the model's "
            f"scores are; {len(outside)} lie outside: {outside[0]} has "
            f"{threshold_of[outside[0]]:g}. Thresholds on logits do not fit: "
            f"choose them again, on probabilities."
        )
    if missing:
        logging.warning(
            "%d of %d classes have no threshold in %s and get %g: %s.",
            len(missing),
            len(mids),
            os.fspath(path),
            threshold_of_missing,
            listed(missing),
        )
    known = set(mids)
    extra = [mid for mid in threshold_of if mid not in known]
    if extra:
        logging.warning(
            "Thresholds of %d classes that the model lacks are not used: %s.",
            len(extra),
            listed(extra),
        )
    low, high = settings.get("score_range", (0, 1))
    if not are_probabilities(low, high):
        logging.warning(
            "%s was chosen on scores in [%g, %g], which are no probabilities "
            "as the model's are: choose thresholds on its own score file.",
            os.fspath(path),
            low,
            high,
        )
    return np.array(
        [threshold_of.get(mid, threshold_of_missing) for mid in mids],
        dtype=np.float64,
    )


def _parse_table(text: str, name: str) -> pd.DataFrame:
    """Parses the lines; every value is a str."""
    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise InputError(
            f"{name}: expected a CSV of thresholds. It cannot be read as one: "
            f"{error}".splitlines()[0]
        ) from error
    needed = {"mid", "threshold"}
    if not needed <= set(table.columns):
        raise InputError(
            f"{name}: expected a CSV with the columns mid and threshold, found "
            f"{list(table.columns)[:9]}. Give what choose_thresholds wrote."
        )
    if table.empty:
        raise InputError(f"{name}: expected at least one class, found none.")
    repeated = table.loc[table["mid"].duplicated(), "mid"].tolist()
    if repeated:
        raise InputError(
            f"{name}: expected one threshold a class; {len(repeated)} stand "
            f"more than once: {listed(repeated)}. Keep one of each."
        )
    return table


# --- Calibration -------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Scores against shares of positives, in bins.

    Attributes:
      mids: str `[num_classes]`.
      num_items: int64 `[num_classes, num_bins]`.
      num_positives: int64, same shape.
      score_sums: float64, same shape: sum of the scores of a bin.
    """

    mids: npt.NDArray[np.str_]
    num_items: _Ints
    num_positives: _Ints
    score_sums: _Floats

    @property
    def bin_edges(self) -> _Floats:
        """Edges of the bins, float64 `[num_bins + 1]`, from 0 to 1."""
        num_bins = self.num_items.shape[1]
        edges: _Floats = np.arange(num_bins + 1) / num_bins
        return edges

    @property
    def mean_scores(self) -> _Floats:
        """Mean score of each class's bin; NaN where it is empty."""
        return _ratio(self.score_sums, self.num_items)

    @property
    def positive_shares(self) -> _Floats:
        """Share of positives in each class's bin; NaN where it is empty."""
        return _ratio(self.num_positives, self.num_items)

    def pooled(self) -> "ReliabilityCurve":
        """Returns the curve of all classes together, as one class "pooled"."""
        return ReliabilityCurve(
            mids=np.array(["pooled"]),
            num_items=self.num_items.sum(axis=0, keepdims=True),
            num_positives=self.num_positives.sum(axis=0, keepdims=True),
            score_sums=self.score_sums.sum(axis=0, keepdims=True),
        )

    def calibration_errors(self) -> _Floats:
        """Returns the ECE, float64 `[num_classes]`; NaN without items."""
        # A bin's weight cancels the division in its two means.
        distances = np.abs(self.score_sums - self.num_positives)
        return _ratio(distances.sum(axis=1), self.num_items.sum(axis=1))

    def table(
        self, display_names: Mapping[str, str] | None = None
    ) -> pd.DataFrame:
        """Returns the curve as rows, the pooled one first.

        Returns:
          One row for each bin that has items: mid str ("pooled" for all
          classes), display_name str, bin_low and bin_high float64, num_items
          and num_positives int64, mean_score and positive_share float64, and
          calibration_error float64: the ECE over all bins of the class.
        """
        names, parts = display_names or {}, []
        for curve in (self.pooled(), self):
            bins = column, bin_index = np.nonzero(curve.num_items)
            mids = curve.mids[column].tolist()
            values = {
                "mid": pd.Series(mids, dtype=object),
                "display_name": [names.get(mid, "") for mid in mids],
                "bin_low": curve.bin_edges[bin_index],
                "bin_high": curve.bin_edges[bin_index + 1],
                "num_items": curve.num_items[bins],
                "num_positives": curve.num_positives[bins],
                "mean_score": curve.mean_scores[bins],
                "positive_share": curve.positive_shares[bins],
                "calibration_error": curve.calibration_errors()[column],
            }
            parts.append(pd.DataFrame(values))
        return pd.concat(parts, ignore_index=True)


def _ratio(part: _Floats | _Ints, whole: _Ints) -> _Floats:
    ratio = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def reliability_curve(items: EvalItems, num_bins: int = 10) -> ReliabilityCurve:
    """Bins the items of each class by their scores.

    Raises:
      InputError: Scores are not probabilities, or `num_bins` is below 1.
    """
    if num_bins < 1:
        raise InputError(f"num_bins must be 1 or more. Received: {num_bins}.")
    low, high = score_range(items.scores)
    if not items.is_logits and not are_probabilities(low, high):
        raise InputError(
            f"A reliability curve needs probabilities, scores in [0, 1]; found "
            f"{low:g} to {high:g}. If they are logits, say so (is_logits)."
        )

    def bin_class(
        _: int, item: _Ints, scores: _Scores, p: _Bools, n: _Bools
    ) -> _Floats:
        is_listed = p | n
        listed_scores = as_probabilities(
            scores[is_listed], items.is_logits
        ).astype(np.float64)
        # The last bin holds 1 too.
        bins = (listed_scores * num_bins).astype(np.int64)
        bins = np.clip(bins, 0, num_bins - 1)  # [num_listed]
        values = (np.ones(bins.size), p[is_listed], listed_scores)
        return np.stack([np.bincount(bins, v, num_bins) for v in values])

    # [num_classes, 3, num_bins]; sums of ones are whole numbers.
    sums = np.reshape(items.map_classes(bin_class), (-1, 3, num_bins))
    counts = sums[:, :2].astype(np.int64)
    return ReliabilityCurve(items.mids, counts[:, 0], counts[:, 1], sums[:, 2])


class PooledReliability(NamedTuple):
    """A reliability curve of all classes together, with intervals.

    Attributes:
      curve: The curve, of one class "pooled".
      low: float64 `[num_bins]`, lower ends of the intervals of the shares; NaN
        where a bin is empty.
      high: Upper ends.
      level: Share of intervals that hold what they estimate, in (0, 1).
    """

    curve: ReliabilityCurve
    low: _Floats
    high: _Floats
    level: float


# Score cells that are binned at a time: some 30 MB for each step.
_CELLS_AT_ONCE = 1_000_000


def pooled_reliability(
    items: EvalItems, level: float = 0.95, num_bins: int = 10
) -> PooledReliability | None:
    """Bins the items of all classes, and says how sure the shares are.

    Returns:
      The curve; None if scores are not probabilities.
    """
    num_clips = items.segment_ids.size
    num_items, num_positives, score_sums = np.zeros((3, num_clips, num_bins))
    rows_at_once = max(1, _CELLS_AT_ONCE // max(1, items.mids.size))
    for start in range(0, len(items.scores), rows_at_once):
        rows = slice(start, start + rows_at_once)
        clip, is_positive = items.clip_of_item[rows], items.is_positive[rows]
        is_listed = is_positive | items.is_negative[rows]
        scores = as_probabilities(items.scores[rows], items.is_logits)
        if scores.dtype == np.float16:  # Which is slow in all that follows.
            scores = scores.astype(np.float32)
        # Nearly all scores are of the first bin, which is counted by rows.
        is_high = is_listed & (scores >= 1 / num_bins)
        is_low = is_listed & ~is_high
        low_scores = np.where(is_low, scores, 0)
        row, column = np.nonzero(is_high)
        high = scores[row, column].astype(np.float64)
        lowest, highest = low_scores.min(initial=0), high.max(initial=0)
        if not are_probabilities(lowest, highest):
            return None
        # The last bin holds 1 too.
        bins = np.minimum((high * num_bins).astype(np.int64), num_bins - 1)
        for total, of_rows, of_high in (
            (num_items, np.count_nonzero(is_low, axis=1), 1),
            (
                num_positives,
                np.count_nonzero(is_positive & is_low, axis=1),
                is_positive[row, column],
            ),
            (score_sums, low_scores.sum(axis=1, dtype=np.float64), high),
        ):
            np.add.at(total[:, 0], clip, of_rows)
            np.add.at(total, (clip[row], bins), of_high)
    curve = ReliabilityCurve(
        np.array(["pooled"]),
        num_items.sum(axis=0, keepdims=True).astype(np.int64),
        num_positives.sum(axis=0, keepdims=True).astype(np.int64),
        # What a difference leaves of nothing is nothing.
        np.where(num_items > 0, score_sums, 0).sum(axis=0, keepdims=True),
    )
    if items.group_of_clip is not None:
        group, names = pd.factorize(items.group_of_clip)
        of_groups = np.zeros((2, len(names), num_bins))
        np.add.at(of_groups[0], group, num_items)
        np.add.at(of_groups[1], group, num_positives)
        num_items, num_positives = of_groups
    low, high = _share_intervals(num_items, num_positives, level)
    return PooledReliability(curve, low, high, level)


def _share_intervals(
    num_items: _Floats, num_positives: _Floats, level: float
) -> tuple[_Floats, _Floats]:
    """Computes the intervals of the module docstring.

    Args:
      num_items: float64 `[num_clips, num_bins]`.
      num_positives: float64, same shape.
      level: In (0, 1).

    Returns:
      Both ends, float64 `[num_bins]`.
    """
    total = num_items.sum(axis=0)  # [num_bins]
    num_clips = (num_items > 0).sum(axis=0)
    z = ndtri((1 + level) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):  # empty bins
        share = num_positives.sum(axis=0) / total
        residuals = num_positives - share * num_items
        correction = num_clips / (num_clips - 1)
        variance = correction * (residuals**2).sum(axis=0) / total**2
        size = share * (1 - share) / variance
        # Items that differ within clips more than by chance count once.
        size = np.where(variance > 0, np.minimum(size, total), num_clips)
        centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
        half = np.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
        half *= z / (1 + z**2 / size)
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)

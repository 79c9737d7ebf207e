"""What a report says, whatever it is written as."""

import dataclasses
import math
from collections.abc import Mapping

import pandas as pd

from audioset_strong.evaluation.evaluator import EvalResult
from audioset_strong.labels.problems import ProblemLog

OVERALL_METRICS = (
    "d_prime",
    "mean_auc",
    "mean_d_prime",
    "lwlrap",
    "balanced_lwlrap",
)
_COMPARED = ("auc", "d_prime", "lwlrap")


@dataclasses.dataclass(frozen=True, eq=False)
class EvalReport:
    """Everything that a report shows.

    Attributes:
      inputs: Path of each input; None for those not given.
      rank_over: Classes that lwlrap ranks.
      results: One a (evaluation, negatives), in the order to show.
      baseline_results: The same evaluations of the baseline; empty without one.
      problems: Label lines that were left out.
    """

    inputs: Mapping[str, str | None]
    rank_over: str
    results: tuple[EvalResult, ...]
    baseline_results: tuple[EvalResult, ...] = ()
    problems: ProblemLog = dataclasses.field(default_factory=ProblemLog)

    def baseline_of(self, result: EvalResult) -> EvalResult | None:
        """Returns the same evaluation of the baseline, if there is one."""
        key = (result.evaluation, result.negatives)
        for baseline in self.baseline_results:
            if (baseline.evaluation, baseline.negatives) == key:
                return baseline
        return None


def count_of(count: int, noun: str) -> str:
    """Writes a count and its noun, such as "1 class" or "2,000 clips"."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else plural}"


def result_notes(
    result: EvalResult, baseline: EvalResult | None = None
) -> list[str]:
    """Says in words what a reader of the numbers must know."""
    notes = []
    if result.num_classes == 0:
        notes.append("No class has a positive and a negative: d' is undefined.")
    elif not math.isfinite(result.d_prime):
        notes.append("The mean AUC is 0 or 1: d' is infinite.")
    if result.num_classes_infinite_d_prime:
        infinite = count_of(result.num_classes_infinite_d_prime, "class")
        notes.append(
            f"The mean d' over classes is infinite or undefined: {infinite} "
            f"with AUC 0 or 1."
        )
    if result.num_classes_lwlrap == 0:
        notes.append("No class has a positive: lwlrap is undefined.")
    if baseline is not None and not _same_items(result, baseline):
        notes.append(
            "The baseline was evaluated on other clips, label frames or "
            "classes: the differences are not over the same items."
        )
    return notes


def _same_items(result: EvalResult, baseline: EvalResult) -> bool:
    """Whether two results are of the same clips, label frames and classes."""
    columns = ["mid", "num_positives", "num_negatives"]
    tables = [
        r.per_class[columns].sort_values("mid", ignore_index=True)
        for r in (result, baseline)
    ]
    ours, theirs = result.alignment, baseline.alignment
    return (
        tables[0].equals(tables[1])
        and result.num_items == baseline.num_items
        and ours.num_clips_evaluated == theirs.num_clips_evaluated
        and ours.clips_not_scored == theirs.clips_not_scored
        and ours.clips_without_scores == theirs.clips_without_scores
    )


def compare_per_class(
    result: EvalResult, baseline: EvalResult | None
) -> pd.DataFrame:
    """Puts the baseline's per-class metrics beside a result's.

    Args:
      result: What to show.
      baseline: The same evaluation of the baseline; None for none.

    Returns:
      `result.per_class` and, with a baseline, baseline_auc, baseline_d_prime,
      baseline_lwlrap, d_prime_difference and lwlrap_difference, float64, NaN
      for classes that it lacks.
    """
    table = result.per_class.copy()
    if baseline is None:
        return table
    theirs = baseline.per_class.set_index("mid").reindex(table["mid"])
    for name in _COMPARED:
        table[f"baseline_{name}"] = theirs[name].to_numpy()
    for name in ("d_prime", "lwlrap"):
        table[f"{name}_difference"] = table[name] - table[f"baseline_{name}"]
    return table

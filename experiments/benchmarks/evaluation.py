r"""How long evaluating a set of release size takes, and how much memory.

    python -m experiments.benchmarks.evaluation --work_dir=runs/evaluation

Generates two score files and labels of 14,203 clips, ten label frames and 527
classes into --work_dir (once), then measures, each in a process of its own:

  evaluate   read the files and run every evaluation, one after the other
  resampling  read them and make --num_resamples resamples of the strong and the
             weak evaluation against explicit negatives, all overall metrics and
             all class AUCs; then of the baseline, and compare the two
  implied    read them and resample the Strong eval against implied negatives

and the obvious way: scikit-learn's `roc_auc_score` and
`average_precision_score`, class by class, for --num_obvious resamples of both
explicit evaluations, whose clips are literally repeated. Their time is
extrapolated to --num_resamples. lwlrap is left out of the obvious way, and not
of ours. Both must agree. Prints JSON: seconds, and peak memory in MiB.
"""

import json
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import flags
from sklearn.metrics import average_precision_score, roc_auc_score

from audioset_strong import run_flags
from audioset_strong.evaluation import resampling
from audioset_strong.evaluation.items import (
    STRONG_NEGATIVES,
    EvalItems,
    strong_items,
    weak_items,
)
from audioset_strong.evaluation.resampling import (
    compare_resamples,
    draw_halves,
    resample_classes,
)
from audioset_strong.evaluation.results import evaluate_items
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog
from experiments.benchmarks.generated_scores import SCORE_FILES, generate_all

_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Folder for the generated files.", required=True
)
_NUM_RESAMPLES = flags.DEFINE_integer("num_resamples", 1000, "Resamples.")
_NUM_IMPLIED = flags.DEFINE_integer(
    "num_implied", 1000, "Resamples against implied negatives."
)
_NUM_OBVIOUS = flags.DEFINE_integer(
    "num_obvious", 3, "Resamples of the obvious way."
)

_Numbers = dict[str, Any]


class _Clock:
    """Notes how many seconds each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def _read(folder: str, score_name: str) -> tuple[Any, Any, Any]:
    return (
        read_scores(os.path.join(folder, score_name)).pool(),
        read_framed_labels(os.path.join(folder, "framed.tsv"), ProblemLog()),
        read_weak_labels(os.path.join(folder, "weak.csv"), ProblemLog()),
    )


def _explicit_items(folder: str, score_name: str) -> dict[str, EvalItems]:
    scores, framed, weak = _read(folder, score_name)
    return {
        "strong": strong_items(scores, framed),
        "weak": weak_items(scores, weak, framed),
    }


def _evaluate(folder: str) -> _Numbers:
    """Runs every evaluation."""
    clock = _Clock()
    scores, framed, weak = _read(folder, SCORE_FILES[0])
    clock.lap("read")
    counts = {}
    for negatives in STRONG_NEGATIVES:
        items = strong_items(scores, framed, negatives)
        result = evaluate_items(items, "strong", negatives)
        counts[negatives] = result.num_positives, result.num_negatives
        del items
        clock.lap(f"strong_{negatives}")
    for negatives in ("explicit", "implied"):
        items = weak_items(
            scores, weak, framed if negatives == "explicit" else None
        )
        evaluate_items(items, "weak", negatives)
        clock.lap(f"weak_{negatives}")
    return {
        "seconds": clock.seconds,
        "total_seconds": round(sum(clock.seconds.values()), 2),
        "strong_positives_and_negatives": counts,
    }


def _resampling(folder: str, num_resamples: int) -> _Numbers:
    """Resamples both explicit evaluations of two systems and compares them."""
    clock = _Clock()
    resamples = {}
    for score_name in SCORE_FILES:
        items = _explicit_items(folder, score_name)
        clock.lap(f"{score_name}_items")
        for evaluation in items:
            own = resample_classes(items[evaluation], num_resamples)
            resampling.intervals_of(own)
            resamples[score_name, evaluation] = own
            clock.lap(f"{score_name}_{evaluation}_resamples")
        del items
    for evaluation in ("strong", "weak"):
        compare_resamples(
            *(resamples[score_name, evaluation] for score_name in SCORE_FILES)
        )
    clock.lap("compare")
    return {
        "seconds": clock.seconds,
        "one_system_seconds": _resampling_seconds(clock, SCORE_FILES[0]),
    }


def _resampling_seconds(clock: _Clock, score_name: str) -> float:
    return round(
        sum(
            clock.seconds[f"{score_name}_{evaluation}_resamples"]
            for evaluation in ("strong", "weak")
        ),
        2,
    )


def _implied(folder: str, num_resamples: int) -> _Numbers:
    """Resamples the Strong eval against implied negatives."""
    scores, framed, _ = _read(folder, SCORE_FILES[0])
    items = strong_items(scores, framed, "implied")
    del scores, framed
    clock = _Clock()
    resample_classes(items, num_resamples)
    clock.lap("resamples")
    return {"num_resamples": num_resamples, **clock.seconds}


def _obvious(folder: str, num_obvious: int, num_resamples: int) -> _Numbers:
    """Does the same with scikit-learn, class by class."""
    seconds = 0.0
    for items in _explicit_items(folder, SCORE_FILES[0]).values():
        expected = resample_classes(items, num_obvious)
        draws = draw_halves(items.segment_ids, num_obvious, seed=0)
        # By class and contiguous, which favours the obvious way.
        scores = np.ascontiguousarray(items.scores.T, dtype=np.float32)
        positive = np.ascontiguousarray(items.is_positive.T)
        known = positive | items.is_negative.T
        started = time.monotonic()
        values = [
            _sklearn_metrics(
                scores, positive, known, times_drawn[items.clip_of_item]
            )
            for times_drawn in draws
        ]
        seconds += time.monotonic() - started
        aucs, precisions = np.array(values).transpose(1, 0, 2)
        np.testing.assert_allclose(expected.aucs[1:], aucs, rtol=1e-9)
        np.testing.assert_allclose(
            expected.average_precisions[1:], precisions, rtol=1e-9
        )
    return {
        "num_resamples": num_obvious,
        "seconds": round(seconds, 2),
        "extrapolated_seconds": round(seconds / num_obvious * num_resamples),
    }


def _sklearn_metrics(
    scores: np.ndarray,
    positive: np.ndarray,
    known: np.ndarray,
    times_drawn: np.ndarray,
) -> tuple[list[float], list[float]]:
    """Computes AUC and average precision of every class of one resample."""
    aucs, precisions = [], []
    for own, is_positive, is_known in zip(scores, positive, known, strict=True):
        times = times_drawn[is_known]
        truth = np.repeat(is_positive[is_known], times)
        drawn = np.repeat(own[is_known], times)
        if truth.any() and not truth.all():
            aucs.append(roc_auc_score(truth, drawn))
            precisions.append(average_precision_score(truth, drawn))
        else:
            aucs.append(np.nan)
            precisions.append(np.nan)
    return aucs, precisions


def _measure(task: Callable[..., _Numbers], *arguments: Any) -> _Numbers:
    """Runs a task in a new process; adds its peak memory."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_with_peak, (task, *arguments))


def _with_peak(task: Callable[..., _Numbers], *arguments: Any) -> _Numbers:
    numbers = task(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**numbers, "peak_mib": round(peak)}


def main(argv: Sequence[str]) -> None:
    """Measures all and prints JSON."""
    run_flags.refuse_arguments(argv)
    folder, num_resamples = _WORK_DIR.value, _NUM_RESAMPLES.value
    generate_all(folder)
    evaluate = _measure(_evaluate, folder)
    ours = _measure(_resampling, folder, num_resamples)
    obvious = _measure(_obvious, folder, _NUM_OBVIOUS.value, num_resamples)
    ratio = obvious["extrapolated_seconds"] / ours["one_system_seconds"]
    results = {
        "processors": os.cpu_count(),
        "evaluate": evaluate,
        "resampling": {"num_resamples": num_resamples, **ours},
        "implied": _measure(_implied, folder, _NUM_IMPLIED.value),
        "obvious": obvious,
        "obvious_to_ours": round(ratio, 1),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    run_flags.run(main)

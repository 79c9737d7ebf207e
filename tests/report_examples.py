"""Generated evaluations for the tests of reports."""

import numpy as np
import pandas as pd
from eval_examples import make_score_file

from audioset_strong.evaluation.breakdowns import break_down
from audioset_strong.evaluation.evaluating import (
    ResamplingSettings,
    join_details,
    summarize_items,
)
from audioset_strong.evaluation.identity import InputFile, ReportIdentity
from audioset_strong.evaluation.items import strong_items, weak_items
from audioset_strong.evaluation.results import EvalReport, evaluate_items
from audioset_strong.evaluation.thresholds import pooled_reliability


def detail_items(
    items,
    evaluation,
    negatives,
    baseline_items=None,
    settings=ResamplingSettings(),
    names=None,
):
    """Details of one system, or of two."""
    systems = [items] if baseline_items is None else [items, baseline_items]
    summaries = []
    for own in systems:
        summary = summarize_items(
            own, evaluation, settings, "all", names or {}, own.rank_classes()
        )
        if negatives == "implied":
            summary = summary._replace(reliability=pooled_reliability(own))
        if (evaluation, negatives) == ("strong", "explicit"):
            summary = summary._replace(
                breakdown=break_down(
                    own,
                    num_resamples=settings.num_resamples,
                    seed=settings.seed,
                )
            )
        summaries.append(summary)
    return join_details(evaluation, negatives, settings.level, *summaries)


def random_labels(num_clips, num_classes, seed=0, suffix=""):
    """Makes weak and framed tables; classes differ in their positives.

    Every segment id and mid ends in the suffix.
    """
    rng = np.random.default_rng(seed)
    share = 0.5 * 0.93 ** np.arange(num_classes) + 0.02
    has = rng.random((num_clips, num_classes)) < share
    is_listed = has | (rng.random(has.shape) < 0.2)
    clip, column = np.nonzero(is_listed)
    present = (rng.random((clip.size, 10)) < 0.5) & has[clip, column][:, None]
    segment_ids = np.array([f"clip{i}_0{suffix}" for i in range(num_clips)])
    mids = np.array([f"/m/{i}{suffix}" for i in range(num_classes)])
    framed = pd.DataFrame(
        {
            "segment_id": np.repeat(segment_ids[clip], 10).astype(object),
            "label_frame": np.tile(np.arange(10), clip.size),
            "mid": np.repeat(mids[column], 10).astype(object),
            "is_present": present.ravel(),
        }
    )
    weak = pd.DataFrame(
        {
            "segment_id": segment_ids.astype(object),
            "mids": [tuple(mids[row]) for row in has],
        }
    )
    strong = np.zeros((num_clips, 10, num_classes), dtype=bool)
    strong[clip, :, column] = present
    return weak, framed, strong


def random_scores(strong, separation, seed, suffix=""):
    """Makes a score file whose positives score higher, more so in some classes.

    The first class is perfect and the second inverted, for infinite d'.
    """
    rng = np.random.default_rng(seed)
    num_classes = strong.shape[2]
    ease = separation * rng.uniform(0.2, 1.8, num_classes)
    ease[:2] = 40, -40
    scores = rng.normal(size=strong.shape) + ease * strong
    return make_score_file(
        (1 / (1 + np.exp(-scores))).astype(np.float32),
        [f"clip{i}_0{suffix}" for i in range(len(strong))],
        [f"/m/{i}{suffix}" for i in range(num_classes)],
    )


def random_report(
    num_clips=60,
    num_classes=60,
    has_baseline=True,
    num_resamples=60,
    suffix="",
):
    """Makes a report with everything in it; all names end in the suffix."""
    weak, framed, strong = random_labels(num_clips, num_classes, suffix=suffix)
    systems = [random_scores(strong, 1.5, 1, suffix)]
    if has_baseline:
        systems.append(random_scores(strong, 1.2, 2, suffix))
    names = {
        f"/m/{i}{suffix}": f"Sound {i:03} & <co>{suffix}"
        for i in range(num_classes)
    }
    # One class without a name, one that is not ASCII.
    names.pop(f"/m/3{suffix}")
    names[f"/m/4{suffix}"] = f"Ünusual, “quoted”{suffix}"
    results, details = [], []
    for evaluation, negatives in (
        ("strong", "explicit"),
        ("strong", "complementary_only"),
        ("weak", "explicit"),
        ("weak", "implied"),
    ):
        if evaluation == "strong":
            items = [strong_items(s, framed, negatives) for s in systems]
        else:
            table = framed if negatives == "explicit" else None
            items = [weak_items(s, weak, table) for s in systems]
        results.append(
            [
                evaluate_items(i, evaluation, negatives, "all", names)
                for i in items
            ]
        )
        details.append(
            detail_items(
                items[0],
                evaluation,
                negatives,
                *items[1:],
                settings=ResamplingSettings(num_resamples=num_resamples),
                names=names,
            )
        )
    return EvalReport(
        inputs={
            "scores": f"dir/ours.npz{suffix}",
            "baseline_scores": f"theirs.npz{suffix}",
        },
        rank_over="all",
        results=tuple(r[0] for r in results),
        baseline_results=tuple(r[1] for r in results if has_baseline),
        details=tuple(details),
        identity=ReportIdentity(
            f"ours{suffix}",
            f"theirs{suffix}",
            "2026-11-27T01:02:03Z",
            protocols=("hershey2021",),
            files={
                "scores": InputFile(f"dir/ours.npz{suffix}", "0" * 16, 1234)
            },
        ),
    )

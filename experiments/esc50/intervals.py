"""How far the results may be off: intervals over clips and over seeds.

Over clips: the evaluator's random halves of the evaluation clips
(`evaluation/resampling.py`), the same for all models. What is resampled is a
mean over seeds, or a difference of two means, so that it is paired by clips.
Over seeds: Student's t. Neither holds the other's share of chance, nor that of
the recordings, which all clips share.

Fine-tuned models that start from one Weak-large have more in common than two
seeds should. So in every mean over seeds each Weak-large counts alike, and the
unit of an interval over seeds is
  * of a row: a Weak-large and all that starts from it; else a seed;
  * of rows that share Weak-large models, as fine-tuned ones and Weak-large
    itself do ("start"): the difference between the means of what starts from
    one of them, or is it. How much a label set gains may depend on the start;
  * of all others ("none"): a unit of either row; Welch's interval.
With one unit there is no interval.

`write_intervals` writes `intervals.json` and `strata.json` (README.md of the
results says what is in them). The resamples of a model are a step
(`experiments/steps.py`), made once.
"""

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.evaluation import (
    EvalSettings,
    read_known_classes,
    read_scores,
    read_truth,
)
from audioset_strong.evaluation.breakdowns import LENGTH, SHARE
from audioset_strong.evaluation.evaluating import (
    ResamplingSettings,
    evaluate_systems,
)
from audioset_strong.evaluation.ranking_metrics import d_prime_from_auc
from audioset_strong.evaluation.resampling import (
    interval_of,
    interval_of_difference,
    recentred,
)
from audioset_strong.evaluation.truth import Truth
from audioset_strong.labels.label_files import (
    absent_pairs,
    read_strong_labels,
)
from audioset_strong.records.manifest import write_json
from experiments.esc50.tables import ALL_ROWS, SHARES
from experiments.joined import Result, seed_weights, start_of
from experiments.steps import hash_file, run_step
from experiments.table1 import METRICS

# The weak eval again, by what separates its labels from the strong ones: with
# the weak labels of classes that have strong ones alone, and with what there is
# in a clip instead of what its weak labels say.
WEAK_AGAIN = ("weak_shared", "weak_present")
_ALL_METRICS = METRICS + tuple(
    f"{name}_{metric}"
    for name in WEAK_AGAIN
    for metric in ("d_prime", "lwlrap")
)
# Those to state.
_DIFFERENCES = (
    ("Strong-small", "Diffuse-small"),
    ("Strong-small", "Weak-small"),
    ("Diffuse-small", "Weak-small"),
    ("Weak-large", "Weak-small"),
    ("Weak-large", "Strong-small"),
    ("+ Strong", "+ Diffuse"),
    ("+ Diffuse", "Weak-large"),
    ("+ Strong", "Weak-large"),
    ("+ Strong", "+ Weak"),
    ("+ Diffuse", "+ Weak"),
    ("+ Strong", "Strong-small"),
    ("+ Strong by lwlrap", "+ Strong"),
    ("+ Strong", "+ Diffuse at same mu"),
    ("+ Diffuse at same mu", "Weak-large"),
)
_STRATA_DIFFERENCES = (
    ("Strong-small", "Diffuse-small"),
    ("+ Strong", "+ Diffuse"),
    ("+ Strong", "Weak-large"),
)
_RESAMPLING = ResamplingSettings()

# Below the output folder.
LABELS = "release/labels"
SCORES = "models/{run}/eval_scores.npz"

_Floats = npt.NDArray[np.float64]


class Model(NamedTuple):
    """A trained and scored model.

    Attributes:
      seed: Its seed.
      start: Hash of the weights that it starts from; its own if of none.
      metrics: float64 `[1 + num_resamples]` by name, of `METRICS` and the same
        of `WEAK_AGAIN`: of all clips, and of each half.
      strata: d' of each stratum, `[1 + fewer_resamples, num_strata]`.
    """

    seed: int
    start: str
    metrics: Mapping[str, _Floats]
    strata: _Floats


def write_intervals(
    results: Sequence[Result],
    output_dirs: Sequence[str],
    paper: Mapping[str, Mapping[str, float]],
    results_dir: str,
) -> None:
    """Writes the intervals and strata of all rows that there are.

    Args:
      results: Of rows: what `table1.run_row` returned.
      output_dirs: Folders with the scores and labels that they are of.
      paper: The paper's numbers by row and metric.
      results_dir: Where to write.

    Raises:
      InputError: Scores or labels are not where they should be, or not those
        that the results are of.
    """
    by_row: dict[str, list[Model]] = {}
    about: dict[str, Any] = {}
    for result in results:
        model, about = _resample(result, output_dirs)
        by_row.setdefault(result["point"]["training_set"], []).append(model)
    rows = {
        name: by_row[name]
        for name in (*ALL_ROWS, *sorted(set(by_row) - set(ALL_ROWS)))
        if name in by_row
    }
    strata = about.pop("strata")
    about |= dataclasses.asdict(_RESAMPLING)
    values = {
        "about": about,
        "rows": [
            {
                "training_set": name,
                "seeds": sorted(model.seed for model in models),
                "num_units": len({model.start for model in models}),
                "paper": dict(paper.get(name, {})),
                "values": {m: describe_row(models, m) for m in _ALL_METRICS},
            }
            for name, models in rows.items()
        ],
        "differences": [
            {
                "first": a,
                "second": b,
                **dict(zip(("unit", "num_units"), _unit(rows[a], rows[b]))),
                "paper": {
                    m: paper[a][m] - paper[b][m]
                    for m in METRICS
                    if m in paper.get(a, ()) and m in paper.get(b, ())
                },
                "values": {
                    m: describe_difference(rows[a], rows[b], m)
                    for m in _ALL_METRICS
                },
            }
            for a, b in _there(_DIFFERENCES, rows)
        ],
    }
    for name, diffuse in SHARES.items():
        three = [rows.get(n) for n in ("+ Strong", diffuse, "Weak-large")]
        if all(three):
            values[name] = describe_share(*(models or [] for models in three))
    write_json(_rounded(values), os.path.join(results_dir, "intervals.json"))
    broken_down = {
        "about": {**about, "num_resamples": len(model.strata) - 1},
        "strata": strata,
        "rows": [
            {"training_set": name, "values": _strata_of(models)}
            for name, models in rows.items()
        ],
        "differences": [
            {
                "first": a,
                "second": b,
                "values": _strata_of(rows[a], rows[b]),
            }
            for a, b in _there(_STRATA_DIFFERENCES, rows)
        ],
    }
    write_json(_rounded(broken_down), os.path.join(results_dir, "strata.json"))


def _there(
    pairs: Iterable[tuple[str, str]], rows: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Keeps the pairs whose rows are both there."""
    return [(a, b) for a, b in pairs if a in rows and b in rows]


def _rounded(values: Any) -> Any:
    """Rounds all numbers to 5 digits, for JSON; None for what is not finite."""
    if isinstance(values, Mapping):
        return {name: _rounded(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_rounded(value) for value in values]
    if isinstance(values, float):
        return round(values, 5) if math.isfinite(values) else None
    return values


# --- Resamples of one model --------------------------------------------------


def find_output_dir(run: str, output_dirs: Sequence[str]) -> str:
    """Returns the output folder that holds the scores of a run."""
    place = SCORES.format(run=run)
    for output_dir in output_dirs:
        if os.path.exists(os.path.join(output_dir, place)):
            return output_dir
    raise InputError(
        f"Expected the scores of {run} in {', '.join(output_dirs)}, as "
        f"{place}. Give the output folder that it was scored in."
    )


def _resample(
    result: Result, output_dirs: Sequence[str]
) -> tuple[Model, dict[str, Any]]:
    """Resamples a model, unless that was done; returns what it is of too."""
    run = result["run"]
    output_dir = find_output_dir(run, output_dirs)
    scores_path = os.path.join(output_dir, SCORES.format(run=run))
    labels = {
        name: os.path.join(output_dir, LABELS, file_name)
        for name, file_name in (
            ("framed_labels", "audioset_eval_strong_framed_posneg.tsv"),
            ("weak_labels", "eval_segments.csv"),
            ("class_map", "class_labels_indices.csv"),
            ("strong_labels", "audioset_eval_strong.tsv"),
        )
    }
    hashes = {name: hash_file(path) for name, path in labels.items()}
    evaluated = result["must_agree"]["evaluation"]
    changed = [n for n, h in hashes.items() if evaluated.get(n, h) != h]
    if changed:
        raise InputError(
            f"Expected the labels that {run} was evaluated with in "
            f"{output_dir}/{LABELS}; {', '.join(changed)} differ."
        )
    path = os.path.join(output_dir, "resamples", f"{run}.npz")

    def make() -> dict[str, Any]:
        known = read_known_classes(labels["class_map"])
        # Strong labels say which events are long, nothing else.
        truth = dataclasses.replace(
            read_truth(
                framed_labels=labels["framed_labels"],
                weak_labels=labels["weak_labels"],
            ),
            strong=read_strong_labels(labels["strong_labels"]),
        )
        arrays, about = resample_scores(read_scores(scores_path, known), truth)
        files.make_output_folder(os.path.dirname(path))
        with (
            files.replace_when_whole(path) as temporary_path,
            open(temporary_path, "wb") as file,
        ):
            np.savez_compressed(file, **arrays)
        return about

    step = run_step(
        output_dir,
        f"resample_{run}",
        path,
        {
            "scores": hash_file(scores_path),
            **hashes,
            "resampling": _RESAMPLING,
            "weak_again": WEAK_AGAIN,
        },
        make,
    )
    with np.load(path) as loaded:
        metrics = {metric: loaded[metric] for metric in _ALL_METRICS}
        strata = loaded["strata"]
    for metric in METRICS:
        values = metrics[metric]
        stated = result["values"][metric]
        stated = math.nan if stated is None else stated
        if not np.isclose(values[0], stated, rtol=1e-6, equal_nan=True):
            raise InputError(
                f"Expected the scores that gave {metric} {stated:g} in "
                f"{scores_path}; these give {values[0]:g}. Evaluate {run} anew."
            )
    seed, start = result["point"]["seed"], start_of(result)
    return Model(seed, start, metrics, strata), dict(step.result)


def resample_scores(
    scores: Any, truth: Truth
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Computes the metrics of a score file on all clips and on each half.

    Args:
      scores: What `read_scores` returned.
      truth: The labels, framed, weak and strong.

    Returns:
      `Model.metrics` and `Model.strata`, the latter of event length and filled
      share; and, ready for JSON, num_clips and num_classes by evaluation and a
      dict for each stratum with its breakdown, stratum, num_positives and
      num_classes.
    """
    settings = EvalSettings(negatives=["explicit"], resampling=_RESAMPLING)
    arrays: dict[str, Any] = {}
    about: dict[str, Any] = {"num_clips": {}, "num_classes": {}}
    evaluated = evaluate_systems([("scores", scores)], truth, settings)
    sets = {name: own for (name, _), own in evaluated.systems["scores"].items()}
    for name, weak_truth in _weak_again(truth).items():
        again = evaluate_systems([("scores", scores)], weak_truth, settings)
        (sets[name],) = again.systems["scores"].values()
    for name, own in sets.items():
        resamples = own.summary.resamples
        assert resamples is not None  # The settings ask for them.
        about["num_clips"][name] = int(resamples.segment_ids.size)
        about["num_classes"][name] = own.result.num_classes
        for metric in ("d_prime", "lwlrap"):
            arrays[f"{name}_{metric}"] = resamples.overall[metric]
    breakdown = sets["strong"].summary.breakdown
    assert breakdown is not None  # The truth has strong labels.
    is_kept = breakdown.table["breakdown"].isin([LENGTH, SHARE])
    d_primes = d_prime_from_auc(breakdown.mean_aucs)
    arrays["strata"] = d_primes[:, is_kept.to_numpy()]
    columns = ["breakdown", "stratum", "num_positives", "num_classes"]
    kept = breakdown.table.loc[is_kept, columns]
    about["strata"] = kept.to_dict(orient="records")
    return arrays, about


def _weak_again(truth: Truth) -> dict[str, Truth]:
    """Returns the labels of each evaluation of `WEAK_AGAIN`."""
    assert truth.framed is not None
    assert truth.strong is not None
    assert truth.weak is not None
    classes = set(truth.strong["mid"])
    there = truth.strong.groupby("segment_id")["mid"].agg(set)
    annotated = truth.weak["mids"].map(set)
    mids_of = {
        "weak_shared": annotated.map(classes.intersection),
        "weak_present": truth.weak["segment_id"].map(there.get),
    }
    pairs = absent_pairs(truth.framed.drop_duplicates())
    return {
        name: Truth(
            weak=truth.weak.assign(
                mids=[tuple(sorted(of_clip or ())) for of_clip in mids]
            ),
            explicit_negatives=pairs,
        )
        for name, mids in mids_of.items()
    }


# --- Means over seeds --------------------------------------------------------


def _weights(models: Sequence[Model]) -> _Floats:
    return seed_weights([model.start for model in models])


def _mean(models: Sequence[Model], metric: str) -> _Floats:
    """Returns the mean over seeds in each resample, `[1 + num_resamples]`."""
    values = np.stack([model.metrics[metric] for model in models])
    return np.asarray(_weights(models) @ values, dtype=np.float64)


def _units(models: Sequence[Model], metric: str) -> dict[str, float]:
    """Returns the mean over the seeds of each start, on all clips."""
    return {
        start: float(
            np.mean([m.metrics[metric][0] for m in models if m.start == start])
        )
        for start in dict.fromkeys(model.start for model in models)
    }


def _unit(a: Sequence[Model], b: Sequence[Model]) -> tuple[str, Any]:
    """Says what the unit of a difference over seeds is, and how many.

    They are a number, or of unpaired rows one for each.
    """
    starts = [{m.start for m in models} for models in (a, b)]
    shared = starts[0] & starts[1]
    if shared:
        return "start", len(shared)
    return "none", [len(of_row) for of_row in starts]


def _paired(
    a: Sequence[Model], b: Sequence[Model]
) -> tuple[list[Model], list[Model]]:
    """Leaves out the models whose start the other row lacks, if any shares."""
    shared = {m.start for m in a} & {m.start for m in b}
    if not shared:
        return list(a), list(b)
    return (
        [m for m in a if m.start in shared],
        [m for m in b if m.start in shared],
    )


def _t_interval(
    estimate: float, variance_of_mean: float, degrees: float, level: float
) -> list[float] | None:
    """Returns Student's interval; None without a degree of freedom."""
    if not degrees > 0:
        return None
    half = stats.t.ppf((1 + level) / 2, degrees) * math.sqrt(variance_of_mean)
    return [estimate - float(half), estimate + float(half)]


def describe_row(models: Sequence[Model], metric: str) -> dict[str, Any]:
    """Returns the mean of a row over seeds, with both intervals.

    Returns:
      `mean`; `clips` and `seeds`, [low, high] each, None where there is none.
    """
    level = _RESAMPLING.level
    over_clips = interval_of(_base(metric), _mean(models, metric), level)
    units = list(_units(models, metric).values())
    return {
        "mean": over_clips.estimate,
        "clips": _ends(over_clips.low, over_clips.high),
        "seeds": _t_interval(
            over_clips.estimate, *_variance_of_mean(units), level
        ),
    }


def describe_difference(
    a: Sequence[Model], b: Sequence[Model], metric: str
) -> dict[str, Any]:
    """Returns how far one row is above another, with both intervals.

    Returns:
      `difference`, of the means of those models that are compared; `clips` and
      `seeds`, [low, high] each, None where there is none.
    """
    level = _RESAMPLING.level
    unit, _ = _unit(a, b)
    a, b = _paired(a, b)
    over_clips = interval_of_difference(
        _base(metric), _mean(a, metric), _mean(b, metric), level
    )
    estimate = over_clips.estimate
    ours, theirs = _units(a, metric), _units(b, metric)
    if unit == "start":
        variance_of_mean, degrees = _variance_of_mean(
            [ours[start] - theirs[start] for start in ours]
        )
    else:
        variance_of_mean, degrees = _welch(
            list(ours.values()), list(theirs.values())
        )
    return {
        "difference": estimate,
        "clips": _ends(over_clips.low, over_clips.high),
        "seeds": _t_interval(estimate, variance_of_mean, degrees, level),
    }


def _base(metric: str) -> str:
    """Returns the evaluator's name of a metric."""
    return "lwlrap" if metric.endswith("lwlrap") else "d_prime"


def _ends(low: float, high: float) -> list[float] | None:
    return None if math.isnan(low) else [low, high]


def _variance_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """Returns it and its degrees of freedom, 0 of a single value."""
    if len(values) < 2:
        return math.nan, 0
    return float(np.var(values, ddof=1)) / len(values), len(values) - 1


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The same of a difference of means, after Welch and Satterthwaite."""
    parts = [_variance_of_mean(values) for values in (a, b)]
    if any(degrees == 0 for _, degrees in parts):
        return math.nan, 0
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return 0.0, sum(degrees for _, degrees in parts)
    return total, total**2 / sum(v**2 / degrees for v, degrees in parts)


# --- The share of temporal precision -----------------------------------------


def describe_share(
    strong: Sequence[Model], diffuse: Sequence[Model], large: Sequence[Model]
) -> dict[str, Any]:
    """Splits what + Strong adds to Weak-large in d' on the strong eval.

    The only difference of + Strong and + Diffuse is the temporal precision of
    labels (Section 4.1 of the paper), where their mus are alike.

    Returns:
      `share`: (+ Strong - + Diffuse) / (+ Strong - Weak-large), of the models
      of which all three are there; None without any. `clips`: over halves of
      the clips. `seeds`: Fieller's interval, a Weak-large a unit. An interval
      is None where that of the denominator has 0 in it: the share can then be
      anything.
    """
    metric, level = "strong_d_prime", _RESAMPLING.level
    strong, diffuse = _paired(strong, diffuse)
    strong, large = _paired(strong, large)
    diffuse, _ = _paired(diffuse, large)
    starts = [{m.start for m in models} for models in (strong, diffuse, large)]
    nothing = {"share": None, "clips": None, "seeds": None}
    if not starts[0] == starts[1] == starts[2]:
        return nothing
    ours, theirs, before = (
        recentred("d_prime", _mean(models, metric))
        for models in (strong, diffuse, large)
    )
    precision, total = ours - theirs, ours - before
    if total[0] == 0:
        return nothing
    with np.errstate(divide="ignore", invalid="ignore"):  # of some half
        shares = precision / total
    over_clips = interval_of("d_prime", shares, level)
    of_total = interval_of("d_prime", total, level)
    units = [_units(models, metric) for models in (strong, diffuse, large)]
    pairs = np.array(
        [
            (units[0][s] - units[1][s], units[0][s] - units[2][s])
            for s in starts[0]
        ]
    )  # [num_units, 2]
    return {
        "share": over_clips.estimate,
        "clips": _ends(over_clips.low, over_clips.high)
        if of_total.low * of_total.high > 0
        else None,
        "seeds": fieller_interval(pairs[:, 0], pairs[:, 1], level),
    }


def fieller_interval(
    numerators: _Floats, denominators: _Floats, level: float
) -> list[float] | None:
    """Returns Fieller's interval of a ratio of means.

    Args:
      numerators: float64 `[num_units]`.
      denominators: The same, of the same units.
      level: Of the interval, in (0, 1).

    Returns:
      Its ends; None of a single unit, or where it is not bounded.

    Source: Fieller, "Some problems in interval estimation", 1954.
    """
    n = len(numerators)
    if n < 2:
        return None
    t = float(stats.t.ppf((1 + level) / 2, n - 1))
    y, x = float(numerators.mean()), float(denominators.mean())
    (var_y, cov), (_, var_x) = np.cov(numerators, denominators) * (t**2 / n)
    a, b, c = x**2 - var_x, x * y - cov, y**2 - var_y
    if a <= 0:
        return None
    half = math.sqrt(max(b**2 - a * c, 0.0))
    return [float(b - half) / a, float(b + half) / a]


# --- Strata ------------------------------------------------------------------


def _strata_of(
    models: Sequence[Model], others: Sequence[Model] | None = None
) -> list[dict[str, Any]]:
    """Returns d' of each stratum, or a difference, with intervals over clips.

    Each is `value`, a mean over seeds, None where it is undefined, and `clips`.
    """
    if others is not None:
        models, others = _paired(models, others)

    def mean(of: Sequence[Model]) -> _Floats:
        """float64 `[num_strata, 1 + num_resamples]`."""
        stacked = np.stack([model.strata.T for model in of], axis=-1)
        return np.asarray(stacked @ _weights(of), dtype=np.float64)

    if others is None:
        found = [
            interval_of("d_prime", own, _RESAMPLING.level)
            for own in mean(models)
        ]
    else:
        found = [
            interval_of_difference("d_prime", own, theirs, _RESAMPLING.level)
            for own, theirs in zip(mean(models), mean(others), strict=True)
        ]
    return [
        {"value": own.estimate, "clips": _ends(own.low, own.high)}
        for own in found
    ]

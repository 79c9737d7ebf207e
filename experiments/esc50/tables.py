"""The results of the run as Markdown: a part for each question.

`read_data` reads what the driver wrote; `make_parts` makes every part from it,
also from results that are not all there: a part then says what is to come.
Numbers of the paper are on AudioSet and stand beside ours for their sign and
order.
"""

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any, NamedTuple

from experiments.esc50.markdown import (
    cell,
    interval,
    listed,
    number,
    table,
    to_come,
)
from experiments.joined import format_point, over_seeds
from experiments.mu_curve import choose, summarise

METRICS = {
    "strong_d_prime": "strong eval d'",
    "strong_lwlrap": "strong eval lwlrap",
    "weak_d_prime": "weak eval d'",
    "weak_lwlrap": "weak eval lwlrap",
}
ALL_ROWS = (
    "Weak-small",
    "Diffuse-small",
    "Strong-small",
    "Weak-large",
    "+ Weak",
    "+ Diffuse",
    "+ Strong",
    "+ Strong by lwlrap",
    "+ Diffuse at same mu",
)
_FROM_SCRATCH = ALL_ROWS[:4]
# What is positive in the weak eval, and again (`intervals.py`).
_WEAK_EVALS = {
    "weak": "weak labels",
    "weak_shared": "those of classes with strong labels",
    "weak_present": "what there is",
}
_WEAK_DIFFERENCES = (
    "Strong-small less Weak-small",
    "Diffuse-small less Weak-small",
    "+ Strong less Weak-large",
    "+ Strong less + Weak",
)
# The row that the split of the gain is by, and its name in `intervals.json`:
# each set at its best mu, as in the paper, or both at that of + Strong.
SHARES = {
    "temporal_precision_share": "+ Diffuse",
    "temporal_precision_share_at_same_mu": "+ Diffuse at same mu",
}
_STRATA_ROWS = (
    "Diffuse-small",
    "Strong-small",
    "Weak-large",
    "+ Diffuse",
    "+ Strong",
)
_UNITS = {
    "start": "Weak-large models",
    "none": "not paired",
}
_SETTINGS = {
    "num_weak_clips": "clips with weak labels only",
    "num_strong_clips": "clips with strong labels, held-out ones among them",
    "held_out_fraction": "share of these that is held out",
    "num_eval_clips": "evaluation clips",
    "strong_recordings_share": "share of the recordings for the Strong set",
}
# What the label statistics of the two releases are compared by, and what the
# paper says of its training clips.
_LABELS = {
    "classes a clip": "3.5",
    "events a class in its clip": "",
    "event length, 10 % (s)": "",
    "event length, 50 % (s)": "",
    "event length, 90 % (s)": "",
    "events of the whole clip": "",
    "a class fills of its clip, mean": "",
    "a class fills of its clip, 50 %": "",
    "label frames of ten, mean": "",
    "label frames: all ten": "",
    "label frames: two or fewer": "",
    "classes at once, mean": "",
    "weak labels a clip": "2.4",
    "strong labels a clip": "3.5",
    "strong over weak labels": "1.48",
    "strong label is a weak one": "",
    "weak label is of another class": "",
    "log10 of strong over weak prior, 50 %": "",
}


class Data(NamedTuple):
    """What the driver wrote; empty where it has not yet.

    Attributes:
      inputs: `inputs.json`.
      runs: Lines of `runs.jsonl`.
      points: Lines of `mu_sweep.jsonl`.
      shares: Lines of `strong_share.jsonl`.
      intervals: `intervals.json`.
      strata: `strata.json`.
      labels: `label_statistics.json`.
      class_priors: `class_priors.json`.
    """

    inputs: dict[str, Any]
    runs: list[dict[str, Any]]
    points: list[dict[str, Any]]
    shares: list[dict[str, Any]]
    intervals: dict[str, Any]
    strata: dict[str, Any]
    labels: dict[str, Any]
    class_priors: dict[str, Any]


def read_data(folder: str) -> Data:
    """Reads the results in a folder."""

    def read(name: str) -> str:
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read()

    found: dict[str, Any] = {}
    for name in Data._fields:
        file_name = {
            "points": "mu_sweep.jsonl",
            "shares": "strong_share.jsonl",
            "runs": "runs.jsonl",
            "labels": "label_statistics.json",
        }.get(name, f"{name}.json")
        text = read(file_name)
        if file_name.endswith("l"):
            found[name] = [json.loads(line) for line in text.splitlines()]
        else:
            found[name] = json.loads(text or "{}")
    return Data(**found)


def make_parts(data: Data) -> dict[str, str]:
    """Makes every generated part, by its name, as Markdown."""
    return {
        "status": _status(data),
        "settings": _settings(data),
        "table1": _table1(data),
        "table1-short": _table1(data, is_short=True),
        "differences": _differences(data),
        "weak-eval": _weak_eval(data),
        "decomposition": _decomposition(data),
        "timing-of-mus": _timing_of_mus(data),
        "learning": _learning(data),
        "mu": _mu_curve(data),
        "optima": _optima(data),
        "class-priors": _class_priors(data),
        "class-priors-of-mus": _class_priors_of_mus(data),
        "figure3": _figure3(data),
        "strata": _strata(data),
        "labels": _labels(data),
    }


def _by_name(data: Data) -> dict[str, dict[str, Any]]:
    return {r["training_set"]: r for r in data.intervals.get("rows", ())}


def named_values(data: Data) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns what is said of rows and differences, by metric.

    Differences are called "a less b".
    """
    named = {name: row["values"] for name, row in _by_name(data).items()}
    for own in data.intervals.get("differences", ()):
        named[f"{own['first']} less {own['second']}"] = own["values"]
    return named


def estimate(described: Mapping[str, Any]) -> float | None:
    """Returns the mean of a row, or a difference."""
    name = "mean" if "mean" in described else "difference"
    value: float | None = described[name]
    return value


def sign_of(name: str) -> str:
    """Returns how the numbers of `named_values` are signed."""
    return "+" if " less " in name else ""


def over_clips_cell(
    name: str, metric: str, described: Mapping[str, Any]
) -> str:
    """Formats an estimate with its interval over clips."""
    sign = sign_of(name)
    return cell(
        number(estimate(described), sign, metric),
        interval(described["clips"], sign, metric),
    )


def stated_interval(described: Mapping[str, Any]) -> list[float] | None:
    """Returns what both intervals of a number cover together; None of none."""
    ends = [end for kind in ("clips", "seeds") for end in described[kind] or ()]
    return [min(ends), max(ends)] if ends else None


# --- The parts ---------------------------------------------------------------


def _status(data: Data) -> str:
    """Says what is there and what is to come."""
    seeds: dict[str, list[int]] = {}
    for run in data.runs:
        point = run["point"]
        seeds.setdefault(point["training_set"], []).append(point["seed"])
    there = [
        f"{name} (seeds {listed(sorted(seeds[name]))})"
        for name in (*ALL_ROWS, *sorted(set(seeds) - set(ALL_ROWS)))
        if name in seeds
    ]
    absent = [name for name in ALL_ROWS if name not in seeds]
    if not data.points:
        absent.append("the curve over mu")
    if not data.shares:
        absent.append("figure 3")
    texts = [f"Rows so far: {'; '.join(there)}."] if there else []
    if absent:
        texts.append(to_come(listed(absent)))
    return "\n\n".join(texts)


def _settings(data: Data) -> str:
    """Describes data, training and versions."""
    if not data.inputs:
        return to_come("the inputs")
    params = data.inputs["release"].get("params", {})
    lines = [
        [text, f"{params[name]:g}"]
        for name, text in _SETTINGS.items()
        if params.get(name) is not None
    ]
    hashes = listed(f"{n} `{h}`" for n, h in data.inputs["hashes"].items())
    texts = [
        table(["release", ""], lines),
        f"Inputs, fixed {data.inputs['fixed_at']}: {hashes}.",
    ]
    by_row: dict[str, list[dict[str, Any]]] = {}
    for run in data.runs:
        by_row.setdefault(run["point"]["training_set"], []).append(run)
    lines = []
    for name in (*ALL_ROWS, *sorted(set(by_row) - set(ALL_ROWS))):
        if name not in by_row:
            continue
        values = [run["values"] for run in by_row[name]]
        own = by_row[name][0]["must_agree"].get(f"settings of {name}", {})
        best = [v["best_step"] for v in values]
        lines.append(
            [
                name,
                listed(sorted(r["point"]["seed"] for r in by_row[name])),
                listed(sorted({f"{v['mu']:g}" for v in values if v["mu"]})),
                f"{own.get('train.learning_rate', '')}",
                f"{own.get('train.global_batch_size', '')}",
                listed(sorted({f"{v['num_steps']:,}" for v in values})),
                " to ".join(
                    f"{step:,}" for step in sorted({min(best), max(best)})
                ),
            ]
        )
    if lines:
        head = [
            "row",
            "seeds",
            "mu",
            "learning rate",
            "batch",
            "steps at most",
            "best step",
        ]
        texts.append(table(head, lines))
        versions = sorted(
            {
                listed(f"{n} {v}" for n, v in run["versions"].items())
                for run in data.runs
            }
        )
        network = listed(
            f"{name.removeprefix('model.')} {value}"
            for name, value in data.runs[0]["must_agree"]["training"].items()
            if name in ("model.model", "model.width", "model.stem_stride")
        )
        texts.append(
            f"Network: {network}. Versions: {'; '.join(versions)}. All "
            f"settings are in `runs.jsonl`."
        )
    return "\n\n".join(texts)


def _table1(data: Data, is_short: bool = False) -> str:
    """Table 1 with both intervals, or in short with what they cover."""
    rows = _by_name(data)
    if not rows:
        return to_come("Table 1")
    lines = []
    for name, row in rows.items():
        cells = []
        for metric in METRICS:
            own = row["values"][metric]
            paper = row["paper"].get(metric)
            mean = number(own["mean"], "", metric)
            shown = "" if paper is None else f" ({number(paper)})"
            cells.append(
                " ".join(
                    text
                    for text in (
                        mean,
                        interval(stated_interval(own), "", metric),
                        shown.strip(),
                    )
                    if text
                )
                if is_short
                else cell(
                    f"**{mean}**{shown}",
                    interval(own["clips"], "", metric),
                    interval(own["seeds"], "", metric),
                )
            )
        lines.append([name, *cells])
    about = data.intervals["about"]
    clips = about["num_clips"]
    note = (
        "Mean over seeds; in square brackets from the lowest to the highest "
        "end of the 95 % intervals over clips and over seeds, in round ones "
        "the paper, on AudioSet."
    )
    if not is_short:
        note = (
            f"Mean over seeds, of a fine-tuned row over its Weak-large models, "
            f"each counting alike (the paper's on AudioSet); then the 95 % "
            f"interval over clips, by {about['num_resamples']:,} random halves "
            f"of the {clips['strong']:,} clips of the strong eval and the "
            f"{clips['weak']:,} of the weak; then, where there are two seeds "
            f"or more, that over seeds, by Student's t."
        )
        orders = "; ".join(
            f"{text}, {agreed} of {pairs}"
            for metric, text in METRICS.items()
            if (found := count_orders(rows.values(), metric))
            for agreed, pairs in [found]
            if pairs
        )
        if orders:
            note += (
                f"\n\nPairs of the paper's rows that have the paper's order "
                f"here, by the means: {orders}."
            )
    text = table(["training set", *METRICS.values()], lines)
    if is_short:
        return f"{text}\n\n{note}"
    figure = "![Table 1 here and in the paper, as orders](table1.png)"
    return f"{text}\n\n{note}\n\n{figure}"


def count_orders(
    rows: Iterable[Mapping[str, Any]], metric: str
) -> tuple[int, int]:
    """Counts pairs of rows in the paper's order, and pairs that have one."""
    both = [
        (own, row["paper"][metric])
        for row in rows
        if metric in row["paper"]
        and (own := row["values"][metric]["mean"]) is not None
    ]
    pairs = [
        (a[0] - b[0]) * (a[1] - b[1]) > 0
        for a, b in itertools.combinations(both, 2)
        if a[1] != b[1]
    ]
    return sum(pairs), len(pairs)


def judge(difference: Mapping[str, Any], paper: float | None) -> str:
    """Says what a difference and its intervals show, beside the paper's.

    Returns:
      "higher" or "lower" where every interval that there is leaves 0 out, else
      "open"; with a word on the paper's sign where it has one.
    """
    low, high = stated_interval(difference) or (0.0, 0.0)
    word = "open"
    if low > 0:
        word = "higher"
    elif high < 0:
        word = "lower"
    if word == "open" or not paper or abs(paper) < 0.005:
        return word
    agrees = (paper > 0) == (word == "higher")
    beside = "as in the paper" if agrees else "**unlike the paper**"
    return f"{word}, {beside}"


def _differences(data: Data) -> str:
    """The named differences, by each metric."""
    differences = data.intervals.get("differences")
    if not differences:
        return to_come("differences")
    lines = []
    for own in differences:
        cells = []
        for metric in METRICS:
            value = own["values"][metric]
            paper = own["paper"].get(metric)
            shown = "" if paper is None else f" ({number(paper, '+')})"
            cells.append(
                cell(
                    f"**{number(value['difference'], '+', metric)}**{shown}",
                    interval(value["clips"], "+", metric),
                    interval(value["seeds"], "+", metric),
                    judge(value, paper),
                )
            )
        numbers = own["num_units"]
        count = (
            f"{numbers[0]} and {numbers[1]}"
            if isinstance(numbers, list)
            else str(numbers)
        )
        name = f"{own['first']} less {own['second']}"
        lines.append([name, *cells, f"{count}, {_UNITS[own['unit']]}"])
    shown = table(["", *METRICS.values(), "units over seeds"], lines)
    return (
        f"{shown}\n\nDifference (the paper's), its 95 % intervals over clips "
        f"and over seeds, and what they show: higher or lower where both leave "
        f"0 out (one alone, where there is one seed), else open. Differences "
        f"over clips are paired. Over seeds: of fine-tuned rows, and of one "
        f"and Weak-large, each Weak-large is one unit, the mean of what starts "
        f"from it; other rows share nothing, and Welch's interval is of both "
        f"numbers of seeds (of a fine-tuned row: of its Weak-large models)."
    )


def _weak_eval(data: Data) -> str:
    """The weak eval, and again with labels that are more like strong ones."""
    classes = data.intervals.get("about", {}).get("num_classes")
    if not classes:
        return to_come("the weak eval with other labels")
    shown = (*_by_name(data), *_WEAK_DIFFERENCES)
    lines = [
        [
            name,
            *(
                over_clips_cell(name, metric, values[metric])
                for base in ("d_prime", "lwlrap")
                for metric in [f"{own}_{base}" for own in _WEAK_EVALS]
            ),
        ]
        for name, values in named_values(data).items()
        if name in shown
    ]
    head = [
        f"{metric}, {text}"
        for metric in ("d'", "lwlrap")
        for text in _WEAK_EVALS.values()
    ]
    numbers = listed(classes[name] for name in _WEAK_EVALS)
    return (
        f"{table(['', *head], lines)}\n\nMeans over seeds with the 95 % "
        f"interval over clips; of {numbers} classes. The clips and the "
        f"explicit negatives are the same."
    )


def _decomposition(data: Data) -> str:
    """The paper's split of the gain of + Strong."""
    of_pair = {
        (d["first"], d["second"]): d
        for d in data.intervals.get("differences", ())
    }
    shares = {
        diffuse: share
        for name, diffuse in SHARES.items()
        if (share := data.intervals.get(name)) and share["share"] is not None
    }
    if "+ Diffuse" not in shares:
        return to_come("the split of the gain of + Strong")

    def line(text: str, *pair: str) -> list[str]:
        own = of_pair[pair]["values"]["strong_d_prime"]
        return [
            f"{text} ({' less '.join(pair)})",
            number(own["difference"], "+"),
            interval(own["clips"], "+") or "-",
            interval(own["seeds"], "+") or "-",
            number(of_pair[pair]["paper"].get("strong_d_prime"), "+"),
        ]

    lines = [line("+ Strong over Weak-large", "+ Strong", "Weak-large")]
    for diffuse, share in shares.items():
        lines += [
            line("of it temporal precision", "+ Strong", diffuse),
            line("of it all other factors", diffuse, "Weak-large"),
            [
                f"share of temporal precision, by {diffuse}",
                f"**{number(share['share'])}**",
                interval(share["clips"]) or "not bounded",
                interval(share["seeds"]) or "not bounded, or one Weak-large",
                number(0.11 / 0.26) if diffuse == "+ Diffuse" else "-",
            ],
        ]
    head = ["strong eval d'", "here", "over clips", "over seeds", "the paper"]
    return (
        f"{table(head, lines)}\n\nA share above 1 says that + Diffuse is "
        f"below Weak-large: all of the gain, and more, is temporal precision. "
        f"Its interval over seeds is Fieller's, a Weak-large a unit; where the "
        f"whole gain may be 0 the share can be anything and has none."
    )


def _of_points(
    data: Data, of: str, metric: str
) -> dict[tuple[str, float], dict[int, float]]:
    """Returns the strong eval of the sweep, by set and mu, and then by seed."""
    found: dict[tuple[str, float], dict[int, float]] = {}
    for point in data.class_priors.get("points", ()):
        key = point["mixed_training_set"], point["mu"]
        found.setdefault(key, {})[point["seed"]] = point[of][metric]
    return found


def _timing_of_mus(data: Data) -> str:
    """+ Strong against + Diffuse at every mu of the sweep that both have."""
    of_points = _of_points(data, "as_trained", "d_prime")
    large = {
        row["seed"]: row["as_trained"]["d_prime"]
        for row in data.class_priors.get("rows", ())
        if row["training_set"] == "Weak-large"
    }
    lines, all_seeds = [], set()
    for mu in sorted({mu for _, mu in of_points} - {0}):
        sets = [of_points.get((name, mu), {}) for name in ("diffuse", "strong")]
        seeds = large.keys() & sets[0].keys() & sets[1].keys()
        if not seeds:
            continue
        all_seeds |= seeds
        diffuse, strong, before = (
            fmean([own[seed] for seed in seeds]) for own in (*sets, large)
        )
        timing, gain = strong - diffuse, strong - before
        lines.append(
            [
                f"{mu:g}",
                number(diffuse),
                number(strong),
                number(timing, "+"),
                number(gain, "+"),
                number(timing / gain if gain > 0 else None),
            ]
        )
    if not lines:
        return to_come("both sets at the same mus")
    head = ["mu", "+ Diffuse", "+ Strong", "timing", "gain", "share of timing"]
    return (
        f"{table(head, lines)}\n\nStrong eval d' of the models of the sweep, "
        f"which no evaluation clip has chosen; gain over Weak-large. Seeds "
        f"{listed(sorted(all_seeds))}."
    )


def learning_curves(data: Data) -> dict[str, list[list[tuple[int, float]]]]:
    """Returns, by row and for each seed, examples and held-out d' then."""
    curves: dict[str, list[list[tuple[int, float]]]] = {}
    for run in data.runs:
        row = run["point"]["training_set"]
        if row in _FROM_SCRATCH and "validations" in run:
            settings = run["must_agree"][f"settings of {row}"]
            batch_size = settings["train.global_batch_size"]
            curve = [
                (v["step"] * batch_size, v["d_prime"])
                for v in run["validations"]
            ]
            curves.setdefault(row, []).append(curve)
    return {row: curves[row] for row in _FROM_SCRATCH if row in curves}


def _learning(data: Data) -> str:
    """How long rows that start from nothing learn."""
    curves = learning_curves(data)
    if "Weak-large" not in curves:
        return to_come("how Weak-large learns")
    lines = []
    for row, of_seeds in curves.items():
        best = [max(curve, key=lambda point: point[1]) for curve in of_seeds]
        lines.append(
            [
                row,
                listed(f"{num_examples:,}" for num_examples, _ in best),
                listed(number(d_prime) for _, d_prime in best),
                listed(f"{curve[-1][0]:,}" for curve in of_seeds),
            ]
        )
    head = ["", "best after examples", "held-out d' there", "ended after"]
    return (
        f"![Held-out d' against examples](learning.png)\n\n"
        f"{table(head, lines)}\n\nA number for each seed."
    )


def _mu_curve(data: Data) -> str:
    """Held-out metrics against mu."""
    if not data.points:
        return to_come("the curve over mu")
    points = summarise(data.points)
    chosen = choose(points)
    lines = []
    for point in points:
        best = chosen[point["mixed_training_set"]]
        cells = []
        for metric in ("d_prime", "lwlrap_at_best_step", "lwlrap"):
            text = f"{point[metric]:.3f}"
            low, high = point["ranges"][metric]
            if len(point["seeds"]) > 1:
                text += f" [{low:.3f}, {high:.3f}]"
            is_best = best.get(metric) == point["mu"]
            cells.append(f"**{text}**" if is_best else text)
        lines.append(
            [
                f"+ {point['mixed_training_set'].capitalize()}",
                f"{point['mu']:g}",
                *cells,
                listed(point["seeds"]),
            ]
        )
    head = ["", "mu", "best d'", "lwlrap there", "best lwlrap", "seeds"]
    return (
        f"![Held-out d' and lwlrap against mu](mu.png)\n\n"
        f"{table(head, lines)}\n\nMean and [lowest, highest] seed on the "
        f"held-out clips, of the best checkpoint by d', and of the best by "
        f"lwlrap; the best mu is bold. The paper chose 0.7 for + Diffuse and "
        f"0.8 for + Strong by d', for which it found 0.7 to 0.95 best, and "
        f"about 0.2 for lwlrap."
    )


def _optima(data: Data) -> str:
    """Mu and checkpoint chosen by d', and by lwlrap."""
    rows = _by_name(data)
    if "+ Strong by lwlrap" not in rows or "+ Strong" not in rows:
        return to_come("+ Strong with mu and checkpoint chosen by lwlrap")
    lines = []
    for text, name in (
        ("chosen by d' (+ Strong)", "+ Strong"),
        ("chosen by lwlrap", "+ Strong by lwlrap"),
    ):
        mus = {
            f"{run['values']['mu']:g}"
            for run in data.runs
            if run["point"]["training_set"] == name
        }
        cells = [
            cell(
                f"**{number(own['mean'], '', metric)}**",
                interval(own["clips"], "", metric),
                interval(own["seeds"], "", metric),
            )
            for metric in ("strong_d_prime", "strong_lwlrap")
            for own in [rows[name]["values"][metric]]
        ]
        lines.append([text, listed(sorted(mus)), *cells])
    lines.append(["the paper, by d'", "0.8", "1.39", "0.47"])
    lines.append(
        ["the paper, each by itself", "0.7 to 0.95, 0.2", "1.4", "0.48"]
    )
    head = ["+ Strong", "mu", "strong eval d'", "strong eval lwlrap"]
    return table(head, lines)


def _class_priors(data: Data) -> str:
    """Lwlrap as trained, and as if weak labels told how common classes are."""
    runs = {
        (run["point"]["training_set"], run["point"]["seed"]): run
        for run in data.runs
    }
    points = over_seeds(
        [
            {
                **runs[row["training_set"], row["seed"]],
                "values": {
                    of: row[of]["lwlrap"] for of in ("as_trained", "moved")
                },
            }
            for row in data.class_priors.get("rows", ())
        ],
        "training_set",
    )
    alone = data.class_priors.get("alone", {})
    lines = [
        [text, number(alone[name]["lwlrap"], "", "lwlrap"), "", "", ""]
        for name, text in (
            ("weak_priors", "shares of weakly labelled clips alone"),
            ("frame_priors", "shares of label frames alone"),
        )
        if name in alone
    ]
    for point in sorted(
        points, key=lambda point: ALL_ROWS.index(point["training_set"])
    ):
        values = point["as_trained"], point["moved"]
        lines.append(
            [
                point["training_set"],
                *(number(value, "", "lwlrap") for value in values),
                number(values[1] - values[0], "+", "lwlrap"),
                listed(point["seeds"]),
            ]
        )
    if not points:
        return to_come("lwlrap with the priors of label frames")
    head = ["", "lwlrap", "with moved logits", "difference", "seeds"]
    return (
        f"{table(head, lines)}\n\nStrong eval, means over seeds. Each class's "
        f"logit is moved by the logit of its share of the strongly labelled "
        f"training frames, less that of its share of the weakly labelled "
        f"training clips (`class_priors.py`); d' stays as it is. Shares "
        f"alone are the same scores for every label frame, with a d' of 0."
    )


def _class_priors_of_mus(data: Data) -> str:
    """The same of the sweep of mu: sets in columns."""
    both = [_of_points(data, of, "lwlrap") for of in ("as_trained", "moved")]
    sets = list(dict.fromkeys(mixed for mixed, _ in both[0]))
    if not sets:
        return to_come("the same of the sweep of mu")

    def mean(of_seeds: Mapping[int, float]) -> str:
        values = list(of_seeds.values())
        return number(fmean(values) if values else None, "", "lwlrap")

    lines = [
        [f"{mu:g}"]
        + [mean(of.get((mixed, mu), {})) for mixed in sets for of in both]
        for mu in sorted({mu for _, mu in both[0]})
    ]
    head = [
        f"+ {mixed.capitalize()}{text}"
        for mixed in sets
        for text in ("", ", with moved logits")
    ]
    seeds = listed(
        sorted({s for of_seeds in both[0].values() for s in of_seeds})
    )
    return (
        f"{table(['mu', *head], lines)}\n\nStrong eval lwlrap, of the best "
        f"checkpoint by d'; seeds {seeds}."
    )


def share_results(data: Data) -> list[dict[str, Any]]:
    """Returns the results of figure 3, and the control as a share of 0.

    Of the control, + Weak, those seeds that a share has.
    """
    seeds = {line["point"]["seed"] for line in data.shares}
    return [
        {
            **run,
            "point": {**run["point"], "strong_fraction": 0.0},
            "values": {**run["values"], "num_strong_clips": 0},
        }
        for run in data.runs
        if run["point"]["training_set"] == "+ Weak"
        and run["point"]["seed"] in seeds
    ] + data.shares


def _figure3(data: Data) -> str:
    """The strong eval by the share of the Strong set."""
    if not data.shares:
        return to_come("figure 3")
    lines, before = [], None
    for point in over_seeds(share_results(data), "strong_fraction"):
        cells = []
        for metric in ("strong_d_prime", "strong_lwlrap"):
            text = format_point(point, metric)
            ends = [p and p[metric] for p in (before, point)]
            if None not in ends:
                text += f" ({ends[1] - ends[0]:+.3f})"
            cells.append(text)
        before = point
        share = point["strong_fraction"]
        name = f"{share * 100:g} %" if share else "0 % (+ Weak)"
        clips = f"{point['num_strong_clips']:,.0f}"
        lines.append([name, clips, *cells, listed(point["seeds"])])
    head = [
        "of Strong",
        "clips",
        "strong eval d'",
        "strong eval lwlrap",
        "seeds",
    ]
    return (
        f"![d' and lwlrap by the Strong clips used](figure3.png)\n\n"
        f"{table(head, lines)}\n\nMean and [lowest, highest] seed; in round "
        f"brackets the gain over the share above. The paper's curve rises all "
        f"the way from 10 %, ever less, to 1.39 and 0.47."
    )


def strata_rows(data: Data) -> dict[str, list[dict[str, Any]]]:
    """Returns the strata of the rows that are shown, by name."""
    return {
        row["training_set"]: row["values"]
        for row in data.strata.get("rows", ())
        if row["training_set"] in _STRATA_ROWS
    }


def _strata(data: Data) -> str:
    """D' by event length and by filled share."""
    rows = strata_rows(data)
    if not rows:
        return to_come("d' by event length and by filled share")
    differences = {
        f"{d['first']} less {d['second']}": d["values"]
        for d in data.strata["differences"]
    }
    lines = []
    for index, stratum in enumerate(data.strata["strata"]):
        if not stratum["num_positives"]:
            continue
        cells = [number(own[index]["value"]) for own in rows.values()]
        for own in differences.values():
            value = own[index]
            mean = f"**{number(value['value'], '+')}**"
            cells.append(cell(mean, interval(value["clips"], "+")))
        counts = [f"{stratum[f'num_{n}']:,}" for n in ("positives", "classes")]
        name = f"{stratum['breakdown']} {stratum['stratum']}"
        lines.append([name, *cells, *counts])
    head = ["", *rows, *differences, "positives", "classes"]
    return (
        f"![d' by event length and by filled share](strata.png)\n\n"
        f"{table(head, lines)}\n\nMean over seeds, on the strong eval; "
        f"in brackets, and as bars, 95 % intervals over clips. Positives are "
        f"sorted by the length of their event, and by the share of the clip "
        f"that all events of their class fill; each stratum is set against "
        f"all negatives of its classes, so compare rows within a stratum."
    )


def _labels(data: Data) -> str:
    """Label statistics beside AudioSet's."""
    if not data.labels:
        return to_come("label statistics")
    releases = data.labels["releases"]
    lines = []
    for name, paper in _LABELS.items():
        values = [release["table"].get(name) for release in releases.values()]
        cells = ["-" if v is None else f"{v:.3g}" for v in values]
        lines.append([name, *cells, paper])
    head = ["", *releases, "the paper, training"]
    return table(head, lines)

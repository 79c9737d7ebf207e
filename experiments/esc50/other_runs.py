"""Other runs beside the main one, as Markdown.

`rerun.flags`: all of it again from scratch, with other seeds for the release
and for the models. What the main run states should hold there. So it should on
`first_machine`, where the same flags were run by other arithmetic.
`other_classes.flags`: the same with other classes that are common, which tells
what depends on these.
`recordings.flags`: a quarter of the training recordings for the Strong set
instead of 1/27. What changes is due to the number of recordings.

All write the same files as the main run, into folders below its results.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.esc50.markdown import interval, listed, number, table, to_come
from experiments.esc50.tables import (
    METRICS,
    Data,
    estimate,
    named_values,
    over_clips_cell,
    sign_of,
    stated_interval,
)
from experiments.mu_curve import summarise

RERUN, RECORDINGS = "rerun", "recordings"
FIRST_MACHINE, OTHER_CLASSES = "first_machine", "other_classes"
_HELD_AGAINST = (RERUN, FIRST_MACHINE, OTHER_CLASSES)
FOLDERS = (*_HELD_AGAINST, RECORDINGS)


def make_parts(main: Data, others: Mapping[str, Data]) -> dict[str, str]:
    """Makes the generated part of each of `FOLDERS`, by its name."""
    return {
        **{name: _rerun(main, others[name]) for name in _HELD_AGAINST},
        RECORDINGS: _recordings(main, others[RECORDINGS]),
    }


def _rerun(main: Data, rerun: Data) -> str:
    """Every number of a rerun, and whether the main run's interval has it."""
    ours, theirs = named_values(main), named_values(rerun)
    shared = [name for name in ours if name in theirs]
    if not shared:
        return to_come("a run from scratch")
    lines: list[list[str]] = []
    # Of each metric, whether numbers are inside.
    inside: dict[str, list[bool]] = {metric: [] for metric in METRICS}
    for name in shared:
        sign = sign_of(name)
        cells = []
        for metric in METRICS:
            stated = stated_interval(ours[name][metric])
            value = estimate(theirs[name][metric])
            text = number(value, sign, metric)
            if stated is None or value is None:
                cells.append(text)
                continue
            is_inside = stated[0] <= value <= stated[1]
            inside[metric].append(is_inside)
            word = "in" if is_inside else "**not in**"
            cells.append(f"{text} {word} {interval(stated, sign, metric)}")
        lines.append([name, *cells])
    counts = [
        f"{METRICS[metric]} {sum(found)} of {len(found)}"
        for metric, found in inside.items()
    ]
    return (
        f"{table(['', *METRICS.values()], lines)}\n\nThe rerun's number, and "
        f"the main run's interval: from the lowest to the highest end of those "
        f"over clips and over seeds. Inside: "
        f"{listed(counts)}. Seeds of the rerun: {listed(_seeds(rerun))}."
    )


def _seeds(data: Data) -> list[int]:
    return sorted({run["point"]["seed"] for run in data.runs})


def _recordings(main: Data, other: Data) -> str:
    """Both runs side by side on the strong eval, and by mu."""
    named = [named_values(data) for data in (main, other)]
    shared = [name for name in named[0] if name in named[1]]
    if not shared:
        return to_come("the run with a quarter of the recordings")
    shares = [
        f"{data.inputs['release']['params']['strong_recordings_share']:.3g}"
        for data in (main, other)
    ]
    metrics = ("strong_d_prime", "strong_lwlrap")
    lines = [
        [
            name,
            *(
                over_clips_cell(name, metric, run[name][metric])
                for metric in metrics
                for run in named
            ),
        ]
        for name in shared
    ]
    head = [f"{METRICS[m]}, {share}" for m in metrics for share in shares]
    text = (
        f"{table(['share of the recordings', *head], lines)}\n\nMeans over "
        f"seeds ({' and '.join(listed(_seeds(d)) for d in (main, other))}), "
        f"with the 95 % interval over clips."
    )
    curve = list(_mu_lines(main.points, other.points))
    if not curve:
        return text
    head = [
        f"{metric}, {share}"
        for metric in ("best d'", "best lwlrap")
        for share in shares
    ]
    return (
        f"{text}\n\n{table(['', 'mu', *head], curve)}\n\nOn the held-out "
        f"clips, means over the seeds of each sweep; the best mu of those in "
        f"both is bold."
    )


def _mu_lines(
    main: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]
) -> Iterable[list[str]]:
    """Makes a line for each set and mu that both runs have."""
    runs = [
        {(p["mixed_training_set"], p["mu"]): p for p in summarise(points)}
        for points in (main, other)
        if points
    ]
    if len(runs) < 2:
        return
    shared = sorted(runs[0].keys() & runs[1].keys())
    for mixed, mu in shared:
        cells = []
        for metric in ("d_prime", "lwlrap"):
            for run in runs:
                best = max(run[k][metric] for k in shared if k[0] == mixed)
                text = f"{run[mixed, mu][metric]:.3f}"
                is_best = run[mixed, mu][metric] == best
                cells.append(f"**{text}**" if is_best else text)
        yield [f"+ {mixed.capitalize()}", f"{mu:g}", *cells]

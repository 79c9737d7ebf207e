"""Many systems: a leaderboard, and which of its differences are no chance.

Every system is evaluated over the classes that all have, and, unless the
settings say otherwise, over the clips and label frames that all have scored, so
that every number of a table is of the same items; what was left out is counted.
Systems are resampled alike, and so any two are compared on the same resamples
(`resampling.py`).

P-values are corrected by Holm's method, which keeps the chance of any false
finding in a family of tests below the level. The families are:
  * for each evaluation and metric, the differences of all other systems from
    the reference;
  * for each evaluation, the differences of d' of all pairs.
A p-value that is undefined is in no family. Two systems that the second family
does not tell apart are "not distinguishable". The smallest p-value of R
resamples is 2 / (R + 1), so that m comparisons need 2 m / (1 - level) resamples
or more; a note says so where there are too few.

The best system is the one of the highest d' in the first evaluation (without
any, of the first metric of the first protocol). It was
chosen by the same numbers, and so its lead tends to be a little too large.

Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
The families and what "best" means are our choice (BUILD_NOTES.md "Comparing
systems").
"""

import collections
import dataclasses
import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from audioset_strong.errors import InputError
from audioset_strong.evaluation.evaluating import (
    EvalSettings,
    EvaluatedSystems,
    SystemEvaluation,
    evaluate_systems,
    score_own_protocols,
)
from audioset_strong.evaluation.identity import ReportIdentity, identify
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.protocols import (
    HERSHEY,
    ProtocolResult,
    ProtocolSettings,
    check_protocols,
)
from audioset_strong.evaluation.resampling import (
    ClassResamples,
    Interval,
    ResamplingResult,
    compare_resamples,
    intervals_of,
)
from audioset_strong.evaluation.results import OVERALL_METRICS, EvalResult
from audioset_strong.evaluation.scores import LabelFrameScores
from audioset_strong.evaluation.truth import Truth
from audioset_strong.labels.problems import ProblemLog

Scores = NativeScores | LabelFrameScores

# The headline, which ranks systems and which pairs are compared by.
HEADLINE = "d_prime"
# Beyond these nobody reads a matrix of all pairs.
MAX_SYSTEMS = 100


@dataclasses.dataclass(frozen=True)
class Pair:
    """The difference of two systems in d'.

    Attributes:
      first: The one of the higher d'.
      second: The other.
      difference: d' of the first less that of the second.
      p_holm: Its p-value, corrected over all pairs; NaN where undefined.
    """

    first: str
    second: str
    difference: Interval
    p_holm: float


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedEvaluation:
    """One evaluation of all systems.

    Attributes:
      evaluation: "strong" or "weak".
      negatives: Kind of negatives (`results.py`).
      results: Metrics of each system, highest d' first; equal ones, and then
        undefined ones, as they were given.
      intervals: Confidence intervals of each; empty without any.
      paired: Differences of each other system from the reference, on the same
        resamples; empty without intervals.
      p_holm: Their corrected p-values by system and metric, NaN where
        undefined.
      pairs: All pairs, by the place of the first and then of the second.
      not_paired_reason: Why there are no differences, "" if there are or none
        are asked.
    """

    evaluation: str
    negatives: str
    results: Mapping[str, EvalResult]
    intervals: Mapping[str, ResamplingResult]
    paired: Mapping[str, ResamplingResult]
    p_holm: Mapping[str, Mapping[str, float]]
    pairs: tuple[Pair, ...]
    not_paired_reason: str

    def rank(self, system: str, metric: str) -> int | None:
        """Returns a system's place by a metric, 1 the highest.

        Equal systems share a place; None where the metric is undefined.
        """
        values = {n: float(getattr(r, metric)) for n, r in self.results.items()}
        if math.isnan(values[system]):
            return None
        return 1 + sum(v > values[system] for v in values.values())

    def difference(
        self, system: str, reference: str, metric: str
    ) -> Interval | None:
        """Returns how far a system's metric is from the reference's.

        Without an interval if there is none; None of the reference itself.
        """
        if system == reference:
            return None
        if system in self.paired:
            return self.paired[system].overall[metric]
        values = [getattr(self.results[n], metric) for n in (system, reference)]
        with np.errstate(invalid="ignore"):  # inf - inf
            estimate = float(np.subtract(*values))
        nan = math.nan
        return Interval(estimate, nan, nan, None, nan, 0)

    def not_distinguishable(self, system: str, level: float) -> list[str]:
        """Returns the systems that d' does not tell from one, best first."""
        found = set()
        for pair in self.pairs:
            if system in (pair.first, pair.second) and not (
                pair.p_holm <= round(1 - level, 9)
            ):
                found |= {pair.first, pair.second} - {system}
        return [name for name in self.results if name in found]


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that a comparison shows.

    Attributes:
      systems: Their names, in the order given.
      reference: The one that the others are compared with.
      against: How it was chosen: "first", "best" or its name.
      level: Share of resamples that an interval holds, in (0, 1).
      num_resamples: Resamples; 0 for no intervals.
      rank_over: Classes that lwlrap ranks.
      evaluations: In the order to show.
      inputs: Path of each system's scores, by its name, and of other inputs;
        and, in words, what was done to them; None for those not given.
      identity: What the comparison is of.
      protocols: What protocols of events and segments gave each system; empty
        if there are none.
      problems: Label lines that were left out.
    """

    systems: tuple[str, ...]
    reference: str
    against: str
    level: float
    num_resamples: int
    rank_over: str
    evaluations: tuple[ComparedEvaluation, ...]
    inputs: Mapping[str, str | None]
    identity: ReportIdentity
    protocols: Mapping[str, tuple[ProtocolResult, ...]]
    problems: ProblemLog = dataclasses.field(default_factory=ProblemLog)


def compare(
    systems: Mapping[str, Scores | Callable[[], Scores]],
    truth: Truth,
    settings: EvalSettings = EvalSettings(only_common_label_frames=True),
    against: str = "first",
    *,
    protocols: Sequence[str] = (HERSHEY,),
    protocol_settings: ProtocolSettings = ProtocolSettings(),
    other_inputs: Mapping[str, str | None] = MappingProxyType({}),
) -> Comparison:
    """Evaluates systems on the same footing and compares them.

    Args:
      systems: Scores of two systems or more by the names to show, in any order
        of clips and classes; or functions that read them, so that only one
        system's are in memory at a time.
      truth: The labels: of `read_truth`.
      settings: What is computed. Without `only_common_label_frames`, systems
        that scored other clips have no intervals of their differences.
      against: What the others are compared with: "first" of the systems, the
        "best", or a name.
      protocols: Names of what is computed, as in `evaluate`. Events and
        segments have no intervals, and each system is scored over its own
        classes and clips; a note says so if these are not the same.
      protocol_settings: As in `evaluate`.
      other_inputs: As in `evaluate`.

    Raises:
      InputError: There are fewer than two systems, against is no system, a
        system and the labels, or all systems, have no class or no clip in
        common, or a protocol cannot be computed.
    """
    names = list(systems)
    if not 2 <= len(names) <= MAX_SYSTEMS:
        raise InputError(
            f"Expected 2 to {MAX_SYSTEMS} systems to compare, found "
            f"{len(names)}{': ' if names else ''}{', '.join(names)}. Evaluate "
            f"one system by itself."
        )
    if against not in ("first", "best", *names):
        raise InputError(
            f"against must be first, best or the name of a system "
            f"({', '.join(names)}). Received: {against!r}."
        )
    protocols = check_protocols(protocols)
    scored: dict[str, tuple[ProtocolResult, ...]] = {}
    sources: dict[str, str] = {}

    def read_systems() -> Iterator[tuple[str, Scores]]:
        for name, given in systems.items():
            scores = given() if callable(given) else given
            sources[name] = scores.source
            scored[name] = score_own_protocols(
                scores, truth, protocols, protocol_settings, settings
            )
            yield name, scores

    evaluated = EvaluatedSystems([], {}, {})
    if HERSHEY in protocols:
        with tempfile.TemporaryDirectory() as scratch_dir:
            evaluated = evaluate_systems(
                read_systems(), truth, settings, False, scratch_dir
            )
    else:
        collections.deque(read_systems(), maxlen=0)
    reference = names[0] if against == "first" else against
    if against == "best" and "best" not in names:
        reference = max(
            names, key=lambda name: _headline(name, evaluated, scored)
        )
    inputs = {
        **{f"scores of {n}": path for n, path in sources.items()},
        **truth.sources,
        **other_inputs,
        **evaluated.notes,
    }
    return Comparison(
        systems=tuple(names),
        reference=reference,
        against=against,
        level=settings.resampling.level,
        num_resamples=settings.resampling.num_resamples,
        rank_over=settings.rank_over,
        evaluations=tuple(
            _compare_evaluation(
                key,
                {n: found[key] for n, found in evaluated.systems.items()},
                reference,
                settings.resampling.level,
            )
            for key in evaluated.evaluations
        ),
        inputs=inputs,
        protocols=scored if any(scored.values()) else {},
        identity=identify(", ".join(names), "", inputs, protocols),
        problems=truth.problems,
    )


def _headline(
    name: str,
    evaluated: EvaluatedSystems,
    scored: Mapping[str, Sequence[ProtocolResult]],
) -> float:
    """Returns what the best system has most of."""
    if evaluated.evaluations:
        first = evaluated.systems[name][evaluated.evaluations[0]]
        return _sortable(first.result.d_prime)
    return _sortable(next(iter(scored[name][0].values.values())))


def _sortable(value: float) -> float:
    """Puts what is undefined below everything else."""
    return -math.inf if math.isnan(value) else value


def _compare_evaluation(
    key: tuple[str, str],
    found: Mapping[str, SystemEvaluation],
    reference: str,
    level: float,
) -> ComparedEvaluation:
    """Ranks the systems of one evaluation and compares them in pairs."""
    # Stable, so that equal ones stay in their order; undefined ones are last.
    order = sorted(
        found,
        key=lambda name: (
            math.isnan(found[name].result.d_prime),
            -_sortable(found[name].result.d_prime),
        ),
    )
    resamples: dict[str, ClassResamples] = {}
    for name in order:
        own = found[name].summary.resamples
        if own is not None:
            resamples[name] = own
    paired: dict[str, ResamplingResult] = {}
    differences: dict[tuple[str, str], Interval] = {}
    reason = ""
    try:
        if resamples:
            paired = {
                name: compare_resamples(
                    resamples[name], resamples[reference], level
                )
                for name in order
                if name != reference
            }
            differences = {
                (first, second): compare_resamples(
                    resamples[first], resamples[second], level
                ).overall[HEADLINE]
                for first, second in itertools.combinations(order, 2)
            }
    except InputError as error:
        paired, reason = {}, str(error)
    p_holm: dict[str, dict[str, float]] = {name: {} for name in paired}
    for metric in OVERALL_METRICS:
        corrected = correct_p_values(
            [_p_value(p.overall[metric]) for p in paired.values()]
        )
        for name, p_value in zip(paired, corrected, strict=True):
            p_holm[name][metric] = p_value
    return ComparedEvaluation(
        *key,
        results={name: found[name].result for name in order},
        intervals={
            name: intervals_of(own, level) for name, own in resamples.items()
        },
        paired=paired,
        p_holm=p_holm,
        pairs=tuple(
            Pair(*pair, interval, p_value)
            for (pair, interval), p_value in zip(
                differences.items(),
                correct_p_values([_p_value(d) for d in differences.values()]),
                strict=True,
            )
        ),
        not_paired_reason=reason,
    )


def _p_value(difference: Interval) -> float:
    return math.nan if difference.p_value is None else difference.p_value


def correct_p_values(p_values: Sequence[float]) -> list[float]:
    """Corrects the p-values of a family of tests by Holm's method.

    The k-th smallest of m becomes the largest of (m - j + 1) times the j-th
    smallest, j up to k, and 1 at most. What is NaN stays so and is not counted.
    """
    order = sorted(
        (i for i, p in enumerate(p_values) if not math.isnan(p)),
        key=lambda i: p_values[i],
    )
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, (len(order) - place) * p_values[index])
        corrected[index] = min(1.0, largest)
    return corrected

"""Many systems: leaderboard, corrected p-values, and the files of both."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from report_examples import random_labels, random_scores

from audioset_strong.errors import InputError
from audioset_strong.evaluation.comparison import (
    ComparedEvaluation,
    compare,
    correct_p_values,
)
from audioset_strong.evaluation.evaluating import (
    BootstrapSettings,
    EvalSettings,
    evaluate,
)
from audioset_strong.evaluation.results import OVERALL_METRICS
from audioset_strong.evaluation.truth import read_truth

SETTINGS = EvalSettings(
    only_common_label_frames=True,
    negatives=["explicit", "implied"],
    bootstrap=BootstrapSettings(num_resamples=199),
)


def example(separations=(1.5, 1.2, 1.4)):
    """The truth of 30 clips and 12 classes, and the scores of systems."""
    weak, framed, strong = random_labels(30, 12)
    systems = {
        f"system {seed}": random_scores(strong, separation, seed)
        for seed, separation in enumerate(separations)
    }
    return read_truth(framed_labels=framed, weak_labels=weak), systems


@pytest.fixture(scope="module")
def truth_and_systems():
    return example()


@pytest.fixture(scope="module")
def comparison(truth_and_systems):
    truth, systems = truth_and_systems
    return compare(systems, truth, SETTINGS)


# --- Holm's correction -------------------------------------------------------


def test_holm_by_hand():
    # 4 x 0.005, 3 x 0.01, then the larger of 2 x 0.03 and 0.04.
    assert correct_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )
    assert correct_p_values([0.6, 0.7]) == [1.0, 1.0]
    assert correct_p_values([]) == []
    # What is undefined is no test.
    corrected = correct_p_values([math.nan, 0.02, 0.03])
    assert math.isnan(corrected[0])
    assert corrected[1:] == pytest.approx([0.04, 0.04])


def test_holm_rejects_as_the_step_down_procedure_does():
    rng = np.random.default_rng(0)
    for _ in range(200):
        p_values = rng.random(rng.integers(1, 9)) ** 3
        corrected = np.array(correct_p_values(p_values.tolist()))
        for level in (0.01, 0.05, 0.2):
            # Holm 1979: go up while p is at most level / (tests left).
            is_rejected = np.zeros(p_values.size, dtype=bool)
            for place, index in enumerate(np.argsort(p_values)):
                if p_values[index] > level / (p_values.size - place):
                    break
                is_rejected[index] = True
            np.testing.assert_array_equal(corrected <= level, is_rejected)


# --- Numbers -----------------------------------------------------------------


def test_two_systems_have_the_numbers_of_evaluate(truth_and_systems):
    truth, systems = truth_and_systems
    (ours, scores), (theirs, baseline) = list(systems.items())[:2]
    report = evaluate(scores, truth, SETTINGS, baseline)
    found = compare({ours: scores, theirs: baseline}, truth, SETTINGS, theirs)
    assert found.reference == theirs
    assert len(found.evaluations) == len(report.results) == 4
    for own, result in zip(found.evaluations, report.results):
        details = report.details_of(result)
        for metric in OVERALL_METRICS:
            for name, expected in (
                (ours, result),
                (theirs, report.baseline_of(result)),
            ):
                np.testing.assert_equal(
                    getattr(own.results[name], metric),
                    getattr(expected, metric),
                )
        if own.negatives == "implied":
            assert not own.intervals
            assert not own.paired
            continue
        for mine, expected in (
            (own.paired[ours], details.paired),
            (own.intervals[theirs], details.baseline_intervals),
        ):
            np.testing.assert_equal(as_dicts(mine), as_dicts(expected))
        assert own.paired[ours].per_class.equals(details.paired.per_class)
        for metric, interval in details.paired.overall.items():
            # A family of one.
            np.testing.assert_equal(own.p_holm[ours][metric], interval.p_value)


def as_dicts(intervals):
    """Numbers whose NaN are equal."""
    return {n: dataclasses.asdict(i) for n, i in intervals.overall.items()}


def numbers(found):
    """Every number of a comparison, by what it is of."""
    return {
        (e.evaluation, e.negatives): (
            {
                n: {m: getattr(r, m) for m in OVERALL_METRICS}
                for n, r in e.results.items()
            },
            {n: i.overall for n, i in e.intervals.items()},
            {n: (p.overall, e.p_holm[n]) for n, p in e.paired.items()},
            {(p.first, p.second): p for p in e.pairs},
        )
        for e in found.evaluations
    }


def test_order_of_systems_clips_and_classes_does_not_matter(
    truth_and_systems, comparison
):
    truth, systems = truth_and_systems
    rng = np.random.default_rng(5)
    shuffled = {}
    for name in reversed(systems):
        scores = systems[name]
        clips = rng.permutation(scores.segment_ids.size)
        classes = rng.permutation(scores.mids.size)
        shuffled[name] = dataclasses.replace(
            scores,
            segment_ids=scores.segment_ids[clips],
            mids=scores.mids[classes],
            scores=scores.scores[clips][:, :, classes],
            num_label_frames=scores.num_label_frames[clips],
        )
    again = compare(shuffled, truth, SETTINGS, comparison.reference)
    assert again.reference == comparison.reference == "system 0"
    for ours, theirs in zip(
        numbers(again).values(), numbers(comparison).values()
    ):
        for mine, other in zip(ours, theirs):
            assert mine.keys() == other.keys()
            _assert_close(mine, other)


def _assert_close(mine, other):
    """Compares numbers in dicts and dataclasses; sums differ in order."""
    if dataclasses.is_dataclass(mine):
        mine, other = dataclasses.asdict(mine), dataclasses.asdict(other)
    if isinstance(mine, dict):
        for key, value in mine.items():
            _assert_close(value, other[key])
    elif isinstance(mine, tuple):
        for pair in zip(mine, other, strict=True):
            _assert_close(*pair)
    elif isinstance(mine, float):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-12)
    else:
        assert mine == other


def test_ranks_pairs_and_families(comparison):
    for own in comparison.evaluations:
        values = [r.d_prime for r in own.results.values()]
        assert values == sorted(values, reverse=True)
        ranks = [own.rank(name, "d_prime") for name in own.results]
        assert ranks == [1, 2, 3]
        if not own.intervals:
            continue
        assert [(p.first, p.second) for p in own.pairs] == list(
            itertools.combinations(own.results, 2)
        )
        for pair in own.pairs:
            assert pair.difference.estimate == pytest.approx(
                own.results[pair.first].d_prime
                - own.results[pair.second].d_prime
            )
        corrected = [p.p_holm for p in own.pairs]
        assert corrected == correct_p_values(
            [p.difference.p_value for p in own.pairs]
        )
        assert set(own.paired) == {"system 1", "system 2"}
        for metric in OVERALL_METRICS:
            assert [p[metric] for p in own.p_holm.values()] == pytest.approx(
                correct_p_values(
                    [p.overall[metric].p_value for p in own.paired.values()]
                ),
                nan_ok=True,
            )


def test_what_is_not_distinguishable():
    truth, systems = example(separations=(0.2, 3.0, 0.2))
    found = compare(systems, truth, SETTINGS, "best")
    assert found.reference == "system 1"
    own = found.evaluations[0]
    assert own.not_distinguishable("system 1", 0.95) == []
    assert own.not_distinguishable("system 0", 0.95) == ["system 2"]
    assert own.not_distinguishable("system 2", 0.95) == ["system 0"]
    assert own.rank("system 1", "d_prime") == 1


def test_equal_and_undefined_systems_share_a_place(comparison):
    own = comparison.evaluations[0]
    first, second, third = own.results.values()
    results = {
        "a": first,
        "b": first,
        "c": third,
        "d": dataclasses.replace(second, d_prime=math.nan),
    }
    own = dataclasses.replace(own, results=results)
    assert isinstance(own, ComparedEvaluation)
    assert [own.rank(n, "d_prime") for n in results] == [1, 1, 3, None]


# --- Systems of other clips and classes --------------------------------------


def test_only_what_all_systems_have_counts(truth_and_systems):
    truth, systems = truth_and_systems
    names = list(systems)
    fewer = dataclasses.replace(
        systems[names[1]],
        segment_ids=systems[names[1]].segment_ids[3:],
        scores=systems[names[1]].scores[3:],
        num_label_frames=systems[names[1]].num_label_frames[3:] - 1,
    )
    narrower = dataclasses.replace(
        systems[names[2]],
        mids=systems[names[2]].mids[:-2],
        scores=systems[names[2]].scores[:, :, :-2],
    )
    given = {
        names[0]: systems[names[0]],
        names[1]: lambda: fewer,  # Read when it is asked for.
        names[2]: narrower,
    }
    found = compare(given, truth, SETTINGS)
    assert found.inputs["compared_classes"] == (
        "10 in all; classes left out: 2 of system 0, 2 of system 1"
    )
    assert found.inputs["compared_clips"] == (
        "27 clips in all; clips left out: 3 of system 0, 3 of system 2; label "
        "frames of these clips left out: 27 of system 0, 27 of system 2"
    )
    for own in found.evaluations:
        assert len({r.num_items for r in own.results.values()}) == 1
        assert len({r.num_positives for r in own.results.values()}) == 1
        assert own.not_paired_reason == ""
    apart = compare(
        given,
        truth,
        dataclasses.replace(SETTINGS, only_common_label_frames=False),
    )
    own = apart.evaluations[0]
    assert own.results["system 0"].num_items == 300
    assert own.results["system 1"].num_items == 27 * 9
    assert not own.paired
    assert not own.pairs
    assert "27 and 30 clips" in own.not_paired_reason
    assert set(own.intervals) == set(names)


@pytest.mark.parametrize(
    ("num_systems", "against", "message"),
    [
        (1, "first", "2 to 100 systems to compare, found 1: system 0"),
        (0, "first", "found 0. Evaluate"),
        (3, "worst", r"\(system 0, system 1, system 2\). Received: 'worst'"),
    ],
)
def test_what_cannot_be_compared(
    truth_and_systems, num_systems, against, message
):
    truth, systems = truth_and_systems
    given = dict(list(systems.items())[:num_systems])
    with pytest.raises(InputError, match=message):
        compare(given, truth, SETTINGS, against)

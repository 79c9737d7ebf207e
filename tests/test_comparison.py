"""Many systems: leaderboard, corrected p-values, and the files of both."""

import dataclasses
import html
import itertools
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from browser import needs_browser, open_browser
from report_examples import random_labels, random_scores

from audioset_strong.errors import InputError
from audioset_strong.evaluation import comparison_report
from audioset_strong.evaluation import report as report_lib
from audioset_strong.evaluation.comparison import (
    ComparedEvaluation,
    compare,
    correct_p_values,
)
from audioset_strong.evaluation.comparison_report import (
    comparison_figure,
    comparison_text,
    render_comparison,
    write_comparison,
)
from audioset_strong.evaluation.evaluating import (
    EvalSettings,
    ResamplingSettings,
    evaluate,
)
from audioset_strong.evaluation.results import OVERALL_METRICS
from audioset_strong.evaluation.score_arrays import make_scores
from audioset_strong.evaluation.truth import read_truth

SETTINGS = EvalSettings(
    only_common_label_frames=True,
    negatives=["explicit", "implied"],
    resampling=ResamplingSettings(num_resamples=199),
)

SETTINGS_ALONE = dataclasses.replace(SETTINGS, only_common_label_frames=False)


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


# --- Protocols of events and segments ----------------------------------------


def with_protocols(names, other_clips=False):
    """Compares three systems by protocols, of strong labels of whole frames."""
    weak, framed, strong = random_labels(30, 12)
    clip, frame, column = np.nonzero(strong)
    events = pd.DataFrame(
        {
            "segment_id": [f"clip{i}_0" for i in clip],
            "onset_seconds": frame * 0.96,
            "offset_seconds": (frame + 1) * 0.96,
            "mid": [f"/m/{i}" for i in column],
        }
    )
    systems = {}
    for seed, separation in enumerate((1.0, 3.0, 2.0)):
        scores = random_scores(strong, separation, seed)
        systems[f"system {seed}"] = make_scores(
            scores.scores, scores.segment_ids.tolist(), scores.mids.tolist()
        )
        if other_clips and seed == 2:
            systems["system 2"] = make_scores(
                scores.scores[1:],
                scores.segment_ids.tolist()[1:],
                scores.mids.tolist(),
            )
    truth = read_truth(strong_labels=events)
    found = compare(systems, truth, SETTINGS, "best", protocols=names)
    return systems, truth, found


def test_protocols_have_the_values_of_evaluate(tmp_path):
    names = ["hershey2021", "segment_auroc"]
    systems, truth, found = with_protocols(names)
    assert found.identity.protocols == tuple(names)
    assert set(found.protocols) == set(systems)
    for name, scores in systems.items():
        report = evaluate(scores, truth, SETTINGS_ALONE, protocols=names)
        [own], [expected] = found.protocols[name], report.protocols
        assert own.values == expected.values
    written = write_comparison(found, tmp_path)
    [own] = written["protocols"]
    assert own["name"] == "segment_auroc"
    values = [s["values"]["auroc"] for s in own["systems"].values()]
    assert len(set(values)) == 3
    assert written["protocol_note"] == ""
    table = pd.read_csv(tmp_path / "comparison.csv")
    rows = table[table["evaluation"] == "segment_auroc"].set_index("system")
    assert rows["value"].tolist() == pytest.approx(values)
    assert rows["rank"].tolist() == [3, 1, 2]
    shown = f"{values[0]:.4f}"
    for name in ("comparison.md", "comparison.html"):
        assert shown in (tmp_path / name).read_text()
    assert shown in comparison_text(found)


def test_protocols_alone(tmp_path):
    _, _, found = with_protocols(["segment_auroc"], other_clips=True)
    assert not found.evaluations
    assert found.reference == "system 1"
    written = write_comparison(found, tmp_path)
    assert written["protocol_note"].startswith("Systems were scored over diff")
    assert written["protocol_note"] in comparison_text(found)
    assert not (tmp_path / "comparison.png").exists()


# --- What is written ---------------------------------------------------------

# Ends every element that it may stand in, and does harm in a page.
_ATTACK = "</title></style><script>window.attacked = 1</script>&|{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def written(tmp_path_factory, truth_and_systems):
    """The files of a comparison whose names are hostile."""
    truth, systems = truth_and_systems
    given = {f"{n} {_ATTACK}": s for n, s in systems.items()}
    folder = tmp_path_factory.mktemp("comparison")
    found = compare(given, truth, SETTINGS, "best")
    returned = write_comparison(found, folder / "new")
    return folder / "new", found, returned


def test_files_of_a_comparison(written):
    folder, found, returned = written
    assert sorted(p.name for p in folder.iterdir()) == [
        f"comparison.{end}"
        for end in ("csv", "html", "json", "md", "pdf", "png")
    ]
    read = json.loads((folder / "comparison.json").read_text())
    assert read == json.loads(json.dumps(returned))
    assert read["systems"] == list(found.systems)
    assert read["reference"] == found.reference
    assert (folder / "comparison.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_as_documented(written):
    folder, found, _ = written
    read = json.loads((folder / "comparison.json").read_text())
    assert read["schema_version"] == 1
    words = set(re.findall(r"[a-z_0-9]+", comparison_report.__doc__))
    words |= set(re.findall(r"[a-z_0-9]+", report_lib.__doc__))
    words |= set(found.inputs)

    def keys_of(value):
        if isinstance(value, dict):
            return set(value).union(*map(keys_of, value.values()))
        if isinstance(value, list):
            return set().union(*map(keys_of, value))
        return set()

    assert keys_of(read) <= words | set(OVERALL_METRICS) | set(found.systems)
    for given, own in zip(read["evaluations"], found.evaluations):
        assert [row["system"] for row in given["leaderboard"]] == list(
            own.results
        )
        for row in given["leaderboard"]:
            metric = row["metrics"]["lwlrap"]
            assert metric["value"] == own.results[row["system"]].lwlrap
            assert (metric["difference"] is None) == (
                row["system"] == found.reference
            )
        assert len(given["pairs"]) == (3 if own.intervals else 0)
        assert len(given["classes"]) == 12


def test_csv_of_a_comparison(written):
    folder, found, _ = written
    table = pd.read_csv(folder / "comparison.csv")
    assert len(table) == 4 * 3 * len(OVERALL_METRICS)
    own = found.evaluations[0]
    second = list(own.results)[1]
    row = table.set_index(["evaluation", "negatives", "system", "metric"]).loc[
        "strong", "explicit", second, "mean_auc"
    ]
    paired = own.paired[second].overall["mean_auc"]
    assert row["difference"] == pytest.approx(paired.estimate)
    assert row["difference_low"] == pytest.approx(paired.low)
    assert row["p_holm"] == pytest.approx(own.p_holm[second]["mean_auc"])
    implied = table[table["negatives"] == "implied"]
    assert implied["low"].isna().all()
    others = implied[implied["system"] != found.reference]
    assert others["difference"].notna().any()


def test_markdown_of_a_comparison(written):
    folder, found, _ = written
    text = (folder / "comparison.md").read_text()
    rows = [r for r in text.splitlines() if r.startswith("| 1 |")]
    assert len(rows) == 4
    # The bar of the names is no cell.
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows)
    own = found.evaluations[0]
    pair = own.pairs[0]
    value = pair.difference.estimate
    assert f"{pair.first} less {pair.second}".replace("|", "\\|") in text
    assert f"| +{value:.3f} [" in text
    assert "corrected by Holm's method" in text


def test_console_of_a_comparison(comparison):
    lines = comparison_text(comparison).splitlines()
    assert lines[0].startswith("Comparison of 3 systems (")
    at = lines.index(next(x for x in lines if x.startswith("rank  system")))
    best = next(iter(comparison.evaluations[0].results))
    assert lines[at + 1].split()[:3] == ["1", *best.split()]
    assert lines[at].endswith("d' less system 0")


def test_too_few_resamples_are_said(truth_and_systems):
    truth, systems = truth_and_systems
    settings = dataclasses.replace(
        SETTINGS, resampling=ResamplingSettings(num_resamples=99)
    )
    text = comparison_text(compare(systems, truth, settings))
    # 3 * 2 / (R + 1) is 0.05 at 119.
    assert (
        "99 resamples are too few to tell any two systems apart: 3 pairs need "
        "119." in text
    )
    settings = dataclasses.replace(
        SETTINGS, resampling=ResamplingSettings(num_resamples=119)
    )
    assert "too few" not in comparison_text(compare(systems, truth, settings))


def test_without_resamples_there_are_differences_alone(truth_and_systems):
    truth, systems = truth_and_systems
    settings = dataclasses.replace(
        SETTINGS, resampling=ResamplingSettings(num_resamples=0)
    )
    found = compare(systems, truth, settings)
    text = comparison_text(found)
    assert "too few" not in text
    assert "would take long" not in text
    assert "[" not in text
    for own in found.evaluations:
        assert not own.pairs
        assert own.not_distinguishable("system 0", 0.95) == []
    render_comparison(found)
    comparison_figure(found)


def test_the_page_loads_nothing_and_keeps_names_text(written):
    folder, _, _ = written
    page = (folder / "comparison.html").read_text()
    assert "<script" not in page
    assert html.escape(_ATTACK).replace("&quot;", "&#34;") in page
    assert "window.attacked" in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert page.count("<details open>") == 4


@needs_browser
def test_the_page_fits_wide_and_narrow(written, tmp_path):
    folder, _, _ = written
    with open_browser(tmp_path / "profile") as browser:
        for width in (1440, 390):
            browser.open(f"file://{folder}/comparison.html", width)
            assert browser.run("document.documentElement.scrollWidth") <= width
            # Bars and names of a figure lie within the page.
            assert browser.run(
                "[...document.querySelectorAll('.forest .value')].every("
                "e => e.getBoundingClientRect().right <= innerWidth)"
            )
            assert browser.run("window.attacked === undefined")
        assert not browser.problems

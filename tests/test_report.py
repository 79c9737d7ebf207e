import dataclasses
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from eval_examples import (
    W,
    X,
    Y,
    Z,
    evaluate_strong,
    evaluate_weak,
    hand_framed,
    hand_score_file,
    hand_weak,
    make_score_file,
)
from report_examples import random_report

from audioset_strong.evaluation import report as report_lib
from audioset_strong.evaluation.identity import ReportIdentity
from audioset_strong.evaluation.items import Alignment
from audioset_strong.evaluation.report import (
    headline_text,
    markdown_report,
    report_dict,
    write_report,
)
from audioset_strong.evaluation.report_page import format_number
from audioset_strong.evaluation.resampling import Interval
from audioset_strong.evaluation.results import (
    OVERALL_METRICS,
    EvalReport,
    result_notes,
)
from audioset_strong.labels.problems import ProblemLog


def evaluate_all(score_file):
    framed, weak = hand_framed(), hand_weak()
    return (
        evaluate_strong(score_file, framed),
        evaluate_weak(score_file, weak, framed),
        evaluate_weak(score_file, weak, negatives="implied"),
    )


def hand_report(baseline=None):
    problems = ProblemLog()
    problems.add("F.tsv", 7, "expected <5> fields")
    return EvalReport(
        inputs={"scores": "dir/S.npz", "weak_labels": None},
        rank_over="all",
        results=evaluate_all(hand_score_file()),
        baseline_results=() if baseline is None else evaluate_all(baseline),
        problems=problems,
    )


def better_x():
    """The example with a0's x raised above all: AUC of x becomes 1."""
    score_file = hand_score_file()
    scores = score_file.scores.copy()
    scores[0, 0, 0] = 0.9
    return dataclasses.replace(score_file, scores=scores)


def undefined_report():
    """An evaluation without a positive."""
    framed = hand_framed().assign(is_present=False)
    result = evaluate_strong(hand_score_file(), framed)
    return EvalReport({"scores": "S.npz"}, "all", (result,))


@pytest.fixture(scope="module")
def full_report():
    return random_report(num_clips=40, num_classes=12)


# --- report.json and per_class.csv -----------------------------------------


def test_files(tmp_path):
    folder = tmp_path / "new" / "report"
    returned = write_report(hand_report(), folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "per_class.csv",
        "report.html",
        "report.json",
        "report.md",
    ]

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = (folder / "report.json").read_text()
    read = json.loads(text, parse_constant=refuse)
    assert read == json.loads(json.dumps(returned))


def test_json_has_the_numbers():
    results = report_dict(hand_report())
    strong = results["strong"]["explicit"]
    assert strong["mean_auc"] == pytest.approx(7 / 12)
    assert strong["lwlrap"] == pytest.approx(7 / 9)
    assert strong["num_classes"] == 2
    assert strong["undefined_classes"] == [
        {"mid": Z, "display_name": "", "reason": "not in the labels"},
        {"mid": W, "display_name": "", "reason": "not in the score file"},
    ]
    assert strong["alignment"]["clips_not_scored"] == ("d_0",)
    assert strong["notes"] == []
    assert strong["intervals"] is strong["worst_items"] is None
    assert strong["classes"][0]["auc"] == pytest.approx(2 / 3)
    assert set(results["weak"]) == {"explicit", "implied"}
    assert results["baseline"] is results["difference"] is None
    assert results["label_problems"] == {
        "num_left_out": 1,
        "num_doubtful": 0,
        "lines": ["F.tsv:7: expected <5> fields"],
    }


def test_infinite_and_undefined_numbers_are_null_and_noted():
    results = report_dict(hand_report())
    explicit = results["weak"]["explicit"]  # both classes have AUC 0
    assert explicit["d_prime"] is None
    assert explicit["mean_d_prime"] is None
    assert "The mean AUC is 0 or 1: d' is infinite." in explicit["notes"]
    implied = results["weak"]["implied"]
    assert implied["d_prime"] == 0
    assert "2 classes with AUC 0 or 1" in implied["notes"][0]
    assert implied["classes"][2]["auc"] == 1
    assert implied["classes"][2]["d_prime"] is None
    undefined = report_dict(undefined_report())["strong"]["explicit"]
    assert undefined["d_prime"] is undefined["lwlrap"] is None
    assert len(undefined["notes"]) == 2


def test_baseline_differences():
    results = report_dict(hand_report(baseline=better_x()))
    # Ours minus the baseline's: mean AUC 7/12 against (1 + 1/2) / 2.
    difference = results["difference"]["strong"]["explicit"]
    assert difference["mean_auc"] == pytest.approx(7 / 12 - 3 / 4)
    assert difference["mean_d_prime"] is None  # the baseline's is infinite
    assert difference["intervals"] is None
    assert results["baseline"]["strong"]["explicit"]["num_classes"] == 2
    assert results["strong"]["explicit"]["notes"] == [
        "Baseline: The mean d' over classes is infinite or undefined: 1 class "
        "with AUC 0 or 1."
    ]


def test_a_baseline_of_other_items_is_noted():
    score_file = hand_score_file()
    fewer_clips = make_score_file(
        score_file.scores[:2],
        score_file.segment_ids[:2],
        score_file.mids,
        score_file.num_label_frames[:2],
    )
    fewer_classes = dataclasses.replace(
        score_file, scores=score_file.scores[:, :, :2], mids=np.array([X, Y])
    )
    for baseline in (fewer_clips, fewer_classes):
        results = report_dict(hand_report(baseline))
        notes = results["weak"]["implied"]["notes"]
        assert "not over the same items" in notes[-1]


def test_per_class_csv(full_report, tmp_path):
    write_report(hand_report(), tmp_path)
    table = pd.read_csv(tmp_path / "per_class.csv")
    assert len(table) == 3 * 4
    row = table.set_index(["evaluation", "negatives", "mid"]).loc[
        ("strong", "explicit", X)
    ]
    assert row["auc"] == pytest.approx(2 / 3)
    assert row["num_negatives"] == 3
    implied = table[table["negatives"] == "implied"].set_index("mid")
    assert implied.loc[Z, "d_prime"] == math.inf
    assert implied.loc[Y, "d_prime"] == -math.inf
    full = report_lib.per_class_table(full_report)
    assert len(full) == 4 * 12
    for column in (
        "average_precision",
        "baseline_average_precision",
        "average_precision_difference",
        "auc_difference_low",
        "auc_difference_high",
    ):
        assert full[column].notna().any(), column
    defined = full[full["auc_low"].notna()]
    assert len(defined) > 0
    assert (defined["auc_low"] <= defined["auc_high"]).all()


# --- report.json against what the module docstring says --------------------

_PER_CLASS = ("auc", "d_prime", "average_precision", "lwlrap")


def keys_of(value):
    """All keys of a JSON value, whatever their depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    return set()


def test_json_is_as_documented(full_report, tmp_path):
    write_report(full_report, tmp_path)
    read = json.loads((tmp_path / "report.json").read_text())
    assert read["schema_version"] == 3
    assert set(read["strong"]) == {"explicit", "complementary_only"}
    assert set(read["weak"]) == {"explicit", "implied"}
    for result, details in zip(
        full_report.results, full_report.details, strict=True
    ):
        own, their, difference = (
            side[result.evaluation][result.negatives]
            for side in (read, read["baseline"], read["difference"])
        )
        tables = {"classes", "worst_items", "breakdowns", "lengths_of"}
        assert set(own) - set(their) == tables
        for system in (own, their):
            is_implied = result.negatives == "implied"
            assert (system["reliability"] is not None) == is_implied
        is_broken_down = (result.evaluation, result.negatives) == (
            "strong",
            "explicit",
        )
        assert (own["breakdowns"] is not None) == is_broken_down
        assert set(difference) == {*OVERALL_METRICS, "intervals"}
        frames = {row["label_frame"] for row in own["worst_items"]}
        assert (frames == {None}) == (result.evaluation == "weak")
        for values, last, intervals in (
            (own, "median_bias", details.intervals),
            (their, "median_bias", details.baseline_intervals),
            (difference, "p_value", details.paired),
        ):
            metrics = values["intervals"]["metrics"]
            assert set(metrics) == set(OVERALL_METRICS) <= set(values)
            for metric in metrics.values():
                assert set(metric) == {"low", "high", "num_undefined", last}
            assert metrics["lwlrap"]["low"] == intervals.overall["lwlrap"].low
    compared = {f"baseline_{name}" for name in _PER_CLASS}
    compared |= {f"{name}_difference" for name in _PER_CLASS}
    assert compared < set(own["classes"][0])
    words = set(re.findall(r"[a-z_0-9]+", report_lib.__doc__)) | compared
    words |= {f.name for f in dataclasses.fields(Alignment)}
    words |= {"explicit", "implied", "complementary_only"}
    for result in full_report.results:
        words |= set(result.alignment.labels_left_out)
    assert keys_of(read) <= words


# --- Markdown and console ---------------------------------------------------


def test_markdown(full_report):
    title, *sections, inputs = markdown_report(full_report).split("## ")
    assert title.startswith("# Evaluation of ours\n\nMade 2026-11-27 01:02:03 ")
    assert "| scores | dir/ours.npz | 0000000000000000 | 1,234 |" in inputs
    assert len(sections) == 4
    rows = [r for r in sections[0].splitlines() if r.startswith("|")]
    rows, strata = rows[:5], rows[5:]
    assert [row.count("|") for row in rows] == [8] * 5
    assert [row.count("|") for row in strata] == [7] * (2 + 4 + 5 + 4)
    assert strata[2].startswith("| event length: 1 label frame (0.96 s) | ")
    assert rows[0].split("|")[2].strip() == "d′"
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        "ours",
        "theirs",
        "difference",
    ]
    result, details = full_report.results[0], full_report.details[0]
    own = details.intervals.overall["d_prime"]
    cell = f"{result.d_prime:.3f} [{own.low:.3f}, {own.high:.3f}]"
    assert rows[2].split("|")[2].strip() == cell
    paired = details.paired.overall["d_prime"]
    assert re.fullmatch(
        rf" \+0\.\d+ \[.+, .+\] p = {paired.p_value:.2g} ",
        rows[4].split("|")[2],
    )
    assert "Negatives: explicit. 40 clips (400 label frames), " in sections[0]
    assert f"{result.num_classes} classes with" in sections[0]
    assert "60 random halves" in sections[0]
    alone = markdown_report(hand_report())
    assert "0.298 |" in alone
    assert "[" not in alone


def test_markdown_of_a_name_with_a_bar():
    identity = ReportIdentity("a|b")
    report = dataclasses.replace(hand_report(), identity=identity)
    assert "| a\\|b |" in markdown_report(report)


def test_headline_text(full_report):
    title, *lines = headline_text(hand_report()).splitlines()
    assert title.startswith("Evaluation of scores (audioset_strong ")
    heads = ["eval", "negatives", "d_prime", "mAP", "lwlrap"]
    assert lines[0].split()[:5] == heads
    assert lines[1].split()[:3] == ["strong", "explicit", "0.298"]
    assert lines[1].split()[4] == "0.778"
    full = headline_text(full_report)
    own = full_report.details[0].intervals.overall["d_prime"]
    assert f"[{own.low:.3f}, {own.high:.3f}]" in full
    assert "- baseline" in full
    assert "p = 0." in full
    assert full.splitlines()[-1] == (
        "Intervals of 95 % are of 60 random halves of the clips, seed 0."
    )


def test_headline_text_gives_the_reason_for_what_is_no_number():
    undefined = headline_text(undefined_report()).splitlines()[1:]
    assert undefined[1].split() == ["strong", "explicit", *6 * ["–"], "0"]
    assert undefined[2:] == [
        "strong explicit: No class has a positive and a negative: d', mean "
        "AUC, mean d' and mAP are undefined.",
        "strong explicit: No class has a positive: lwlrap is undefined.",
    ]
    # The scores are fine, and those of the baseline all have AUC 0.
    report = hand_report(better_x())
    report = dataclasses.replace(
        report,
        results=report.results[2:],
        baseline_results=(
            dataclasses.replace(report.results[1], negatives="implied"),
        ),
    )
    lines = headline_text(report).splitlines()[1:]
    assert lines[2].split()[:3] == ["-", "baseline", "+∞"]
    assert (
        "weak implied: Baseline: The mean AUC is 0 or 1: d' is infinite."
    ) in lines
    for text in (headline_text(report), headline_text(hand_report())):
        assert not re.search(r"\b(inf|nan)\b", text)


def test_everything_undefined_has_its_reason():
    [strong, *_] = hand_report().results
    nothing = undefined_report().results[0]
    perfect = dataclasses.replace(
        strong,
        d_prime=math.inf,
        mean_auc=1.0,
        mean_d_prime=math.inf,
        num_classes_infinite_d_prime=2,
    )
    notes = result_notes(perfect, perfect)
    assert notes[0] == "The mean AUC is 0 or 1: d' is infinite."
    assert notes[-1] == (
        "Infinite in both systems, without a difference: d' of the mean AUC, "
        "mean d' over classes."
    )
    notes = " ".join(result_notes(strong, nothing))
    assert "Baseline: No class has a positive and a negative: d', " in notes
    assert "Undefined for the baseline, without a difference: d' of " in notes
    alone = dataclasses.replace(
        strong, rank_over="evaluated", num_classes_lwlrap=1
    )
    assert "it is 1 whatever the scores are" in " ".join(result_notes(alone))


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (math.nan, 3, "", "–"),
        (math.inf, 3, "+", "+∞"),
        (-math.inf, 3, "", "−∞"),
        (-0.0001, 3, "+", "+0.000"),
        (-1.25, 1, "", "−1.2"),
        (2000, 0, "", "2,000"),
    ],
)
def test_format_number(value, digits, sign, text):
    assert format_number(value, digits, sign) == text


def test_missing_and_unreliable_intervals_are_noted(full_report):
    details = full_report.details[0]
    own = details.intervals.overall["d_prime"]
    intervals = dataclasses.replace(
        details.intervals,
        overall={
            "d_prime": own,
            "mean_auc": Interval(math.nan, math.nan, math.nan, 0, None, 60),
            "mean_d_prime": Interval(
                2.0, math.nan, math.nan, math.inf, None, 0
            ),
        },
        num_clips=99,
        num_classes_few_clips=1,
    )

    def notes():
        own = dataclasses.replace(details, intervals=intervals)
        return [
            note
            for note in result_notes(full_report.results[0], details=own)
            if "nterval" in note
        ]

    missing, unreliable, few = notes()
    assert missing.startswith(
        "Without an interval: mean d' over classes. In too"
    )
    assert "there are 99 clips, and 100 are needed" in unreliable
    assert few.startswith("1 class with a positive or a negative in fewer than")
    intervals = dataclasses.replace(
        intervals, num_clips=100, num_classes_few_clips=0, overall={}
    )
    assert notes() == []
    intervals = dataclasses.replace(intervals, num_groups=7)
    assert "there are 7 groups" in notes()[0]


def test_differences_that_cannot_be_paired_are_noted(full_report):
    details = dataclasses.replace(
        full_report.details[0], paired=None, not_paired_reason="Other clips."
    )
    report = dataclasses.replace(full_report, details=(details,))
    notes = report_dict(report)["strong"]["explicit"]["notes"]
    assert "Differences have no intervals: Other clips." in notes

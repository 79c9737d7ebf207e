import dataclasses
import json
import math
import re
from html.parser import HTMLParser

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
from audioset_strong.evaluation.bootstrap import Interval
from audioset_strong.evaluation.details import RocCurves
from audioset_strong.evaluation.items import (
    STRONG_NEGATIVES,
    WEAK_NEGATIVES,
    Alignment,
)
from audioset_strong.evaluation.report import (
    headline_text,
    report_dict,
    write_report,
)
from audioset_strong.evaluation.report_page import (
    changes_table,
    curve_path,
    d_prime_plot,
    render_page,
    roc_panel,
    worst_table,
)
from audioset_strong.evaluation.report_text import (
    format_number,
    markdown_report,
)
from audioset_strong.evaluation.results import (
    EvalReport,
    compare_per_class,
    count_of,
    result_notes,
)
from audioset_strong.labels.problems import ProblemLog

NAMES = {X: "Ex & <why>", Y: "Why"}


def evaluate_all(score_file):
    framed, weak = hand_framed(), hand_weak()
    return (
        evaluate_strong(score_file, framed, display_names=NAMES),
        evaluate_weak(score_file, weak, framed, display_names=NAMES),
        evaluate_weak(
            score_file, weak, negatives="implied", display_names=NAMES
        ),
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
    assert set(results["weak"]) == {"explicit", "implied"}
    assert results["baseline"] is None
    assert results["label_problems"] == {
        "num_left_out": 1,
        "num_doubtful": 0,
        "lines": ["F.tsv:7: expected <5> fields"],
    }


def test_infinite_numbers_are_null_and_noted():
    results = report_dict(hand_report())
    explicit = results["weak"]["explicit"]  # both classes have AUC 0
    assert explicit["d_prime"] is None
    assert explicit["mean_d_prime"] is None
    assert "The mean AUC is 0 or 1: d' is infinite." in explicit["notes"]
    implied = results["weak"]["implied"]
    assert implied["d_prime"] == 0
    assert "2 classes with AUC 0 or 1" in implied["notes"][0]


def test_files(tmp_path):
    returned = write_report(hand_report(), tmp_path / "new" / "report")
    folder = tmp_path / "new" / "report"
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


def test_per_class_csv(tmp_path):
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


def test_baseline_differences():
    report = hand_report(baseline=better_x())
    results = report_dict(report)
    # Ours minus the baseline's: mean AUC 7/12 against (1 + 1/2) / 2.
    difference = results["difference"]["strong"]["explicit"]
    assert difference["mean_auc"] == pytest.approx(7 / 12 - 3 / 4)
    assert difference["mean_d_prime"] is None  # the baseline's is infinite
    assert results["baseline"]["strong"]["explicit"]["num_classes"] == 2
    assert results["strong"]["explicit"]["notes"] == []
    assert "- baseline" in headline_text(report)
    assert "d′ change" in render_page(report)


def test_baseline_of_other_clips_is_noted():
    score_file = hand_score_file()
    fewer = make_score_file(
        score_file.scores[:2],
        score_file.segment_ids[:2],
        score_file.mids,
        score_file.num_label_frames[:2],
    )
    results = report_dict(hand_report(baseline=fewer))
    notes = results["strong"]["explicit"]["notes"]
    assert "not over the same items" in notes[-1]


def test_baseline_with_other_classes():
    score_file = hand_score_file()
    fewer = dataclasses.replace(
        score_file, scores=score_file.scores[:, :, :2], mids=np.array([X, Y])
    )
    results = report_dict(hand_report(baseline=fewer))
    assert "same items" in results["weak"]["implied"]["notes"][-1]


class PageChecker(HTMLParser):
    """Collects what could load something, and unclosed elements."""

    def __init__(self):
        super().__init__()
        self.open_tags, self.loads = [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [a for a in attrs if a[0] in ("src", "href", "srcset")]
        if tag not in ("meta", "br", "input"):
            self.open_tags.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Leaves out elements that close themselves."""

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag


@pytest.fixture(scope="module")
def full_report():
    return random_report(num_clips=40, num_classes=12)


@pytest.fixture(scope="module")
def reports(full_report):
    return {
        "alone": hand_report(),
        "two": hand_report(better_x()),
        "full": full_report,
    }


@pytest.mark.parametrize("name", ["alone", "two", "full"])
def test_page_is_whole_and_loads_nothing(reports, name):
    page = render_page(reports[name])
    checker = PageChecker()
    checker.feed(page)
    assert checker.open_tags == []
    assert checker.loads == []
    assert "http" not in page
    assert "@import" not in page


def test_page_says_what_a_reader_needs():
    page = render_page(hand_report())
    assert 'lang="en"' in page
    assert 'name="viewport"' in page
    assert "<title>Evaluation of S.npz</title>" in page
    assert page.index('class="headline"') < page.index("<details")
    for text in (
        "complementary negatives",
        "Ex &amp; &lt;why&gt;",
        "expected &lt;5&gt; fields",
        "not in the score file",
        "Labelled clips without scores",
        "1 label line left out",
        "−∞",
        'aria-sort="descending"',
    ):
        assert text in page, text
    assert "<why>" not in page


def test_plot_marks_every_defined_class():
    (strong, _, implied) = evaluate_all(hand_score_file())
    plot = d_prime_plot(strong.per_class, "label")
    assert plot.count("<circle") == 2
    assert "Why: d′ 0.00, 2 positives" in plot
    infinite = d_prime_plot(implied.per_class, "label")
    assert infinite.count("<circle") == 1
    assert infinite.count('class="infinite"') == 2
    coordinates = [float(n) for n in re.findall(r'c[xy]="([^"]+)"', infinite)]
    assert all(0 <= c <= 640 for c in coordinates)


def test_plot_of_nothing():
    table = evaluate_all(hand_score_file())[0].per_class.iloc[2:]
    assert d_prime_plot(table, "label") == ""


def test_report_without_any_defined_class(tmp_path):
    framed = hand_framed()
    framed["is_present"] = False
    result = evaluate_strong(hand_score_file(), framed)
    report = EvalReport({"scores": "S.npz"}, "all", (result,))
    results = write_report(report, tmp_path)
    strong = results["strong"]["explicit"]
    assert (strong["d_prime"], strong["lwlrap"]) == (None, None)
    assert len(strong["notes"]) == 2


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "class", "1 class"),
        (2000, "clip", "2,000 clips"),
        (0, "class", "0 classes"),
    ],
)
def test_count_of(count, noun, text):
    assert count_of(count, noun) == text


def test_headline_text(full_report):
    lines = headline_text(hand_report()).splitlines()
    assert lines[0].split()[:5] == [
        "eval",
        "negatives",
        "d_prime",
        "mAP",
        "lwlrap",
    ]
    assert lines[1].split()[:3] == ["strong", "explicit", "0.298"]
    assert lines[1].split()[4] == "0.778"
    full = headline_text(full_report)
    own = full_report.details[0].intervals.overall["d_prime"]
    assert f"[{own.low:.3f}, {own.high:.3f}]" in full
    assert "p = 0." in full
    assert full.splitlines()[-1] == (
        "Intervals are 95 % percentile intervals of 60 bootstrap resamples of "
        "the clips, seed 0."
    )


# --- report.json against what its docstring says ---------------------------

_METRICS = {
    "d_prime",
    "mean_auc",
    "mean_d_prime",
    "mean_average_precision",
    "lwlrap",
    "balanced_lwlrap",
}
_COUNTS = {
    "num_classes",
    "num_classes_lwlrap",
    "num_classes_infinite_d_prime",
    "num_items",
    "num_positives",
    "num_negatives",
}
_PER_CLASS = {"auc", "d_prime", "average_precision", "lwlrap"}
_CLASS = {
    "mid",
    "display_name",
    "num_positives",
    "num_negatives",
    *_PER_CLASS,
}


def documented(text):
    """Whether every key is a word of the docstring that has the schema."""
    return set(re.findall(r"[a-z_0-9]+", text))


def check_keys(value, words, without):
    """Checks all keys of a JSON value, whatever its depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in without:
                assert key in words, key
            check_keys(inner, words, without)
    if isinstance(value, list):
        for inner in value:
            check_keys(inner, words, without)


def test_json_is_as_documented(full_report, tmp_path):
    write_report(full_report, tmp_path)
    read = json.loads((tmp_path / "report.json").read_text())
    assert set(read) == {
        "schema_version",
        "inputs",
        "rank_over",
        "strong",
        "weak",
        "baseline",
        "difference",
        "label_problems",
    }
    assert read["schema_version"] == 2
    assert set(read["strong"]) == {"explicit", "complementary_only"}
    assert set(read["weak"]) == {"explicit", "implied"}
    for evaluation in ("strong", "weak"):
        for negatives, own in read[evaluation].items():
            their = read["baseline"][evaluation][negatives]
            rest = {"intervals", "notes", "undefined_classes", "alignment"}
            assert set(their) == _METRICS | _COUNTS | rest
            assert set(own) == set(their) | {"classes", "worst_items"}
            check_intervals(own["intervals"], "median_bias")
            check_intervals(their["intervals"], "median_bias")
            difference = read["difference"][evaluation][negatives]
            assert set(difference) == {*_METRICS, "intervals"}
            check_intervals(difference["intervals"], "p_value")
            for row in own["classes"]:
                assert set(row) == {
                    *_CLASS,
                    *(f"baseline_{name}" for name in _PER_CLASS),
                    *(f"{name}_difference" for name in _PER_CLASS),
                    "auc_low",
                    "auc_high",
                    "auc_difference_low",
                    "auc_difference_high",
                }
            frames = {row["label_frame"] for row in own["worst_items"]}
            assert (frames == {None}) == (evaluation == "weak")
    check_documented(read)


def check_intervals(intervals, last):
    assert set(intervals) == {
        "level",
        "num_resamples",
        "seed",
        "num_clips",
        "metrics",
    }
    assert set(intervals["metrics"]) == _METRICS
    for metric in intervals["metrics"].values():
        assert set(metric) == {"low", "high", "num_undefined", last}


def check_documented(read):
    """Every key of the file stands in the docstring, or in one it names."""
    words = documented(report_lib.__doc__)
    words |= {f.name for f in dataclasses.fields(Alignment)}
    for name in _PER_CLASS:  # baseline_* and *_difference
        assert "baseline_*" in report_lib.__doc__
        words |= {f"baseline_{name}", f"{name}_difference"}
    reasons = set(read["strong"]["explicit"]["alignment"]["labels_left_out"])
    reasons |= set(
        read["strong"]["complementary_only"]["alignment"]["labels_left_out"]
    )
    reasons |= set(read["weak"]["explicit"]["alignment"]["labels_left_out"])
    negatives = {"explicit", "implied", "complementary_only"}
    check_keys(read, words, reasons | negatives)


def test_json_without_details():
    read = report_dict(hand_report())
    own = read["strong"]["explicit"]
    assert own["intervals"] is None
    assert own["worst_items"] is None
    assert set(own["classes"][0]) == _CLASS
    assert own["classes"][0]["auc"] == pytest.approx(2 / 3)
    # Infinite d' of a class: null, as its AUC says why.
    assert read["weak"]["implied"]["classes"][2]["auc"] == 1
    assert read["weak"]["implied"]["classes"][2]["d_prime"] is None
    assert (
        report_dict(hand_report(better_x()))["difference"]["strong"][
            "explicit"
        ]["intervals"]
        is None
    )


def test_intervals_are_those_of_the_details(full_report):
    result, details = full_report.results[0], full_report.details[0]
    read = report_dict(full_report)["strong"]["explicit"]
    interval = details.intervals.overall["lwlrap"]
    assert read["lwlrap"] == result.lwlrap == pytest.approx(interval.estimate)
    assert read["intervals"]["metrics"]["lwlrap"]["low"] == interval.low
    by_mid = {row["mid"]: row for row in read["classes"]}
    last = details.intervals.per_class.iloc[-1]
    assert by_mid[last["mid"]]["auc_high"] == last["auc_high"]
    page = render_page(full_report)
    for metric, digits in (("d_prime", 3), ("mean_average_precision", 3)):
        own = details.intervals.overall[metric]
        assert f"[{own.low:.{digits}f}, {own.high:.{digits}f}]" in page
    p_value = details.paired.overall["d_prime"].p_value
    assert f"p = {p_value:.2g}" in page
    assert "60 bootstrap resamples of the clips, seed 0" in page


def test_csv_has_the_new_columns(full_report, tmp_path):
    write_report(full_report, tmp_path)
    table = pd.read_csv(tmp_path / "per_class.csv")
    assert len(table) == 4 * 12
    for column in (
        "average_precision",
        "auc_low",
        "auc_high",
        "baseline_average_precision",
        "average_precision_difference",
        "auc_difference_low",
        "auc_difference_high",
    ):
        assert table[column].notna().any(), column
    defined = table[table["auc_low"].notna()]
    assert (defined["auc_low"] <= defined["auc_high"]).all()


def test_differences_that_cannot_be_paired_are_noted(full_report):
    details = dataclasses.replace(
        full_report.details[0], paired=None, not_paired_reason="Other <clips>."
    )
    report = dataclasses.replace(full_report, details=(details,))
    notes = report_dict(report)["strong"]["explicit"]["notes"]
    assert "Differences have no intervals: Other <clips>." in notes
    assert "no intervals: Other &lt;clips&gt;." in render_page(report)


def test_markdown(full_report, tmp_path):
    write_report(full_report, tmp_path)
    text = (tmp_path / "report.md").read_text()
    sections = text.split("## ")[1:]
    assert len(sections) == 4
    rows = [r for r in sections[0].splitlines() if r.startswith("|")]
    assert [row.count("|") for row in rows] == [8] * 5
    assert rows[0].split("|")[2].strip() == "d′"
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        "ours.npz",
        "theirs.npz",
        "difference",
    ]
    result, details = full_report.results[0], full_report.details[0]
    own = details.intervals.overall["d_prime"]
    cell = f"{result.d_prime:.3f} [{own.low:.3f}, {own.high:.3f}]"
    assert rows[2].split("|")[2].strip() == cell
    assert "Negatives: explicit. 40 clips (400 label frames), " in sections[0]
    assert f"{result.num_classes} classes with" in sections[0]
    assert "60 bootstrap resamples" in sections[0]
    alone = markdown_report(hand_report())
    assert "0.298 |" in alone
    assert "[" not in alone


def test_markdown_of_a_name_with_a_bar():
    report = dataclasses.replace(hand_report(), inputs={"scores": "a|b"})
    assert "| a\\|b |" in markdown_report(report)


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (math.nan, 3, "", "–"),
        (-math.inf, 3, "", "−∞"),
        (-0.0001, 3, "+", "+0.000"),
        (-1.25, 1, "", "−1.2"),
    ],
)
def test_format_number(value, digits, sign, text):
    assert format_number(value, digits, sign) == text


def test_changes_are_ordered(full_report):
    result = full_report.results[0]
    table = compare_per_class(result, full_report.baseline_results[0])
    gained, lost = changes_table(table).split("Lost most</caption>")
    for part, sign in ((gained, -1), (lost, 1)):
        shown = [
            float(n.replace("−", "-"))
            for n in re.findall(r"<td><b>([^<]+)</b>", part)
        ]
        assert shown == sorted(shown, key=lambda n: sign * n)
        assert shown
        assert all(sign * n <= 0 for n in shown)
    # The perfect and the inverted class are so in both systems.
    assert "2 classes with an infinite d′" in lost


def test_curve_path():
    points = np.array([[0, 0], [0, 0.25], [0.5, 0.25], [1, 1]])
    # Down the page is down in SVG: from the lower left to the upper right.
    assert curve_path(points) == "M0 1000l0-250 500 0 500-750"


def test_names_cannot_end_the_element_of_curves(full_report):
    details = full_report.details[0]
    table = full_report.results[0].per_class.copy()
    table["display_name"] = table["mid"] = "</script><b>"
    points = {"</script><b>": details.curves.points["/m/5"]}
    details = dataclasses.replace(
        details, curves=RocCurves(points, 26), baseline_curves=None
    )
    panel = roc_panel(table, details, "k")
    assert panel.count("</script>") == 1
    data = panel.split('json">')[1].split("</script>")[0]
    assert json.loads(data)[0][0].startswith("M0 1000l")


def test_no_evaluation_lacks_words():
    for evaluation, kinds in (
        ("strong", STRONG_NEGATIVES),
        ("weak", WEAK_NEGATIVES),
    ):
        for negatives in kinds:
            result = dataclasses.replace(
                evaluate_all(hand_score_file())[0],
                evaluation=evaluation,
                negatives=negatives,
            )
            page = render_page(EvalReport({}, "all", (result,)))
            assert f"{evaluation.title()} eval, " in page


def test_estimates_outside_of_their_intervals_are_noted(full_report):
    details = full_report.details[0]
    off = Interval(0.5, 0.6, 0.7, 0.1, 0)
    nothing = Interval(0.5, math.nan, math.nan, math.nan, 60)
    overall = {
        **dict.fromkeys(details.intervals.overall, nothing),
        "mean_average_precision": off,
    }
    intervals = dataclasses.replace(details.intervals, overall=overall)
    details = dataclasses.replace(details, intervals=intervals)
    [note] = [
        note
        for note in result_notes(full_report.results[0], details=details)
        if "Outside" in note
    ]
    assert note.startswith(
        "Outside of their intervals: mean_average_precision. "
    )


def test_page_of_all_classes_is_small():
    # 527 classes, a baseline, and intervals: what a page has at most. It has up
    # to six evaluations, of at most 3 MB together.
    report = random_report(num_clips=150, num_classes=527, num_resamples=39)
    page = render_page(report)
    assert len(page.encode()) / len(report.results) < 500_000
    # The long curves of classes with many positives are thinned.
    longest = max(
        path.count("-") for path in re.findall(r'"(M0 1000l[^"]*)"', page)
    )
    assert 10 < longest <= 50


def test_worst_errors_are_shown_as_counts():
    worst = pd.DataFrame(
        {
            "kind": ["false alarm", "miss"],
            "segment_id": ["a_0", "b_30000"],
            "onset_seconds": [0.0, 8.64],
            "offset_seconds": [0.96, 9.6],
            "mid": [X, Y],
            "display_name": ["Ex & why", ""],
            "score": [0.9, 0.125],
            # 1 of 1, and 1,234.5 of 2,000, a tie being half.
            "error": [1 / 2, 1234.5 / 2001],
            "num_others": [1, 2000],
        }
    )
    table = worst_table(worst, "strong")
    assert "<td>1 of 1</td>" in table
    assert "<td>1,234.5 of 2,000</td>" in table
    assert "8.64–9.60" in table
    assert "Ex &amp; why" in table
    assert "Seconds" not in worst_table(worst, "weak")
    assert worst_table(worst.iloc[:0], "strong").count("none.") == 2

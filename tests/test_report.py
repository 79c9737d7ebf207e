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
    hand_framed,
    hand_score_file,
    hand_weak,
    make_score_file,
)

from audioset_strong.evaluation.evaluator import evaluate_strong, evaluate_weak
from audioset_strong.evaluation.report import (
    headline_text,
    report_dict,
    write_report,
)
from audioset_strong.evaluation.report_content import EvalReport, count_of
from audioset_strong.evaluation.report_page import render_page
from audioset_strong.evaluation.report_plot import d_prime_plot
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
        if tag not in ("meta", "br"):
            self.open_tags.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Leaves out elements that close themselves."""

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag


@pytest.mark.parametrize("baseline", [None, better_x()], ids=["alone", "two"])
def test_page_is_whole_and_loads_nothing(baseline):
    page = render_page(hand_report(baseline))
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


def test_headline_text():
    lines = headline_text(hand_report()).splitlines()
    assert lines[0].split()[:4] == ["eval", "negatives", "d_prime", "lwlrap"]
    assert lines[1].split()[:4] == ["strong", "explicit", "0.298", "0.778"]
    assert len({len(line) for line in lines}) == 1

"""Tables and figures of the ESC-50 run: what the results give, and no more."""

import pathlib
import sys

import forked
import numpy as np
import pandas as pd
import pytest

from audioset_strong.errors import InputError
from experiments.esc50 import other_runs, report
from experiments.esc50.class_priors import moves_of_classes, priors_of_classes
from experiments.esc50.figures import make_figures
from experiments.esc50.tables import (
    METRICS,
    count_orders,
    judge,
    make_parts,
    read_data,
)

_ROOT = pathlib.Path(__file__).parents[1]
_AGAIN = ("shared", "present")
_NAMES = ("Weak-large", "+ Weak", "+ Diffuse", "+ Strong")


def _run(row, seed, value, **point):
    return {
        "point": {"training_set": row, "seed": seed, **point},
        "run": f"{row}-{seed}",
        "must_agree_here": {f"{row}-{seed}": f"weights of {row}-{seed}"},
        "values": {
            **dict.fromkeys(METRICS, value),
            "mu": 0.8 if row == "+ Strong" else 0.0,
            "num_steps": 960,
            "best_step": 60 * (seed + 1),
            "num_strong_clips": 1000,
        },
        "must_agree": {
            "training": {"records": "r", "model.width": 0.25},
            f"settings of {row}": {
                "train.learning_rate": 0.001,
                "train.global_batch_size": 64,
            },
        },
        "validations": [
            {"step": 10, "d_prime": value},
            {"step": 20, "d_prime": value - 0.125},
        ],
        "versions": {"tensorflow": "2.21.0"},
    }


def _values(name, mean, seeds):
    value = {name: mean, "clips": [mean - 0.1, mean + 0.1], "seeds": seeds}
    again = [f"weak_{n}_{m}" for n in _AGAIN for m in ("d_prime", "lwlrap")]
    return dict.fromkeys([*METRICS, *again], value)


@pytest.fixture
def data(tmp_path):
    """Results in which nothing is absent but + Strong by lwlrap."""
    rows = [
        {
            "training_set": name,
            "seeds": [0, 1],
            "num_units": 2,
            "paper": {} if name == "+ Weak" else dict.fromkeys(METRICS, paper),
            "values": _values("mean", 0.25 * place, [-0.001, 2.0]),
        }
        for place, (name, paper) in enumerate(
            zip(_NAMES, (0.4, 0, 0.75, 0.5), strict=True)
        )
    ]
    differences = [
        {
            "first": first,
            "second": second,
            "unit": "start",
            "num_units": 2,
            "paper": dict.fromkeys(METRICS, paper),
            "values": _values("difference", value, [0.2, 0.3]),
        }
        for first, second, value, paper in (
            ("+ Strong", "+ Diffuse", 0.25, 0.11),
            ("+ Diffuse", "Weak-large", -0.25, 0.15),
            ("+ Strong", "Weak-large", 0.25, -0.5),
        )
    ]
    strata = [
        {
            "breakdown": kind,
            "stratum": "up to 1",
            "num_positives": count,
            "num_classes": 3,
        }
        for kind, count in (("event length", 9), ("filled share", 7))
    ]
    of_strata = [{"value": 0.5, "clips": [0.25, 0.75]}] * 2
    points = [
        {
            "point": {"mixed_training_set": mixed, "mu": mu, "seed": seed},
            "run": f"{mixed}-{mu}-{seed}",
            "must_agree_here": {f"{mixed}-{mu}-{seed}": f"{mixed} {mu} {seed}"},
            "values": {
                "d_prime": 1 - abs(mu - 0.7),
                "lwlrap": 0.5 - mu / 10,
                "lwlrap_at_best_step": 0.25,
            },
        }
        for mixed in ("diffuse", "strong")
        for mu in (0.2, 0.7, 0.9)
        for seed in (0, 1)
    ]
    found = read_data(str(tmp_path))
    return found._replace(
        inputs={
            "hashes": {"labels": "abc"},
            "fixed_at": "2026-11-27",
            "release": {"params": {"num_weak_clips": 26000}},
        },
        runs=[
            _run(name, seed, 0.25 * place + seed)
            for place, name in enumerate(_NAMES)
            for seed in (0, 1, 2)
        ],
        points=points,
        shares=[
            _run("+ Strong", seed, 2 * share, strong_fraction=share)
            for seed in (0, 1)
            for share in (1, 0.25)
        ],
        intervals={
            "about": {
                "num_clips": {"strong": 2000, "weak": 1990},
                "num_classes": {
                    "strong": 50,
                    "weak": 82,
                    "weak_shared": 50,
                    "weak_present": 49,
                },
                "num_resamples": 1000,
            },
            "rows": rows,
            "differences": differences,
            "temporal_precision_share": {
                "share": 0.5,
                "clips": [0.25, 0.75],
                "seeds": None,
            },
        },
        class_priors={
            "rows": [
                {
                    "training_set": name,
                    "seed": seed,
                    "as_trained": {"lwlrap": 0.5, "d_prime": moved},
                    "moved": {"lwlrap": moved + seed / 8},
                }
                for name, moved in (("+ Strong", 0.375), ("Weak-large", 0.5))
                for seed in (1, 0)
            ],
            "alone": {
                "weak_priors": {"lwlrap": 0.125},
                "frame_priors": {"lwlrap": 0.25},
            },
            "points": [
                {
                    "mixed_training_set": mixed,
                    "mu": mu,
                    "seed": seed,
                    "as_trained": {"lwlrap": mu + seed / 8, "d_prime": 1 + mu},
                    "moved": {"lwlrap": 0.25},
                }
                for mixed, mu in (("diffuse", 0.5), ("strong", 0.25))
                for seed in (0, 1)
            ],
        },
        strata={
            "strata": strata,
            "rows": [
                {"training_set": name, "values": of_strata} for name in _NAMES
            ],
            "differences": [
                {
                    "first": "+ Strong",
                    "second": "+ Diffuse",
                    "values": of_strata,
                }
            ],
        },
        labels={"releases": {"ours": {"table": {"classes a clip": 3.4567}}}},
    )


def test_documents_and_figures_of_the_repository_are_what_results_give():
    finished = forked.run(
        [sys.executable, "-m", "experiments.esc50.report", "--check"],
        capture_output=True,
        text=True,
        cwd=_ROOT,
    )
    assert finished.returncode == 0, finished.stderr


def test_without_results_every_part_says_so(tmp_path):
    nothing = read_data(str(tmp_path))
    others = other_runs.make_parts(
        nothing, dict.fromkeys(other_runs.FOLDERS, nothing)
    )
    for part in (*make_parts(nothing).values(), *others.values()):
        assert part.startswith("Still to come: ")
    assert make_figures(nothing) == {}


def test_parts_show_the_numbers(data):
    parts = make_parts(data)
    assert "Rows so far: Weak-large (seeds 0, 1, 2); + Weak" in parts["status"]
    assert "Still to come: Weak-small, " in parts["status"]
    assert "lwlrap, + Diffuse at same mu." in parts["status"]
    assert "| clips with weak labels only | 26000 |" in parts["settings"]
    line = "| + Strong | 0, 1, 2 | 0.8 | 0.001 | 64 | 960 | 60 to 180 |"
    assert line in parts["settings"]
    assert "width 0.25. Versions: tensorflow 2.21.0." in parts["settings"]
    cell = "**0.75** (0.50)<br>[0.65, 0.85]<br>[-0.00, 2.00]"
    assert f"| + Strong | {cell} |" in parts["table1"]
    # What the paper does not have has no brackets.
    assert "| + Weak | **0.25**<br>[0.15, 0.35]" in parts["table1"]
    assert "| + Strong | 0.75 [-0.00, 2.00] (0.50) |" in parts["table1-short"]
    assert "strong eval d', 2 of 3;" in parts["table1"]
    assert "higher, **unlike the paper**" in parts["differences"]
    assert "of 82, 50, 49 classes" in parts["weak-eval"]
    line = "| + Strong less Weak-large | +0.25<br>[+0.15, +0.35] | +0.25<br>"
    assert line in parts["weak-eval"]
    assert "less + Diffuse" not in parts["weak-eval"]
    line = "by + Diffuse | **0.50** | [0.25, 0.75] | not bounded"
    assert line in parts["decomposition"]
    assert "**1.000 [1.000, 1.000]**" in parts["mu"]
    line = "| Weak-large | 640, 640, 640 | 0.00, 1.00, 2.00 | 1,280, 1,280, "
    assert line in parts["learning"]
    # The control counts as a share of 0, with the seeds of the shares.
    lines = parts["figure3"].splitlines()
    assert lines[4].startswith("| 0 % (+ Weak) | 0 | 0.750 [0.250, 1.250] |")
    assert lines[5].startswith("| 25 % | 1,000 | 0.500 [0.500, 0.500] (-0.250)")
    assert lines[6].endswith(" 2.000 [2.000, 2.000] (+1.500) | 0, 1 |")
    assert "| event length up to 1 | 0.50 | 0.50 |" in parts["strata"]
    assert "| classes a clip | 3.46 | 3.5 |" in parts["labels"]
    assert parts["optima"].startswith("Still to come")


def test_optima_are_there_when_both_rows_are(data):
    strong = data.intervals["rows"][-1]
    more = {**strong, "training_set": "+ Strong by lwlrap", "paper": {}}
    intervals = {**data.intervals, "rows": [*data.intervals["rows"], more]}
    runs = [*data.runs, _run("+ Strong by lwlrap", 0, 1.0)]
    part = make_parts(data._replace(intervals=intervals, runs=runs))["optima"]
    assert "| chosen by d' (+ Strong) | 0.8 | **0.75**<br>" in part
    assert "| the paper, each by itself | 0.7 to 0.95, 0.2 | 1.4 | 0.48 |" in (
        part
    )


def test_gain_is_split_at_the_same_mu_too_when_that_row_is_there(data):
    same = "+ Diffuse at same mu"
    theirs = [
        {
            "first": first,
            "second": second,
            "unit": "start",
            "num_units": 2,
            "paper": {},
            "values": _values("difference", value, [0.2, 0.3]),
        }
        for first, second, value in (
            ("+ Strong", same, 0.125),
            (same, "Weak-large", 0.375),
        )
    ]
    intervals = {
        **data.intervals,
        "differences": [*data.intervals["differences"], *theirs],
        "temporal_precision_share_at_same_mu": {
            "share": 0.25,
            "clips": [0.125, 0.5],
            "seeds": [0.0, 1.0],
        },
    }
    part = make_parts(data._replace(intervals=intervals))["decomposition"]
    assert f"temporal precision (+ Strong less {same}) | +0.12 |" in part
    assert f"by {same} | **0.25** | [0.12, 0.50] | [0.00, 1.00] | - |" in part
    assert part.count("+ Strong over Weak-large") == 1


def test_priors_of_classes_are_means_over_seeds(data):
    part = make_parts(data)["class-priors"]
    assert (
        "| Weak-large | 0.500 | 0.562 | +0.062 | 0, 1 |\n"
        "| + Strong | 0.500 | 0.438 | -0.062 | 0, 1 |" in part
    )
    assert "| shares of label frames alone | 0.250 |  |  |  |" in part
    part = make_parts(data)["class-priors-of-mus"]
    # A mu that a set does not have is no number.
    assert "| 0.25 | - | - | 0.312 | 0.250 |" in part
    assert "| 0.5 | 0.562 | 0.250 | - | - |" in part
    assert part.endswith("of the best checkpoint by d'; seeds 0, 1.")


def test_timing_at_a_mu_that_both_sets_have(data):
    assert "Still to come" in make_parts(data)["timing-of-mus"]
    points = [
        {**own, "mu": mu, "as_trained": {"lwlrap": 0.5, "d_prime": d_prime}}
        for own, mu, d_prime in zip(
            data.class_priors["points"] * 2,
            (0.5, 0.5, 0.5, 0.5, 0.0, 0.8, 0.0, 0.5),
            (0.625, 0.875, 1.0, 1.25, 0.7, 0.9, 0.7, 9.0),
            strict=True,
        )
    ]
    priors = {**data.class_priors, "points": points[:7]}
    part = make_parts(data._replace(class_priors=priors))["timing-of-mus"]
    # Seeds 0 and 1; Weak-large has 0.5.
    assert "| 0.5 | 0.75 | 1.12 | +0.38 | +0.62 | 0.60 |\n\n" in part
    assert "| 0 |" not in part
    assert "| 0.8 |" not in part
    assert part.endswith("Seeds 0, 1.")


def test_logits_move_by_the_odds_of_frames_over_those_of_clips():
    framed = pd.DataFrame(
        {
            "segment_id": ["a"] * 4 + ["b"],
            "label_frame": [0, 1, 0, 1, 0],
            "mid": ["/m/1", "/m/1", "/m/2", "/m/2", "/m/1"],
            "is_present": [True, False, True, True, False],
        }
    )
    weak = pd.DataFrame({"mids": [("/m/1", "/m/3"), ("/m/1",), (), ()]})
    priors = priors_of_classes(framed, weak, ["/m/3", "/m/1", "/m/2"])
    np.testing.assert_allclose(priors, [[0, 1 / 3, 2 / 3], [0.25, 0.5, 0]])
    moves = moves_of_classes(*priors)
    # One of three label frames, one to two; two of four clips, even odds.
    # The others are in the one or the other alone.
    np.testing.assert_allclose(moves, [0, np.log(0.5), 0], atol=1e-12)


def test_of_one_seed_there_is_no_interval_over_seeds(data):
    rows = [
        {**row, "values": _values("mean", 0.5, None)}
        for row in data.intervals["rows"]
    ]
    data = data._replace(intervals={**data.intervals, "rows": rows})
    assert "(0.50)<br>[0.40, 0.60] |" in make_parts(data)["table1"]
    make_figures(data)["table1"].draw()


@pytest.mark.parametrize("name", ["rerun", "first_machine", "other_classes"])
def test_rerun_is_held_against_both_intervals(data, name):
    def move(named, row, mean):
        return {**row, "values": _values(named, mean, None)}

    *rows, last = data.intervals["rows"]
    first, *differences = data.intervals["differences"]
    rerun = data._replace(
        runs=data.runs[:1],
        intervals={
            # Outside of the interval over clips, inside of that over seeds.
            "rows": [*rows, move("mean", last, 0.875)],
            "differences": [move("difference", first, 0.375), *differences],
        },
    )
    nothing = data._replace(intervals={})
    others = {**dict.fromkeys(other_runs.FOLDERS, nothing), name: rerun}
    part = other_runs.make_parts(data, others)[name]
    assert "| + Strong | 0.88 in [-0.00, 2.00] | " in part
    assert (
        "| + Strong less + Diffuse | +0.38 **not in** [+0.15, +0.35] |" in part
    )
    # Four rows and three differences, of which one is out.
    assert "Inside: strong eval d' 6 of 7, strong eval lwlrap 6 of 7" in part
    assert "weak eval lwlrap 6 of 7. Seeds of the rerun: 0." in part


def test_runs_with_other_recordings_stand_side_by_side(data):
    def release(share):
        params = {"strong_recordings_share": share}
        return {"release": {"params": params}}

    main = data._replace(inputs=release(1 / 27))
    other = data._replace(
        inputs=release(0.25),
        points=[
            {**p, "values": {**p["values"], "d_prime": p["point"]["mu"]}}
            for p in data.points
            if p["point"]["mu"] != 0.9
        ],
    )
    others = {**dict.fromkeys(other_runs.FOLDERS, main), "recordings": other}
    part = other_runs.make_parts(main, others)["recordings"]
    assert "| strong eval d', 0.037 | strong eval d', 0.25 |" in part
    assert "| Weak-large | 0.00<br>[-0.10, 0.10] | 0.00<br>" in part
    line = "| + Strong | 0.7 | **1.000** | **0.700** | 0.430 | 0.430 |"
    assert line in part
    assert "| 0.9 |" not in part
    others["recordings"] = other._replace(points=[])
    part = other_runs.make_parts(main, others)["recordings"]
    assert "best lwlrap" not in part


@pytest.mark.parametrize(
    ("clips", "seeds", "paper", "expected"),
    [
        ([0.1, 0.2], [0.05, 0.3], 0.1, "higher, as in the paper"),
        ([-0.2, -0.1], None, 0.1, "lower, **unlike the paper**"),
        ([-0.2, -0.1], [-1.0, -0.1], None, "lower"),
        ([0.1, 0.2], [-0.05, 0.3], 0.1, "open"),
        ([0.1, 0.2], [0.1, 0.2], 1e-17, "higher"),
        (None, None, 0.1, "open"),
    ],
)
def test_what_a_difference_shows(clips, seeds, paper, expected):
    assert judge({"clips": clips, "seeds": seeds}, paper) == expected


def test_equal_rows_of_the_paper_have_no_order():
    def row(own, paper):
        return {"values": {"m": {"mean": own}}, "paper": {"m": paper}}

    rows = [row(1.0, 0.5), row(2.0, 0.5), row(1.5, 0.75), row(None, 0.9)]
    # 1.5 is above 1.0 as in the paper, and below 2.0.
    assert count_orders(rows, "m") == (1, 2)


@pytest.mark.slow
def test_only_what_has_changed_is_told(data, tmp_path):
    for name in report.DOCUMENTS:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "By hand.\n<!-- generated: mu -->\nold\n<!-- end -->\nMore.\n"
        )

    def update(of, is_check):
        figures = make_figures(of)
        return report.update(str(tmp_path), make_parts(of), figures, is_check)

    figures = [f"{report.RESULTS_DIR}/{n}.png" for n in make_figures(data)]
    assert len(figures) == 5
    everything = [*report.DOCUMENTS, *figures]
    assert update(data, is_check=True) == everything
    assert not (tmp_path / figures[0]).exists()
    assert update(data, is_check=False) == everything
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("By hand.\n<!-- generated: mu -->\n\n![Held-out d'")
    assert text.endswith("\n\n<!-- end -->\nMore.\n")
    assert update(data, is_check=True) == []
    # One number less: its part and its figure.
    changed = data._replace(points=data.points[:-1])
    assert update(changed, is_check=True) == [
        *report.DOCUMENTS,
        f"{report.RESULTS_DIR}/mu.png",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- generated: table9 -->\n<!-- end -->", "found table9"),
        ("<!-- generated: mu -->\nno end", "an end after each of 1"),
        ("text <!-- generated: mu -->\n<!-- end -->", "an end after each of 1"),
        ("<!-- generated: mu -->\n<!-- end -->\n<!-- end -->", "an end after"),
    ],
)
def test_wrong_markers_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        report.fill_document(text, {"mu": "text"}, "README.md")

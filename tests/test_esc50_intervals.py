"""Intervals of the ESC-50 run: over clips, over seeds, and of shares."""

import json

import numpy as np
import pandas as pd
import pytest
from eval_examples import make_score_file
from scipy import stats

from audioset_strong.errors import InputError
from audioset_strong.evaluation import EvalSettings, compare, evaluate
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.evaluation.truth import Truth
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import (
    write_framed_labels,
    write_strong_labels,
    write_weak_labels,
)
from experiments.esc50.intervals import (
    METRICS,
    Model,
    describe_difference,
    describe_row,
    describe_share,
    fieller_interval,
    resample_scores,
    write_intervals,
)
from experiments.steps import hash_file

_MIDS = ["/m/0", "/m/1", "/m/2", "/m/3"]
_METRIC = "strong_d_prime"


def _model(seed, value, start=None, noise=None):
    """A model whose metric is the value, and in halves the value and noise."""
    noise = np.zeros(99) if noise is None else noise
    values = np.concatenate([[value], value + noise])
    return Model(seed, start or f"own{seed}", {_METRIC: values}, ())


def _models(values, starts=None):
    starts = starts or [None] * len(values)
    return [
        _model(seed, value, start)
        for seed, (value, start) in enumerate(zip(values, starts, strict=True))
    ]


def test_over_seeds_a_row_is_students():
    values = [0.5, 0.75, 0.7]
    found = describe_row(_models(values), _METRIC)
    assert found["mean"] == pytest.approx(0.65)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert found["seeds"] == pytest.approx([expected.low, expected.high])
    alone = describe_row(_models([0.5]), _METRIC)
    assert (alone["mean"], alone["seeds"]) == (0.5, None)


def test_models_of_one_start_are_one_unit():
    # Two of three seeds share a start: as if there were their mean.
    models = _models([1.0, 2.0, 3.0], ["a", "b", "a"])
    found = describe_row(models, _METRIC)
    assert found == describe_row(_models([2.0, 2.0]), _METRIC)
    assert found["seeds"] == [2.0, 2.0]
    # The mean of two starts, not of three seeds.
    found = describe_row(_models([1.0, 4.0, 3.0], ["a", "b", "a"]), _METRIC)
    assert found["mean"] == 3.0


def test_fine_tuned_rows_are_paired_by_start():
    a, b = [1.0, 1.5, 1.25], [0.75, 1.0, 1.125]
    starts = ["x", "y", "z"]
    rows = _models(a, starts), _models(b, starts)
    found = describe_difference(*rows, _METRIC)
    expected = stats.ttest_rel(a, b).confidence_interval()
    assert found["difference"] == pytest.approx(np.mean(a) - np.mean(b))
    assert found["seeds"] == pytest.approx([expected.low, expected.high])
    # What starts from a Weak-large that the other row lacks is left out.
    more = [*rows[0], _model(3, 9.0, "w")]
    assert describe_difference(more, rows[1], _METRIC) == found
    # Of two that start from one it is their mean, whatever their number.
    more = [*rows[0], _model(3, 1.5, "x"), _model(4, 0.5, "x")]
    assert describe_difference(more, rows[1], _METRIC) == found


def test_from_its_start_a_row_is_paired_by_start():
    large = [
        _model(seed, value)._replace(start=start)
        for seed, (value, start) in enumerate([(0.5, "x"), (0.25, "y")])
    ]
    tuned = _models([1.0, 0.5, 1.5], ["x", "y", "x"])
    found = describe_difference(tuned, large, _METRIC)
    # 1.25 - 0.5 and 0.5 - 0.25.
    assert found["difference"] == pytest.approx(0.5)
    expected = stats.ttest_1samp([0.75, 0.25], 0).confidence_interval()
    assert found["seeds"] == pytest.approx([expected.low, expected.high])


def test_rows_that_share_nothing_have_welchs_interval():
    a, b = [1.0, 1.5, 1.25, 1.0], [0.75, 0.5]
    found = describe_difference(_models(a), _unrelated(b), _METRIC)
    test = stats.ttest_ind(a, b, equal_var=False)
    expected = test.confidence_interval()
    assert found["seeds"] == pytest.approx([expected.low, expected.high])
    assert (
        describe_difference(_models(a), _unrelated([1]), _METRIC)["seeds"]
        is None
    )


def _three(strong, diffuse, large):
    starts = ["x", "y", "z"]
    before = [
        _model(seed, value)._replace(start=start)
        for seed, (value, start) in enumerate(zip(large, starts, strict=True))
    ]
    return _models(strong, starts), _models(diffuse, starts), before


def _unrelated(values):
    return [m._replace(start=f"other{m.seed}") for m in _models(values)]


def test_share_of_temporal_precision():
    # Always a quarter of the gain, however large that is.
    found = describe_share(
        *_three([2.5, 3.0, 3.5], [2.0, 2.4375, 2.875], [0.5, 0.75, 1.0])
    )
    assert found["share"] == pytest.approx(0.25)
    assert found["clips"] == pytest.approx([0.25, 0.25])
    assert found["seeds"] == pytest.approx([0.25, 0.25])


def test_share_of_a_gain_that_may_be_nothing_has_no_interval():
    rows = _three([0.5, 0.75, 0.5], [0.5, 0.5, 0.75], [0.75, 0.5, 0.25])
    noise = np.random.default_rng(0).normal(size=99)
    rows[0][0] = _model(0, 0.5, "x", noise)
    found = describe_share(*rows)
    assert found["share"] is not None
    assert found["clips"] is None
    assert found["seeds"] is None
    nothing = describe_share(*_three([1.0] * 3, [0.5] * 3, [1.0] * 3))
    assert nothing == {"share": None, "clips": None, "seeds": None}


def test_fiellers_interval_holds_what_students_test_keeps():
    rng = np.random.default_rng(1)
    denominators = rng.normal(1, 0.1, 5)
    numerators = 0.4 * denominators + rng.normal(0, 0.05, 5)
    low, high = fieller_interval(numerators, denominators, 0.95)
    assert low < numerators.mean() / denominators.mean() < high
    # At its ends the ratio is just rejected.
    for end in (low, high):
        rests = numerators - end * denominators
        assert stats.ttest_1samp(rests, 0).pvalue == pytest.approx(0.05)
    assert fieller_interval(numerators[:1], denominators[:1], 0.95) is None


# --- Scores and labels -------------------------------------------------------


def _labels(num_clips=30):
    """Makes events of several lengths; every third pair is absent."""
    rng = np.random.default_rng(0)
    pairs = [(clip, mid) for clip in range(num_clips) for mid in range(4)]
    rng.shuffle(pairs)
    events, absent = pairs[: 2 * num_clips], pairs[2 * num_clips :]
    onsets = np.round(rng.uniform(0, 9, len(events)), 3)
    lengths = rng.choice([0.3, 0.8, 3.0, 10.0], len(events))
    strong = pd.DataFrame(
        {
            "segment_id": [f"abcdefghi{c:02d}_0" for c, _ in events],
            "onset_seconds": onsets,
            "offset_seconds": np.round(np.minimum(onsets + lengths, 10), 3),
            "mid": [_MIDS[mid] for _, mid in events],
        }
    )
    negatives = pd.DataFrame(
        {
            "segment_id": [f"abcdefghi{c:02d}_0" for c, _ in absent],
            "mid": [_MIDS[mid] for _, mid in absent],
        }
    )
    framed = frame_strong_labels(strong, negatives)
    of_clip = strong.groupby("segment_id")["mid"].agg(lambda m: tuple(set(m)))
    weak = pd.DataFrame(
        {
            "segment_id": of_clip.index.astype(object),
            "start_seconds": 0.0,
            "end_seconds": 10.0,
            "mids": of_clip.to_numpy(),
        }
    )
    return strong, framed, weak


def _scores(framed, separation, seed, num_clips=30):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(num_clips, 10, 4))
    present = framed[framed["is_present"]]
    clip = present["segment_id"].str[9:11].astype(int)
    column = present["mid"].str[3:].astype(int)
    scores[clip, present["label_frame"], column] += separation
    return make_score_file(
        (1 / (1 + np.exp(-scores))).astype(np.float32),
        [f"abcdefghi{clip:02d}_0" for clip in range(num_clips)],
        _MIDS,
    )


def test_of_one_seed_they_are_the_evaluators():
    strong, framed, weak = _labels()
    truth = Truth(framed=framed, weak=weak, strong=strong)
    systems = {"a": _scores(framed, 1.5, 1), "b": _scores(framed, 1.0, 2)}
    settings = EvalSettings(negatives=["explicit"])
    compared = compare(systems, truth, settings, against="b")
    models = {}
    for name, scores in systems.items():
        arrays, about = resample_scores(scores, truth)
        models[name] = [Model(0, name, arrays, arrays["strata"])]
    # Here the weak labels say what there is, of all classes.
    counts = {"weak": 27, "weak_shared": 27, "weak_present": 27}
    assert about["num_clips"] == {"strong": 30, **counts}
    for again in ("weak_shared", "weak_present"):
        for metric in ("d_prime", "lwlrap"):
            np.testing.assert_array_equal(
                models["a"][0].metrics[f"{again}_{metric}"],
                models["a"][0].metrics[f"weak_{metric}"],
            )
    for evaluation in compared.evaluations:
        for metric in ("d_prime", "lwlrap"):
            name = f"{evaluation.evaluation}_{metric}"
            own = evaluation.intervals["a"].overall[metric]
            row = describe_row(models["a"], name)
            assert row == {
                "mean": own.estimate,
                "clips": [own.low, own.high],
                "seeds": None,
            }
            paired = evaluation.paired["a"].overall[metric]
            found = describe_difference(models["a"], models["b"], name)
            assert found["difference"] == paired.estimate
            assert found["clips"] == [paired.low, paired.high]
    # The strata are those of the evaluator's report.
    report = evaluate(systems["a"], truth, settings)
    strata = report.details[0].breakdowns
    kept = strata[strata["breakdown"] != "polyphony"]
    np.testing.assert_array_equal(
        models["a"][0].strata[0], kept["d_prime"].to_numpy()
    )
    assert about["strata"][0] == {
        "breakdown": "event length",
        "stratum": "up to 0.5 s",
        "num_positives": kept["num_positives"].iloc[0],
        "num_classes": kept["num_classes"].iloc[0],
    }


def test_weak_eval_again_with_other_labels():
    strong, framed, weak = _labels()
    scores = _scores(framed, 1.5, 1)
    # The annotators miss class 0, hear the class 3 that has no strong labels.
    strong = strong[strong["mid"] != "/m/3"]
    framed = framed[~((framed["mid"] == "/m/3") & framed["is_present"])]
    heard = weak.assign(
        mids=[tuple(set(m) - {"/m/0"}) or ("/m/1",) for m in weak["mids"]]
    )
    truth = Truth(framed=framed, weak=heard, strong=strong)
    arrays, about = resample_scores(scores, truth)
    assert about["num_classes"] == {
        "strong": 3,
        "weak": 3,
        "weak_shared": 2,
        "weak_present": 3,
    }

    def expected(mids):
        own = Truth(
            framed=framed, weak=weak.assign(mids=[tuple(m) for m in mids])
        )
        settings = EvalSettings(negatives=["explicit"], has_details=False)
        (found,) = [
            result
            for result in evaluate(scores, own, settings).results
            if result.evaluation == "weak"
        ]
        return [found.d_prime, found.lwlrap]

    shared = [set(m) - {"/m/3"} for m in heard["mids"]]
    present = [set(m) - {"/m/3"} for m in weak["mids"]]
    for name, mids in (("shared", shared), ("present", present)):
        found = [arrays[f"weak_{name}_{m}"][0] for m in ("d_prime", "lwlrap")]
        assert found == pytest.approx(expected(mids), abs=1e-12)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Writes labels and scores of some rows; returns folder and results."""
    folder = tmp_path_factory.mktemp("run")
    strong, framed, weak = _labels()
    labels = folder / "release" / "labels"
    labels.mkdir(parents=True)
    write_strong_labels(strong, labels / "audioset_eval_strong.tsv")
    framed_path = labels / "audioset_eval_strong_framed_posneg.tsv"
    write_framed_labels(framed, framed_path)
    write_weak_labels(weak, labels / "eval_segments.csv")
    lines = [f'{index},{mid},"{mid}"' for index, mid in enumerate(_MIDS)]
    (labels / "class_labels_indices.csv").write_text(
        "\n".join(["index,mid,display_name", *lines]) + "\n"
    )
    truth = Truth(framed=framed, weak=weak, strong=strong)
    settings = EvalSettings(negatives=["explicit"], has_details=False)
    results = []
    for row, seed, start, separation in (
        ("Weak-small", 0, None, 0.2),
        ("Weak-large", 0, None, 0.5),
        ("+ Diffuse", 0, "Weak-large-0", 0.7),
        ("+ Strong", 0, "Weak-large-0", 1.2),
        ("+ Strong", 1, "Weak-large-0", 1.3),
    ):
        name = f"{row}-{seed}"
        (folder / "models" / name).mkdir(parents=True)
        path = folder / "models" / name / "eval_scores.npz"
        scores = _scores(framed, separation, len(results))
        write_score_file(scores, path)
        evaluated = evaluate(scores, truth, settings).results
        results.append(
            {
                "point": {"training_set": row, "seed": seed},
                "must_agree": {
                    "evaluation": {"framed_labels": hash_file(framed_path)}
                },
                "must_agree_here": {
                    **({start: start} if start else {}),
                    name: name,
                },
                "values": {
                    f"{own.evaluation}_{metric}": getattr(own, metric)
                    for own in evaluated
                    for metric in ("d_prime", "lwlrap")
                },
                "run": name,
            }
        )
    return folder, results


_PAPER = {
    "Weak-large": dict.fromkeys(METRICS, 0.5),
    "+ Strong": dict.fromkeys(METRICS, 0.75),
}


def test_what_is_there_is_written(run, tmp_path):
    folder, results = run
    write_intervals(results, ["elsewhere", str(folder)], _PAPER, str(tmp_path))
    found = json.loads((tmp_path / "intervals.json").read_text())
    assert [r["training_set"] for r in found["rows"]] == [
        "Weak-small",
        "Weak-large",
        "+ Diffuse",
        "+ Strong",
    ]
    strong = found["rows"][-1]
    assert (strong["seeds"], strong["num_units"]) == ([0, 1], 1)
    pairs = {(d["first"], d["second"]): d for d in found["differences"]}
    assert list(pairs) == [
        ("Weak-large", "Weak-small"),
        ("+ Strong", "+ Diffuse"),
        ("+ Diffuse", "Weak-large"),
        ("+ Strong", "Weak-large"),
    ]
    gain = pairs["+ Strong", "Weak-large"]
    assert (gain["unit"], gain["num_units"]) == ("start", 1)
    assert gain["paper"] == dict.fromkeys(METRICS, 0.25)
    assert pairs["+ Strong", "+ Diffuse"]["paper"] == {}
    assert gain["values"][_METRIC]["clips"][0] > 0
    assert found["temporal_precision_share"]["share"] is not None
    strata = json.loads((tmp_path / "strata.json").read_text())
    assert len(strata["strata"]) == 10
    assert all(len(r["values"]) == 10 for r in strata["rows"])
    # Not a number that is none.
    text = (tmp_path / "intervals.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    # Once more from what was resampled: the same.
    scores = folder / "models" / "Weak-small-0" / "eval_scores.npz"
    stamp = folder / "steps" / "resample_Weak-small-0" / "stamp.json"
    before = stamp.stat().st_mtime_ns
    write_intervals(results, [str(folder)], _PAPER, str(tmp_path))
    assert (tmp_path / "intervals.json").read_text() == text
    assert stamp.stat().st_mtime_ns == before
    assert scores.exists()


def test_other_scores_or_labels_than_evaluated_are_refused(run, tmp_path):
    folder, results = run
    with pytest.raises(InputError, match="Expected the scores of Weak-small-0"):
        write_intervals(results, ["elsewhere"], _PAPER, str(tmp_path))
    other = {**results[0], "values": {**results[0]["values"], _METRIC: 3.0}}
    with pytest.raises(InputError, match="that gave strong_d_prime 3 in "):
        write_intervals([other], [str(folder)], _PAPER, str(tmp_path))
    labels = {"evaluation": {"framed_labels": "0"}}
    other = {**results[0], "must_agree": labels}
    with pytest.raises(InputError, match="framed_labels differ"):
        write_intervals([other], [str(folder)], _PAPER, str(tmp_path))

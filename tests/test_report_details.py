import dataclasses

import numpy as np
import pytest
from eval_examples import make_score_file
from report_examples import detail_items, random_labels, random_scores
from simulated_items import bootstrap, paired_bootstrap

from audioset_strong.errors import InputError
from audioset_strong.evaluation.evaluate import BootstrapSettings
from audioset_strong.evaluation.items import strong_items

SETTINGS = BootstrapSettings(num_resamples=50, seed=7, level=0.9)


@pytest.fixture(scope="module")
def pair():
    _, framed, strong = random_labels(30, 6)
    return framed, [random_scores(strong, s, int(9 * s)) for s in (1.5, 1.0)]


def test_without_resamples_there_are_no_intervals(pair):
    framed, systems = pair
    items = [strong_items(s, framed) for s in systems]
    details = detail_items(
        items[0],
        "strong",
        "explicit",
        items[1],
        settings=BootstrapSettings(num_resamples=0),
    )
    assert details.intervals is details.paired is None
    assert set(details.curves.points) == set(items[0].mids)
    mid = items[0].mids[2]
    assert not np.array_equal(
        details.curves.points[mid], details.baseline_curves.points[mid]
    )
    assert len(details.worst) > 0


def test_intervals_are_those_of_the_bootstrap(pair):
    framed, systems = pair
    items = [strong_items(s, framed) for s in systems]
    details = detail_items(
        items[0], "strong", "explicit", items[1], settings=SETTINGS
    )
    # The same resamples serve both, and are those of the functions themselves.
    options = {"num_resamples": 50, "seed": 7, "level": 0.9}
    for mine, own in (
        (details.intervals, bootstrap(items[0], **options)),
        (details.baseline_intervals, bootstrap(items[1], **options)),
        (details.paired, paired_bootstrap(*items, **options)),
    ):
        for name in ("d_prime", "lwlrap", "mean_average_precision"):
            assert mine.overall[name] == own.overall[name]
    assert details.not_paired_reason == ""
    alone = detail_items(items[0], "strong", "explicit", settings=SETTINGS)
    assert (
        alone.intervals.overall["lwlrap"]
        == (details.intervals.overall["lwlrap"])
    )
    assert alone.paired is alone.baseline_curves is None


def test_other_items_are_not_paired(pair):
    framed, (ours, theirs) = pair
    fewer = make_score_file(
        theirs.scores[1:], theirs.segment_ids[1:].tolist(), theirs.mids.tolist()
    )
    items = [strong_items(s, framed) for s in (ours, fewer)]
    details = detail_items(
        items[0], "strong", "explicit", items[1], settings=SETTINGS
    )
    assert details.paired is None
    assert "compared on the same items" in details.not_paired_reason
    assert details.baseline_intervals.num_clips == 29


def test_too_few_resamples(pair):
    framed, (ours, _) = pair
    with pytest.raises(InputError, match="at least 19"):
        detail_items(
            strong_items(ours, framed),
            "strong",
            "explicit",
            settings=dataclasses.replace(SETTINGS, num_resamples=5),
        )

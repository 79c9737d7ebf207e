"""Pictures for papers."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image
from report_examples import random_report

from audioset_strong.evaluation.figures import _bars, write_figures
from audioset_strong.evaluation.report import write_report


@pytest.fixture(scope="module")
def report():
    # What Matplotlib would take for mathematics, and letters that it lacks.
    report = random_report(
        num_clips=30, num_classes=30, num_resamples=39, suffix="$x^{音"
    )
    # Pictures are slow: one evaluation with all that there are.
    implied = report.details[3]
    details = dataclasses.replace(
        report.details[0],
        reliability=implied.reliability,
        baseline_reliability=implied.baseline_reliability,
    )
    return dataclasses.replace(
        report,
        results=report.results[:1],
        baseline_results=report.baseline_results[:1],
        details=(details,),
    )


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    written = write_figures(report, os.fspath(folder))
    assert sorted(written) == sorted(os.listdir(folder))
    return folder


def test_every_picture_is_there(folder):
    names = [
        f"strong_explicit_{what}"
        for what in ("curves", "classes", "breakdowns", "reliability")
    ]
    assert set(os.listdir(folder)) == {
        f"{name}.{suffix}" for name in names for suffix in ("png", "pdf")
    }
    for name in names:
        assert (folder / f"{name}.pdf").read_bytes()[:5] == b"%PDF-"
        # No publisher's check fails, no date makes equal reports differ.
        text = (folder / f"{name}.pdf").read_bytes()
        assert b"/Type3" not in text
        assert b"CreationDate" not in text
        with Image.open(folder / f"{name}.png") as image:
            assert image.width in (1050, 2148)


def test_systems_differ_in_grey(folder):
    # Dark discs and light squares: no colour is needed to tell them apart.
    with Image.open(folder / "strong_explicit_breakdowns.png") as image:
        colours = np.asarray(image.convert("RGB")).reshape(-1, 3)
        greys = np.asarray(image.convert("L")).ravel()
    blue = greys[(colours == (0, 114, 178)).all(axis=1)]
    orange = greys[(colours == (213, 94, 0)).all(axis=1)]
    assert min(blue.size, orange.size) > 100
    # Filled discs have more ink.
    assert blue.size > orange.size


def test_bars_end_where_the_interval_ends():
    found = _bars(
        [1.0, 1.0, np.inf, np.nan],
        [[0.5, 1.2, 0.0, np.nan], [1.25, 1.5, np.inf, np.nan]],
    )
    # An estimate below its interval has no lower half.
    np.testing.assert_allclose(found, [[0.5, 0, 0, 0], [0.25, 0.5, 0, 0]])


@pytest.mark.slow
def test_plain_reports_have_fewer_pictures(report, tmp_path):
    [result] = report.results
    nothing = dataclasses.replace(
        result, num_classes=0, per_class=result.per_class.assign(d_prime=np.nan)
    )
    for results, names in (((nothing,), set()), ((result,), {"classes"})):
        plain = dataclasses.replace(
            report, results=results, baseline_results=(), details=()
        )
        write_report(plain, tmp_path, has_figures=True)
        found = os.listdir(tmp_path / "figures")
        assert {n.split("_")[2].split(".")[0] for n in found} == names

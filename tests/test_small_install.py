"""What `pip install ./evaluator` installs is enough to evaluate.

The environment is built without network: the distributions that its setup.py
asks for, and what these ask for in turn, are linked out of the environment of
the tests. What nobody asked for is not there, so that a forgotten requirement
fails.
"""

import ast
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import pytest
from eval_examples import X, Y, hand_framed, hand_score_file, hand_weak
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.labels.label_files import (
    write_framed_labels,
    write_weak_labels,
)

_ROOT = pathlib.Path(__file__).parents[1]

# Commands for labels and evaluation. report_coverage is not among them: it
# looks for audio files, in a module that also decodes them.
_COMMANDS = (
    "analyze_labels",
    "choose_thresholds",
    "compare_systems",
    "compare_label_spaces",
    "download_labels",
    "evaluate",
    "frame_labels",
    "mine_candidates",
    "report_coverage",
    "select_clips",
)


def _setup_argument(setup_py, name):
    """Reads a literal argument of `setuptools.setup`, without running it."""
    for node in ast.walk(ast.parse(setup_py.read_text())):
        if isinstance(node, ast.keyword) and node.arg == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{setup_py} has no {name}")


def _closure(requirements):
    """Distributions that these requirements bring, without extras."""
    found, open_ones = {}, [Requirement(text) for text in requirements]
    while open_ones:
        requirement = open_ones.pop()
        is_asked = requirement.marker is None or requirement.marker.evaluate(
            {"extra": ""}
        )
        name = canonicalize_name(requirement.name)
        if is_asked and name not in found:
            found[name] = importlib.metadata.distribution(name)
            open_ones += map(Requirement, found[name].requires or ())
    return found


def _link_distribution(distribution, site_packages):
    """Links the files of a distribution, a top-level name at a time."""
    for top in {file.parts[0] for file in distribution.files}:
        if top not in ("..", "__pycache__"):
            link = site_packages / top
            if not link.exists():
                link.symlink_to(distribution.locate_file(top))


@pytest.fixture(scope="module")
def small_python(tmp_path_factory):
    """Python of an environment with what the evaluator asks for."""
    folder = tmp_path_factory.mktemp("small") / "venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", folder], check=True
    )
    (site_packages,) = folder.glob("lib/python*/site-packages")
    requirements = _setup_argument(
        _ROOT / "evaluator" / "setup.py", "install_requires"
    )
    for distribution in _closure(requirements).values():
        _link_distribution(distribution, site_packages)
    (site_packages / "audioset_strong").symlink_to(_ROOT / "audioset_strong")
    return folder / "bin" / "python"


def _run(python, *arguments, cwd):
    # -I: neither the current folder nor the environment can help it.
    # -B: no __pycache__ beside the linked files.
    return subprocess.run(
        [python, "-I", "-B", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": os.fspath(cwd), "PATH": os.environ["PATH"]},
    )


def test_requirements_are_some_of_the_whole_systems():
    small = _ROOT / "evaluator" / "setup.py"
    requirements = _setup_argument(small, "install_requires")
    whole = _setup_argument(_ROOT / "setup.py", "install_requires")
    assert set(requirements) < set(whole)
    assert _setup_argument(small, "python_requires") == _setup_argument(
        _ROOT / "setup.py", "python_requires"
    )
    extras = _setup_argument(small, "extras_require")
    whole_extras = _setup_argument(_ROOT / "setup.py", "extras_require")
    for name, needed in extras.items():
        # What is an extra here may be a requirement there.
        assert set(needed) <= {*whole, *whole_extras.get(name, [])}


@pytest.mark.parametrize(
    "module", ["tensorflow", "keras", "soundfile", "soxr", "sklearn"]
)
def test_the_rest_is_not_there(small_python, tmp_path, module):
    done = _run(small_python, "-c", f"import {module}", cwd=tmp_path)
    assert f"No module named '{module}'" in done.stderr


def test_every_label_and_evaluation_command_loads(small_python, tmp_path):
    libraries = [
        f"{package}.{path.stem}"
        for package in ("labels", "download", "analysis", "evaluation")
        for path in (_ROOT / "audioset_strong" / package).glob("*.py")
    ]
    # Commands define flags of the same names, which are forgotten in between.
    code = f"""
import importlib
from absl import flags
shared = set(flags.FLAGS)
for name in {[*libraries, *_COMMANDS]}:
    importlib.import_module("audioset_strong." + name)
    for flag in set(flags.FLAGS) - shared:
        delattr(flags.FLAGS, flag)
"""
    done = _run(small_python, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_frame_and_evaluate(small_python, tmp_path):
    write_score_file(hand_score_file(), tmp_path / "S.npz")
    write_framed_labels(hand_framed(), tmp_path / "F.tsv")
    write_weak_labels(hand_weak(), tmp_path / "W.csv")
    (tmp_path / "strong.tsv").write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        f"a_0\t0.000\t0.960\t{X}\n"
        f"b_0\t0.000\t0.960\t{Y}\n"
    )
    done = _run(
        small_python,
        "-m",
        "audioset_strong.frame_labels",
        "--strong_labels=strong.tsv",
        "--explicit_negatives=F.tsv",
        "--output=framed.tsv",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    # Two pairs with a positive label frame, three absent in F.tsv of which the
    # strong labels contradict none: b x and c y.
    assert "40 rows of 3 clips" in done.stdout
    done = _run(
        small_python,
        "-m",
        "audioset_strong.evaluate",
        "--scores=S.npz",
        "--framed_labels=framed.tsv",
        "--weak_labels=W.csv",
        "--report_dir=R",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "R" / "report.json").read_text())
    explicit = report["strong"]["explicit"]
    # x: .6 against .4, .5 and .8: 2/3. y: .3 against .1 and .4: 1/2.
    assert explicit["mean_auc"] == pytest.approx(7 / 12)

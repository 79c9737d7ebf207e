"""The command that compares systems, and how it is told them."""

import json
import pathlib
import sys

import forked
import pytest
from report_examples import random_labels, random_scores

from audioset_strong.errors import InputError
from audioset_strong.evaluation.scores import write_score_file
from audioset_strong.evaluation_flags import find_systems
from audioset_strong.labels.label_files import (
    write_framed_labels,
    write_weak_labels,
)

_ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.npz", "b.npz", "mu=0.8/scores.npz"):
        pathlib.Path(name).parent.mkdir(exist_ok=True)
        pathlib.Path(name).touch()
    pathlib.Path("tables").mkdir()


@pytest.mark.parametrize(
    ("given", "name", "path"),
    [
        ("Ours=a.npz", "Ours", "a.npz"),
        ("+ Strong =a.npz", "+ Strong", "a.npz"),
        ("mu=0.8=a.npz", "mu=0.8", "a.npz"),
        ("Ours=mu=0.8/scores.npz", "Ours", "mu=0.8/scores.npz"),
        ("mu=1=mu=0.8/scores.npz", "mu=1", "mu=0.8/scores.npz"),
        ("mu=0.8/scores.npz", "mu=0.8/scores", "mu=0.8/scores.npz"),
        ("=b.npz", "b", "b.npz"),
        ("b.npz", "b", "b.npz"),
        ("T=tables", "T", "tables"),
    ],
)
def test_names_and_paths(paths, given, name, path):
    assert find_systems([given]) == {name: path}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["Ours=c.npz"], "'Ours=c.npz': there is no file or folder 'c.npz'"),
        (["c.npz"], "there is no file or folder 'c.npz'. Write the path"),
        (["Ours="], "NAME=PATH of a system, found 'Ours='"),
        (["X=a.npz", "X=b.npz"], "found 'X' for a.npz and b.npz. Give each"),
        (["a=b.npz", "a.npz"], "found 'a' for b.npz and a.npz"),
    ],
)
def test_systems_that_are_not_clear(paths, given, message):
    with pytest.raises(InputError) as caught:
        find_systems(given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_scores_twice_are_said(paths, caplog):
    with caplog.at_level("INFO", logger="absl"):
        found = find_systems(["X=a.npz", "Y=b.npz", "Z=./a.npz"])
    assert list(found) == ["X", "Y", "Z"]
    assert "X and Z are the same scores, ./a.npz." in caplog.text
    assert caplog.text.count("the same") == 1


def test_end_to_end(tmp_path):
    weak, framed, strong = random_labels(30, 12)
    for seed in (1, 2, 3):
        write_score_file(
            random_scores(strong, 1.5, seed), tmp_path / f"{seed}.npz"
        )
    write_framed_labels(framed, tmp_path / "F.tsv")
    weak = weak.assign(start_seconds=0.0, end_seconds=10.0)
    write_weak_labels(weak, tmp_path / "W.csv")
    command = [
        *(sys.executable, "-m", "audioset_strong.compare_systems"),
        *("--scores=One=1.npz", "--scores=Two=2.npz", "--scores=2 + 1=3.npz"),
        *("--framed_labels=F.tsv", "--weak_labels=W.csv"),
        *("--num_resamples=199", "--negatives=explicit", "--against=Two"),
        "--output_dir=new/comparison",
    ]
    done = forked.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Strong eval, explicit negatives. 30 clips" in done.stdout
    assert done.stdout.splitlines()[-1] == (
        "Comparison: new/comparison/comparison.html"
    )
    folder = tmp_path / "new" / "comparison"
    results = json.loads((folder / "comparison.json").read_text())
    assert results["systems"] == ["One", "Two", "2 + 1"]
    assert results["reference"] == "Two"
    files = results["identity"]["files"]
    assert set(files) == {
        *(f"scores of {name}" for name in results["systems"]),
        *("framed_labels", "weak_labels"),
    }
    assert files["scores of One"]["num_bytes"] == (
        (tmp_path / "1.npz").stat().st_size
    )


def test_help_lists_the_flags_that_commands_share():
    done = forked.run(
        [sys.executable, "-m", "audioset_strong.compare_systems", "--help"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    for flag in ("scores", "framed_labels", "num_resamples", "protocol"):
        assert f"  --{flag}" in done.stdout.replace("[no]", "")

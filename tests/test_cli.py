"""The console command: its verbs, and what it says to a wrong one."""

import pathlib
import subprocess
import sys

import pytest

from audioset_strong import cli

_ROOT = pathlib.Path(__file__).parents[1]


def test_every_binary_is_a_verb():
    binaries = {
        path.stem
        for path in (_ROOT / "audioset_strong").glob("*.py")
        if "def main(argv" in path.read_text()
    }
    assert set(cli.verbs()) == binaries
    assert all(cli.verbs().values())


def test_usage_lists_the_verbs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["audioset-strong", "--help"])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert "  evaluate  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verb", "hint"), [("evalute", "Did you mean evaluate?"), ("qqq", "lists")]
)
def test_a_wrong_verb_ends_in_one_line(monkeypatch, capsys, verb, hint):
    monkeypatch.setattr(sys, "argv", ["audioset-strong", verb])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert hint in capsys.readouterr().err


def test_a_verb_runs_as_the_module_does(tmp_path):
    arguments = ["frame-labels", "--strong_labels=none.tsv", "--output=F.tsv"]
    done = subprocess.run(
        [sys.executable, "-m", "audioset_strong.cli", *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "frame_labels: error: No such file" in done.stderr

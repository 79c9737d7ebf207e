"""What tells one report from another."""

import datetime
import hashlib
import re

import pytest

import audioset_strong
from audioset_strong.evaluation.identity import (
    ReportIdentity,
    hash_input,
    identify,
    name_of_source,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/plus_strong/eval_scores.npz", "plus_strong/eval_scores"),
        ("runs/weak/eval_scores.npz", "weak/eval_scores"),
        ("runs/weak/validation_scores.npz", "weak/validation_scores"),
        ("runs/weak/best/2.npz", "weak/2"),
        ("runs/weak/yamnet.npz", "yamnet"),
        ("beats/scores", "beats/scores"),
        ("Größe/scores.npz", "Größe/scores"),
    ],
)
def test_names_of_paths(tmp_path, monkeypatch, path, name):
    (tmp_path / path).parent.mkdir(parents=True)
    if "." in path:
        (tmp_path / path).touch()
    else:
        (tmp_path / path).mkdir()
    assert name_of_source(str(tmp_path / path)) == name
    monkeypatch.chdir((tmp_path / path).parent)
    assert name_of_source((tmp_path / path).name) == name


def test_what_is_no_path_is_its_own_name():
    assert name_of_source("an array") == "an array"


def test_hashes(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"abc")
    file = hash_input(str(tmp_path / "a.tsv"))
    # FIPS 180-2, appendix B.1.
    assert file.sha256 == "ba7816bf8f01cfea"
    assert file.num_bytes == 3
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "x").write_bytes(b"abc")
    (folder / "y").write_bytes(b"")
    before = hash_input(str(folder))
    empty = hashlib.sha256(b"").hexdigest()[:16]
    lines = f"sub/x\n{file.sha256}\ny\n{empty}\n"
    assert before.sha256 == hashlib.sha256(lines.encode()).hexdigest()[:16]
    assert before.num_bytes == 3
    (folder / "y").rename(folder / "z")
    assert hash_input(str(folder)).sha256 != before.sha256


def test_identity_of_now(tmp_path):
    path = tmp_path / "s.npz"
    path.write_bytes(b"abc")
    inputs = {"scores": str(path), "weak_labels": None, "truth": "a note"}
    found = identify("ours", "", inputs, ["hershey2021"])
    assert set(found.files) == {"scores"}
    assert found.version == audioset_strong.__version__
    when = datetime.datetime.fromisoformat(found.date)
    assert when.utcoffset() == datetime.timedelta(0)
    age = datetime.datetime.now(datetime.UTC) - when
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=10)
    assert re.fullmatch(
        r"2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC, audioset_strong [\d.]+, "
        r"protocol hershey2021",
        found.describe(),
    )
    assert ReportIdentity(version="1").describe() == "audioset_strong 1"

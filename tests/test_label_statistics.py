"""Label statistics of a release, on a few clips that are counted by hand."""

import json
import pathlib
import sys

import forked
import pandas as pd
import pytest

from audioset_strong.labels.ontology import Ontology
from experiments.release_statistics import measure_release

_ONTOLOGY = Ontology(
    {"/m/dog": "Dog", "/m/bark": "Bark", "/m/rain": "Rain", "/m/cat": "Cat"},
    {"/m/dog": ("/m/bark",)},
)


def _strong(*events):
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    return pd.DataFrame(events, columns=columns)


def _weak(**mids):
    return pd.DataFrame(
        {
            "segment_id": list(mids),
            "start_seconds": 0.0,
            "end_seconds": 10.0,
            "mids": list(mids.values()),
        }
    )


@pytest.fixture
def table():
    strong = _strong(
        ("a_0", 0.0, 10.0, "/m/rain"),
        ("a_0", 1.0, 2.0, "/m/bark"),
        ("a_0", 1.5, 3.0, "/m/bark"),
        ("b_0", 4.0, 4.1, "/m/bark"),
        ("c_0", 0.0, 5.0, "/m/rain"),
    )
    weak = _weak(a_0=("/m/dog", "/m/rain"), b_0=("/m/cat",), c_0=("/m/dog",))
    return measure_release(strong, weak, _ONTOLOGY)


def test_counts_and_times(table):
    found = table["table"]
    assert found["clips"] == 3
    assert found["events a clip"] == pytest.approx(5 / 3)
    assert found["classes a clip"] == pytest.approx(4 / 3)
    assert found["classes in their clip with one event"] == 0.75
    assert found["events of the whole clip"] == 0.2
    # Overlapping barks count once: 2 s of clip a.
    fills = (1.0 + 0.2 + 0.01 + 0.5) / 4
    assert found["a class fills of its clip, mean"] == pytest.approx(fills)
    assert found["label frames: all ten"] == 0.25
    assert found["label frames: two or fewer"] == 0.5
    assert found["time with 2 classes"] == pytest.approx(2 / 30)
    assert found["classes at once, mean"] == pytest.approx(17.1 / 30)
    assert table["classes"]["/m/bark"]["num_events"] == 3


def test_weak_against_strong(table):
    found = table["table"]
    assert found["weak labels a clip"] == pytest.approx(4 / 3)
    assert found["strong label is a weak one"] == 0.25
    assert found["only a wider class is"] == 0.25
    assert found["neither is"] == 0.5
    # Cat is neither a strong class nor wider than one; dog of c is wrong.
    assert found["weak label is a strong one"] == pytest.approx(1 / 3)
    assert found["weak label is wider than a strong one"] == pytest.approx(
        1 / 3
    )
    assert found["weak label is of another class"] == pytest.approx(1 / 3)


def test_table_on_files_and_a_malformed_release(tmp_path, strong_excerpts):
    data = pathlib.Path(strong_excerpts).parent
    weak = data / "audioset_labels" / "eval_segments.csv"
    strong = strong_excerpts / "audioset_eval_strong.gun.tsv"
    arguments = [
        sys.executable,
        "-m",
        "experiments.label_statistics",
        f"--ontology={data / 'audioset_labels' / 'ontology.json'}",
        f"--output_dir={tmp_path}",
    ]
    forked.run(
        [*arguments, f"--release=guns={strong},{weak}"],
        check=True,
        capture_output=True,
        cwd=pathlib.Path(__file__).parents[1],
    )
    saved = json.loads((tmp_path / "label_statistics.json").read_text())
    counts = saved["releases"]["guns"]["table"]
    assert counts["events a clip"] > 1
    assert "| events a clip |" in (tmp_path / "label_statistics.md").read_text()
    bad = forked.run(
        [*arguments, f"--release={strong}"],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(__file__).parents[1],
    )
    assert bad.returncode == 2
    assert "Expected --release=NAME=" in bad.stderr

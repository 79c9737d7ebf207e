"""The examples of docs/evaluating.md run, one after the other."""

import pathlib
import re

import numpy as np
import pytest
from eval_examples import framed_table

from audioset_strong.labels.label_files import (
    write_framed_labels,
    write_weak_labels,
)

_TEXT = (
    pathlib.Path(__file__).parents[1] / "docs" / "evaluating.md"
).read_text(encoding="utf-8")
_CLIPS = ["s9d-2nhuJCQ_30000", "BfvyPmVMo-Q_20000"]
_MIDS = ["/m/09x0r", "/m/04rlf", "/m/0jbk"]


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_python_examples(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels").mkdir()
    pairs = {
        (clip, mid): set(range(number, number + 4))
        for number, (clip, mid) in enumerate(
            (clip, mid) for clip in _CLIPS for mid in _MIDS[:2]
        )
    }
    framed = framed_table({**pairs, (_CLIPS[0], _MIDS[2]): set()})
    folder = tmp_path / "labels"
    write_framed_labels(
        framed, folder / "audioset_eval_strong_framed_posneg.tsv"
    )
    weak = framed[framed["is_present"]].groupby("segment_id")["mid"]
    weak = weak.unique().map(tuple).rename("mids").reset_index()
    starts = weak["segment_id"].str.rsplit("_", n=1).str[1].astype(float)
    weak["start_seconds"] = starts / 1000
    weak["end_seconds"] = weak["start_seconds"] + 10
    write_weak_labels(weak, folder / "eval_segments.csv")
    (folder / "held_out_strong.tsv").write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        f"{_CLIPS[0]}\t1.0\t3.5\t{_MIDS[0]}\n"
    )
    other = np.random.default_rng(1).random((2, 10, 3), dtype=np.float32)
    np.savez(
        "scores.npz",
        segment_ids=_CLIPS,
        mids=_MIDS,
        scores=other,
        frame_seconds=0.96,
    )

    examples = re.findall(r"```python\n(.*?)```", _TEXT, re.DOTALL)
    assert len(examples) == 3
    names = {}
    for example in examples:
        exec(example, names)
    said = capsys.readouterr().out
    assert "explicit" in said
    assert "theirs" in said
    assert (tmp_path / "report" / "report.html").exists()
    assert (tmp_path / "comparison" / "comparison.html").exists()
    assert names["report"].results[0].num_items == 20

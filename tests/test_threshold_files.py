import json
import logging

import numpy as np
import pytest
from test_thresholds import make_items

from audioset_strong.errors import InputError
from audioset_strong.evaluation.thresholds import (
    COLUMNS,
    choose_thresholds,
    listed,
    read_model_thresholds,
    read_threshold_file,
    write_threshold_file,
)
from audioset_strong.labels.class_map import hash_of_mids


def _table():
    scores = np.array([[0.3, 0.2], [0.1, 0.7]], dtype=np.float32)
    return choose_thresholds(
        make_items(scores, [[1, 0], [0, 0]]), display_names={"/m/1": 'A "b", c'}
    )


def _settings(**others):
    return {"class_map_hash": hash_of_mids(["/m/0", "/m/1"]), **others}


def _read(tmp_path, text):
    path = tmp_path / "T.csv"
    path.write_text(text)
    return read_threshold_file(path)


def test_round_trip_is_exact(tmp_path):
    table = _table()
    path = tmp_path / "T.csv"
    write_threshold_file(table, _settings(scores="S.npz"), path)
    comment, header, *lines = path.read_text().splitlines()
    assert json.loads(comment.removeprefix("#"))["scores"] == "S.npz"
    assert header == ",".join(COLUMNS)
    # Between float32 .3 and .1; not one digit is lost.
    middle = (float(np.float32(0.3)) + float(np.float32(0.1))) / 2
    assert lines[0] == f"/m/0,,{middle!r},1.0,1.0,1.0,1,1,"
    assert lines[1] == '/m/1,"A ""b"", c",0.5,,0.0,,0,2,no positives'
    file = read_threshold_file(path)
    assert list(file.thresholds.items()) == list(
        zip(table["mid"], table["threshold"], strict=True)
    )
    assert file.settings == _settings(scores="S.npz")


def test_hand_written_file(tmp_path):
    file = _read(tmp_path, "threshold,mid\n0.25,/m/x\n1,/m/y\n")
    assert file.thresholds == {"/m/x": 0.25, "/m/y": 1.0}
    assert file.settings == {}
    # Joined on mid, in the model's order.
    assert file.vector(["/m/y", "/m/x"]).tolist() == [1.0, 0.25]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a CSV of thresholds"),
        ("mid,f1\n/m/x,1\n", "columns mid and threshold, found .'mid', 'f1'"),
        ("mid,threshold\n", "expected at least one class, found none"),
        ("mid,threshold\n/m/x,nan\n", "threshold of /m/x, found 'nan'"),
        ("mid,threshold\n/m/x,\n", "threshold of /m/x, found ''"),
        ("mid,threshold\n/m/x,-inf\n", "threshold of /m/x, found '-inf'"),
        ("mid,threshold\n/m/x,half\n", "threshold of /m/x, found 'half'"),
        ("mid,threshold\n/m/x,1\n/m/x,1\n", "more than once: /m/x"),
        ("mid,threshold\n/m/x,1,2,3\n/m/y,4\n/m/z,1,2,3,4\n", "as one"),
        ("# notes\nmid,threshold\n/m/x,1\n", "T.csv:1: expected the settings"),
        ("# [1]\nmid,threshold\n/m/x,1\n", "as a JSON object after '#'"),
        (
            '# {"class_map_hash": "00"}\nmid,threshold\n/m/x,1\n',
            "1 classes, the first are /m/x.*expected 00. Lines were",
        ),
    ],
)
def test_bad_files_are_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as raised:
        _read(tmp_path, text)
    assert "T.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_classes_are_an_error_unless_they_get_a_threshold(
    tmp_path, caplog
):
    path = tmp_path / "T.csv"
    path.write_text("mid,threshold\n/m/x,0.25\n/m/gone,1\n")
    with pytest.raises(InputError, match="2 have none: /m/y, /m/z. Choose"):
        read_model_thresholds(path, ["/m/y", "/m/x", "/m/z"])
    caplog.set_level(logging.WARNING)
    thresholds = read_model_thresholds(path, ["/m/y", "/m/x", "/m/z"], 0.75)
    assert thresholds.tolist() == [0.75, 0.25, 0.75]
    assert "2 of 3 classes have no threshold" in caplog.text
    assert "get 0.75: /m/y, /m/z." in caplog.text
    assert "1 classes that the model lacks are not used: /m/gone" in caplog.text


def test_thresholds_on_logits_do_not_fit_probabilities(tmp_path, caplog):
    path = tmp_path / "T.csv"
    path.write_text("mid,threshold\n/m/x,0.5\n/m/y,-1.5\n")
    with pytest.raises(InputError, match="1 lie outside: /m/y has -1.5"):
        read_model_thresholds(path, ["/m/x", "/m/y"])
    # Outside, but not a class of the model.
    assert read_model_thresholds(path, ["/m/x"]).tolist() == [0.5]
    # By chance all thresholds are in [0, 1]: the settings still tell.
    table = _table()
    write_threshold_file(table, _settings(score_range=[-7, 4]), path)
    caplog.set_level(logging.WARNING)
    read_model_thresholds(path, ["/m/0", "/m/1"])
    assert "was chosen on scores in [-7, 4]" in caplog.text


def test_long_lists_are_cut():
    assert listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"

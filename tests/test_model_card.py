"""The model card holds what a reader and Hugging Face's pages look for."""

import json

import pytest
import yaml

from audioset_strong.errors import InputError
from audioset_strong.export.model_card import write_model_card
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.params import FeatureParams


def _metadata(**fields):
    class_map = ClassMap(("/m/dog", "/m/bell"), ("Dog", "Bell"))
    return ModelMetadata(
        "barks: a 'model'", class_map, FeatureParams(), **fields
    )


def _write(folder, metadata, *arguments):
    for name in ("saved_model.pb", "model_int8.onnx"):
        (folder / name).touch()
    write_model_card(metadata, str(folder), *arguments)
    text = (folder / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def _report(tmp_path, **strong):
    metrics = {"d_prime": {"low": 1.1, "high": 1.4}}
    evaluation = {
        "d_prime": 1.25,
        "lwlrap": None,
        "num_classes": 17,
        "intervals": {"num_clips": 60, "metrics": metrics},
        **strong,
    }
    report = {
        "schema_version": 2,
        "inputs": {"framed_labels": "labels/framed.tsv"},
        "strong": {"explicit": evaluation},
        "weak": None,
    }
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    return str(path)


def test_metrics_settings_and_licence_are_told(tmp_path):
    train = {"training_set": "weak", "mu": 0.8, "strong_fraction": 1.0}
    training = {"train": train, "step": 70}
    metadata = _metadata(training=training, licence="CC-BY-4.0")
    head, body = _write(
        tmp_path, metadata, _report(tmp_path), "Recordings by Ada."
    )
    assert head["license"] == "cc-by-4.0"
    [result] = head["model-index"][0]["results"]
    assert result["dataset"]["name"] == "framed.tsv"
    assert [m["value"] for m in result["metrics"]] == [1.25]
    assert "60 clips, 17 classes" in body
    assert "| d' of frames | 1.250 | 1.100 to 1.400 |" in body
    assert "explicit and complementary negatives" in body
    for row in ("| training set | weak |", "| mu | 0.8 |", "| step | 70 |"):
        assert row in body
    assert "strong fraction" not in body
    train["strong_fraction"] = 0.4
    assert "| strong fraction | 0.4 |" in _write(tmp_path, metadata)[1]
    assert "Recordings by Ada." in body
    assert "`model_int8.onnx`" in body
    assert "`model.keras`" not in body


def test_what_is_not_known_is_said(tmp_path):
    head, body = _write(tmp_path, _metadata(licence="house rules"))
    assert (head["license"], head["license_name"]) == ("other", "house rules")
    assert "model-index" not in head
    assert "Not evaluated." in body
    assert "Nothing is known of how this model was trained." in body
    _, body = _write(tmp_path, _metadata())
    assert "Not stated." in body


def test_undefined_metrics_and_intervals_are_left_out(tmp_path):
    path = _report(tmp_path, intervals=None)
    _, body = _write(tmp_path, _metadata(), path)
    assert "| d' of frames | 1.250 | - |" in body
    assert "lwlrap of frames" not in body
    assert "None" not in body


def test_other_files_are_no_reports(tmp_path):
    for text in ("{}", "[1]", "no json"):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(InputError, match="expected report.json"):
            _write(tmp_path, _metadata(), str(tmp_path / "other.json"))

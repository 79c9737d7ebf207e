"""The model card: what a person must know of an exported model.

`README.md` of an export, in the format of Hugging Face's model cards: a head in
YAML that their pages read, then data, settings, metrics with intervals, limits
and licence. Its text is `model_card.md.jinja`.

Source: Mitchell et al., "Model cards for model reporting", FAT* 2019;
https://huggingface.co/docs/hub/model-cards.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import jinja2

from audioset_strong.errors import InputError
from audioset_strong.files import open_output, read_bytes
from audioset_strong.inference.metadata import ModelMetadata

# What each file of an export is for, in the order of the card.
_FILES = {
    "saved_model.pb": "TensorFlow, TF Serving: from a waveform",
    "model.tflite": "LiteRT: phones and small computers",
    "model_float16.tflite": "the same, half the size",
    "model_int8.tflite": "the same, a quarter of the size",
    "model.onnx": "ONNX Runtime: from log-mel patches",
    "model_int8.onnx": "the same, a quarter of the size",
    "model.keras": "Keras: from log-mel patches, for training on",
    "metadata.json": "classes, front end, thresholds, origin",
}
# As Hugging Face names licences.
_LICENCE_IDS = ("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "apache-2.0", "mit")
_METRICS = {
    ("strong", "d_prime"): "d' of frames",
    ("strong", "lwlrap"): "lwlrap of frames",
    ("strong", "mean_average_precision"): "mAP of frames",
    ("weak", "d_prime"): "d' of clips",
    ("weak", "lwlrap"): "lwlrap of clips",
}
_NEGATIVES = {
    "explicit": "explicit and complementary",
    "explicit_only": "explicit",
    "complementary_only": "complementary",
}
# Settings of a run that tell what it was trained on, and how.
_SETTINGS = {
    "train": ("training_set", "mixed_training_set", "mu", "strong_fraction")
    + ("num_steps", "global_batch_size", "learning_rate", "seed"),
    "recipe": ("mixup_share", "max_gain_db", "ema_decay", "balance_classes"),
    "model": ("model", "width", "stem_stride"),
}
# Values with which a setting does nothing, where they are others.
_OFF: Mapping[str, tuple[Any, ...]] = {"strong_fraction": (1.0,), "seed": ()}


def write_model_card(
    metadata: ModelMetadata,
    output_dir: str,
    report_path: str | None = None,
    notice: str = "",
    dataset: str = "",
) -> None:
    """Writes `README.md` beside the files of an export.

    Args:
      metadata: Of the model.
      output_dir: Folder of the export, with its files.
      report_path: `report.json` of `evaluate`, whose metrics to show.
      notice: Markdown for the section on the licence, such as the authors of
        the recordings.
      dataset: What the report is about, in words; "" for the name of its label
        file.

    Raises:
      InputError: The report is none.
    """
    report = _read_report(report_path) if report_path else {}
    formats = [n for n in _FILES if os.path.exists(f"{output_dir}/{n}")]
    licence = metadata.licence
    is_known = licence.lower() in _LICENCE_IDS
    text = (
        jinja2.Environment(
            loader=jinja2.PackageLoader("audioset_strong.export", "."),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
        )
        .get_template("model_card.md.jinja")
        .render(
            name=metadata.name,
            metadata=metadata,
            formats=["saved_model"] if "saved_model.pb" in formats else [],
            files=[(name, _FILES[name]) for name in formats],
            library="keras" if formats[:1] == ["saved_model.pb"] else "onnx",
            licence=licence,
            licence_id=licence.lower() if is_known else "other",
            licence_name="" if is_known else licence,
            rows=_describe_training(metadata.training),
            **_describe_metrics(report, dataset),
            notice=notice,
        )
    )
    with open_output(os.path.join(output_dir, "README.md")) as file:
        file.write(text)


def _read_report(path: str) -> dict[str, Any]:
    """Reads `report.json`."""
    try:
        report = json.loads(read_bytes(path))
        if "strong" not in report or "schema_version" not in report:
            raise ValueError("it has no strong evaluation")
    except ValueError as error:
        raise InputError(
            f"{path}: expected report.json of evaluate. It is none: {error}."
        ) from error
    return dict(report)


def _describe_training(training: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Lists the settings of a run that a reader asks for first."""
    rows = []
    for stage, names in _SETTINGS.items():
        settings = training.get(stage, {})
        rows += [
            (name.replace("_", " "), settings[name])
            for name in names
            # Neither what is not set nor an option that is off.
            if name in settings
            and settings[name] not in _OFF.get(name, ("", 0.0, False))
        ]
    for name in ("checkpoint", "step", "weights_hash", "records_hash"):
        if training.get(name):
            rows.append((name.replace("_", " "), training[name]))
    return rows


def _describe_metrics(
    report: Mapping[str, Any], dataset: str
) -> dict[str, Any]:
    """Takes the numbers of the card from a report."""
    inputs = report.get("inputs") or {}
    labels = inputs.get("framed_labels") or inputs.get("strong_labels") or ""
    metrics, negatives, num_clips, num_classes = [], "", 0, 0
    for (level, name), shown in _METRICS.items():
        evaluations = report.get(level) or {}
        kind = next(iter(evaluations), "")
        evaluation = evaluations.get(kind) or {}
        value = evaluation.get(name)
        if value is None:
            continue
        intervals = evaluation.get("intervals") or {}
        interval = (intervals.get("metrics") or {}).get(name) or {}
        low, high = interval.get("low"), interval.get("high")
        has_interval = low is not None and high is not None
        metrics.append(
            {
                "type": name,
                "name": shown,
                "value": value,
                "interval": f"{low:.3f} to {high:.3f}" if has_interval else "-",
            }
        )
        if level == "strong":
            negatives = _NEGATIVES.get(kind, kind)
            num_classes = evaluation["num_classes"]
            num_clips = intervals.get("num_clips") or num_clips
    return {
        "metrics": metrics,
        "dataset": dataset or os.path.basename(labels),
        "negatives": negatives,
        "num_clips": num_clips or "an unknown number of",
        "num_classes": num_classes,
    }

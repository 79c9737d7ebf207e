"""Temporally-strong labels in audio event classification.

Reference implementation of Hershey et al., "The benefit of temporally-strong
labels in audio event classification" (ICASSP 2021).

The packages follow the data, and each says in its `__init__.py` which file
holds what; imports point only towards the top of this list:

  labels          label files, class map, ontology, frame rule (Section 3.2)
  label_analysis  priors, odds ratios, coverage, label spaces (Section 3.1)
  audio           finding and decoding audio, log-mel features (Section 4)
  records         TFRecords: preparing, reading, mixing by mu (Section 4)
  evaluation      scores and labels -> d', lwlrap, reports (Section 4.1)
  models          ResNet-50 on 960 ms patches (Section 4)
  training        training and fine-tuning (Section 4)
  inference       using a model: audio files -> scores -> events
  export          a run -> SavedModel, TFLite, ONNX
  simulation      a small AudioSet made from isolated sounds

The modules beside them are commands, run as `audioset-strong <name>` or
`python -m audioset_strong.<name>`, and what all of them share: `params.py`
(settings), `files.py` (local files and object storage), `run_flags.py`,
`plots.py`, `errors.py`.

`__all__` is the public interface, and that of `audioset_strong.evaluation` the
one of scores and metrics, where `evaluate` is no command. A name is loaded when
it is first used, so that labels and evaluation never load TensorFlow.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULE_OF_NAME = {
    # Labels.
    "ClassMap": "labels.class_map",
    "read_class_map": "labels.class_map",
    "read_weak_labels": "labels.label_files",
    "read_strong_labels": "labels.label_files",
    "read_framed_labels": "labels.label_files",
    "frame_strong_labels": "labels.frame_rule",
    "events_to_frame_targets": "labels.frame_rule",
    "Event": "labels.frame_rule",
    # Records.
    "read_records": "records.manifest",
    "label_frame_batches": "records.streams",
    # Models.
    "load_classifier": "training.workdir",
    # Using a model.
    "load_model": "inference.sound_model",
    "stream_scores": "inference.score_stream",
    "AudioError": "audio.decode",
    "DecodingParams": "params",
    "decode_events": "inference.event_decoding",
    "InputError": "errors",
}

__all__ = [*_MODULE_OF_NAME]


def __getattr__(name: str) -> Any:
    """Loads a public name from its module."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULE_OF_NAME[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

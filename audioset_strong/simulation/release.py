"""Makes a simulated release: audio, label files and the settings behind them.

A release folder:

  audio/train/<segment_id>.flac   clips of the subsets "weak" and "strong"
  audio/eval/<segment_id>.flac
  labels/                         the official file names and formats
    balanced_train_segments.csv   weak labels of the clips with strong labels
    unbalanced_train_segments.csv weak labels of the other training clips
    eval_segments.csv             weak labels
    audioset_train_strong.tsv, audioset_eval_strong.tsv
    audioset_eval_strong_framed_posneg.tsv
    class_labels_indices.csv      the classes of the sounds, then their parents
    mid_to_display_name.tsv       the classes of the sounds
    ground_truth.tsv              the true events of all clips, strong format
  clips.jsonl                     finished clips and their events
  soundscapes.json                settings, classes and counts
"""

import dataclasses
import json
import os
from typing import Any

import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.output_files import make_folder, open_output
from audioset_strong.params_json import to_dict
from audioset_strong.simulation.clip_files import make_clips
from audioset_strong.simulation.release_labels import write_labels
from audioset_strong.simulation.sound_classes import SoundClass
from audioset_strong.simulation.sound_sources import (
    SoundSource,
    SourceSettings,
    make_source,
)
from audioset_strong.simulation.soundscape_params import SoundscapeParams
from audioset_strong.simulation.soundscapes import (
    SUBSETS,
    check_soundscape_params,
)

_SETTINGS_NAME = "soundscapes.json"


def make_release(
    output_dir: str,
    params: SoundscapeParams,
    source_settings: SourceSettings,
    num_workers: int | None = None,
) -> dict[str, Any]:
    """Makes a release, or finishes one that was interrupted.

    With several workers the caller must be importable without side effects
    (`if __name__ == "__main__":`), as Python's spawned processes need it.

    Args:
      output_dir: Folder of the release (module docstring); made if missing.
      params: Settings of the release.
      source_settings: Where sounds come from.
      num_workers: Processes; all cores if None.

    Returns:
      What `soundscapes.json` holds.

    Raises:
      InputError: Settings make no sense, the folder holds something else, or
        the sound source cannot be read.
    """
    check_soundscape_params(params)
    source = make_source(source_settings)
    settings = _settings(params, source)
    _claim_folder(output_dir, settings)
    truth = make_clips(
        output_dir, params, source_settings, num_workers or _num_cores()
    )
    write_labels(
        os.path.join(output_dir, "labels"), truth, source.classes, params
    )
    settings["event_counts"] = _event_counts(truth, source)
    _write_settings(output_dir, settings)
    return settings


def _num_cores() -> int:
    """Counts the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- Settings ----------------------------------------------------------------


def _settings(params: SoundscapeParams, source: SoundSource) -> dict[str, Any]:
    """Describes a release as JSON-ready values."""
    return {
        "params": to_dict(params),
        "source": dict(source.description),
        "classes": [dataclasses.asdict(c) for c in source.classes],
    }


def _write_settings(output_dir: str, settings: dict[str, Any]) -> None:
    """Writes `soundscapes.json`."""
    with open_output(os.path.join(output_dir, _SETTINGS_NAME)) as file:
        file.write(json.dumps(settings, indent=2) + "\n")


def read_settings(output_dir: str) -> dict[str, Any]:
    """Reads `soundscapes.json`.

    Raises:
      InputError: It is missing or broken.
    """
    path = os.path.join(output_dir, _SETTINGS_NAME)
    if not os.path.exists(path):
        raise InputError(
            f"Expected {path!r}, found no such file. Give a folder that "
            f"make_soundscapes wrote."
        )
    with open(path, encoding="utf-8") as file:
        try:
            return dict(json.load(file))
        except ValueError as error:
            raise InputError(f"{path}: expected JSON: {error}.") from error


def read_classes(output_dir: str) -> tuple[SoundClass, ...]:
    """Reads the classes of a release.

    Args:
      output_dir: Folder of the release.

    Raises:
      InputError: `soundscapes.json` is missing or of another version.
    """
    saved = read_settings(output_dir).get("classes", [])
    try:
        return tuple(
            SoundClass(
                **{
                    **fields,
                    "other_ancestor_mids": tuple(fields["other_ancestor_mids"]),
                }
            )
            for fields in saved
        )
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{output_dir}/{_SETTINGS_NAME}: expected the classes of a release "
            f"of this version ({error}). Make it again."
        ) from error


def _claim_folder(output_dir: str, settings: dict[str, Any]) -> None:
    """Makes sure that a folder is empty or holds this release.

    Raises:
      InputError: It holds another release, or audio and labels of something
        else.
    """
    make_folder(os.path.join(output_dir, "labels"))
    if os.path.exists(os.path.join(output_dir, _SETTINGS_NAME)):
        found = read_settings(output_dir)
        differences = _differences(found, settings)
        if differences:
            raise InputError(
                f"{output_dir!r} holds a release with other settings: "
                f"{'; '.join(differences)}. Give another --output_dir, or the "
                f"settings of that release to finish it."
            )
    elif os.listdir(os.path.join(output_dir, "labels")):
        raise InputError(
            f"Expected an empty or new folder, found label files in "
            f"{output_dir!r} that make_soundscapes did not write. Give another "
            f"--output_dir."
        )
    else:
        _write_settings(output_dir, settings)


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Lists settings that differ, as 'name: found, not wanted'."""
    pairs = [
        (name, found.get(part, {}).get(name), wanted[part].get(name))
        for part in ("params", "source")
        for name in sorted({*found.get(part, {}), *wanted[part]})
    ]
    return [f"{n}={old!r}, not {new!r}" for n, old, new in pairs if old != new]


def _event_counts(
    truth: pd.DataFrame, source: SoundSource
) -> dict[str, dict[str, int]]:
    """Counts the events of each class in each subset."""
    counts = truth.groupby(["subset", "mid"]).size().to_dict()
    return {
        subset: {
            c.mid: int(counts.get((subset, c.mid), 0)) for c in source.classes
        }
        for subset in SUBSETS
    }

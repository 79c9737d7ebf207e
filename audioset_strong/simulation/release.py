"""Makes a simulated release: audio, label files and the settings behind them.

A release folder has the file names and formats of the real release:

  audio/train/<segment_id>.flac   clips of the subsets "weak" and "strong"
  audio/eval/<segment_id>.flac
  labels/
    balanced_train_segments.csv   weak labels of the clips with strong labels
    unbalanced_train_segments.csv weak labels of the other training clips
    eval_segments.csv             weak labels
    audioset_train_strong.tsv, audioset_eval_strong.tsv
    audioset_eval_strong_framed_posneg.tsv
    class_labels_indices.csv      the classes of the sounds, then their parents
    mid_to_display_name.tsv       the classes of the sounds
    ground_truth.tsv              the true events of all clips, strong format
  clips.jsonl                     finished clips and their events, a line each
  soundscapes.json                settings, classes and counts

Making a release can be interrupted. Every file is written under a temporary
name and renamed, so that what is there is whole, and clips that are there are
not made again.

`annotate_candidates` replaces the explicit negatives by mined ones, as Section
3.2 of the paper describes: they are harder than negatives by chance.
"""

import csv
import dataclasses
import functools
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import soundfile
import tqdm

from audioset_strong.errors import InputError
from audioset_strong.files import (
    make_output_folder,
    open_output,
    temporary_path,
)
from audioset_strong.labels import label_files
from audioset_strong.labels.class_map import (
    ClassMap,
    read_class_map,
    write_class_map,
)
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.simulation import annotators
from audioset_strong.simulation.sounds import SAMPLE_RATE
from audioset_strong.simulation.soundscapes import (
    SUBSETS,
    SoundscapeParams,
    make_soundscape,
    segment_id_of_clip,
)
from audioset_strong.simulation.sources import (
    SoundClass,
    SoundSource,
    SourceSettings,
    make_source,
    release_vocabulary,
)

_SETTINGS_NAME = "soundscapes.json"
_JOURNAL_NAME = "clips.jsonl"
_CLASS_MAP_NAME = "class_labels_indices.csv"
_TRUTH_NAME = "ground_truth.tsv"
_FRAMED_NAME = "audioset_eval_strong_framed_posneg.tsv"
_WEAK_NAMES = {
    "weak": "unbalanced_train_segments.csv",
    "strong": "balanced_train_segments.csv",
    "eval": "eval_segments.csv",
}
_STRONG_NAMES = {
    "strong": "audioset_train_strong.tsv",
    "eval": "audioset_eval_strong.tsv",
}
_CANDIDATE_COLUMNS = ["mid", "segment_id", "score", "rank"]
# Starting a process takes as long as making a dozen clips.
_MIN_CLIPS_PER_WORKER = 32


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
      InputError: The folder holds something else, or the sound source cannot
        be read.
    """
    source = make_source(source_settings, params.strong_recordings_share)
    settings: dict[str, Any] = {
        # As JSON has it, to be compared with what was saved.
        "params": json.loads(json.dumps(dataclasses.asdict(params))),
        "source": dict(source.description),
        "classes": [dataclasses.asdict(c) for c in source.classes],
    }
    _claim_folder(output_dir, settings)
    truth = _make_clips(output_dir, params, source, num_workers or _num_cores())
    _write_labels(
        os.path.join(output_dir, "labels"), truth, source.classes, params
    )
    counts = truth.groupby(["subset", "mid"]).size().to_dict()
    settings["event_counts"] = {
        subset: {
            c.mid: int(counts.get((subset, c.mid), 0)) for c in source.classes
        }
        for subset in SUBSETS
    }
    _write_settings(output_dir, settings)
    return settings


def _num_cores() -> int:
    """Counts the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- Settings ----------------------------------------------------------------


def _claim_folder(output_dir: str, settings: dict[str, Any]) -> None:
    """Makes sure that a folder is empty or holds this release."""
    labels_dir = os.path.join(output_dir, "labels")
    make_output_folder(labels_dir)
    if not os.path.exists(os.path.join(output_dir, _SETTINGS_NAME)):
        if os.listdir(labels_dir):
            raise InputError(
                f"Expected an empty or new folder, found label files in "
                f"{output_dir!r} that make_soundscapes did not write. Give "
                f"another output folder."
            )
        _write_settings(output_dir, settings)
        return
    found = _read_settings(output_dir)
    # Settings that an earlier version did not save had their defaults.
    found["params"] = {
        **{f.name: f.default for f in dataclasses.fields(SoundscapeParams)},
        **found.get("params", {}),
    }
    differences = [
        f"{name}={old!r}, not {new!r}"
        for part in ("params", "source")
        for name in sorted({*found.get(part, {}), *settings[part]})
        if (old := found.get(part, {}).get(name))
        != (new := settings[part].get(name))
    ]
    if differences:
        raise InputError(
            f"{output_dir!r} holds a release with other settings: "
            f"{'; '.join(differences)}. Give another output folder, or the "
            f"settings of that release to finish it."
        )


def _write_settings(output_dir: str, settings: dict[str, Any]) -> None:
    with open_output(os.path.join(output_dir, _SETTINGS_NAME)) as file:
        file.write(json.dumps(settings, indent=2) + "\n")


def _read_settings(output_dir: str) -> dict[str, Any]:
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


def read_release_classes(output_dir: str) -> tuple[SoundClass, ...]:
    """Reads the classes of a release.

    Raises:
      InputError: `soundscapes.json` is missing or broken.
    """
    try:
        classes = [
            SoundClass(**c) for c in _read_settings(output_dir)["classes"]
        ]
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{output_dir}/{_SETTINGS_NAME}: expected the classes of a release "
            f"({error!r}). Make the release again."
        ) from error
    # JSON has lists only.
    return tuple(
        dataclasses.replace(c, other_ancestor_mids=tuple(c.other_ancestor_mids))
        for c in classes
    )


# --- Audio -------------------------------------------------------------------


def _make_clips(
    output_dir: str,
    params: SoundscapeParams,
    source: SoundSource,
    num_workers: int,
) -> pd.DataFrame:
    """Makes the clips of a release that are not there yet.

    Returns:
      Ground truth (`annotators`) with a further column, subset str; ordered by
      subset, number of the clip and onset.
    """
    for folder in ("train", "eval"):
        os.makedirs(os.path.join(output_dir, "audio", folder), exist_ok=True)
    journal_path = os.path.join(output_dir, _JOURNAL_NAME)
    finished = _read_journal(output_dir)
    with open_output(journal_path) as file:
        file.writelines(json.dumps(e) + "\n" for e in finished.values())
    clips = {
        segment_id_of_clip(params, subset, number): (subset, number)
        for subset in SUBSETS
        for number in range(getattr(params, f"num_{subset}_clips"))
    }
    missing = [clip for name, clip in clips.items() if name not in finished]
    make = functools.partial(_make_clip, output_dir, params, source)
    progress = tqdm.tqdm(
        _map_in_processes(make, missing, num_workers),
        total=len(missing),
        desc="soundscapes",
        unit="clip",
        disable=None,
    )
    with open(journal_path, "a", encoding="utf-8") as journal:
        for entry in progress:
            journal.write(json.dumps(entry) + "\n")
            journal.flush()
            finished[entry["segment_id"]] = entry
    rows = [
        (finished[name]["subset"], name, *event)
        for name in clips
        for event in finished[name]["events"]
    ]
    seconds = ["onset_seconds", "offset_seconds"]
    columns = ["subset", "segment_id", "mid", *seconds, "snr_db"]
    return pd.DataFrame(rows, columns=columns).astype(
        {"subset": "object", "segment_id": "object", "mid": "object"}
    )


def _audio_path(output_dir: str, subset: str, segment_id: str) -> str:
    folder = "eval" if subset == "eval" else "train"
    return os.path.join(output_dir, "audio", folder, f"{segment_id}.flac")


def _make_clip(
    output_dir: str,
    params: SoundscapeParams,
    source: SoundSource,
    clip: tuple[str, int],
) -> dict[str, Any]:
    """Makes a clip (subset, number); returns its line of the journal."""
    subset, _ = clip
    soundscape = make_soundscape(params, source, *clip)
    path = _audio_path(output_dir, subset, soundscape.segment_id)
    with temporary_path(path) as temporary:
        soundfile.write(
            temporary,
            soundscape.waveform,
            SAMPLE_RATE,
            format="FLAC",
            subtype="PCM_16",
        )
    events = zip(soundscape.events, soundscape.snr_db, strict=True)
    return {
        "subset": subset,
        "segment_id": soundscape.segment_id,
        "events": [[*event, snr_db] for event, snr_db in events],
    }


def _map_in_processes(
    make: "functools.partial[dict[str, Any]]",
    clips: Sequence[tuple[str, int]],
    num_workers: int,
) -> Iterator[dict[str, Any]]:
    """Yields the journal entry of each clip when it is finished."""
    num_workers = min(num_workers, len(clips) // _MIN_CLIPS_PER_WORKER)
    if num_workers <= 1:
        yield from map(make, clips)
        return
    # Spawned, since a caller that has loaded TensorFlow cannot be forked.
    context = multiprocessing.get_context("spawn")
    # Ctrl-C reaches every process of the terminal; only the parent handles it.
    ignore_interrupts = (signal.SIGINT, signal.SIG_IGN)
    with context.Pool(num_workers, signal.signal, ignore_interrupts) as pool:
        yield from pool.imap_unordered(make, clips, chunksize=4)


def _read_journal(output_dir: str) -> dict[str, dict[str, Any]]:
    """Reads the finished clips whose audio is there, by segment id."""
    path = os.path.join(output_dir, _JOURNAL_NAME)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        # Only the last line can be broken, by a kill; it is made again.
        entries = [json.loads(line) for line in file if line.endswith("}\n")]
    return {
        entry["segment_id"]: entry
        for entry in entries
        if os.path.exists(
            _audio_path(output_dir, entry["subset"], entry["segment_id"])
        )
    }


# --- Labels ------------------------------------------------------------------


def _write_labels(
    labels_dir: str,
    truth: pd.DataFrame,
    classes: Sequence[SoundClass],
    params: SoundscapeParams,
) -> None:
    """Lets the annotators label all clips and writes the label files."""
    vocabulary = release_vocabulary(classes)
    write_class_map(
        ClassMap(tuple(vocabulary), tuple(vocabulary.values())),
        os.path.join(labels_dir, _CLASS_MAP_NAME),
    )
    label_files.write_display_names(
        [(c.mid, c.display_name) for c in classes],
        os.path.join(labels_dir, "mid_to_display_name.tsv"),
    )
    _write_strong(truth, labels_dir, _TRUTH_NAME)
    of_subset = {subset: truth[truth["subset"] == subset] for subset in SUBSETS}
    for subset, name in _WEAK_NAMES.items():
        weak = annotators.annotate_weakly(of_subset[subset], classes, params)
        # In ascending order, as the released files are.
        weak = weak.sort_values("segment_id", ignore_index=True)
        label_files.write_weak_labels(weak, os.path.join(labels_dir, name))
    for subset, name in _STRONG_NAMES.items():
        strong = annotators.annotate_strongly(of_subset[subset], params)
        _write_strong(strong, labels_dir, name)
    # A framed file that is there may hold mined negatives, which are harder
    # than random ones; it is kept.
    if not os.path.exists(os.path.join(labels_dir, _FRAMED_NAME)):
        negatives = annotators.draw_random_negatives(
            of_subset["eval"], classes, params
        )
        _write_framed(labels_dir, negatives)


def _write_strong(strong: pd.DataFrame, labels_dir: str, name: str) -> None:
    """Writes a strong TSV with times in milliseconds, as the release has."""
    seconds = ["onset_seconds", "offset_seconds"]
    rounded = strong.assign(**strong[seconds].round(3))
    label_files.write_strong_labels(rounded, os.path.join(labels_dir, name))


def _write_framed(labels_dir: str, negatives: pd.DataFrame) -> None:
    """Frames the strong labels of the evaluation set, with its negatives."""
    strong = label_files.read_strong_labels(
        os.path.join(labels_dir, _STRONG_NAMES["eval"])
    )
    framed = frame_strong_labels(strong, negatives)
    label_files.write_framed_labels(
        framed, os.path.join(labels_dir, _FRAMED_NAME)
    )


# --- Mined candidates for explicit negatives ---------------------------------


def annotate_candidates(
    soundscapes_dir: str,
    candidates_path: str | os.PathLike[str],
    num_per_class: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Writes the framed file anew, with mined explicit negatives.

    Only the candidates become explicit negatives: those of an earlier run, and
    the random ones of make_soundscapes, are gone.

    Args:
      soundscapes_dir: Folder that make_soundscapes wrote.
      candidates_path: CSV that mine_candidates wrote, with many candidates a
        class.
      num_per_class: How many candidates of a class annotators are shown.
      seed: Of the draw.

    Returns:
      One row a class with candidates: mid str, num_shown int64,
      num_negatives int64.

    Raises:
      InputError: A file is missing or malformed, or names a class or a clip
        that the evaluation set does not have.
    """
    if num_per_class < 1:
        raise InputError(
            f"Expected num_per_class of 1 or more. Received: {num_per_class}."
        )
    labels_dir = os.path.join(soundscapes_dir, "labels")
    classes = read_release_classes(soundscapes_dir)
    candidates = read_mined_candidates(candidates_path)
    _check_candidates(candidates_path, candidates, labels_dir)
    shown = annotators.choose_candidates_to_show(
        candidates, num_per_class, seed
    )
    truth = label_files.read_strong_labels(
        os.path.join(labels_dir, _TRUTH_NAME)
    )
    negatives = annotators.confirm_absent(
        shown, annotators.present_pairs(truth, classes)
    )
    _write_framed(labels_dir, negatives)
    counts = shown.groupby("mid").size().rename("num_shown").to_frame()
    num_negatives = negatives.groupby("mid").size()
    counts["num_negatives"] = num_negatives.reindex(counts.index, fill_value=0)
    return counts.reset_index().astype({"mid": "object"})


def read_mined_candidates(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Reads a candidates CSV, as mine_candidates writes it.

    Returns:
      Columns mid str and segment_id str, one row a candidate, in file order.

    Raises:
      InputError: A column is missing, a line is short, or there is none.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or rows[0] != _CANDIDATE_COLUMNS:
        found = ",".join(rows[0]) if rows else "an empty file"
        raise InputError(
            f"{path}:1: expected the header '{','.join(_CANDIDATE_COLUMNS)}', "
            f"found '{found}'. Give a file that mine_candidates wrote."
        )
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(_CANDIDATE_COLUMNS) or not row[0] or not row[1]:
            raise InputError(
                f"{path}:{number}: expected '<mid>,<segment_id>,<score>,"
                f"<rank>', found '{','.join(row)}'."
            )
    if len(rows) == 1:
        raise InputError(f"{path}: expected candidates, found none.")
    pairs = [(row[0], row[1]) for row in rows[1:]]
    table = pd.DataFrame(pairs, columns=["mid", "segment_id"], dtype="object")
    return table.drop_duplicates(ignore_index=True)


def _check_candidates(
    path: str | os.PathLike[str], candidates: pd.DataFrame, labels_dir: str
) -> None:
    """Raises `InputError` for classes or clips that are not in the release."""
    class_map = read_class_map(os.path.join(labels_dir, _CLASS_MAP_NAME))
    weak = label_files.read_weak_labels(
        os.path.join(labels_dir, _WEAK_NAMES["eval"])
    )
    known = {"mid": class_map.mids, "segment_id": weak["segment_id"]}
    for column, values in known.items():
        unknown = sorted(set(candidates[column]) - set(values))
        if unknown:
            raise InputError(
                f"{path}: expected candidates from the evaluation set of "
                f"{labels_dir!r}, found {len(unknown)} other values of "
                f"{column}, first {unknown[0]!r}. Mine scores of its clips."
            )

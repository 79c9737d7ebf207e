"""Has records written: reads labels, plans, runs the pipeline, sums up.

label files + audio folder -> clip plan -> shards -> manifest
"""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import pandas as pd
from absl import logging

from audioset_strong import storage
from audioset_strong.errors import InputError
from audioset_strong.features.audio_listing import index_listing
from audioset_strong.features.audio_storage import list_audio
from audioset_strong.labels.class_map import (
    ClassMap,
    format_class_map,
    read_class_map,
)
from audioset_strong.labels.label_mapping import (
    LabelMapping,
    describe_mapping,
)
from audioset_strong.labels.mapped_labels import (
    map_strong_labels,
    map_weak_labels,
)
from audioset_strong.labels.problems import Problem, ProblemLog
from audioset_strong.labels.training_sets import read_label_ytids
from audioset_strong.params import (
    AudioParams,
    FeatureParams,
    LabelFrameParams,
    RecordParams,
)
from audioset_strong.records.audit import (
    LEFT_OUT_NAME,
    audit_clips,
    check_loss,
    write_audit,
)
from audioset_strong.records.beam_run import BeamRun
from audioset_strong.records.clip_plan import (
    AudioIndex,
    Plan,
    plan_clips,
    plan_shards,
    read_label_tables,
)
from audioset_strong.records.manifest import (
    CLASS_MAP_NAME,
    MANIFEST_NAME,
    SEGMENT_IDS_NAME,
    write_json,
    write_text,
)
from audioset_strong.records.manifest_summary import (
    sum_up,
    written_segment_ids,
)
from audioset_strong.records.settings import RecordSettings, check_settings
from audioset_strong.records.shard_run import (
    make_folders,
    remove_outdated,
    run_tasks,
)


def prepare_records(
    audio_dir: str,
    weak_paths: Sequence[str],
    strong_paths: Sequence[str],
    class_map_path: str,
    output_dir: str,
    params: RecordParams = RecordParams(),
    features: FeatureParams = FeatureParams(),
    label_frames: LabelFrameParams = LabelFrameParams(),
    audio: AudioParams = AudioParams(),
    beam_run: BeamRun = BeamRun(),
    max_loss: float = 1.0,
    mapping: LabelMapping | None = None,
    eval_label_paths: Sequence[str] = (),
    problems: ProblemLog | None = None,
) -> dict[str, Any]:
    """Writes records of the clips that label files name.

    Every path may be local or of object storage.

    Args:
      audio_dir: Folder with the clips' audio, searched with its subfolders.
      weak_paths: Weak CSVs.
      strong_paths: Strong TSVs.
      class_map_path: The classes, as in class_labels_indices.csv.
      output_dir: Folder of the records.
      params: Held-out share, share of Strong, shard size, storage.
      features: The front end.
      label_frames: Grid of label frames, for readers.
      audio: How audio is decoded, and which faults are left out.
      beam_run: Where the shards are written.
      max_loss: Largest share of the clips, in [0, 1], that may be missing or
        unusable.
      mapping: What labels become; None to take them as they are.
      eval_label_paths: Label files of any kind; clips of their YouTube ids are
        left out, so that no evaluation clip is trained on.
      problems: Takes what is wrong with label files; None for a new log.

    Returns:
      The manifest.

    Raises:
      InputError: No label file is given, a label file has the wrong header, the
        audio folder is empty, too many clips are lost, a shard could not be
        written, or the output folder holds records made with other settings.
    """
    if not weak_paths and not strong_paths:
        raise InputError("Expected weak or strong label files, found none.")
    problems = problems or ProblemLog()
    mapping = mapping or LabelMapping()
    with tempfile.TemporaryDirectory() as folder:
        copies = _LocalCopies(folder)
        class_map = read_class_map(copies.of([class_map_path])[0])
        eval_ytids = read_label_ytids(copies.of(eval_label_paths), problems)
        weak, strong = read_label_tables(
            copies.of(weak_paths), copies.of(strong_paths), problems
        )
    problems.problems[:] = [copies.name(p) for p in problems.problems]
    problems.report()
    weak, strong = _map_labels(weak, strong, mapping, problems)
    plan = plan_clips(
        weak, strong, class_map, _index_audio(audio_dir), params, eval_ytids
    )
    settings = RecordSettings(
        params, features, audio, label_frames, mapping.params
    )
    manifest = write_records(
        plan,
        class_map,
        output_dir,
        settings,
        beam_run,
        max_loss,
        [str(problem) for problem in problems.problems],
    )
    if not sum(manifest["clips"].values()):
        raise InputError(
            f"None of the labelled clips could be written: "
            f"{manifest['left_out_by_reason']}. Are the audio files in "
            f"{audio_dir} named <segment_id>, <ytid> or the like? See "
            f"features/audio_names.py."
        )
    return manifest


class _LocalCopies:
    """Copies of files of object storage, each in a folder of its own."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._original_of: dict[str, str] = {}

    def of(self, paths: Sequence[str]) -> list[str]:
        """Copies what is not local."""
        copies = [
            storage.local_copy(path, tempfile.mkdtemp(dir=self._folder))
            for path in paths
        ]
        self._original_of.update(zip(copies, paths, strict=True))
        return copies

    def name(self, problem: Problem) -> Problem:
        """Names the original in a problem."""
        original = self._original_of.get(problem.path, problem.path)
        return dataclasses.replace(problem, path=original)


def _map_labels(
    weak: pd.DataFrame,
    strong: pd.DataFrame,
    mapping: LabelMapping,
    problems: ProblemLog,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Maps the labels, if there are any."""
    if not len(weak) and not len(strong):
        raise InputError(
            f"The label files name no clip ({problems.num_left_out} bad lines "
            f"were left out)."
        )
    for line in describe_mapping(mapping):
        logging.info("%s", line)
    return map_weak_labels(weak, mapping), map_strong_labels(strong, mapping)


def _index_audio(audio_dir: str) -> AudioIndex:
    """Lists the audio files.

    Raises:
      InputError: There is no such folder, or nothing in it.
    """
    if not storage.is_remote(audio_dir) and not os.path.isdir(audio_dir):
        raise InputError(
            f"{audio_dir} is not a folder. Give that of the clips."
        )
    listing = list_audio(audio_dir)
    path_of_stem = index_listing(listing)
    if not path_of_stem:
        raise InputError(
            f"{audio_dir} holds no audio files. Give the folder of the clips."
        )
    return AudioIndex(path_of_stem, listing.num_bytes_of_path)


def write_records(
    plan: Plan,
    class_map: ClassMap,
    output_dir: str,
    settings: RecordSettings,
    beam_run: BeamRun,
    max_loss: float,
    label_problems: Sequence[str],
) -> dict[str, Any]:
    """Writes all shards and the manifest; finished shards are kept.

    Args:
      plan: What to write.
      class_map: The classes that events count in.
      output_dir: Folder of the records.
      settings: Of the records.
      beam_run: Where the shards are written.
      max_loss: Largest share of the clips that may be lost.
      label_problems: Bad label lines, listed in the manifest.

    Returns:
      The manifest.

    Raises:
      InputError: The folder holds records made with other settings, too many
        clips are lost, or a shard could not be written.
    """
    storage.connect(output_dir)
    clips = [clip for of_group in plan.clips.values() for clip in of_group]
    num_missing = sum(not clip.audio_path for clip in clips)
    check_loss(num_missing, len(clips), max_loss, "they have no audio file")
    make_folders(output_dir)
    saved = settings.as_json(class_map)
    check_settings(output_dir, saved, class_map)
    class_map_path = os.path.join(output_dir, CLASS_MAP_NAME)
    write_text(format_class_map(class_map), class_map_path)
    tasks = plan_shards(
        plan, output_dir, settings.records.clips_per_shard, settings.of_shards
    )
    reports = run_tasks(tasks, output_dir, beam_run)
    audit = audit_clips(plan, reports)
    write_audit(audit, output_dir)
    num_lost = len(audit.left_out) - len(plan.left_out)
    listed = os.path.join(output_dir, LEFT_OUT_NAME)
    check_loss(num_lost, len(clips), max_loss, f"{listed} lists them")
    segment_ids = written_segment_ids(plan, audit.left_out)
    write_text(
        "".join(f"{segment_id}\n" for segment_id in segment_ids),
        os.path.join(output_dir, SEGMENT_IDS_NAME),
    )
    remove_outdated(tasks, output_dir)
    manifest = {
        **saved,
        **sum_up(plan, class_map.num_classes, reports),
        "label_problems": list(label_problems),
    }
    write_json(manifest, os.path.join(output_dir, MANIFEST_NAME))
    return manifest

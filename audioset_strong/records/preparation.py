"""Has records written: reads labels, plans, runs `write_shard`, sums up.

label files + audio folder -> clip plan -> shard tasks -> manifest
"""

import concurrent.futures
import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tqdm
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.features.audio_listing import index_audio_files
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
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.labels.training_sets import read_label_ytids
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    LabelMappingParams,
    RecordParams,
)
from audioset_strong.records.clip_plan import (
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
    check_settings,
    sum_up,
    written_segment_ids,
)
from audioset_strong.records.writer import ShardTask, write_shard

_Report = dict[str, Any]


def prepare_records(
    audio_dir: str,
    weak_paths: Sequence[str],
    strong_paths: Sequence[str],
    class_map_path: str,
    output_dir: str,
    params: RecordParams = RecordParams(),
    features: FeatureParams = FeatureParams(),
    label_frames: LabelFrameParams = LabelFrameParams(),
    num_workers: int = 1,
    mapping: LabelMapping | None = None,
    eval_label_paths: Sequence[str] = (),
    problems: ProblemLog | None = None,
) -> dict[str, Any]:
    """Writes records of the clips that label files name.

    Args:
      audio_dir: Folder with the clips' audio, searched with its subfolders.
      weak_paths: Weak CSVs.
      strong_paths: Strong TSVs.
      class_map_path: The classes, as in class_labels_indices.csv.
      output_dir: Folder of the records; may be of object storage.
      params: Held-out share, share of Strong, shard size.
      features: The front end.
      label_frames: Grid of label frames, for readers.
      num_workers: Processes to use.
      mapping: What labels become; None to take them as they are.
      eval_label_paths: Label files of any kind; clips of their YouTube ids are
        left out, so that no evaluation clip is trained on.
      problems: Takes what is wrong with label files; None for a new log.

    Returns:
      The manifest.

    Raises:
      InputError: No label file is given, a label file has the wrong header, the
        audio folder is empty, no clip could be written, or the output folder
        holds records made with other settings.
    """
    if not weak_paths and not strong_paths:
        raise InputError("Expected weak or strong label files, found none.")
    class_map = read_class_map(class_map_path)
    problems = problems or ProblemLog()
    eval_ytids = read_label_ytids(eval_label_paths, problems)
    weak, strong = read_label_tables(weak_paths, strong_paths, problems)
    problems.report()
    if not len(weak) and not len(strong):
        raise InputError(
            f"The label files name no clip ({problems.num_left_out} bad lines "
            f"were left out)."
        )
    mapping = mapping or LabelMapping()
    for line in describe_mapping(mapping):
        logging.info("%s", line)
    weak = map_weak_labels(weak, mapping)
    strong = map_strong_labels(strong, mapping)
    if not os.path.isdir(audio_dir):
        raise InputError(
            f"{audio_dir} is not a folder. Give that of the clips."
        )
    path_of_stem = index_audio_files(audio_dir)
    if not path_of_stem:
        raise InputError(
            f"{audio_dir} holds no audio files. Give the folder of the clips."
        )
    plan = plan_clips(weak, strong, class_map, path_of_stem, params, eval_ytids)
    manifest = write_records(
        plan,
        class_map,
        output_dir,
        params,
        features,
        label_frames,
        problems,
        num_workers,
        mapping.params,
    )
    if not sum(manifest["clips"].values()):
        raise InputError(
            f"None of the {len(manifest['left_out'])} labelled clips could be "
            f"written: {manifest['left_out_by_reason']}. Are the audio files "
            f"in {audio_dir} named <segment_id>, <ytid> or the like? See "
            f"features/audio_names.py."
        )
    return manifest


def _run_tasks(
    tasks: Sequence[ShardTask], num_workers: int
) -> Iterator[tuple[ShardTask, _Report]]:
    """Writes shards on this machine's cores, as they get done."""
    if num_workers <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield task, write_shard(task)
        return
    # Spawned and not forked: TensorFlow does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        min(num_workers, len(tasks)), mp_context=context
    ) as executor:
        task_of = {executor.submit(write_shard, task): task for task in tasks}
        try:
            for future in concurrent.futures.as_completed(task_of):
                yield task_of[future], future.result()
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def write_records(
    plan: Plan,
    class_map: ClassMap,
    output_dir: str,
    params: RecordParams,
    features: FeatureParams,
    label_frames: LabelFrameParams,
    label_problems: ProblemLog,
    num_workers: int,
    label_mapping: LabelMappingParams = LabelMappingParams(),
) -> dict[str, Any]:
    """Writes all shards and the manifest; finished shards are kept.

    Args:
      plan: What to write.
      class_map: The classes that events count in.
      output_dir: Folder of the records; may be of object storage.
      params: Shard size and held-out share.
      features: The front end.
      label_frames: Grid of label frames, for readers.
      label_problems: Bad label lines, listed in the manifest.
      num_workers: Processes to use.
      label_mapping: How the labels of the plan were mapped.

    Returns:
      The manifest.

    Raises:
      InputError: The folder holds records made with other settings.
    """
    settings = {
        "features": dataclasses.asdict(features),
        "label_frames": dataclasses.asdict(label_frames),
        "records": dataclasses.asdict(params),
        "label_mapping": dataclasses.asdict(label_mapping),
        "class_map_hash": class_map.content_hash,
    }
    manifest_path = os.path.join(output_dir, MANIFEST_NAME)
    tf.io.gfile.makedirs(os.path.join(output_dir, "reports"))
    check_settings(output_dir, settings, class_map)
    class_map_path = os.path.join(output_dir, CLASS_MAP_NAME)
    write_text(format_class_map(class_map), class_map_path)
    tasks = plan_shards(plan, output_dir, params, features)
    reports: dict[str, _Report] = {}
    with tqdm.tqdm(
        total=sum(len(task.clips) for task in tasks),
        unit="clip",
        desc="records",
    ) as progress:
        for task, report in _run_tasks(tasks, num_workers):
            reports[task.name] = report
            progress.update(len(task.clips))
    ordered = [reports[task.name] for task in tasks]
    manifest = {**settings, **sum_up(plan, class_map.num_classes, ordered)}
    segment_ids = written_segment_ids(plan, manifest["left_out"])
    write_text(
        "".join(f"{segment_id}\n" for segment_id in segment_ids),
        os.path.join(output_dir, SEGMENT_IDS_NAME),
    )
    manifest["label_problems"] = [str(p) for p in label_problems.problems]
    write_json(manifest, manifest_path)
    return manifest


def describe(
    manifest: Mapping[str, Any], write_line: Callable[[str], None]
) -> None:
    """Writes what was made and what was left out, for people."""
    clips: dict[str, int] = manifest["clips"]
    by_group = ", ".join(f"{count} {group}" for group, count in clips.items())
    write_line(f"{sum(clips.values())} clips written ({by_group}).")
    reasons: dict[str, int] = manifest["left_out_by_reason"]
    if reasons:
        by_reason = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
        write_line(
            f"{sum(reasons.values())} clips left out ({by_reason}); each is "
            f"listed in {MANIFEST_NAME}."
        )
    for note, count in manifest["notes"].items():
        write_line(f"{count} clips: {note}.")
    unmapped: dict[str, int] = manifest["unmapped_mids"]
    if unmapped:
        write_line(
            f"{sum(unmapped.values())} events of {len(unmapped)} mids that are "
            f"not in the class map were left out; their clips were kept."
        )

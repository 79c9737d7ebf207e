"""Has the shards of a plan written, those that are not there yet.

plan -> plan files -> pipeline (writer.py) -> reports
"""

import dataclasses
import os
import re
from collections.abc import Sequence

from absl import logging

from audioset_strong import storage
from audioset_strong.errors import InputError
from audioset_strong.records.beam_run import BeamRun
from audioset_strong.records.manifest import MANIFEST_NAME
from audioset_strong.records.progress import show_progress
from audioset_strong.records.shard_tasks import (
    PLAN_DIR_NAME,
    REPORTS_DIR_NAME,
    Report,
    ShardTask,
    read_reports,
    save_tasks,
)
from audioset_strong.records.writer import write_shards
from audioset_strong.storage_listing import list_names

_SHARD_FILE = re.compile(
    r"(weak|strong|held_out)-\d{5,}-of-\d{5,}\.tfrecord(\.json)?"
)


def make_folders(output_dir: str) -> None:
    """Makes the folders of records, and clears away what a killed run left."""
    for name in ("", PLAN_DIR_NAME, REPORTS_DIR_NAME):
        folder = os.path.join(output_dir, name)
        storage.make_folder(folder)
        storage.remove_temporary_files(folder)


def run_tasks(
    tasks: Sequence[ShardTask], output_dir: str, beam_run: BeamRun
) -> list[Report]:
    """Writes the shards that are not finished.

    Args:
      tasks: All shards of the folder.
      output_dir: The folder.
      beam_run: Where to run.

    Returns:
      The report of each task, in their order.

    Raises:
      InputError: A shard could not be written.
    """
    reports = read_reports(tasks)
    waiting = [task for task in tasks if task.name not in reports]
    if reports:
        logging.info(
            "%d of %d shards are finished already.", len(reports), len(tasks)
        )
    if waiting:
        # A folder with a manifest is finished; this one is not.
        manifest_path = os.path.join(output_dir, MANIFEST_NAME)
        storage.remove(manifest_path)
        save_tasks(waiting)
        _write_tasks(waiting, output_dir, beam_run)
        reports |= read_reports(waiting)
    missing = [task.name for task in tasks if task.name not in reports]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(tasks)} shards, such as {missing[0]}, are "
            f"not in {output_dir} after the run. Do all workers write to the "
            f"same folder? Workers of other machines need shared or object "
            f"storage."
        )
    return [reports[task.name] for task in tasks]


def _write_tasks(
    tasks: Sequence[ShardTask], output_dir: str, beam_run: BeamRun
) -> None:
    """Runs the pipeline, with a progress bar where it can see the workers."""
    names = [task.name for task in tasks]
    if not beam_run.is_local:
        logging.info("%s writes %d shards.", beam_run.runner, len(names))
        write_shards(names, output_dir, beam_run)
        return
    num_workers = min(beam_run.num_processes, len(tasks))
    of_machine = dataclasses.replace(beam_run, num_workers=num_workers)
    with show_progress(sum(len(task.clips) for task in tasks)) as tally_path:
        write_shards(names, output_dir, of_machine, tally_path)


def remove_outdated(tasks: Sequence[ShardTask], output_dir: str) -> None:
    """Removes shards of an earlier plan, such as one with fewer labels.

    Args:
      tasks: All shards of the present plan.
      output_dir: The folder.
    """
    names = {task.name for task in tasks}
    for folder_name in ("", PLAN_DIR_NAME, REPORTS_DIR_NAME):
        folder = os.path.join(output_dir, folder_name)
        for name in list_names(folder):
            if (
                _SHARD_FILE.fullmatch(name)
                and name.removesuffix(".json") not in names
            ):
                storage.remove(os.path.join(folder, name))
                logging.info("Removed %s of an earlier plan.", name)

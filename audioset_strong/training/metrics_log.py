"""The metrics of a run: `metrics.jsonl`, and the same for TensorBoard.

    {"step": 50, "loss": 21.5, "loss_weak": 24.0, "learning_rate": 0.001, ...}
    {"step": 1000, "validation_d_prime": 1.31, "validation_lwlrap": 0.42, ...}

A run that was killed after its last checkpoint takes some steps again. What it
had logged of them is dropped when it resumes, from both places, so that no step
is there twice and a reader sees what an unbroken run would have written. But
for rates, which no two runs share, the values are equal to the last bit.
"""

import contextlib
import glob
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tensorboard.plugins.scalar.summary_v2 import (  # type: ignore[import-untyped]
    scalar_pb,
)

from audioset_strong import files
from audioset_strong.errors import InputError

_METRICS = "metrics.jsonl"
_TENSORBOARD = "tensorboard"
# Tags of a validation besides its metrics.
_OF_VALIDATION = ("clips",)
# What a resumed run kept of its event files. TensorBoard reads files in the
# order of their names; the others' have a time in place of the 0.
_KEPT = "events.out.tfevents.0.kept"


def read_metrics(path: str) -> list[dict[str, Any]]:
    """Reads JSON lines, without a last one that a kill cut short.

    Raises:
      InputError: Another line is damaged.
    """
    found, damaged = _read_lines(path)
    if damaged:
        raise InputError(
            f"{path}:{damaged[0]}: expected metrics as JSON. The file is "
            f"damaged: restore it, or resume the run, which keeps what is "
            f"whole."
        )
    return found


def _read_lines(path: str) -> tuple[list[dict[str, Any]], list[int]]:
    """Reads the metrics of whole lines, and the numbers of damaged ones."""
    found, damaged = [], []
    for number, line in enumerate(files.read_bytes(path).split(b"\n")[:-1], 1):
        try:
            metrics = json.loads(line)
            is_whole = type(metrics["step"]) is int
        except (ValueError, TypeError, KeyError):
            is_whole = False
        if is_whole:
            found.append(metrics)
        else:
            damaged.append(number)
    return found, damaged


def last_step_logged(workdir: str) -> int:
    """Returns the last step of a run that has metrics; 0 if there are none."""
    path = os.path.join(workdir, _METRICS)
    found = _read_lines(path)[0] if os.path.exists(path) else []
    return max((metrics["step"] for metrics in found), default=0)


def _read_what_is_left(path: str, step: int) -> list[dict[str, Any]]:
    """Reads what a resumed run finds, and says what is lost.

    `step` is that of the last line which must be there, 0 for none.
    """
    if os.path.exists(path):
        found, damaged = _read_lines(path)
    else:
        found, damaged = [], []
    last = max((m["step"] for m in found if "loss" in m), default=0)
    if damaged:
        os.replace(path, f"{path}.damaged")
        logging.warning(
            "%s has %d damaged lines. They are left out; as it was, it is "
            "%s.damaged now.",
            path,
            len(damaged),
            path,
        )
    elif last < step:
        logging.warning(
            "%s was cut: lines after step %d, up to step %d, are lost.",
            path,
            last,
            step,
        )
    return found


class MetricsLog:
    """Metrics of a run, as JSON lines and for TensorBoard."""

    def __init__(
        self,
        workdir: str,
        resumed_step: int,
        logged_step: int = 0,
        is_validated: bool = True,
    ) -> None:
        """Opens the log; damaged lines are left out, and said.

        Args:
          workdir: Folder of the run.
          resumed_step: Where it goes on; what is later is dropped.
          logged_step: Step of the last line of losses before it, 0 for none.
          is_validated: Whether that step was validated; otherwise it will be,
            and what there is of it is dropped, too.

        Raises:
          InputError: The log cannot be written; what was there is as it was.
        """
        self._workdir = workdir
        self._path = os.path.join(workdir, _METRICS)

        def is_kept(step: int, name: str) -> bool:
            is_due = name in _OF_VALIDATION or name.startswith("validation")
            return step < resumed_step or (
                step == resumed_step and (is_validated or not is_due)
            )

        kept = [
            metrics
            for metrics in _read_what_is_left(self._path, logged_step)
            if is_kept(metrics["step"], [*metrics][-1])
        ]
        folder = os.path.join(workdir, _TENSORBOARD)
        with _writing(workdir):
            if kept or os.path.exists(self._path):
                with files.open_output(self._path) as file:
                    file.writelines(json.dumps(line) + "\n" for line in kept)
            _keep_events(folder, is_kept, kept)
            self._summaries = tf.summary.create_file_writer(folder)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes one line of metrics, or nothing if there are none.

        Raises:
          InputError: It cannot be written.
        """
        if not metrics:
            return
        with _writing(self._workdir), self._summaries.as_default():
            # Opened for each line, so that a killed run loses one at most.
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **metrics}) + "\n")
            for name, value in metrics.items():
                tf.summary.scalar(name, value, step=step)
            self._summaries.flush()

    def write_images(self, step: int, name: str, images: np.ndarray) -> None:
        """Writes images for TensorBoard.

        Args:
          step: Step that they show.
          name: What they show.
          images: uint8 `[num_images, height, width, 3]`, RGB.

        Raises:
          InputError: They cannot be written.
        """
        with _writing(self._workdir), self._summaries.as_default():
            tf.summary.image(name, images, step, max_outputs=len(images))
            self._summaries.flush()


@contextlib.contextmanager
def _writing(workdir: str) -> Iterator[None]:
    """Says what to do when the disk is full or must not be written to."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        # TensorFlow's messages end their first line with the reason.
        lines = str(error).splitlines() or [type(error).__name__]
        reason = getattr(error, "strerror", "") or lines[0].rpartition("; ")[2]
        raise InputError(
            f"Metrics could not be written to {workdir} ({reason}). Make room, "
            f"or make the folder writable, and run the same command again."
        ) from error


def _keep_events(
    folder: str,
    is_kept: Callable[[int, str], bool],
    metrics: Sequence[Mapping[str, Any]],
) -> None:
    """Makes one event file of all, of the steps and tags to be kept.

    Metrics that are in none of them, because a file is gone or damaged, are
    taken from `metrics`; images cannot be.
    """
    paths = glob.glob(os.path.join(glob.escape(folder), "*tfevents*"))
    kept_path = os.path.join(folder, _KEPT)
    # A file is read as far as it is whole.
    records = tf.data.TFRecordDataset(sorted(paths)).ignore_errors()
    events: dict[tuple[int, str], bytes] = {}
    # Many at a time, which is ten times as fast.
    for batch in records.batch(1024).as_numpy_iterator():
        for record in batch:
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:  # one, from tf.summary
                events[event.step, value.tag] = record
    lost = [
        (line["step"], name, value)
        for line in metrics
        for name, value in line.items()
        if name != "step" and (line["step"], name) not in events
    ]
    for step, name, value in lost:
        event = tf.compat.v1.Event(step=step, wall_time=time.time())
        event.summary.MergeFromString(
            scalar_pb(name, value).SerializeToString()
        )
        events[step, name] = event.SerializeToString()
    if lost:
        logging.warning(
            "%d of the points for TensorBoard were lost; they are in %s again, "
            "from %s.",
            len(lost),
            folder,
            _METRICS,
        )
    kept = sorted(point for point in events if is_kept(*point))
    if kept:
        version = tf.compat.v1.Event(file_version="brain.Event:2")
        os.makedirs(folder, exist_ok=True)
        with (
            files.temporary_path(kept_path) as temporary,
            tf.io.TFRecordWriter(temporary) as writer,
        ):
            writer.write(version.SerializeToString())
            for point in kept:
                writer.write(events[point])
    # A run that is killed in between finds each point twice, and keeps one.
    for path in paths:
        if path != kept_path or not kept:
            os.remove(path)

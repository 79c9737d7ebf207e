"""Checkpoints of a run: written whole, verified when read, with a fall-back.

A checkpoint is TensorFlow's own: `ckpt-<step>.data-*` and `ckpt-<step>.index`.
It is written under a temporary name and then gets its own, the index last; only
then are older ones removed. So a process that is killed at any moment, or a
full disk, leaves the last good one. What is there is told from the names of the
files alone; the file `checkpoint` is for TensorFlow's own tools.

Every tensor has a checksum (CRC-32C), and so has every block of the index;
reading all of them finds any flipped byte. Each checkpoint also holds the hash
of its run's settings, so that one of another run is not mistaken for it.
"""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from audioset_strong import files
from audioset_strong.errors import InputError

_STATE_FILE = "checkpoint"
_NAME = re.compile(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)")
_TEMPORARY = ".tmp-checkpoint"
# Ours, and those of TensorFlow's own writer.
_LEFT_OVER = re.compile(r"\.tmp-.*|.*_temp|.*\.tempstate\d+|checkpoint\.tmp.*")
_SET_ASIDE = "damaged-"
_RUN_HASH = "run_hash"


class Checkpoints:
    """A folder with the newest checkpoints of a run, one state at each step."""

    def __init__(
        self,
        folder: str,
        run_hash: str,
        state: Mapping[str, Any],
        interval_steps: int = 1,
    ) -> None:
        """Describes the folder; it is made by the first checkpoint.

        Args:
          folder: Where the checkpoints are.
          run_hash: Of the settings that a run may not change.
          state: What is saved and restored: modules, models and variables.
          interval_steps: Steps between regular checkpoints. One that a signal
            caused in between makes room for the next regular one.
        """
        self.folder = folder
        self._run_hash = run_hash
        # A string, so always on the host.
        self._checkpoint = tf.train.Checkpoint(
            **state, **{_RUN_HASH: tf.Variable(run_hash)}
        )
        self._interval_steps = interval_steps

    def save(self, step: int) -> None:
        """Saves the state, then removes all but this and the one before.

        Raises:
          InputError: It cannot be written; those before are as they were.
        """
        name = f"ckpt-{step}"
        try:
            files.make_folder(self.folder)
            with _temporary_folder(self.folder) as temporary:
                self._checkpoint.write(os.path.join(temporary, name))
                # The index last: without it there is no checkpoint.
                for file in sorted(os.listdir(temporary)):
                    _move(os.path.join(temporary, file), self.folder, file)
            kept = self._steps_to_keep(step)
            _write_state_file(self.folder, kept)
            for old in set(steps_in(self.folder)) - set(kept):
                _remove(self.folder, old)
        except (OSError, tf.errors.OpError) as error:
            raise InputError(
                f"The checkpoint of step {step} could not be written to "
                f"{self.folder} ({_first_line(error)}). Those before are kept. "
                f"Make room, or make the folder writable, and run the same "
                f"command again."
            ) from error

    def _steps_to_keep(self, newest: int) -> list[int]:
        """Chooses a checkpoint besides the newest one, rather a regular one."""
        before = sorted(
            (step for step in steps_in(self.folder) if step < newest),
            key=lambda step: (step % self._interval_steps == 0, step),
        )
        return [*before[-1:], newest]

    def restore(self) -> int:
        """Restores the newest good checkpoint; returns its step, 0 for none.

        Damaged ones are set aside under names that begin with "damaged-", and
        unfinished files are removed.

        Raises:
          InputError: There are checkpoints, but none is good.
        """
        step, problems = restore_newest(
            self.folder, self._checkpoint, self._run_hash
        )
        for damaged in problems:
            _set_aside(self.folder, damaged)
        if problems and step:
            _write_state_file(self.folder, steps_in(self.folder))
        remove_temporary(self.folder)
        return step

    def agree(
        self, best_step: tf.Variable, best_value: tf.Variable, step: int
    ) -> None:
        """Makes this folder of the best checkpoint agree with a resumed state.

        Args:
          best_step: Step of the best checkpoint, 0 for none. If that is damaged
            or gone, it becomes the one before, or 0.
          best_value: Its validation metric, a variable of this state; -inf for
            none.
          step: At which the run resumes.
        """
        wanted = int(best_step.numpy())
        if not wanted:
            return
        problem = find_problem(self.folder, wanted, self._run_hash)
        if not problem:
            self._remove_after(step)
            return
        logging.warning(
            "The best checkpoint, of step %d in %s, cannot be used (%s).",
            wanted,
            self.folder,
            problem,
        )
        _set_aside(self.folder, wanted)
        if steps_in(self.folder):
            _write_state_file(self.folder, steps_in(self.folder))
        if wanted == step:
            self.save(step)  # its weights are those of the run
            return
        value = tf.train.Checkpoint(best_value=best_value)
        for before in reversed(steps_in(self.folder)):
            if before < wanted and not (
                find_problem(self.folder, before, self._run_hash)
                or _restore(self.folder, before, value, is_partial=True)
            ):
                best_step.assign(before)
                return
        best_step.assign(0)
        best_value.assign(-float("inf"))

    def _remove_after(self, step: int) -> None:
        """Removes checkpoints of later steps, which a resumed run redoes."""
        steps = steps_in(self.folder)
        kept = [before for before in steps if before <= step]
        if kept != steps:
            _write_state_file(self.folder, kept)
            for later in set(steps) - set(kept):
                _remove(self.folder, later)


def steps_in(folder: str) -> list[int]:
    """Lists the steps of the checkpoints in a folder, in order."""
    matches = map(_NAME.fullmatch, files.list_names(folder))
    return sorted(int(m[1]) for m in matches if m and m[2] == "index")


def _steps_of_data(folder: str) -> set[int]:
    """Returns the steps of which there are data, but no index."""
    matches = map(_NAME.fullmatch, files.list_names(folder))
    return {int(m[1]) for m in matches if m} - set(steps_in(folder))


def _steps_named(folder: str) -> set[int]:
    """Returns the steps that the state file names, whatever else it holds."""
    if _STATE_FILE not in files.list_names(folder):
        return set()
    content = files.read_bytes(os.path.join(folder, _STATE_FILE))
    return {int(step) for step in re.findall(rb'ckpt-(\d+)"', content)}


def find_problem(folder: str, step: int, run_hash: str) -> str:
    """Reads a checkpoint; says what is wrong with it, "" for nothing.

    Args:
      folder: Of the checkpoint.
      step: Its step.
      run_hash: That of the run. Checkpoints of earlier versions have none.
    """
    try:
        with _read_locally(folder, step) as prefix:
            reader = tf.train.load_checkpoint(prefix)
            shapes = reader.get_variable_to_shape_map()
            found = run_hash
            for name in shapes:
                values = reader.get_tensor(name)  # compares its checksum
                if name.startswith(f"{_RUN_HASH}/"):
                    found = values.decode()
    except Exception as error:  # IndexError, ValueError, OpError, ...
        return f"it is damaged: {_first_line(error)}"
    return "" if found == run_hash else "it is of another run"


def restore_newest(
    folder: str,
    checkpoint: tf.train.Checkpoint | None,
    run_hash: str,
    is_partial: bool = False,
) -> tuple[int, list[int]]:
    """Restores the newest good checkpoint, and names those that are not.

    Args:
      folder: Where checkpoints are.
      checkpoint: The state that gets its values; None only to look for it.
      run_hash: As in `find_problem`.
      is_partial: Whether checkpoints may hold more than this state.

    Returns:
      step: Of the checkpoint; 0 if the folder never held one.
      bad: Steps of newer checkpoints, damaged or not written to their end.

    Raises:
      InputError: There are checkpoints, but none is good.
    """
    lost = (_steps_named(folder) | _steps_of_data(folder)) - set(
        steps_in(folder)
    )
    problems = dict.fromkeys(lost, "its index file is missing")
    good = 0
    for step in reversed(steps_in(folder)):
        problem = find_problem(folder, step, run_hash)
        if not problem and checkpoint:
            problem = _restore(folder, step, checkpoint, is_partial)
        if not problem:
            good = step
            break
        problems[step] = problem
    problems = {n: problems[n] for n in sorted(problems) if n > good}
    listed = "; ".join(f"ckpt-{n}: {text}" for n, text in problems.items())
    if good and problems:
        logging.warning(
            "Checkpoints in %s cannot be used (%s). Going on with the one "
            "before, step %d.",
            folder,
            listed,
            good,
        )
    elif not good and (steps_in(folder) or _steps_named(folder)):
        raise InputError(
            f"No checkpoint in {folder} can be used ({listed}). Its files are "
            f"as they were: restore them from a copy, or give another folder."
        )
    elif problems:
        logging.warning(
            "The first checkpoint in %s was not written to its end.", folder
        )
    return good, list(problems)


def _restore(
    folder: str, step: int, checkpoint: tf.train.Checkpoint, is_partial: bool
) -> str:
    """Restores a whole checkpoint; says why it does not fit, "" if it does."""
    try:
        with _read_locally(folder, step) as prefix:
            restored = checkpoint.read(prefix)
            if is_partial:
                restored.expect_partial().assert_existing_objects_matched()
            else:
                restored.assert_consumed()
    except Exception as error:  # AssertionError, ValueError, OpError, ...
        return (
            f"it is of another network, or of another version of this package: "
            f"{_first_line(error)}"
        )
    return ""


def hash_tensors(folder: str, step: int, prefix: str) -> str:
    """Hashes the tensors of a checkpoint whose names begin with `prefix`.

    Returns:
      16 hex digits.
    """
    found = hashlib.sha256()
    with _read_locally(folder, step) as path:
        reader = tf.train.load_checkpoint(path)
        for name in sorted(reader.get_variable_to_shape_map()):
            if name.startswith(prefix):
                values = reader.get_tensor(name)
                found.update(f"{name} {values.dtype} {values.shape}".encode())
                found.update(values.tobytes())
    return found.hexdigest()[:16]


def remove_temporary(folder: str) -> None:
    """Removes what killed runs left unfinished in a local folder."""
    if files.is_remote(folder):
        return
    for name in files.list_names(folder):
        if _LEFT_OVER.fullmatch(name):
            path = os.path.join(folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.remove(path)


def _first_line(error: Exception) -> str:
    """Returns the first line of an error's message."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return next(iter(str(error).splitlines()), "") or type(error).__name__


@contextlib.contextmanager
def _temporary_folder(folder: str) -> Iterator[str]:
    """Makes a local folder, on the same disk as `folder` if that is local."""
    where = None if files.is_remote(folder) else folder
    with tempfile.TemporaryDirectory(
        prefix=f"{_TEMPORARY}-", dir=where, ignore_cleanup_errors=True
    ) as temporary:
        yield temporary


def _move(temporary: str, folder: str, name: str) -> None:
    """Gives a file its final place."""
    path = os.path.join(folder, name)
    if files.is_remote(folder):
        with files.replace_when_whole(path) as final:
            shutil.move(temporary, final)
    else:
        os.replace(temporary, path)


def _write_state_file(folder: str, steps: list[int]) -> None:
    """Writes what `tf.train.latest_checkpoint` reads."""
    lines = [f'model_checkpoint_path: "ckpt-{steps[-1]}"']
    lines += [f'all_model_checkpoint_paths: "ckpt-{step}"' for step in steps]
    path = os.path.join(folder, _STATE_FILE)
    with (
        files.replace_when_whole(path) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        file.write("\n".join(lines) + "\n")


def _files_of(folder: str, step: int) -> list[str]:
    """Lists the files of a checkpoint, the index last."""
    names = files.list_names(folder)
    matches = [(name, _NAME.fullmatch(name)) for name in names]
    return [name for name, match in matches if match and int(match[1]) == step]


def _remove(folder: str, step: int) -> None:
    """Removes a checkpoint, the index first."""
    for name in reversed(_files_of(folder, step)):
        files.remove(os.path.join(folder, name))


def _set_aside(folder: str, step: int) -> None:
    """Renames the files of a damaged checkpoint."""
    for name in reversed(_files_of(folder, step)):
        path = os.path.join(folder, name)
        aside = os.path.join(folder, f"{_SET_ASIDE}{name}")
        if files.is_remote(folder):
            with files.replace_when_whole(aside) as temporary:
                files.copy_here(path, temporary)
            files.remove(path)
        else:
            os.replace(path, aside)


@contextlib.contextmanager
def _read_locally(folder: str, step: int) -> Iterator[str]:
    """Gives the local path of a checkpoint, without the files' endings."""
    if not files.is_remote(folder):
        yield os.path.join(folder, f"ckpt-{step}")
        return
    with tempfile.TemporaryDirectory() as local:
        for name in _files_of(folder, step):
            path = os.path.join(folder, name)
            files.copy_here(path, os.path.join(local, name))
        yield os.path.join(local, f"ckpt-{step}")

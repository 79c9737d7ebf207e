"""A run that is set up: devices, records, settings, workdir and state.

Everything that can refuse a run does so here. An old workdir is compared and
locked before anything that takes time, a new one made after all else.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator

import tensorflow as tf
from absl import logging

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.params import ModelParams, RecipeParams, TrainParams
from audioset_strong.records.manifest import (
    MANIFEST_NAME,
    Records,
    read_records,
)
from audioset_strong.training import workdir as workdirs
from audioset_strong.training.checkpoints import Checkpoints
from audioset_strong.training.settings import check_settings
from audioset_strong.training.state import TrainingState
from audioset_strong.training.strategy import (
    distribute_stream,
    ends_together,
    get_strategy,
    is_chief,
    log_distribution,
    make_reproducible,
    refuse_other_workers,
    send_state,
    workdir_of_worker,
)
from audioset_strong.training.validation import log_what_is_validated
from audioset_strong.training.workdir_copy import local_workdir


@dataclasses.dataclass(frozen=True)
class Run:
    """One process of a run.

    Attributes:
      strategy: How steps are distributed.
      is_writer: Whether this process writes the workdir. All workers take the
        same steps, and the first one alone writes them down.
      records: The training and held-out clips.
      params: Settings of every stage.
      workdir: Local folder of the run; of other workers, one for a while.
      send_workdir: Sends the folder to where it belongs, if that is not here.
      state: What the last checkpoint holds.
      last: The last checkpoints.
      best: The best ones by validation.
      first_step: Steps that were taken before.
      stream: Batches of the remaining steps; None if the run is finished.
    """

    strategy: tf.distribute.Strategy
    is_writer: bool
    records: Records
    params: workdirs.RunParams
    workdir: str
    send_workdir: Callable[[], None]
    state: TrainingState
    last: Checkpoints
    best: Checkpoints
    first_step: int
    stream: tf.distribute.DistributedDataset | None

    def save(self, step: int, is_best: bool) -> None:
        """Saves the state after a step, and the weights if they are best."""
        if not self.is_writer:
            return
        if is_best:
            self.best.save(step)
        # After the best: a run killed in between only validates again.
        self.last.save(step)
        self.send_workdir()


@contextlib.contextmanager
def open_run(
    records_dir: str,
    workdir: str,
    model_params: ModelParams,
    params: TrainParams,
    recipe: RecipeParams,
) -> Iterator[Run]:
    """Begins or resumes a run, and keeps its workdir locked.

    Raises:
      InputError: As from `train`.
    """
    check_settings(model_params, params, recipe)
    if not workdir or files.exists(os.path.join(workdir, MANIFEST_NAME)):
        raise InputError(
            f"Expected a folder of the run's own as workdir. Received: "
            f"{workdir!r}{', which holds records' if workdir else ''}."
        )
    # Before anything else makes TensorFlow start its threads.
    make_reproducible(params.seed, params.deterministic)
    strategy = get_strategy(params.strategy)
    is_writer = is_chief(strategy)
    with contextlib.ExitStack() as stack:
        stack.enter_context(ends_together(strategy))
        records = read_records(records_dir, params.cache_dir)
        run_params = workdirs.RunParams(
            records.features,
            records.label_frames,
            model_params,
            params,
            workdirs.RecordsUsed(records.records_hash),
            recipe,
            workdirs.find_start(workdir, params.warm_start_workdir)
            if is_writer
            else workdirs.StartUsed(),
        )
        refuse_other_workers(
            strategy, run_params, records.class_map.content_hash
        )
        workdir = stack.enter_context(workdir_of_worker(strategy, workdir))
        workdir, send_workdir = stack.enter_context(local_workdir(workdir))
        settings = workdir, run_params, records.class_map
        is_new = not workdirs.is_run(workdir)
        if not is_new:
            stack.enter_context(workdirs.resume(*settings))

        # Within the scope, so that each replica has its copy of every variable.
        # Nothing else is: all workers together make what is made there.
        with strategy.scope():
            state = TrainingState(run_params, records.class_map.num_classes)
        last, best = state.open_checkpoints(workdir, records.class_map)
        restored_step = last.restore()
        if restored_step:
            best.agree(
                state.selection.best_step,
                state.selection.best_value,
                restored_step,
            )
        elif is_writer:
            state.initialize(records)
        send_state(strategy, state.all_variables())
        # The optimizer counts its steps: those of the checkpoint, or none.
        first_step = int(state.optimizer.iterations.numpy())
        stream = None
        if first_step < params.num_steps and not state.selection.is_over():
            stream = distribute_stream(
                strategy, records, params, first_step, recipe
            )
        log_what_is_validated(records, recipe.patience_validations)
        if is_new:
            stack.enter_context(workdirs.begin(*settings))
            send_workdir()
        if stream is None:
            logging.info("%s is finished, at step %d.", workdir, first_step)
        elif first_step:
            logging.info("Resuming %s at step %d.", workdir, first_step)
        log_distribution(strategy, records, params, first_step)
        yield Run(
            strategy,
            is_writer,
            records,
            run_params,
            workdir,
            send_workdir,
            state,
            last,
            best,
            first_step,
            stream,
        )

"""Writes shards with the processes of this machine.

Each worker takes one shard after the other, so that none is left with a long
list while the others have finished. Workers import NumPy and the audio
libraries once, in the server that they are forked from; TensorFlow and Apache
Beam are not needed. They append one byte a clip to a file, which the progress
bar counts.

A worker that dies, for want of memory say, ends the run with its signal.
Ctrl-C ends all workers at once, and so does the death of the run itself.
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess

import tqdm

from audioset_strong.errors import InputError
from audioset_strong.records.shard import (
    MISSING,
    UNUSABLE,
    write_planned_shard,
)

_SECONDS_BETWEEN_LOOKS = 0.5

# Shards that a machine fails to read one after the other, until it is given up.
_MAX_FAILED = 10


def write_shards(
    names: Sequence[str], output_dir: str, num_workers: int, num_clips: int
) -> None:
    """Writes shards, with a progress bar.

    Ends early, and without an error, where this machine can read the audio of
    ten shards in a row not at all; their files of failures say why.

    Args:
      names: Shards to write; their plans are in the folder.
      output_dir: Folder of the records.
      num_workers: Processes; with 1, all work is done in this one.
      num_clips: Clips of all these shards.

    Raises:
      InputError: A shard could not be written, or a worker process died.
    """
    with show_progress(num_clips) as tally_path:
        if num_workers == 1:
            num_failed = 0
            for name in names:
                report = write_planned_shard(output_dir, name, tally_path)
                num_failed = 0 if report else num_failed + 1
                if num_failed == _MAX_FAILED:
                    break
        else:
            _write_in_processes(names, output_dir, num_workers, tally_path)


def _write_in_processes(
    names: Sequence[str], output_dir: str, num_workers: int, tally_path: str
) -> None:
    workers: set[BaseProcess] = set()
    with concurrent.futures.ProcessPoolExecutor(
        num_workers, _worker_context(), initializer=_start_worker
    ) as pool:
        try:
            shards = []
            for name in names:
                shards.append(
                    pool.submit(
                        write_planned_shard, output_dir, name, tally_path
                    )
                )
                if len(workers) < num_workers:
                    workers |= set(multiprocessing.active_children())
            num_failed = 0
            for shard in concurrent.futures.as_completed(shards):
                num_failed = 0 if shard.result() else num_failed + 1
                if num_failed == _MAX_FAILED:
                    pool.shutdown(cancel_futures=True)
                    break
        except BrokenProcessPool as error:
            pool.shutdown()  # ends the other workers by SIGTERM
            statuses = [w.exitcode for w in workers if w.exitcode]
            raise InputError(_describe_death(statuses)) from error
        except Exception:
            # The other workers finish the shards that they have begun.
            pool.shutdown(cancel_futures=True)
            raise
        except BaseException:  # Ctrl-C
            for worker in workers:
                worker.kill()
            raise


def _worker_context() -> multiprocessing.context.BaseContext:
    """Chooses how workers start: never as a copy of this process.

    A forked copy would share connections to object storage with its parent,
    which breaks them. Forks of a fresh server are quick and share nothing.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _start_worker() -> None:
    """Prepares a worker process."""
    # Ctrl-C reaches every process of a terminal; the run ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent() -> None:
        """Ends this process when the run was killed."""
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _describe_death(statuses: Sequence[int]) -> str:
    """Explains the death of a worker by the exit statuses other than 0."""
    # The pool ends the others by SIGTERM when one has died.
    unasked = [status for status in statuses if status != -signal.SIGTERM]
    status = (unasked or [-signal.SIGTERM])[0]
    cause = f"status {status}"
    with contextlib.suppress(ValueError):
        cause = signal.Signals(-status).name
    if cause == "SIGKILL":
        cause += " (out of memory?)"
    return (
        f"A worker process ended with {cause}. Finished shards are kept, and "
        f"the same command goes on from there; fewer workers need less memory."
    )


@contextlib.contextmanager
def show_progress(num_clips: int) -> Iterator[str]:
    """Shows a progress bar while workers count clips.

    Yields:
      Path of the tally that `write_planned_shard` appends to.
    """
    is_done = threading.Event()
    with (
        tempfile.NamedTemporaryFile(prefix="clips-") as tally,
        tqdm.tqdm(total=num_clips, unit="clip", desc="records") as bar,
    ):

        def follow() -> None:
            """Moves the bar as the file grows."""
            num_missing = num_unusable = 0
            is_last_look = False
            while not is_last_look:
                is_last_look = is_done.wait(_SECONDS_BETWEEN_LOOKS)
                outcomes = tally.read()
                num_missing += outcomes.count(MISSING)
                num_unusable += outcomes.count(UNUSABLE)
                bar.set_postfix_str(
                    f"{num_missing} missing, {num_unusable} unusable",
                    refresh=False,
                )
                bar.update(len(outcomes))

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield tally.name
        finally:
            is_done.set()
            thread.join()

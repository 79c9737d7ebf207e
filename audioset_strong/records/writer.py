"""The Beam pipeline that writes shards: one element a shard.

    names of shards -> WriteShard -> shards and reports in the output folder

An element is only the name of a shard: what is to be in it lies in its plan
file (`shard_tasks.py`), so that the job stays small however many clips there
are, and the workers share nothing but the folder. Which worker writes a shard,
and how often, does not change its bytes.

Clips go to shards by a stable hash of their segment_id (`clip_plan.py`).
"""

import contextlib
import re
from collections.abc import Iterator, Sequence

import apache_beam as beam
import threadpoolctl
from apache_beam.metrics import Metrics

from audioset_strong import storage
from audioset_strong.errors import InputError
from audioset_strong.records.beam_run import BeamRun
from audioset_strong.records.local_workers import local_runner
from audioset_strong.records.progress import ClipTally
from audioset_strong.records.shard_tasks import load_task
from audioset_strong.records.shard_writer import write_shard

# How Beam's runners tell an exception of a worker, at the end of a traceback.
_SHARD_ERROR = re.compile(r"ShardError: (.*?)(?: \[while running|\n|$)")


class ShardError(Exception):
    """A shard cannot be written; raised in a worker, told by the runner."""


class WriteShard(beam.DoFn):  # type: ignore[misc]
    """Writes the shard of a name.

    Args:
      output_dir: Folder of the records.
      tally_path: For `ClipTally`, on this machine; "" for none.
    """

    def __init__(self, output_dir: str, tally_path: str = "") -> None:
        self._output_dir = output_dir
        self._tally_path = tally_path
        self._num_written = Metrics.counter("records", "clips_written")
        self._num_left_out = Metrics.counter("records", "clips_left_out")

    def setup(self) -> None:
        """Prepares a worker process."""
        storage.connect(self._output_dir)
        # One worker a core: threads of the matrix product would be in each
        # other's way.
        self._thread_limit = threadpoolctl.threadpool_limits(1)
        self._tally = ClipTally(self._tally_path)

    def process(self, name: str) -> Iterator[str]:
        """Writes one shard.

        Args:
          name: File name of the shard.

        Yields:
          The name.

        Raises:
          ShardError: The shard cannot be written.
        """
        try:
            task = load_task(self._output_dir, name)
            report = write_shard(task, self._tally)
        except (OSError, InputError) as error:
            # In one line, which reaches the user through any runner.
            text = " ".join(str(error).split())
            raise ShardError(f"{name}: {text}") from error
        self._num_written.inc(report["shard"]["num_clips"])
        self._num_left_out.inc(len(report["left_out"]))
        yield name

    def teardown(self) -> None:
        """Closes what `setup` opened."""
        self._tally.close()
        self._thread_limit.restore_original_limits()


def write_shards(
    names: Sequence[str],
    output_dir: str,
    beam_run: BeamRun = BeamRun(),
    tally_path: str = "",
) -> None:
    """Runs the pipeline and waits for its end.

    Args:
      names: Shards to write; their plan files are there.
      output_dir: Folder of the records, which every worker reaches.
      beam_run: Where to run.
      tally_path: For `ClipTally`, if the workers are of this machine.

    Raises:
      InputError: A shard could not be written.
    """
    options = beam_run.pipeline_options()
    with contextlib.ExitStack() as stack:
        runner = None  # that of the options
        if beam_run.is_local:
            runner = stack.enter_context(local_runner(beam_run.num_processes))
        stack.enter_context(_clear_shard_errors())
        pipeline = beam.Pipeline(runner=runner, options=options)
        _ = (
            pipeline
            | "Shards" >> beam.Create(list(names))
            | "WriteShard" >> beam.ParDo(WriteShard(output_dir, tally_path))
        )
        pipeline.run().wait_until_finish()


@contextlib.contextmanager
def _clear_shard_errors() -> Iterator[None]:
    """Turns a runner's report of a `ShardError` into one line.

    Raises:
      InputError: A shard could not be written.
    """
    try:
        yield
    except Exception as error:
        found = _SHARD_ERROR.search(f"{type(error).__name__}: {error}")
        if not found:
            raise  # a mistake of ours or of the runner: with its traceback
        raise InputError(
            f"A shard could not be written: {found[1]}. Finished shards are "
            f"kept, and the same command goes on from there."
        ) from error

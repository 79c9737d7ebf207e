"""Writes shards on a cluster, with a runner of Apache Beam.

    names of shards -> _WriteShard -> shards and reports in the output folder

An element of the pipeline is only the name of a shard. What goes into it lies
in its plan file (`plan.py`), so that the job stays small however many clips
there are, and workers share nothing but the folder. Which worker writes a
shard, and how often, does not change its bytes.

Apache Beam is an extra: only this module imports it, and `prepare.py` imports
this module only where a runner is asked for.
"""

# mypy: disable-error-code="no-untyped-call"

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.runner import PipelineRunner, create_runner

from audioset_strong.errors import InputError
from audioset_strong.records.shard import ShardError, write_planned_shard

# Beam's registry of runners lacks this one.
_DASK_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"

# How a runner passes on an exception of a worker: at the end of a traceback.
_SHARD_ERROR = re.compile(r"ShardError: (.*?)(?: \[while running|\n|$)")


class _WriteShard(beam.DoFn):
    """Writes the shard of a name into a folder that every worker reaches."""

    def __init__(self, output_dir: str) -> None:
        self._output_dir = output_dir
        self._num_written = Metrics.counter("records", "clips_written")
        self._num_left_out = Metrics.counter("records", "clips_left_out")

    def process(self, name: str) -> Iterator[str]:
        """Writes one shard and yields its name."""
        report = write_planned_shard(self._output_dir, name)
        if report is not None:
            self._num_written.inc(report["shard"]["num_clips"])
            self._num_left_out.inc(len(report["left_out"]))
        yield name


def make_runner(name: str) -> PipelineRunner:
    """Makes a runner, whose options Beam knows from then on.

    Args:
      name: Such as "FlinkRunner", or the full name of a class.

    Raises:
      InputError: There is no such runner, or a package that it needs is not
        installed.
    """
    try:
        return create_runner(_DASK_RUNNER if name == "DaskRunner" else name)
    except ValueError as error:
        known = ", ".join(
            sorted([*StandardOptions.KNOWN_RUNNER_NAMES, "DaskRunner"])
        )
        raise InputError(
            f"Apache Beam has no runner {name!r}. Give 'local', one of "
            f"{known}, or the full name of a runner's class."
        ) from error
    # Beam's module of Dask's runner fails in its own way without Dask.
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"The runner {name} cannot be loaded ({error}). Install what it "
            f"needs, such as apache-beam[dask] or apache-beam[gcp]."
        ) from error


def unknown_options(runner_name: str, options: Sequence[str]) -> list[str]:
    """Returns the options that neither Beam nor the runner knows.

    Raises:
      InputError: As from `make_runner`.
    """
    # Beam learns a runner's options when the runner's module is imported.
    make_runner(runner_name)
    parsers: list[Any] = []
    PipelineOptions([]).get_all_options(add_extra_args_fn=parsers.append)
    _, unknown = parsers[0].parse_known_args(list(options))
    return list(unknown)


def write_shards(
    names: Sequence[str],
    output_dir: str,
    runner_name: str,
    num_workers: int = 0,
    options: Sequence[str] = (),
) -> None:
    """Runs the pipeline and waits for its end.

    Args:
      names: Shards to write; their plans are in the folder.
      output_dir: Folder of the records, which every worker reaches.
      runner_name: As for `make_runner`.
      num_workers: As the runner understands it; 0 leaves it to the runner.
      options: Further options, such as `--job_endpoint=...`.

    Raises:
      InputError: There is no such runner or option, or a shard could not be
        written.
    """
    unknown = unknown_options(runner_name, options)
    if unknown:
        raise InputError(f"{runner_name} knows no options {unknown}.")
    runner = make_runner(runner_name)
    if type(runner).__name__ == "DaskRunner" and not any(
        option.startswith(("--dask_npartitions", "--dask_partition_size"))
        for option in options
    ):
        # Its default of 128 shards for one worker leaves the others idle.
        options = [*options, "--dask_partition_size=1"]
    pipeline_options = PipelineOptions(
        list(options), runner=runner_name, num_workers=num_workers or None
    )
    try:
        pipeline = beam.Pipeline(runner=runner, options=pipeline_options)
    except ValueError as error:  # such as a missing option of Dataflow
        raise InputError(" ".join(str(error).split())) from error
    with _clear_shard_errors():
        _ = (
            pipeline
            | "Shards" >> beam.Create(list(names))
            | "WriteShard" >> beam.ParDo(_WriteShard(output_dir))
        )
        result = pipeline.run()
        try:
            result.wait_until_finish()
        finally:
            # Dask's client would reconnect to its scheduler for ever.
            client = getattr(result, "client", None)
            if client is not None:
                client.close()


@contextlib.contextmanager
def _clear_shard_errors() -> Iterator[None]:
    """Turns a runner's account of a `ShardError` into the error itself."""
    logger = logging.getLogger("apache_beam")
    level = logger.level
    # Beam logs the tracebacks that it raises as well.
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except ShardError:
        raise
    except Exception as error:
        found = _SHARD_ERROR.search(f"{type(error).__name__}: {error}")
        if not found:
            raise  # a mistake of ours or of the runner: with its traceback
        raise ShardError(found[1]) from error
    finally:
        logger.setLevel(level)

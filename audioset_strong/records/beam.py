"""How a pipeline runs: on the cores of this machine, or on any Beam runner.

Beam's own runner on the cores of this machine, made safe to kill.

Each worker is a process with its own copy of everything, as on a cluster. Three
things are added to what Beam does: workers write what they have to say to a
file, since it is for developers; a worker that dies, of a full memory say, ends
the run with a message, where Beam would wait for it for ever; and Ctrl-C ends
the run at once. Workers end by themselves when the run is killed.

The Beam pipeline that writes shards: one element a shard.

    names of shards -> WriteShard -> shards and reports in the output folder

An element is only the name of a shard: what is to be in it lies in its plan
file (`shard_tasks.py`), so that the job stays small however many clips there
are, and the workers share nothing but the folder. Which worker writes a shard,
and how often, does not change its bytes.

Clips go to shards by a stable hash of their segment_id (`clip_plan.py`).
"""

import contextlib
import dataclasses
import logging
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import threadpoolctl
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from audioset_strong.errors import InputError
from audioset_strong.records.plan import load_task
from audioset_strong.records.shard import ClipTally, write_shard

# --- beam run --------------------------------------------------------------


LOCAL = "local"


@dataclasses.dataclass(frozen=True)
class BeamRun:
    """Where the shards are written.

    Attributes:
      runner: "local", or a runner of Beam, such as PortableRunner, FlinkRunner,
        SparkRunner or DataflowRunner.
      num_workers: Processes, of this machine or as the runner understands it; 0
        for one a core, or as the runner chooses.
      beam_flags: Further options of Beam, such as `--job_endpoint=...`.
    """

    runner: str = LOCAL
    num_workers: int = 0
    beam_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
          InputError: Beam does not know one.
        """
        unknown = unknown_beam_flags(self.beam_flags)
        if unknown:
            raise InputError(f"Apache Beam knows no options {unknown}.")

    @property
    def is_local(self) -> bool:
        """Whether all workers are processes of this machine and this run."""
        return self.runner == LOCAL

    @property
    def num_processes(self) -> int:
        """Worker processes of a local run."""
        return self.num_workers or os.cpu_count() or 1

    def pipeline_options(self) -> PipelineOptions:
        """Returns Beam's options."""
        flags = list(self.beam_flags)
        if self.is_local:
            # The runner itself is that of `local_workers.py`. "DirectRunner"
            # fetches and starts another runner where it can, so that two
            # machines would not run the same.
            return PipelineOptions(flags, direct_num_workers=self.num_processes)
        return PipelineOptions(
            flags, runner=self.runner, num_workers=self.num_workers or None
        )


def unknown_beam_flags(beam_flags: Sequence[str]) -> list[str]:
    """Returns the options that Beam does not know, in their order.

    Args:
      beam_flags: As on a command line.
    """
    parsers: list[Any] = []
    PipelineOptions([]).get_all_options(add_extra_args_fn=parsers.append)
    [parser] = parsers
    _, unknown = parser.parse_known_args(list(beam_flags))
    return list(unknown)


# --- local workers ---------------------------------------------------------


# What Beam raises, in a thread of its own, when a worker ends in error.
_DEATH_NOTICE = "Worker subprocess exited with return code "
_NUM_LOG_LINES = 20
_NOTES = ("INFO:", "WARNING:")


@contextlib.contextmanager
def local_runner(num_workers: int) -> Iterator[FnApiRunner]:
    """Gives a runner for one pipeline, to be run inside the block.

    Args:
      num_workers: Processes; 1 for this one.

    Yields:
      The runner. `direct_num_workers` of the pipeline's options says how many
      processes it starts.

    Raises:
      InputError: A worker process died.
    """
    with _quiet_beam():
        if num_workers == 1:
            yield FnApiRunner()
            return
        with tempfile.TemporaryDirectory(prefix="workers-") as folder:
            workers = _Workers(folder)
            environment = SubprocessSDKEnvironment.from_command_string(
                workers.command
            )
            with workers.watched():
                yield FnApiRunner(default_environment=environment)


class _Workers:
    """The worker processes of one run.

    Args:
      folder: For what they say and for their process ids.
    """

    def __init__(self, folder: str) -> None:
        self._log_path = os.path.join(folder, "log")
        self._pids_path = os.path.join(folder, "pids")
        self._deaths: list[str] = []
        self._is_over = False
        self._hook = threading.excepthook

    @property
    def command(self) -> str:
        """What Beam starts, in a shell.

        Ctrl-C reaches every process of a terminal; it is for the run, which
        then ends its workers.
        """
        return (
            f"trap '' INT; echo $$ >> {shlex.quote(self._pids_path)}; "
            f"exec {shlex.quote(sys.executable)} -m "
            f"apache_beam.runners.worker.sdk_worker_main "
            f">> {shlex.quote(self._log_path)} 2>&1"
        )

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Ends the block when a worker dies or the user interrupts.

        Raises:
          InputError: A worker died.
        """
        is_main = threading.current_thread() is threading.main_thread()
        threading.excepthook = self._on_thread_error
        if is_main:
            handler = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
            threading.excepthook = self._hook
        except BaseException as error:
            # The hook stays: Beam's threads lose their connections from now on.
            self._kill()
            if not self._deaths:
                raise
            raise InputError(
                f"A worker process ended with {_explain(self._deaths[0])}. "
                f"Finished shards are kept, and the same command goes on from "
                f"there; a smaller --num_workers needs less memory."
                f"{_last_words(self._log_path)}"
            ) from error
        finally:
            if is_main:
                signal.signal(signal.SIGINT, handler)

    def _on_thread_error(self, error: threading.ExceptHookArgs) -> None:
        """Notes the death of a worker, which Beam tells only in a thread."""
        text = str(error.exc_value)
        if text.startswith(_DEATH_NOTICE):
            if not self._deaths and not self._is_over:
                self._deaths.append(text.removeprefix(_DEATH_NOTICE))
                # Only a signal wakes the main thread, which waits for Beam.
                main_thread = threading.main_thread().ident or 0
                signal.pthread_kill(main_thread, signal.SIGINT)
        elif "RpcError" not in str(error.exc_type):
            self._hook(error)  # lost connections follow from a death

    def _on_interrupt(self, *_: object) -> None:
        """Ends the workers first, because Beam waits for their work."""
        self._kill()
        raise KeyboardInterrupt

    def _kill(self) -> None:
        """Ends all workers; what they have not finished is made again."""
        self._is_over = True
        if os.path.exists(self._pids_path):
            with open(self._pids_path, encoding="utf-8") as file:
                for pid in map(int, file.read().split()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


def _explain(return_code: str) -> str:
    """Says what a return code of a process means."""
    number = int(return_code)
    # Of a process, or of the shell that it ran in.
    number = -number if number < 0 else number - 128
    with contextlib.suppress(ValueError):
        name = signal.Signals(number).name
        cause = " (out of memory?)" if name == "SIGKILL" else ""
        return f"{name}{cause}"
    return f"status {return_code}"


def _last_words(log_path: str) -> str:
    """Returns the end of what workers said, without Beam's notes."""
    with open(log_path, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    said = [line for line in lines if not line.startswith(_NOTES)]
    if not said:
        return ""
    indented = "\n".join(f"  {line}" for line in said[-_NUM_LOG_LINES:])
    return f" Its last words:\n{indented}"


@contextlib.contextmanager
def _quiet_beam() -> Iterator[None]:
    """Keeps Beam from logging the tracebacks that it raises as well."""
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    # Workers inherit it, and report on their own start-up otherwise.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


# --- writer ----------------------------------------------------------------


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

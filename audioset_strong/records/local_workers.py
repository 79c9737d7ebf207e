"""Beam's own runner on the cores of this machine, made safe to kill.

Each worker is a process with its own copy of everything, as on a cluster. Three
things are added to what Beam does: workers write what they have to say to a
file, since it is for developers; a worker that dies, of a full memory say, ends
the run with a message, where Beam would wait for it for ever; and Ctrl-C ends
the run at once. Workers end by themselves when the run is killed.
"""

import contextlib
import logging
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator

from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from audioset_strong.errors import InputError

# What Beam raises, in a thread of its own, when a worker ends in error.
_DEATH_NOTICE = "Worker subprocess exited with return code "
_NUM_LOG_LINES = 20


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
        with (
            tempfile.NamedTemporaryFile(prefix="workers-") as log,
            _ended_by_dead_workers(log.name),
        ):
            command = (
                f"exec {shlex.quote(sys.executable)} -m "
                f"apache_beam.runners.worker.sdk_worker_main "
                f">> {shlex.quote(log.name)} 2>&1"
            )
            environment = SubprocessSDKEnvironment.from_command_string(command)
            yield FnApiRunner(default_environment=environment)


@contextlib.contextmanager
def _ended_by_dead_workers(log_path: str) -> Iterator[None]:
    """Ends the block when a worker dies, which Beam tells only in a thread."""
    deaths: list[str] = []
    hook = threading.excepthook

    def on_thread_error(error: threading.ExceptHookArgs) -> None:
        text = str(error.exc_value)
        if text.startswith(_DEATH_NOTICE):
            if not deaths:
                deaths.append(text.removeprefix(_DEATH_NOTICE))
                # Only a signal wakes the main thread, which waits for Beam.
                main_thread = threading.main_thread().ident or 0
                signal.pthread_kill(main_thread, signal.SIGINT)
        elif "RpcError" not in str(error.exc_type):
            hook(error)  # a lost connection is what follows from a death

    threading.excepthook = on_thread_error
    try:
        yield
    except BaseException as error:
        if not deaths:
            raise
        raise InputError(
            f"A worker process ended with {_explain(deaths[0])}. Finished "
            f"shards are kept, and the same command goes on from there; a "
            f"smaller --num_workers needs less memory. Its last words:\n"
            f"{_last_lines(log_path)}"
        ) from error
    finally:
        threading.excepthook = hook


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


def _last_lines(path: str) -> str:
    """Returns the end of a text file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()[-_NUM_LOG_LINES:]
    return "\n".join(f"  {line}" for line in lines)


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

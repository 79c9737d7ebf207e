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

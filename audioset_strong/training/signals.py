"""Signals that end a run: the step is finished, the state saved, then it ends.

    signal                              what happens               exit status
    SIGTERM (Slurm, Kubernetes, ...)    checkpoint after the step  143
    SIGINT (Ctrl-C)                     checkpoint after the step  130
    another one, over a second later    the process ends at once   143 or 130

The statuses are 128 + the number of the signal, as a shell reports them. With
several steps a call, all of the call are finished. What can be broken off
without loss, such as a validation, is; not with several workers, who all end at
the same step when one of them gets a signal.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, TypeVar

import tensorflow as tf
from absl import logging

from audioset_strong.training.strategy import exchange, worker_of

_Result = TypeVar("_Result")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Job managers and shells often send a signal to a process and to its group.
_SAME_SIGNAL_SECONDS = 1.0


class _BrokenOff(BaseException):
    """Ends what can be broken off."""


class Signals:
    """Notes SIGTERM and SIGINT while it is entered.

    In a thread other than the main one, where Python takes no signals, it notes
    none.

    Attributes:
      received: The last signal, or None.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        """Prepares the object; nothing is changed until it is entered.

        Args:
          strategy: Of the run, if it may have several workers.
        """
        self.received: signal.Signals | None = None
        self._agreed: signal.Signals | None = None
        self._strategy = strategy
        self._is_alone = (
            strategy is None or worker_of(strategy).num_workers == 1
        )
        self._is_answered = False
        self._may_break_off = False
        self._handlers: dict[signal.Signals, Any] = {}
        self._write_end = -1

    def __enter__(self) -> "Signals":
        """Takes over the signals."""
        if threading.current_thread() is threading.main_thread():
            self._handlers = {
                number: signal.signal(number, self._note) for number in _SIGNALS
            }
            self._start_watching()
        return self

    def __exit__(self, *error: object) -> None:
        """Gives the signals back, with one that came too late to be answered.

        Otherwise a program that trains one model after another would go on.
        """
        if self._handlers:
            signal.set_wakeup_fd(-1)
            os.close(self._write_end)  # ends the thread
            for number, handler in self._handlers.items():
                signal.signal(number, handler or signal.SIG_DFL)
            is_done = error[0] is None
            if is_done and self.received and not self._is_answered:
                signal.raise_signal(self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Is called by Python, between two operations of the main thread."""
        self.received = signal.Signals(number)
        if self._may_break_off:
            self._may_break_off = False
            raise _BrokenOff

    def _start_watching(self) -> None:
        """Starts a thread that says what happens, and ends the process.

        `_note` waits for an operation that hangs, such as a read from a dead
        disk, and must not print. A thread gets the numbers of the signals at
        once, through a pipe.
        """
        read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)

        def watch() -> None:
            first_time = None
            while content := os.read(read_end, 1):
                if content[0] not in _SIGNALS:
                    continue
                now = time.monotonic()
                if first_time is None:
                    first_time = now
                    logging.info(
                        "%s: writing a checkpoint after this step. Another one "
                        "ends the run at once, without.",
                        signal.Signals(content[0]).name,
                    )
                elif now - first_time > _SAME_SIGNAL_SECONDS:
                    os._exit(128 + content[0])
            os.close(read_end)

        threading.Thread(target=watch, daemon=True).start()

    def agree(self) -> bool:
        """Whether a signal ends the run, which all workers learn here.

        Each must call it as often as the others.
        """
        if not self._is_alone:
            own = str(int(self.received)) if self.received else ""
            numbers = exchange(self._strategy, own.encode())
            self._agreed = next(
                (signal.Signals(int(number)) for number in numbers if number),
                None,
            )
            self.received = self._agreed or self.received
            return self._agreed is not None
        return self.received is not None

    def unless_received(
        self, function: Callable[[], _Result]
    ) -> _Result | None:
        """Calls a function, unless a signal came; breaks it off if one comes.

        The function must leave nothing behind when it is broken off.

        Returns:
          The function's result; None if it was not called or broken off.
        """
        if not self._is_alone:
            return None if self._agreed else function()
        # All in one frame, so that no exception gets past it.
        try:
            try:
                self._may_break_off = True
                return None if self.received else function()
            finally:
                self._may_break_off = False
        except _BrokenOff:
            return None

    def leave(self, workdir: str, step: int) -> NoReturn:
        """Ends the program with the signal's status.

        Raises:
          KeyboardInterrupt: The signal was SIGINT, for which `run_flags.run`
            leaves with 130.
          SystemExit: It was SIGTERM.
        """
        assert self.received
        self._is_answered = True
        logging.info(
            "Ended by %s at step %d, with a checkpoint. The same command "
            "resumes %s.",
            self.received.name,
            step,
            workdir,
        )
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.received)

"""What the console shows of a run: how far it is, how fast, and the time left.

On a terminal that is one line that changes. In a log file it is a new line
after 5 s, after 10 s more, 20 s more, and then every minute:

    Step 1250 of 20000 (6 %), 14.2 steps/s, 22:00 left, loss 3.214.

Rates are of steps alone: without tracing and compiling, which come before the
first, and without validations and checkpoints. The time left includes the
latter.
"""

import math
import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType

import numpy as np
import tqdm
from absl import logging

from audioset_strong.params import TrainParams

# Between lines in a log file: the first time, and the longest.
_FIRST_SECONDS = 5.0
_MOST_SECONDS = 60.0
_LINE = (
    "Step {n} of {total} ({percentage:.0f} %), {rate_noinv:.3g} steps/s, "
    "{remaining} left{postfix}."
)


def _is_terminal() -> bool:
    """Whether there is a line to write over; some terminals have no width."""
    if not sys.stderr.isatty():
        return False
    return os.get_terminal_size(sys.stderr.fileno()).columns > 0


class Progress:
    """Progress and rates of the steps that a process takes."""

    def __init__(self, first_step: int, params: TrainParams) -> None:
        """Begins before a step.

        Args:
          first_step: Steps that were taken before.
          params: Number of steps and size of the batch.
        """
        self._params = params
        self._first_step = self._step = first_step
        # After the first step, which takes as long as tracing does.
        self._started = 0.0
        self._shown = ""
        self._bar: tqdm.tqdm | None = None
        self._next_line = 0.0
        self._line_seconds = _FIRST_SECONDS
        # Steps, seconds and seconds of waiting: since the clock was started,
        # and of all before.
        self._clock, self._num_timed, self._waited = 0.0, 0, 0.0
        self._sums = np.zeros(3)

    def __enter__(self) -> "Progress":
        """Returns this."""
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Says how long it all took."""
        if self._bar is not None:
            self._bar.close()
        if self._sums[0]:
            rates = self._rates(*self._sums)
            waiting = (
                f", {rates['input_share']:.1%} of the time waiting for input"
                if "input_share" in rates
                else ""
            )
            logging.info(
                "Steps %d to %d took %s: %.0f examples/s without validations "
                "and checkpoints%s.",
                self._first_step + 1,
                self._step,
                tqdm.tqdm.format_interval(time.monotonic() - self._started),
                rates["examples_per_second"],
                waiting,
            )

    def advance(self, num_steps: int, waited_seconds: float) -> None:
        """Counts steps that were taken just now, and shows where that is.

        Args:
          num_steps: How many.
          waited_seconds: How long they waited for batches; NaN for unknown.
        """
        self._step += num_steps
        now = time.monotonic()
        if not self._started:
            self._begin(now)
            return
        self._num_timed += num_steps
        self._waited += waited_seconds
        if self._bar is not None:
            self._bar.update(num_steps)
        elif now >= self._next_line:
            self._log_line(now)

    def _begin(self, now: float) -> None:
        """Starts clocks and line once the step is compiled."""
        self._started = self._clock = now
        self._first_timed = self._step
        self._next_line = now + self._line_seconds
        if _is_terminal():
            self._bar = tqdm.tqdm(
                initial=self._step,
                total=self._params.num_steps,
                desc="train",
                unit="step",
                mininterval=0.5,
                dynamic_ncols=True,
                # The mean over the run, which a validation does not upset.
                smoothing=0.0,
            )

    def _log_line(self, now: float) -> None:
        self._line_seconds = min(2 * self._line_seconds, _MOST_SECONDS)
        self._next_line = now + self._line_seconds
        logging.info(
            tqdm.tqdm.format_meter(
                self._step,
                self._params.num_steps,
                now - self._started,
                bar_format=_LINE,
                postfix=self._shown,
                initial=self._first_timed,
            )
        )

    def rates(self) -> dict[str, float]:
        """Returns rates since the clock was started; none without a step."""
        if not self._num_timed:
            return {}
        seconds = time.monotonic() - self._clock
        timed = self._num_timed, seconds, self._waited
        self._sums += timed
        self.restart_clock()
        return self._rates(*timed)

    def _rates(
        self, num_steps: float, seconds: float, waited: float
    ) -> dict[str, float]:
        num_examples = num_steps * self._params.global_batch_size
        rates = {"examples_per_second": num_examples / seconds}
        if math.isfinite(waited):
            rates["input_share"] = waited / seconds
        return rates

    def restart_clock(self) -> None:
        """Leaves out of the rates what has happened since the last ones."""
        self._clock, self._num_timed, self._waited = time.monotonic(), 0, 0.0

    def show(self, metrics: Mapping[str, float]) -> None:
        """Shows the loss and the rate, where there are any, from now on."""
        if "loss" not in metrics:
            return
        self._shown = f"loss {metrics['loss']:.3f}"
        if "examples_per_second" in metrics:
            self._shown += f", {metrics['examples_per_second']:.0f} examples/s"
        if self._bar is not None:
            self._bar.set_postfix_str(self._shown, refresh=False)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes a line about a validation, where there was one."""
        if not metrics:
            return
        values = (f"{name} {value:.4g}" for name, value in metrics.items())
        if self._bar is not None:
            self._bar.clear()
        logging.info("Step %d: %s.", step, ", ".join(values))
        if self._bar is not None:
            self._bar.refresh()

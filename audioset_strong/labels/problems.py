"""Collects the problems that readers find in label files.

Readers take an optional `ProblemLog`. A *bad* line cannot be used, and an event
on it would become a negative, so a file with bad lines stops the reader when it
has seen the whole file; a log that skips them has them left out and counted. A
*doubt* is a line that can be used but looks wrong, such as a repeated event: it
is kept and noted. Each is logged with file and line, so nothing is lost
silently.
"""

import collections
import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator

from absl import logging

from audioset_strong.errors import InputError

_Path = str | os.PathLike[str]

_NUM_BAD_LINES_SHOWN = 10


def listed(
    values: Iterable[object], num_shown: int = 5, separator: str = ", "
) -> str:
    """Lists the first values for a message: "a, b and 7 more".

    Args:
      values: What to list; its length is not limited.
      num_shown: How many values to write out.
      separator: What stands between them.

    Returns:
      The text; "none" without values.
    """
    texts = list(map(str, values))
    num_more = len(texts) - num_shown
    more = f" and {num_more:,} more" if num_more > 0 else ""
    return (separator.join(texts[:num_shown]) or "none") + more


@dataclasses.dataclass(frozen=True)
class Problem:
    """A problem of one line, or of several lines of which this is the first.

    Attributes:
      path: The file.
      line: Its line number, from 1.
      message: What was expected and what came.
      num_lines: Lines that have the problem; this is the first of them.
      is_left_out: Whether these lines were left out, or kept as they are.
      clip: The clip or recording that they are about, as they name it; "" if
        they do not say, None if they are about none.
    """

    path: str
    line: int
    message: str
    num_lines: int = 1
    is_left_out: bool = True
    clip: str | None = None

    def __str__(self) -> str:
        """Formats as compilers do, so that editors can jump to the line."""
        more = f" ({self.num_lines} lines)" if self.num_lines > 1 else ""
        return f"{self.path}:{self.line}: {self.message}{more}"


@dataclasses.dataclass
class ProblemLog:
    """Problems of label files, in the order found.

    Attributes:
      skip_bad_lines: Whether files with bad lines are read without them.
      problems: In the order found.
    """

    skip_bad_lines: bool = False
    problems: list[Problem] = dataclasses.field(default_factory=list)

    def add(
        self,
        path: _Path,
        line: int,
        message: str,
        *,
        num_lines: int = 1,
        is_left_out: bool = True,
        clip: str | None = None,
    ) -> None:
        """Adds a problem (`Problem`)."""
        self.problems.append(
            Problem(
                os.fspath(path), line, message, num_lines, is_left_out, clip
            )
        )

    def stop_at_bad_lines(self) -> None:
        """Stops if there are bad lines that are not to be skipped.

        Raises:
          InputError: Names the first ten bad lines and how many there are.
        """
        bad = sorted(
            (p for p in self.problems if p.is_left_out), key=lambda p: p.line
        )
        if self.skip_bad_lines or not bad:
            return
        if len(bad) == 1:
            raise InputError(
                f"{bad[0]}. Correct this line, or leave it out with "
                f"skip_bad_lines."
            )
        lines = listed(bad, _NUM_BAD_LINES_SHOWN, "\n  ")
        raise InputError(
            f"{self.num_left_out:,} label lines cannot be used:\n  {lines}\n"
            f"Correct them, or leave them out with skip_bad_lines."
        )

    @property
    def num_left_out(self) -> int:
        """Number of lines that were left out."""
        return sum(p.num_lines for p in self.problems if p.is_left_out)

    @property
    def clips_left_out(self) -> collections.Counter[str]:
        """Lines that were left out, by the clip that they are about."""
        counts: collections.Counter[str] = collections.Counter()
        for p in self.problems:
            if p.is_left_out and p.clip is not None:
                counts[p.clip] += p.num_lines
        return counts

    @property
    def num_doubtful(self) -> int:
        """Number of problems of kept lines; a line can have several."""
        return sum(p.num_lines for p in self.problems if not p.is_left_out)

    def report(self, max_problems: int = 5) -> None:
        """Logs how many problems there are, and the first of them.

        Raises:
          InputError: As `stop_at_bad_lines`.
        """
        self.stop_at_bad_lines()
        kinds = {
            "label lines were left out": (True, self.num_left_out),
            "label lines look wrong and were kept": (False, self.num_doubtful),
        }
        for what, (is_left_out, num_lines) in kinds.items():
            found = [p for p in self.problems if p.is_left_out == is_left_out]
            if found:
                lines = [str(p) for p in found[:max_problems]]
                if len(found) > max_problems:
                    num_more = len(found) - max_problems
                    lines.append(f"... and {num_more} more problems")
                text = "\n  ".join([f"{num_lines} {what}:", *lines])
                logging.warning("%s", text)


@contextlib.contextmanager
def log_or_stop(problems: ProblemLog | None) -> Iterator[ProblemLog]:
    """Yields a log, which stops at bad lines when the block ends.

    That is the caller's log or, for None, a new one that skips no bad line and
    warns of doubts.
    """
    log = ProblemLog() if problems is None else problems
    yield log
    log.stop_at_bad_lines()
    if problems is None:
        log.report()

"""Collects the problems that readers find in label files.

Readers take an optional `ProblemLog`. A line that cannot be read is left out; a
line that can be read but looks wrong, such as a repeated event, is kept. Both
are logged with file and line, so that a release-sized file with a broken line
can be used and nothing is lost silently. A strict log turns every problem into
an error. Without a log the first line to leave out is an error, and lines that
look wrong are a warning.
"""

import contextlib
import csv
import dataclasses
import os
from collections.abc import Iterable, Iterator

from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.files import open_output

_Path = str | os.PathLike[str]


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
    """

    path: str
    line: int
    message: str
    num_lines: int = 1
    is_left_out: bool = True

    def __str__(self) -> str:
        """Formats as compilers do, so that editors can jump to the line."""
        more = f" ({self.num_lines} lines)" if self.num_lines > 1 else ""
        return f"{self.path}:{self.line}: {self.message}{more}"


@dataclasses.dataclass
class ProblemLog:
    """Problems of label files, in the order found.

    Attributes:
      is_strict: Whether `report` raises if there are problems.
      stops_at_first: Whether the first line to leave out is an error at once.
      problems: In the order found.
    """

    is_strict: bool = False
    stops_at_first: bool = False
    problems: list[Problem] = dataclasses.field(default_factory=list)

    def add(
        self,
        path: _Path,
        line: int,
        message: str,
        *,
        num_lines: int = 1,
        is_left_out: bool = True,
    ) -> None:
        """Adds a problem (`Problem`).

        Raises:
          InputError: The lines are left out, and the log `stops_at_first`.
        """
        problem = Problem(
            os.fspath(path), line, message, num_lines, is_left_out
        )
        if self.stops_at_first and is_left_out:
            raise InputError(str(problem))
        self.problems.append(problem)

    @property
    def num_left_out(self) -> int:
        """Number of lines that were left out."""
        return sum(p.num_lines for p in self.problems if p.is_left_out)

    @property
    def num_doubtful(self) -> int:
        """Number of problems of kept lines; a line can have several."""
        return sum(p.num_lines for p in self.problems if not p.is_left_out)

    def report(self, max_problems: int = 5) -> None:
        """Logs how many problems there are, and the first of them.

        Raises:
          InputError: There are problems, and the log is strict.
        """
        kinds = {
            "label lines were left out": (True, self.num_left_out),
            "label lines look wrong and were kept": (False, self.num_doubtful),
        }
        texts = []
        for what, (is_left_out, num_lines) in kinds.items():
            found = [p for p in self.problems if p.is_left_out == is_left_out]
            if found:
                lines = [str(p) for p in found[:max_problems]]
                if len(found) > max_problems:
                    num_more = len(found) - max_problems
                    lines.append(f"... and {num_more} more problems")
                texts.append("\n  ".join([f"{num_lines} {what}:", *lines]))
        if texts and self.is_strict:
            raise InputError(
                "Strict reading allows no problem in label files, and "
                + "; ".join(texts)
            )
        for text in texts:
            logging.warning("%s", text)

    def write_csv(self, path: _Path) -> None:
        """Writes all problems: path,line,num_lines,is_left_out,message."""
        with open_output(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(
                ["path", "line", "num_lines", "is_left_out", "message"]
            )
            for p in self.problems:
                writer.writerow(
                    [p.path, p.line, p.num_lines, p.is_left_out, p.message]
                )


@contextlib.contextmanager
def log_or_stop(problems: ProblemLog | None) -> Iterator[ProblemLog]:
    """Yields the caller's log or, for None, one that stops at a bad line.

    The latter makes an error of the first line to leave out, and warns of what
    else looks wrong when the block ends.
    """
    if problems is not None:
        yield problems
        return
    own = ProblemLog(stops_at_first=True)
    yield own
    own.report()

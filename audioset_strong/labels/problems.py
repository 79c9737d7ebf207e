"""What is wrong in a label file, counted and kept.

Readers of label files take an optional `ProblemLog`. Without one they are
strict: the first bad line is an `InputError`. With one they leave bad lines
out, and the log says which, so that a release-sized file with one broken line
can be used and nothing is lost silently.
"""

import dataclasses
import os

from absl import logging

from audioset_strong.errors import InputError


@dataclasses.dataclass(frozen=True)
class Problem:
    """One bad line: the file, its line number from 1, and what is wrong."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        """Formats as compilers do, so that editors can jump to the line."""
        return f"{self.path}:{self.line}: {self.message}"


@dataclasses.dataclass
class ProblemLog:
    """Collects the lines that readers left out.

    Attributes:
      problems: In the order found.
    """

    problems: list[Problem] = dataclasses.field(default_factory=list)

    def add(
        self, path: str | os.PathLike[str], line: int, message: str
    ) -> None:
        """Notes one line that was left out."""
        self.problems.append(Problem(os.fspath(path), line, message))

    def report(self, max_lines: int = 5) -> None:
        """Logs a warning with the number of problems and the first of them."""
        if not self.problems:
            return
        first = "\n  ".join(str(p) for p in self.problems[:max_lines])
        rest = len(self.problems) - max_lines
        more = f"\n  ... and {rest} more" if rest > 0 else ""
        logging.warning(
            "%d label lines were left out:\n  %s%s",
            len(self.problems),
            first,
            more,
        )


def note_problem(
    problems: ProblemLog | None,
    path: str | os.PathLike[str],
    line: int,
    message: str,
) -> None:
    """Logs a bad line, or raises if there is no log to put it in.

    Raises:
      InputError: `problems` is None.
    """
    if problems is None:
        raise InputError(f"{os.fspath(path)}:{line}: {message}")
    problems.add(path, line, message)

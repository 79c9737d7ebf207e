"""Checks a label file against what the official one holds."""

import dataclasses
import re
from collections.abc import Callable

from audioset_strong.download.released_files import FileCounts, ReleasedFile
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.label_files import (
    read_display_names,
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.ontology import read_ontology
from audioset_strong.labels.problems import ProblemLog

_MAX_EXAMPLES = 3
_OWN_COUNTS = re.compile(
    r"# num_ytids=(?P<clips>\d+), num_segs=(?P<rows>\d+), "
    r"num_unique_labels=(?P<classes>\d+), num_positive_labels=(?P<labels>\d+)"
)


@dataclasses.dataclass(frozen=True)
class FileCheck:
    """What a label file holds, and what is wrong with it.

    Attributes:
      counts: What was found; all None for a file that cannot be read.
      errors: Why it is not the official file; empty if it is.
      warnings: What else is strange.
    """

    counts: FileCounts
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_file(path: str, released: ReleasedFile) -> FileCheck:
    """Reads a label file and compares it with the official one.

    Lines that our readers leave out count as rows: where all counts are right,
    they are the release's own, and only a warning.

    Args:
      path: The file.
      released: What it should be.

    Raises:
      FileNotFoundError: It is not there.
    """
    problems = ProblemLog()
    try:
        counts = _READERS[released.kind](path, problems)
    except InputError as error:
        return FileCheck(FileCounts(), (str(error),))
    except UnicodeDecodeError as error:
        return FileCheck(
            FileCounts(), (f"{path}: expected UTF-8 text: {error}.",)
        )
    differences = released.expected.differences(counts)
    own = _own_counts(path) if released.kind == "weak" else FileCounts()
    differences += [
        f"{difference} (by the file's second line)"
        for difference in own.differences(counts)
        if difference not in differences
    ]
    examples = tuple(str(p) for p in problems.problems[:_MAX_EXAMPLES])
    num_left_out = problems.num_left_out
    strange: tuple[str, ...] = ()
    if examples:
        strange = (
            f"{num_left_out:,} lines are left out and "
            f"{problems.num_doubtful:,} look wrong: {'; '.join(examples)}.",
        )
    differences = [f"{difference}." for difference in differences]
    if not released.is_verified and not num_left_out:
        notes = [f"{d} That number was not verified." for d in differences]
        return FileCheck(counts, (), (*notes, *strange))
    if differences:
        return FileCheck(counts, (*differences, *strange))
    return FileCheck(counts, (), strange)


def _own_counts(path: str) -> FileCounts:
    """Reads the counts that a weak CSV gives of itself in its second line."""
    with open(path, encoding="utf-8", errors="replace") as file:
        next(file, "")
        match = _OWN_COUNTS.match(next(file, ""))
    if match is None:
        return FileCounts()
    return FileCounts(**{n: int(c) for n, c in match.groupdict().items()})


def _count_weak(path: str, problems: ProblemLog) -> FileCounts:
    table = read_weak_labels(path, problems)
    mids = table["mids"].explode().dropna()
    return FileCounts(
        len(table) + problems.num_left_out,
        table["segment_id"].nunique(),
        mids.nunique(),
        len(mids),
    )


def _count_events(path: str, problems: ProblemLog) -> FileCounts:
    table = read_strong_labels(path, problems)
    return FileCounts(
        len(table) + problems.num_left_out,
        table["segment_id"].nunique(),
        table["mid"].nunique(),
    )


def _count_framed(path: str, problems: ProblemLog) -> FileCounts:
    table = read_framed_labels(path, problems)
    return FileCounts(
        len(table) + problems.num_left_out,
        table["segment_id"].nunique(),
        table["mid"].nunique(),
    )


def _count_class_map(path: str, problems: ProblemLog) -> FileCounts:
    del problems  # a class map is right or not read
    num_classes = read_class_map(path).num_classes
    return FileCounts(rows=num_classes, classes=num_classes)


def _count_names(path: str, problems: ProblemLog) -> FileCounts:
    num_names = len(read_display_names(path, problems))
    return FileCounts(num_names + problems.num_left_out, classes=num_names)


def _count_nodes(path: str, problems: ProblemLog) -> FileCounts:
    del problems
    num_nodes = len(read_ontology(path).display_names)
    return FileCounts(rows=num_nodes, classes=num_nodes)


_READERS: dict[str, Callable[[str, ProblemLog], FileCounts]] = {
    "weak": _count_weak,
    "strong": _count_events,
    "framed": _count_framed,
    "class_map": _count_class_map,
    "display_names": _count_names,
    "ontology": _count_nodes,
}

"""Score columns -> classes: by mid, by class index or by display name.

Score files of other people name their columns in one of three ways:

  mid           /m/09x0r, as AudioSet does; taken as it is
  class index   0, 1, 2, ...: the position in a class map
  display name  Speech: from a class map or mid_to_display_name.tsv

Each column is recognised by itself, in this order. A class of its own is then
its mid, as everywhere: what is not recognised is left out and listed.
"""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence

from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, read_class_map
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.problems import ProblemLog

Path = str | os.PathLike[str]

_MID = re.compile(r"/[a-z]+/[^\s,\"]+")
_INDEX = re.compile(r"[0-9]+")
_NUM_SHOWN = 5


@dataclasses.dataclass(frozen=True, eq=False)
class KnownClasses:
    """The classes that score columns can name.

    Attributes:
      class_map: Classes of the model, for class indices and names; None if not
        given.
      display_names: Further names, from mid_to_display_name.tsv.
    """

    class_map: ClassMap | None = None
    display_names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def name_of_mid(self) -> dict[str, str]:
        """Name of each mid, to be shown: `display_names` hold."""
        return {**dict(self._class_map_names()), **self.display_names}

    def mids_of_name(self) -> dict[str, list[str]]:
        """Mids of each display name, in both files; more than one rarely."""
        mids: dict[str, list[str]] = {}
        for mid, name in [
            *self._class_map_names(),
            *self.display_names.items(),
        ]:
            named = mids.setdefault(name, [])
            if mid not in named:
                named.append(mid)
        return mids

    def _class_map_names(self) -> list[tuple[str, str]]:
        if self.class_map is None:
            return []
        return list(
            zip(self.class_map.mids, self.class_map.display_names, strict=True)
        )


def read_known_classes(
    class_map: Path | ClassMap | None,
    display_names: Path | Mapping[str, str] | None,
    problems: ProblemLog | None = None,
) -> KnownClasses:
    """Reads what class columns can name.

    Args:
      class_map: `class_labels_indices.csv`, or a class map.
      display_names: `mid_to_display_name.tsv`, or the name of each mid.
      problems: Takes what is wrong with the file of names.

    Returns:
      The classes that were given.

    Raises:
      InputError: A file is not what it should be.
    """
    if isinstance(class_map, str | os.PathLike):
        class_map = read_class_map(class_map)
    if isinstance(display_names, str | os.PathLike):
        display_names = read_display_names(display_names, problems)
    return KnownClasses(class_map, display_names or {})


@dataclasses.dataclass(frozen=True)
class ClassColumns:
    """What the columns of a score file are.

    Attributes:
      columns: Positions of the columns that were recognised, ascending.
      mids: Their classes, unique.
      num_by_kind: How many of them by "mid", "class index", "display name".
      unknown: The names of all others, which are left out.
      missing: Classes of the class map without a column.
    """

    columns: tuple[int, ...]
    mids: tuple[str, ...]
    num_by_kind: Mapping[str, int]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]

    def describe(self, num_shown: int | None = None) -> str:
        """Says in a line what the columns are.

        Args:
          num_shown: Most unknown columns and missing classes to name; None to
            name all.
        """
        kinds = ", ".join(f"{n} by {k}" for k, n in self.num_by_kind.items())
        num_columns = len(self.columns) + len(self.unknown)
        text = f"{len(self.columns)} of {num_columns} columns ({kinds})"
        if self.unknown:
            text += (
                f"; {len(self.unknown)} unknown and left out: "
                f"{_listed(self.unknown, num_shown)}"
            )
        if self.missing:
            text += (
                f"; {len(self.missing)} classes of the class map without a "
                f"column: {_listed(self.missing, num_shown)}"
            )
        return text


def _listed(names: Sequence[str], num_shown: int | None) -> str:
    shown = names if num_shown is None else names[:num_shown]
    num_more = len(names) - len(shown)
    text = ", ".join(repr(name) for name in shown)
    return text + (f" and {num_more} more" if num_more else "")


def find_classes(
    columns: Sequence[str], known: KnownClasses = KnownClasses()
) -> ClassColumns:
    """Finds the class of each column, and warns of those without one.

    Args:
      columns: Their names.
      known: The classes that they can name.

    Returns:
      The classes, in the order of the columns.

    Raises:
      InputError: No column is known, a display name is that of two classes, or
        two columns are the same class.
    """
    mids_of_name = known.mids_of_name()
    found: dict[str, int] = {}
    num_by_kind: dict[str, int] = {}
    unknown = []
    for position, column in enumerate(columns):
        kind, mid = _class_of_column(column, known, mids_of_name)
        if mid is None:
            unknown.append(column)
            continue
        if mid in found:
            raise InputError(
                f"Expected one column a class, found {columns[found[mid]]!r} "
                f"and {column!r}, which are both {mid}. Keep one of them."
            )
        found[mid] = position
        num_by_kind[kind] = num_by_kind.get(kind, 0) + 1
    if not found:
        raise _no_class_known(columns, known)
    class_map_mids = known.class_map.mids if known.class_map else ()
    classes = ClassColumns(
        columns=tuple(found.values()),
        mids=tuple(found),
        num_by_kind=num_by_kind,
        unknown=tuple(unknown),
        missing=tuple(mid for mid in class_map_mids if mid not in found),
    )
    if unknown:
        logging.warning("Classes: %s.", classes.describe(_NUM_SHOWN))
    return classes


def _class_of_column(
    column: str, known: KnownClasses, mids_of_name: Mapping[str, list[str]]
) -> tuple[str, str | None]:
    """Returns how a column names its class, and the mid; None if unknown."""
    if _MID.fullmatch(column):
        return "mid", column
    if _INDEX.fullmatch(column):
        mids = known.class_map.mids if known.class_map else ()
        index = int(column)
        return "class index", mids[index] if index < len(mids) else None
    mids_of_column = mids_of_name.get(column.strip(), [])
    if len(mids_of_column) > 1:
        raise InputError(
            f"Expected display names of one class each, found "
            f"{column!r}, which is both {' and '.join(mids_of_column)}. Name "
            f"that column by its mid."
        )
    return "display name", mids_of_column[0] if mids_of_column else None


def _no_class_known(columns: Sequence[str], known: KnownClasses) -> InputError:
    first = ", ".join(repr(column) for column in columns[:_NUM_SHOWN])
    if known.name_of_mid:
        advice = (
            "None is a mid, or an index or name of the class map and display "
            "names given. Give those of the model."
        )
    else:
        advice = (
            "Name columns by mid, or give --class_map for class indices and "
            "--class_map or --display_names for display names."
        )
    return InputError(
        f"Expected at least one known class, found {len(columns)} columns "
        f"({first}). {advice}"
    )

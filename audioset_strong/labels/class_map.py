"""Class map: class index <-> mid <-> display name.

Conventions:
  * A class is its mid (a Freebase id such as `/m/0bt9lr`). Display names change
    between releases, so nothing is ever joined on them.
  * The class index is the position in the file; order is part of the map and of
    its hash, because it names the columns of targets, logits and scores.
"""

import csv
import dataclasses
import functools
import hashlib
import io
import os

from audioset_strong.errors import InputError

_HEADER = ["index", "mid", "display_name"]


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """The ordered classes of a model, score file or record folder.

    Attributes:
      mids: One mid a class, in the order of the class index; unique.
      display_names: One name a class, same order.
    """

    mids: tuple[str, ...]
    display_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks that mids are unique and that each has a name."""
        if len(self.mids) != len(self.display_names):
            raise InputError(
                f"A class map needs one display name a mid. Received: "
                f"{len(self.mids)} mids, {len(self.display_names)} names."
            )
        if len(set(self.mids)) != len(self.mids):
            repeated = sorted({m for m in self.mids if self.mids.count(m) > 1})
            raise InputError(f"A class map lists a mid twice: {repeated}.")

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.mids)

    @functools.cached_property
    def index_of_mid(self) -> dict[str, int]:
        """Class index of each mid."""
        return {mid: index for index, mid in enumerate(self.mids)}

    @functools.cached_property
    def content_hash(self) -> str:
        """16 hex digits that change with any mid or with their order.

        Display names do not count: they differ between releases of the same
        classes.
        """
        joined = "\n".join(self.mids).encode("utf-8")
        return hashlib.sha256(joined).hexdigest()[:16]


def read_class_map(path: str | os.PathLike[str]) -> ClassMap:
    """Reads a class map in the format of `class_labels_indices.csv`.

    Args:
      path: CSV with the header `index,mid,display_name`, indices 0, 1, 2, ...

    Returns:
      The class map, in file order.

    Raises:
      InputError: The header, an index or a mid is wrong; names file and line.
    """
    with open(path, newline="", encoding="utf-8") as file:
        return parse_class_map(file.read(), path)


def parse_class_map(text: str, path: str | os.PathLike[str]) -> ClassMap:
    """Parses what `read_class_map` reads; `path` is for messages."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or rows[0] != _HEADER:
        found = ",".join(rows[0]) if rows else "an empty file"
        raise InputError(
            f"{path}:1: expected the header '{','.join(_HEADER)}', found "
            f"'{found}'. Give a class_labels_indices.csv."
        )
    for expected_index, row in enumerate(rows[1:]):
        if len(row) != 3 or row[0] != str(expected_index) or not row[1]:
            raise InputError(
                f"{path}:{expected_index + 2}: expected '{expected_index},"
                f"<mid>,<display name>', found '{','.join(row)}'."
            )
    if len(rows) == 1:
        raise InputError(f"{path}: expected at least one class, found none.")
    return ClassMap(
        mids=tuple(row[1] for row in rows[1:]),
        display_names=tuple(row[2] for row in rows[1:]),
    )


def write_class_map(class_map: ClassMap, path: str | os.PathLike[str]) -> None:
    """Writes a class map as `class_labels_indices.csv` is written.

    Args:
      class_map: The classes.
      path: Where to write; the folder exists.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        file.write(format_class_map(class_map))


def format_class_map(class_map: ClassMap) -> str:
    """Formats what `write_class_map` writes."""
    lines = [",".join(_HEADER)]
    named = zip(class_map.mids, class_map.display_names, strict=True)
    for index, (mid, display_name) in enumerate(named):
        # The release quotes every display name and nothing else.
        quoted = display_name.replace('"', '""')
        lines.append(f'{index},{mid},"{quoted}"')
    return "\n".join(lines) + "\n"

"""Class map: class index <-> mid <-> display name.

A class is its mid (a Freebase id such as `/m/0bt9lr`). Display names change
between releases, so nothing is ever joined on them. The class index is the
position in the file; the order is part of the map and of its hash, because it
names the columns of targets, logits and scores.
"""

import dataclasses
import functools
import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.labels.ids import MID_PATTERN
from audioset_strong.labels.problems import ProblemLog

_Path = str | os.PathLike[str]
_HEADER = "index,mid,display_name"
_NAME_CHARACTER = r"[^\",\x00-\x1f\ud800-\udfff]"
_LINE = re.compile(
    rf"(?P<index>[0-9]+),(?P<mid>{MID_PATTERN}),"
    rf'(?:"(?P<quoted>(?:{_NAME_CHARACTER}|,|"")+)"'
    rf"|(?P<plain>{_NAME_CHARACTER}+))"
)
_NUM_DIFFERENCES_SHOWN = 3


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
        return hash_of_mids(self.mids)


def hash_of_mids(mids: Sequence[str]) -> str:
    """Returns 16 hex digits for mids in the order of the class index."""
    return hashlib.sha256("\n".join(mids).encode("utf-8")).hexdigest()[:16]


def describe_other_classes(
    expected: Sequence[str], found: Sequence[str], there: str, here: str
) -> str:
    """Says how two class lists differ; "" if they do not.

    Args:
      expected: One mid a class.
      found: The same of the other list.
      there: What `expected` is, such as "runs/weak".
      here: What `found` is.

    Returns:
      Such as "class hash 5e2f47afcb9adfea (3 classes) in runs/weak, ... in
      records; class 1 is /m/b there, /m/c here".
    """
    if tuple(expected) == tuple(found):
        return ""
    pairs = itertools.zip_longest(expected, found, fillvalue="none")
    differing = [
        f"class {index} is {expected_mid} there, {found_mid} here"
        for index, (expected_mid, found_mid) in enumerate(pairs)
        if expected_mid != found_mid
    ]
    num_more = len(differing) - _NUM_DIFFERENCES_SHOWN
    more = f", and {num_more} more differ" if num_more > 0 else ""
    return (
        f"class hash {hash_of_mids(expected)} ({len(expected)} classes) in "
        f"{there}, {hash_of_mids(found)} ({len(found)} classes) in {here}; "
        f"{', '.join(differing[:_NUM_DIFFERENCES_SHOWN])}{more}"
    )


def check_same_classes(
    expected: Sequence[str],
    found: Sequence[str],
    there: str,
    here: str,
    advice: str,
) -> None:
    """Refuses two things that differ in their classes or in the order.

    Arguments as in `describe_other_classes`; `advice` is a sentence.
    """
    difference = describe_other_classes(expected, found, there, here)
    if difference:
        raise InputError(f"The classes differ: {difference}. {advice}")


def check_class_hash(
    mids: Sequence[str], expected_hash: str, what: str, advice: str
) -> None:
    """Refuses a class list that has not the hash that was saved with it.

    Args:
      mids: One mid a class.
      expected_hash: `hash_of_mids` of what the list should be.
      what: What the list is, such as "records/train/class_map.csv".
      advice: What to do if it differs: a sentence.
    """
    found_hash = hash_of_mids(mids)
    if found_hash != expected_hash:
        first = ", ".join(mids[:_NUM_DIFFERENCES_SHOWN])
        raise InputError(
            f"{what} has class hash {found_hash} ({len(mids)} classes, the "
            f"first are {first}), expected {expected_hash}. {advice}"
        )


def read_class_map(path: _Path) -> ClassMap:
    """Reads a class map in the format of `class_labels_indices.csv`.

    It has the header `index,mid,display_name` and the indices 0, 1, 2, ...

    Raises:
      InputError: The header, an index or a mid is wrong; names file and line.
    """
    return parse_class_map(None, path)


def parse_class_map(content: str | None, path: _Path) -> ClassMap:
    """Parses what `read_class_map` reads; None for the content of `path`."""
    # Loads pyarrow, which using a model does not need.
    from audioset_strong.labels.line_parser import LabelText, shown

    text = LabelText(path, 1, content)
    if text.header != [_HEADER]:
        found = shown(text.header[0]) if text.header else "'an empty file'"
        raise InputError(
            f"{text.path}:1: expected the header '{_HEADER}', found {found}. "
            f"Give a class_labels_indices.csv."
        )
    line_of_mid: dict[str, int] = {}
    names = []
    for index in range(text.num_lines):
        number = index + 2
        line = text.line(number)
        match = _LINE.fullmatch(line)
        if match is None or match["index"] != str(index):
            raise InputError(
                f"{text.path}:{number}: {_explain(line, index)}, found "
                f"{shown(line)}."
            )
        if match["mid"] in line_of_mid:
            raise InputError(
                f"{text.path}:{number}: expected each mid once, {match['mid']} "
                f"stands at line {line_of_mid[match['mid']]} already."
            )
        line_of_mid[match["mid"]] = number
        names.append(match["quoted"] or match["plain"])
    if not names:
        raise InputError(
            f"{text.path}: expected at least one class, found none."
        )
    unquoted = tuple(name.replace('""', '"') for name in names)
    return ClassMap(tuple(line_of_mid), unquoted)


def _explain(line: str, index: int) -> str:
    """Says what was expected of a line of a class map."""
    fields = line.split(",", 2)
    if len(fields) < 3:
        return f"expected '{index},<mid>,<display name>'"
    if fields[0] != str(index):
        return f"expected the index {index}, as indices count up from 0"
    if any(map(str.isspace, fields[1])):
        return f"expected a class id without spaces, not {fields[1]!r}"
    if not re.fullmatch(MID_PATTERN, fields[1]):
        return f"expected a class id without quotes, not {fields[1]!r}"
    return "expected a display name, in quotes if it has a comma or a quote"


def write_class_map(class_map: ClassMap, path: _Path) -> None:
    """Writes a class map as `class_labels_indices.csv`; the folder exists."""
    with open_output(path) as file:
        file.write(format_class_map(class_map))


def format_class_map(class_map: ClassMap) -> str:
    """Formats what `write_class_map` writes."""
    lines = [_HEADER]
    named = zip(class_map.mids, class_map.display_names, strict=True)
    for index, (mid, display_name) in enumerate(named):
        # The release quotes every display name and nothing else.
        quoted = display_name.replace('"', '""')
        lines.append(f'{index},{mid},"{quoted}"')
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True)
class KnownClasses:
    """The classes of a class map and the display names of both releases.

    Attributes:
      class_map: Gives class indices and names; None if not given.
      display_names: Name of each mid, from mid_to_display_name.tsv.
      labelled_mids: Further classes, which labels have.
    """

    class_map: ClassMap | None = None
    display_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    labelled_mids: frozenset[str] = frozenset()

    @property
    def mids(self) -> tuple[str, ...]:
        """The classes of the class map; empty without one."""
        return self.class_map.mids if self.class_map else ()

    @property
    def name_of_mid(self) -> dict[str, str]:
        """Name of each mid; `display_names` overrides the class map."""
        return {**dict(self._class_map_names()), **self.display_names}

    def mids_of_name(self) -> dict[str, list[str]]:
        """Mids of each name in either file; rarely more than one."""
        return group_by_name(
            [*self._class_map_names(), *self.display_names.items()]
        )

    def _class_map_names(self) -> list[tuple[str, str]]:
        names = self.class_map.display_names if self.class_map else ()
        return list(zip(self.mids, names, strict=True))


def group_by_name(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Returns the mids of each name, from pairs of a mid and its name."""
    mids: dict[str, list[str]] = {}
    for mid, name in dict.fromkeys(named):
        mids.setdefault(name, []).append(mid)
    return mids


def read_known_classes(
    class_map: _Path | ClassMap | None = None,
    display_names: _Path | Mapping[str, str] | None = None,
    problems: ProblemLog | None = None,
) -> KnownClasses:
    """Reads the classes and names that the given files hold.

    Args:
      class_map: `class_labels_indices.csv`, or a class map.
      display_names: `mid_to_display_name.tsv`, or the name of each mid.
      problems: Takes the problems of the latter; None to stop at bad lines.
    """
    if isinstance(class_map, str | os.PathLike):
        class_map = read_class_map(class_map)
    if isinstance(display_names, str | os.PathLike):
        # Brings pandas, which those who use a model can do without.
        from audioset_strong.labels.label_files import read_display_names

        display_names = read_display_names(display_names, problems)
    return KnownClasses(class_map, display_names or {})

"""The AudioSet ontology: a directed acyclic graph of classes.

38 of its 632 nodes have more than one parent, so it is not a tree: a class is
an ancestor when any path of children leads down from it.

`restrictions` are the ontology's own marks: "abstract" nodes only group others,
"blacklist" ones were not shown to annotators. Nothing here filters by them: 15
abstract and 13 blacklisted nodes are used as strong labels.

Source: https://github.com/audioset/ontology, `ontology.json`.
"""

import collections
import functools
import graphlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from audioset_strong.errors import InputError
from audioset_strong.files import open_output

MUSIC_MID = "/m/04rlf"


class Ontology:
    """Classes and which are children of which.

    Attributes:
      display_names: Name of each mid, in file order.
      child_mids: Children of each mid; empty for leaves.
      restrictions: "abstract", "blacklist" or both, of each mid; mostly empty.
    """

    def __init__(
        self,
        display_names: Mapping[str, str],
        child_mids: Mapping[str, tuple[str, ...]],
        restrictions: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Checks that the nodes make a graph without cycles.

        Arguments are as the attributes; a mid that is not among the keys of
        `child_mids` or `restrictions` has none.

        Raises:
          InputError: A child is not a node, or a class is its own ancestor.
        """
        self.display_names = dict(display_names)
        self.child_mids = {
            mid: tuple(child_mids.get(mid, ())) for mid in self.display_names
        }
        self.restrictions = {
            mid: tuple((restrictions or {}).get(mid, ()))
            for mid in self.display_names
        }
        for mid, children in self.child_mids.items():
            unknown = [c for c in children if c not in self.display_names]
            if unknown:
                raise InputError(
                    f"Ontology node {mid} has children that are not nodes: "
                    f"{unknown}."
                )
        try:
            graphlib.TopologicalSorter(self.child_mids).prepare()
        except graphlib.CycleError as error:
            raise InputError(
                f"In the ontology a class is its own ancestor: {error.args[1]}."
            ) from error

    @functools.cached_property
    def parent_mids(self) -> dict[str, tuple[str, ...]]:
        """Parents of each mid; several for some, none for the roots."""
        parents: dict[str, list[str]] = {mid: [] for mid in self.display_names}
        for mid, children in self.child_mids.items():
            for child in children:
                parents[child].append(mid)
        return {mid: tuple(found) for mid, found in parents.items()}

    def ancestors(self, mid: str) -> frozenset[str]:
        """All classes above `mid`, without itself; empty if not a node."""
        return _reachable(mid, self.parent_mids)

    def descendants(self, mid: str) -> frozenset[str]:
        """All classes below `mid`, without itself; empty if not a node."""
        return _reachable(mid, self.child_mids)


def _reachable(
    start: str, neighbours: Mapping[str, tuple[str, ...]]
) -> frozenset[str]:
    """Returns what can be reached from `start`, without `start`."""
    found: set[str] = set()
    waiting = list(neighbours.get(start, ()))
    while waiting:
        mid = waiting.pop()
        if mid not in found:
            found.add(mid)
            waiting.extend(neighbours[mid])
    return frozenset(found - {start})


def read_ontology(path: str | os.PathLike[str]) -> Ontology:
    """Reads `ontology.json`.

    Raises:
      InputError: The file is not a JSON list of nodes with id, name, child_ids;
        or they are not a graph without cycles.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        nodes = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # Neither UTF-8 nor JSON; numbers or nesting that JSON readers refuse.
        raise InputError(
            f"{path}: expected JSON in UTF-8: {error}. Give the released "
            f"ontology.json."
        ) from error
    if not isinstance(nodes, list) or not nodes:
        raise InputError(
            f"{path}: expected a JSON list of nodes, found "
            f"{type(nodes).__name__ if nodes else 'none'}. Give the released "
            f"ontology.json."
        )
    for index, node in enumerate(nodes):
        _check_node(f"{path}: node {index}", node)
    repeated = _repeated([node["id"] for node in nodes])
    if repeated:
        raise InputError(f"{path}: expected each node once, not {repeated}.")
    try:
        return Ontology(
            {node["id"]: node["name"] for node in nodes},
            {node["id"]: tuple(node["child_ids"]) for node in nodes},
            {n["id"]: tuple(n.get("restrictions", ())) for n in nodes},
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _check_node(where: str, node: object) -> None:
    """Raises `InputError` unless this is a node of an ontology file."""
    if not isinstance(node, dict):
        raise InputError(f"{where}: expected an object, found {node!r:.80}.")
    for key in ("id", "name"):
        value = node.get(key)
        if not isinstance(value, str) or not value:
            raise InputError(
                f"{where}: expected a text as {key!r}, found {value!r:.80}."
            )
    where = f"{where} ({node['id']})"
    for key in ("child_ids", "restrictions"):
        values: Any = node.get(key, [] if key == "restrictions" else None)
        is_list = isinstance(values, list)
        if not is_list or not all(isinstance(v, str) for v in values):
            raise InputError(
                f"{where}: expected a list of texts as {key!r}, found "
                f"{values!r:.80}."
            )
        if _repeated(values):
            raise InputError(
                f"{where}: expected each of {key!r} once, not "
                f"{_repeated(values)}."
            )


def _repeated(values: Sequence[str]) -> list[str]:
    """Lists what stands more than once."""
    counts = collections.Counter(values)
    return [value for value, count in counts.items() if count > 1]


def write_ontology(ontology: Ontology, path: str | os.PathLike[str]) -> None:
    """Writes ids, names, children and restrictions in the released format.

    Descriptions and examples, which nothing here reads, are written empty.
    """
    nodes = [
        {
            "id": mid,
            "name": name,
            "description": "",
            "citation_uri": "",
            "positive_examples": [],
            "child_ids": list(ontology.child_mids[mid]),
            "restrictions": list(ontology.restrictions[mid]),
        }
        for mid, name in ontology.display_names.items()
    ]
    with open_output(path) as file:
        json.dump(nodes, file, indent=2)
        file.write("\n")

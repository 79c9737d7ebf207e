"""The AudioSet ontology: a directed acyclic graph of classes.

38 of its 632 nodes have more than one parent, so it is not a tree: a class is
an ancestor when any path of children leads down from it.

`restrictions` are the ontology's own marks: "abstract" nodes only group others,
"blacklist" ones were not shown to annotators. Nothing here filters by them: 15
abstract and 13 blacklisted nodes are used as strong labels.

Source: https://github.com/audioset/ontology, `ontology.json`.
"""

import functools
import graphlib
import json
import os
from collections.abc import Mapping

from audioset_strong.errors import InputError
from audioset_strong.output_files import open_output

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
        """Takes the nodes and checks that they make a graph without cycles.

        Args:
          display_names: Name of each mid.
          child_mids: Children; a mid that is not there has none.
          restrictions: As the attribute; a mid that is not there has none.

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
    with open(path, encoding="utf-8") as file:
        try:
            nodes = json.load(file)
            names = {node["id"]: node["name"] for node in nodes}
            children = {node["id"]: tuple(node["child_ids"]) for node in nodes}
            restrictions = {
                node["id"]: tuple(node.get("restrictions", ()))
                for node in nodes
            }
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: expected a JSON list of nodes with id, name and "
                f"child_ids: {error!r}. Give the released ontology.json."
            ) from error
    return Ontology(names, children, restrictions)


def write_ontology(ontology: Ontology, path: str | os.PathLike[str]) -> None:
    """Writes ids, names, children and restrictions in the released format.

    Descriptions and examples, which nothing here reads, are written empty.

    Args:
      ontology: What to write.
      path: Where to write; the folder exists.
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

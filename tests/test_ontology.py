"""The ontology is a directed acyclic graph, not a tree."""

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.ontology import (
    Ontology,
    read_ontology,
    write_ontology,
)

_MUSIC = "/m/04rlf"
#   root -> a -> c -> d    d has two parents, reached by two paths
#       \-> b ------/
_GRAPH = Ontology(
    {"root": "Root", "a": "A", "b": "B", "c": "C", "d": "D", "alone": "L"},
    {"root": ("a", "b"), "a": ("c",), "b": ("d",), "c": ("d",)},
)


def test_ancestors_follow_every_path():
    assert _GRAPH.ancestors("d") == {"c", "a", "b", "root"}
    assert _GRAPH.ancestors("c") == {"a", "root"}
    assert _GRAPH.ancestors("root") == frozenset()
    assert _GRAPH.ancestors("not a node") == frozenset()
    assert _GRAPH.parent_mids["d"] == ("b", "c")
    assert _GRAPH.parent_mids["alone"] == ()


def test_descendants_and_round_trip(tmp_path):
    assert _GRAPH.descendants("root") == {"a", "b", "c", "d"}
    assert _GRAPH.descendants("d") == frozenset()
    write_ontology(_GRAPH, tmp_path / "o.json")
    ontology = read_ontology(tmp_path / "o.json")
    assert ontology.child_mids == _GRAPH.child_mids
    assert ontology.display_names == _GRAPH.display_names


def test_released_file(audioset_labels, tmp_path):
    ontology = read_ontology(audioset_labels / "ontology.json")
    assert len(ontology.display_names) == 632
    parents = ontology.parent_mids
    assert sum(len(found) > 1 for found in parents.values()) == 38
    assert max(map(len, parents.values())) == 4
    assert len(ontology.descendants(_MUSIC)) > 137
    assert all(
        mid not in ontology.ancestors(mid) for mid in ontology.display_names
    )
    for mid in ontology.descendants(_MUSIC):
        assert _MUSIC in ontology.ancestors(mid)
    write_ontology(ontology, tmp_path / "copy.json")
    copy = read_ontology(tmp_path / "copy.json")
    assert copy.child_mids == ontology.child_mids
    assert copy.display_names == ontology.display_names


@pytest.mark.parametrize(
    "text", ["", "{", '{"id": 1}', '[{"id": "a", "name": "A"}]', "[1]"]
)
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "o.json").write_text(text)
    with pytest.raises(InputError, match=r"o\.json: expected a JSON list"):
        read_ontology(tmp_path / "o.json")


def test_children_must_be_nodes():
    with pytest.raises(InputError, match=r"node a has children .*\['b'\]"):
        Ontology({"a": "A"}, {"a": ("b",)})

"""The ontology is a directed acyclic graph, not a tree."""

import json

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.ontology import (
    MUSIC_MID,
    Ontology,
    read_ontology,
    write_ontology,
)

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
    graph = Ontology(
        _GRAPH.display_names, _GRAPH.child_mids, {"a": ("abstract",)}
    )
    write_ontology(graph, tmp_path / "o.json")
    ontology = read_ontology(tmp_path / "o.json")
    assert ontology.restrictions == graph.restrictions
    assert ontology.child_mids == _GRAPH.child_mids
    assert ontology.display_names == _GRAPH.display_names


def test_released_file(audioset_labels, tmp_path):
    ontology = read_ontology(audioset_labels / "ontology.json")
    assert len(ontology.display_names) == 632
    parents = ontology.parent_mids
    assert sum(len(found) > 1 for found in parents.values()) == 38
    four = [m for m, found in parents.items() if len(found) == 4]
    names = ontology.display_names
    assert sorted(names[mid] for mid in four) == ["Growling", "Hiss"]
    assert max(map(len, parents.values())) == 4
    assert len(ontology.descendants(MUSIC_MID)) > 137
    assert all(
        mid not in ontology.ancestors(mid) for mid in ontology.display_names
    )
    for mid in ontology.descendants(MUSIC_MID):
        assert MUSIC_MID in ontology.ancestors(mid)
    write_ontology(ontology, tmp_path / "copy.json")
    copy = read_ontology(tmp_path / "copy.json")
    assert copy.restrictions == ontology.restrictions
    assert copy.child_mids == ontology.child_mids
    assert copy.display_names == ontology.display_names


def test_ancestors_of_a_node_with_four_parents(audioset_labels):
    ontology = read_ontology(audioset_labels / "ontology.json")
    mid_of = {name: mid for mid, name in ontology.display_names.items()}
    found = {
        ontology.display_names[mid]
        for mid in ontology.ancestors(mid_of["Hiss"])
    }
    # Cat, Snake, Steam and Onomatopoeia, each with its way up.
    assert found == {
        "Cat",
        "Domestic animals, pets",
        "Animal",
        "Snake",
        "Wild animals",
        "Steam",
        "Water",
        "Natural sounds",
        "Onomatopoeia",
        "Source-ambiguous sounds",
    }


def test_restricted_nodes_are_used_as_strong_labels(audioset_labels):
    restrictions = read_ontology(audioset_labels / "ontology.json").restrictions
    strong = read_display_names(audioset_labels / "mid_to_display_name.tsv")
    used = [r for mid in strong for r in restrictions.get(mid, ())]
    assert (used.count("abstract"), used.count("blacklist")) == (15, 13)


def test_a_cycle_is_refused():
    with pytest.raises(InputError, match="is its own ancestor:.*'b'"):
        Ontology({"a": "A", "b": "B"}, {"a": ("b",), "b": ("a",)})


def test_children_must_be_nodes():
    with pytest.raises(InputError, match=r"node a has children .*\['b'\]"):
        Ontology({"a": "A"}, {"a": ("b",)})


def _node(mid="/m/a", **other):
    return {"id": mid, "name": "A", "child_ids": [], **other}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a JSON list of nodes, found none"),
        ({"a": 1}, "expected a JSON list of nodes, found dict"),
        (["x"], "node 0: expected an object, found 'x'"),
        ([_node(), _node(None)], "node 1: expected a text as 'id', found None"),
        ([_node(7)], "node 0: expected a text as 'id', found 7"),
        ([_node(name="")], "node 0: expected a text as 'name', found ''"),
        ([_node(child_ids="/m/b")], "(/m/a): expected a list of texts as 'ch"),
        ([_node(child_ids=[["x"]])], "(/m/a): expected a list of texts as 'c"),
        ([_node(child_ids=None)], "(/m/a): expected a list of texts as 'chil"),
        ([_node(restrictions="abstract")], "expected a list of texts as 'res"),
        ([_node(), _node()], "expected each node once, not ['/m/a']"),
        (
            [_node(child_ids=["/m/b", "/m/b"]), _node("/m/b")],
            "expected each of 'child_ids' once, not ['/m/b']",
        ),
        ([_node(child_ids=["/m/b"])], "children that are not nodes: ['/m/b']"),
        ([_node(child_ids=["/m/a"])], "a class is its own ancestor"),
    ],
)
def test_malformed_files_are_named(tmp_path, content, message):
    path = tmp_path / "o.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        read_ontology(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b'[{"id": "\xe9"}]', b"[" * 100_000, b"[" + b"1" * 5000 + b"]", b""],
    ids=["latin-1", "deep", "huge number", "empty"],
)
def test_what_is_no_json_is_named(tmp_path, content):
    path = tmp_path / "o.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="o.json: expected JSON in UTF-8"):
        read_ontology(path)

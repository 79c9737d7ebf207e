"""Class names: which file's name is shown, and classes by their names."""

import pytest

from audioset_strong.errors import InputError
from audioset_strong.label_analysis.class_names import (
    ClassInfo,
    read_class_info,
)

_NAMES = ClassInfo(
    strong_names={
        "/m/duck": "Ducks, geese, waterfowl",
        "/m/man": "Male speech, man",
    },
    weak_names={
        "/m/duck": "Duck",
        "/m/in1": "Inside, small room",
        "/m/in2": "Inside, large room",
        "/m/man": "Male speech, man",
        "/m/speech": "Speech",
    },
    ontology_names={"/m/speech": "Spoken", "/m/source": "Source"},
)
_MIDS = ["/m/duck", "/m/man", "/m/in1", "/m/in2", "/m/speech", "/m/bare"]


def test_the_strong_name_holds_and_a_different_weak_one_is_shown():
    assert _NAMES.name("/m/duck") == "Ducks, geese, waterfowl"
    assert _NAMES.full_name("/m/duck") == "Ducks, geese, waterfowl (weak: Duck)"
    assert _NAMES.full_name("/m/man") == "Male speech, man"
    assert _NAMES.name("/m/speech") == "Speech"
    assert _NAMES.name("/m/source") == "Source"
    assert _NAMES.full_name("/m/bare") == "/m/bare"


@pytest.mark.parametrize(
    ("text", "mid"),
    [
        ("/m/bare", "/m/bare"),
        ("Speech", "/m/speech"),
        (" male SPEECH", "/m/man"),
        ("Male speech, man", "/m/man"),
        ("Duck", "/m/duck"),
        ("ducks", "/m/duck"),
        ("Inside, large room", "/m/in2"),
    ],
)
def test_find(text, mid):
    assert _NAMES.find_mid(text, _MIDS) == mid


def test_ambiguous_names_list_their_classes():
    with pytest.raises(InputError, match="2 classes: Inside, small.*/m/in2"):
        _NAMES.find_mid("inside", _MIDS)
    # Not if only one of them can be chosen.
    assert _NAMES.find_mid("inside", ["/m/in1", "/m/duck"]) == "/m/in1"


@pytest.mark.parametrize(
    ("text", "near"),
    [("Speach", "Speech"), ("room", "Inside, large room"), ("Dukc", "Ducks")],
)
def test_unknown_names_list_what_is_near(text, near):
    with pytest.raises(InputError, match=f"Received: '{text}'.*Near:.*{near}"):
        _NAMES.find_mid(text, _MIDS)


def test_unknown_and_nothing_near():
    with pytest.raises(InputError, match="Received: 'qqqq'. Lists are"):
        _NAMES.find_mid("qqqq", _MIDS)
    with pytest.raises(InputError, match="Received: ''"):
        _NAMES.find_mid("", _MIDS)
    # Known, but not among the classes to choose from.
    with pytest.raises(InputError, match="labelled"):
        _NAMES.find_mid("Source", _MIDS)


def test_twelve_released_names_differ(audioset_labels):
    names = read_class_info(
        audioset_labels / "class_labels_indices.csv",
        audioset_labels / "mid_to_display_name.tsv",
    )
    differing = [m for m in names.weak_names if names.differing_weak_name(m)]
    assert len(differing) == 12
    everything = {*names.strong_names, *names.weak_names}
    for mid in everything:
        assert names.find_mid(names.name(mid), everything) == mid

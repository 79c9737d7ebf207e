"""What a positive label becomes: smeared, subsumed, made canonical."""

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.label_mapping import (
    CANONICAL_MIDS,
    LabelMapping,
    describe_mapping,
    music_classes,
    read_label_mapping,
)
from audioset_strong.labels.ontology import MUSIC_MID, Ontology, read_ontology
from audioset_strong.params import LabelMappingParams

#   sound -> animal -> dog, goose     Music -> instrument -> guitar, bell
#         \-> alarm  -> bell
GOOSE, DUCK = "/m/0dbvp", "/m/09ddx"
GRAPH = Ontology(
    {
        mid: mid
        for mid in (
            *("sound", "animal", "dog", "fowl", GOOSE, DUCK, "honk"),
            *("alarm", MUSIC_MID, "instrument", "guitar", "bell"),
        )
    },
    {
        "sound": ("animal", "alarm"),
        "animal": ("dog", "fowl"),
        "fowl": (GOOSE, DUCK),
        GOOSE: ("honk",),
        "alarm": ("bell",),
        MUSIC_MID: ("instrument",),
        "instrument": ("guitar", "bell"),
    },
)


def mapping(**params):
    """Makes a mapping of the graph above; strong labels keep the bell."""
    return LabelMapping(
        LabelMappingParams(**params), GRAPH, {"bell", "dog", MUSIC_MID}
    )


def test_all_off_changes_nothing():
    identity = LabelMapping()
    assert identity.is_identity
    assert identity.targets_of("dog") == ("dog",)
    assert identity.targets_of(GOOSE) == (GOOSE,)
    assert describe_mapping(identity) == []


def test_smearing_reaches_all_ancestors_of_every_path():
    smear = mapping(smear_labels=True)
    assert smear.targets_of("dog") == ("dog", "animal", "sound")
    assert smear.targets_of("bell") == (
        *("bell", MUSIC_MID, "alarm", "instrument", "sound"),
    )
    assert smear.targets_of("sound") == ("sound",)
    assert smear.targets_of("not in the ontology") == ("not in the ontology",)


def test_music_takes_its_descendants_but_those_that_are_kept():
    subsume = mapping(subsume_music=True)
    assert subsume.music.kept == ("bell",)
    assert subsume.music.subsumed == ("instrument", "guitar")
    assert subsume.targets_of("guitar") == (MUSIC_MID,)
    assert subsume.targets_of("bell") == ("bell",)
    assert subsume.targets_of("dog") == ("dog",)


def test_canonical_mids():
    canonical = LabelMapping(LabelMappingParams(canonicalize_mids=True))
    assert canonical.targets_of(GOOSE) == (DUCK,)
    assert canonical.targets_of(DUCK) == (DUCK,)


def test_all_together():
    everything = mapping(
        smear_labels=True, subsume_music=True, canonicalize_mids=True
    )
    # Goose is an ancestor of honk, and is Duck now.
    assert everything.targets_of("honk") == (
        *("honk", DUCK, "animal", "fowl", "sound"),
    )
    assert everything.targets_of(GOOSE) == (DUCK, "animal", "fowl", "sound")
    # The instrument above the bell is Music.
    assert everything.targets_of("bell") == (
        *("bell", MUSIC_MID, "alarm", "sound"),
    )
    for mid in GRAPH.display_names:
        targets = everything.targets_of(mid)
        again = [t for target in targets for t in everything.targets_of(target)]
        assert set(again) == set(targets)


@pytest.mark.parametrize(
    ("params", "ontology", "message"),
    [
        ({"smear_labels": True}, None, "smear_labels needs an ontology"),
        ({"subsume_music": True}, None, "needs an ontology and display_names"),
        ({"subsume_music": True}, GRAPH, "needs an ontology and display_nam"),
    ],
)
def test_what_is_needed(params, ontology, message):
    with pytest.raises(InputError, match=message):
        LabelMapping(LabelMappingParams(**params), ontology)


def test_an_ontology_without_music():
    with pytest.raises(InputError, match="has no class Music"):
        music_classes(Ontology({"a": "A"}, {}), {"a"})


def test_an_ontology_that_is_not_used_is_noted(caplog):
    read_label_mapping(LabelMappingParams(), "none/ontology.json")
    assert "none/ontology.json is not used" in caplog.text


def test_canonical_classes_of_the_release(audioset_labels):
    class_map = read_class_map(audioset_labels / "class_labels_indices.csv")
    weak = dict(zip(class_map.mids, class_map.display_names))
    strong = read_display_names(audioset_labels / "mid_to_display_name.tsv")
    words = {"Goose": "geese"}
    for mid, target in CANONICAL_MIDS.items():
        assert mid not in strong
        name = words.get(weak[mid], weak[mid]).lower()
        # The class was widened by just this name.
        assert name in strong[target]
        assert name not in weak[target].lower()
    renamed = [m for m in weak if m in strong and strong[m] != weak[m]]
    assert len(renamed) == 12
    # Of the other eight, none took in a class that has a mid.
    names = {name.lower(): mid for mid, name in weak.items()}
    ontology = read_ontology(audioset_labels / "ontology.json")
    names |= {name.lower(): mid for mid, name in ontology.display_names.items()}
    new_names = {
        part
        for mid in renamed
        for part in strong[mid].lower().split(", ")
        if part not in weak[mid].lower().split(", ")
    }
    assert {names[n] for n in new_names if n in names} == (
        set(CANONICAL_MIDS) - {GOOSE}
    )


def test_music_of_the_release(audioset_labels):
    everything = read_label_mapping(
        LabelMappingParams(True, True, True),
        audioset_labels / "ontology.json",
        audioset_labels / "mid_to_display_name.tsv",
    )
    assert len(everything.music.kept) == 12
    class_map = read_class_map(audioset_labels / "class_labels_indices.csv")
    in_527 = set(everything.music.subsumed) & set(class_map.mids)
    assert len(in_527) == 137
    assert {everything.targets_of(mid)[0] for mid in in_527} == {MUSIC_MID}
    lines = describe_mapping(everything)
    assert len(lines) == 3
    # 188 nodes below Music in the ontology, 12 of them kept.
    assert lines[2].startswith("176 descendants of Music become Music; the ")
    ontology = read_ontology(audioset_labels / "ontology.json")
    for mid in ontology.display_names:
        targets = everything.targets_of(mid)
        again = [t for target in targets for t in everything.targets_of(target)]
        assert set(again) == set(targets)

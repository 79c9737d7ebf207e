"""What a positive label becomes, alone and in whole tables."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.label_mapping import (
    CANONICAL_MIDS,
    FramedMappingCounts,
    LabelMapping,
    describe_mapping,
    map_framed_labels,
    map_strong_labels,
    map_weak_labels,
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


def test_each_mapping_alone():
    smear = mapping(smear_labels=True)
    assert smear.targets_of("dog") == ("dog", "animal", "sound")
    assert smear.targets_of("bell") == (
        *("bell", MUSIC_MID, "alarm", "instrument", "sound"),
    )
    assert smear.targets_of("not in the ontology") == ("not in the ontology",)
    subsume = mapping(subsume_music=True)
    assert subsume.music.kept == ("bell",)
    assert subsume.music.subsumed == ("instrument", "guitar")
    assert subsume.targets_of("guitar") == (MUSIC_MID,)
    assert subsume.targets_of("bell") == ("bell",)
    canonical = mapping(canonicalize_mids=True)
    assert canonical.targets_of(GOOSE) == (DUCK,)
    assert canonical.targets_of(DUCK) == (DUCK,)


def _check_idempotent(label_mapping, ontology):
    for mid in ontology.display_names:
        targets = label_mapping.targets_of(mid)
        again = [t for one in targets for t in label_mapping.targets_of(one)]
        assert set(again) == set(targets)


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
    _check_idempotent(everything, GRAPH)


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
    _check_idempotent(everything, ontology)


_STRONG_DTYPES = {
    "segment_id": object,
    "onset_seconds": float,
    "offset_seconds": float,
    "mid": object,
}
_FRAMED_DTYPES = {
    "segment_id": object,
    "label_frame": "int64",
    "mid": object,
    "is_present": bool,
}
_MAPPINGS = {
    "smear": mapping(smear_labels=True),
    "music": mapping(subsume_music=True),
    "canonical": mapping(canonicalize_mids=True),
    "all": mapping(
        smear_labels=True, subsume_music=True, canonicalize_mids=True
    ),
}


def _strong(rows):
    table = pd.DataFrame(rows, columns=list(_STRONG_DTYPES))
    return table.astype(_STRONG_DTYPES)


def _framed(rows):
    table = pd.DataFrame(rows, columns=list(_FRAMED_DTYPES))
    return table.astype(_FRAMED_DTYPES)


def _weak(mids_of_clip):
    return pd.DataFrame(
        {
            "segment_id": pd.Series(list(mids_of_clip), dtype=object),
            "start_seconds": 0.0,
            "end_seconds": 10.0,
            "mids": pd.Series(list(mids_of_clip.values()), dtype=object),
        }
    )


def _rows(table):
    return list(table.itertuples(index=False, name=None))


def test_all_off_changes_nothing():
    identity = LabelMapping()
    assert identity.is_identity
    assert identity.targets_of(GOOSE) == (GOOSE,)
    assert describe_mapping(identity) == []
    weak, strong = _weak({"a_0": ("dog",)}), _strong([("a_0", 0.0, 1.0, "dog")])
    framed = _framed([("a_0", 0, "dog", True)])
    assert map_weak_labels(weak, identity) is weak
    assert map_strong_labels(strong, identity) is strong
    assert map_framed_labels(framed, identity) == (
        framed,
        FramedMappingCounts(),
    )


def test_weak_labels():
    weak = _weak({"a_0": ("dog", "bell"), "b_0": (), "c_0": ("dog", GOOSE)})
    mapped = map_weak_labels(weak, _MAPPINGS["all"])
    assert mapped["mids"].tolist() == [
        ("dog", "bell", "animal", "sound", MUSIC_MID, "alarm"),
        (),
        ("dog", DUCK, "animal", "sound", "fowl"),
    ]
    assert mapped.drop(columns="mids").equals(weak.drop(columns="mids"))
    # The input is not changed.
    assert weak["mids"].tolist()[0] == ("dog", "bell")


def test_strong_labels():
    strong = _strong(
        [
            ("a_0", 1.0, 2.0, "dog"),
            ("a_0", 1.0, 2.0, "animal"),
            ("a_0", 1.0, 3.0, GOOSE),
            ("b_0", 1.0, 2.0, "unknown"),
        ]
    )
    mapped = map_strong_labels(strong, mapping(smear_labels=True))
    assert _rows(mapped) == [
        ("a_0", 1.0, 2.0, "dog"),
        ("a_0", 1.0, 2.0, "animal"),
        ("a_0", 1.0, 2.0, "sound"),
        # The marked animal is the dog's, so it is not there twice.
        ("a_0", 1.0, 3.0, GOOSE),
        ("a_0", 1.0, 3.0, "animal"),
        ("a_0", 1.0, 3.0, "fowl"),
        ("a_0", 1.0, 3.0, "sound"),
        ("b_0", 1.0, 2.0, "unknown"),
    ]
    assert mapped.dtypes.equals(strong.dtypes)


@pytest.mark.parametrize("label_mapping", _MAPPINGS.values(), ids=_MAPPINGS)
def test_empty_tables(label_mapping):
    assert not len(map_weak_labels(_weak({}), label_mapping))
    assert not len(map_strong_labels(_strong([]), label_mapping))
    framed, counts = map_framed_labels(_framed([]), label_mapping)
    assert not len(framed)
    assert counts == FramedMappingCounts()


def _pair(segment_id, mid, present):
    return [(segment_id, f, mid, f in present) for f in range(10)]


def test_framed_labels():
    framed = _framed(
        [
            *_pair("a_0", "dog", {0, 1}),
            # An explicit negative that the dog contradicts.
            *_pair("a_0", "animal", set()),
            # Complementary negatives, of which the dog overrides frame 1.
            *_pair("a_0", "sound", {0, 5}),
            *_pair("b_0", "dog", set()),
            *_pair("b_0", GOOSE, set()),
            ("c_0", 3, "alarm", True),
        ]
    )
    mapped, counts = map_framed_labels(
        framed, mapping(smear_labels=True, canonicalize_mids=True)
    )
    assert _rows(mapped) == [
        *_pair("a_0", "dog", {0, 1}),
        # Absent dogs say nothing of animals; geese are no class any more.
        *_pair("b_0", "dog", set()),
        # Not completed: it gained nothing.
        ("c_0", 3, "alarm", True),
        *_pair("a_0", "animal", {0, 1}),
        *_pair("a_0", "sound", {0, 1, 5}),
        *_pair("c_0", "sound", {3}),
    ]
    assert mapped.dtypes.equals(framed.dtypes)
    assert counts == FramedMappingCounts(
        num_pairs_gained=3,
        num_contradicted_pairs=1,
        # Two of animal, one of sound.
        num_overridden_negatives=3,
        num_replaced_negatives=10,
    )


def _smear_framed_slowly(framed, label_mapping):
    """Pairs as sets of label frames, one label at a time."""
    present, listed, gained = {}, {}, set()
    for segment_id, label_frame, mid, is_present in _rows(framed):
        targets = label_mapping.targets_of(mid)
        if targets[0] == mid:
            listed.setdefault((segment_id, mid), {})[label_frame] = False
        for target in targets if is_present else ():
            present.setdefault((segment_id, target), set()).add(label_frame)
            if target != mid:
                gained.add((segment_id, target))
    rows = {}
    for pair in listed.keys() | gained:
        frames = range(10) if pair in gained else listed[pair]
        for f in frames:
            rows[(*pair, f)] = f in present.get(pair, ())
    return rows


_ANY = st.sampled_from(list(_MAPPINGS.values()))
_MIDS = st.sampled_from([*GRAPH.display_names, "unknown"])
_CLIPS = st.sampled_from(["a_0", "b_0"])
_TIMES = st.integers(0, 10000)
_STRONG_TABLES = st.lists(
    st.tuples(_CLIPS, _TIMES, _TIMES, _MIDS), max_size=12
).map(
    lambda rows: _strong(
        [
            (clip, min(times) / 1000, (max(times) + 1) / 1000, mid)
            for clip, *times, mid in rows
        ]
    )
)
_FRAMED_TABLES = st.dictionaries(
    st.tuples(_CLIPS, st.integers(0, 9), _MIDS), st.booleans(), max_size=20
).map(lambda cells: _framed([(*key, value) for key, value in cells.items()]))


@given(label_mapping=_ANY, strong=_STRONG_TABLES)
@settings(deadline=None, max_examples=50)
def test_framing_mapped_events_is_mapping_framed_events(label_mapping, strong):
    framed_last = frame_strong_labels(map_strong_labels(strong, label_mapping))
    framed_first, _ = map_framed_labels(
        frame_strong_labels(strong), label_mapping
    )
    assert sorted(_rows(framed_first)) == sorted(_rows(framed_last))


@given(label_mapping=_ANY, strong=_STRONG_TABLES, framed=_FRAMED_TABLES)
@settings(deadline=None, max_examples=50)
def test_twice_is_once(label_mapping, strong, framed):
    once = map_strong_labels(strong, label_mapping)
    assert _rows(map_strong_labels(once, label_mapping)) == _rows(once)
    once, _ = map_framed_labels(framed, label_mapping)
    twice, _ = map_framed_labels(once, label_mapping)
    # Pairs of replaced classes gain the first time only, so rows change place.
    assert sorted(_rows(twice)) == sorted(_rows(once))
    weak = _weak({s: tuple(t["mid"]) for s, t in strong.groupby("segment_id")})
    once = map_weak_labels(weak, label_mapping)
    assert _rows(map_weak_labels(once, label_mapping)) == _rows(once)


@given(label_mapping=_ANY, framed=_FRAMED_TABLES)
@settings(deadline=None, max_examples=50)
def test_framed_labels_against_the_slow_way(label_mapping, framed):
    mapped, _ = map_framed_labels(framed, label_mapping)
    expected = _smear_framed_slowly(framed, label_mapping)
    assert len(mapped) == len(expected)
    assert {(s, m, f): p for s, f, m, p in _rows(mapped)} == expected


@given(label_mapping=_ANY, strong=_STRONG_TABLES)
@settings(deadline=None, max_examples=50)
def test_strong_labels_against_the_slow_way(label_mapping, strong):
    expected = {
        (segment_id, onset, offset, target)
        for segment_id, onset, offset, mid in _rows(strong)
        for target in label_mapping.targets_of(mid)
    }
    mapped = _rows(map_strong_labels(strong, label_mapping))
    assert len(mapped) == len(expected)
    assert set(mapped) == expected

"""Tests of inference/events.py."""

import pytest

from audioset_strong.errors import InputError
from audioset_strong.inference.event_decoding import ScoredEvent
from audioset_strong.inference.events import Events, find_classes_to_keep
from audioset_strong.labels.class_map import ClassMap

_CLASSES = ClassMap(("/m/a", "own", "/m/c"), ("Dog", "Bark", "Bark"))


def test_events_become_a_table():
    found = (ScoredEvent(1, 0.24, 0.96, 0.75), ScoredEvent(0, 1.2, 1.5, 0.5))
    events = Events(found, _CLASSES, 1.5)
    assert len(events) == 2
    assert tuple(events) == found
    assert events.to_dataframe().to_dict("records") == [
        {
            "onset_seconds": 0.24,
            "offset_seconds": 0.96,
            "mid": "own",
            "display_name": "Bark",
            "score": 0.75,
        },
        {
            "onset_seconds": 1.2,
            "offset_seconds": 1.5,
            "mid": "/m/a",
            "display_name": "Dog",
            "score": 0.5,
        },
    ]


def test_a_table_without_events_has_the_same_columns():
    empty = Events((), _CLASSES, 1.5).to_dataframe()
    full = Events((ScoredEvent(0, 0.0, 1.0, 0.5),), _CLASSES, 1.5)
    assert not len(empty)
    assert empty.dtypes.to_dict() == full.to_dataframe().dtypes.to_dict()


def test_classes_to_keep_are_found_by_id_or_name():
    assert find_classes_to_keep(["/m/c", "Dog", "/m/a"], _CLASSES) == [0, 2]
    with pytest.raises(InputError, match="found 'dog', 'Cat'.*'Dog', 'Bark'"):
        find_classes_to_keep(["dog", "own", "Cat"], _CLASSES)
    with pytest.raises(InputError, match="'Bark', which is own and /m/c"):
        find_classes_to_keep(["Bark"], _CLASSES)

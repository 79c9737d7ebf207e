"""Settings of a folder of records: saved, compared, named where they differ."""

import dataclasses

import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.params import AudioParams, RecordParams
from audioset_strong.records.plan import RecordSettings, check_settings

_MAP = ClassMap(("/m/x", "/m/y"), ("X", "Y"))


def _settings(class_map, **changes):
    return {"class_map_hash": class_map.content_hash, **changes}


def test_a_new_folder_keeps_its_settings(tmp_path):
    settings = _settings(_MAP, features={"log_offset": 0.01})
    for _ in range(2):
        check_settings(str(tmp_path), settings, _MAP)
    other = {**settings, "features": {"log_offset": 0.001}}
    with pytest.raises(InputError, match="features: .*0.01} there, .*0.001} n"):
        check_settings(str(tmp_path), other, _MAP)


def test_other_classes_are_named(tmp_path):
    check_settings(str(tmp_path), _settings(_MAP), _MAP)
    other = ClassMap(("/m/y", "/m/x"), ("Y", "X"))
    both = f"{_MAP.content_hash} there, {other.content_hash} now"
    with pytest.raises(InputError, match=both) as error:
        check_settings(str(tmp_path), _settings(other), other)
    assert "class 0" not in str(error.value)
    write_class_map(_MAP, tmp_path / "class_map.csv")
    with pytest.raises(InputError, match="class 0 is /m/x there, /m/y here"):
        check_settings(str(tmp_path), _settings(other), other)


def test_all_settings_are_saved():
    settings = RecordSettings(RecordParams(log_mel_dtype="uint8"))
    saved = settings.as_json(_MAP)
    assert saved["records"]["log_mel_dtype"] == "uint8"
    assert saved["audio"] == dataclasses.asdict(AudioParams())
    assert set(saved) == {
        "records",
        "features",
        "audio",
        "label_frames",
        "label_mapping",
        "class_map_hash",
    }
    assert settings.of_shards.log_mel_dtype == "uint8"

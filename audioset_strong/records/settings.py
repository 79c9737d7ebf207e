"""Settings that a folder of records is made with, saved before its first shard.

settings.json  all of them, so that a re-run with others is refused
"""

import dataclasses
import os
from typing import Any

from audioset_strong import storage
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
    describe_other_classes,
    parse_class_map,
)
from audioset_strong.params import (
    AudioParams,
    FeatureParams,
    LabelFrameParams,
    LabelMappingParams,
    RecordParams,
)
from audioset_strong.records.manifest import (
    CLASS_MAP_NAME,
    read_json,
    write_json,
)
from audioset_strong.records.shard_tasks import ShardSettings

SETTINGS_NAME = "settings.json"

# Settings that an older folder may lack: they were as their defaults are.
_DEFAULTS = {
    "records": dataclasses.asdict(RecordParams()),
    "label_mapping": dataclasses.asdict(LabelMappingParams()),
    "audio": dataclasses.asdict(AudioParams()),
}


@dataclasses.dataclass(frozen=True)
class RecordSettings:
    """All settings of a folder of records.

    Attributes:
      records: Shares, shards and storage.
      features: The front end.
      audio: How audio is decoded, and which faults are left out.
      label_frames: Grid of label frames, for readers.
      label_mapping: How labels were mapped.
    """

    records: RecordParams = RecordParams()
    features: FeatureParams = FeatureParams()
    audio: AudioParams = AudioParams()
    label_frames: LabelFrameParams = LabelFrameParams()
    label_mapping: LabelMappingParams = LabelMappingParams()

    @property
    def of_shards(self) -> ShardSettings:
        """Those that the bytes of a shard depend on."""
        return ShardSettings(
            self.features, self.audio, self.records.log_mel_dtype
        )

    def as_json(self, class_map: ClassMap) -> dict[str, Any]:
        """Returns the settings and the hash of the classes, JSON-ready."""
        return {
            **dataclasses.asdict(self),
            "class_map_hash": class_map.content_hash,
        }


def check_settings(
    output_dir: str, settings: dict[str, Any], class_map: ClassMap
) -> None:
    """Saves the settings of a new folder, or compares them in an old one.

    Args:
      output_dir: Folder of the records; its class map is that of its settings.
      settings: Of the records that are to be made, JSON-ready.
      class_map: Classes of the same.

    Raises:
      InputError: The folder was begun with other settings or classes.
    """
    path = os.path.join(output_dir, SETTINGS_NAME)
    if storage.exists(path):
        found = read_json(path)
        for name, default in _DEFAULTS.items():
            found[name] = {**default, **found.get(name, {})}
        differing = [
            f"{name}: {found.get(name)} there, {value} now"
            for name, value in settings.items()
            if found.get(name) != value
        ]
        if differing:
            differing += _other_classes(output_dir, class_map)
            raise InputError(
                f"{output_dir} holds records made with other settings "
                f"({'; '.join(differing)}). Give another --output_dir or "
                f"delete it."
            )
    write_json(settings, path)


def _other_classes(output_dir: str, class_map: ClassMap) -> list[str]:
    """Says which classes differ, if the folder still has its class map."""
    path = os.path.join(output_dir, CLASS_MAP_NAME)
    if not storage.exists(path):
        return []
    mids = parse_class_map(storage.read_bytes(path).decode(), path).mids
    text = describe_other_classes(mids, class_map.mids, path, "--class_map")
    return [text] if text else []

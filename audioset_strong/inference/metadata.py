"""What an exported model says of itself, the same in every format.

JSON of one object: in a SavedModel what `model.metadata()` returns, in an ONNX
file the metadata property "audioset_strong", and `metadata.json` beside all
files and within `.tflite` files, which end in an archive (`unzip` reads it).
"""

import dataclasses
import json
from typing import Any

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, check_class_hash
from audioset_strong.params import FeatureParams, from_dict

# Name of the JSON in formats that hold several pieces of metadata.
METADATA_KEY = "audioset_strong"
# File of the JSON.
METADATA_FILE = "metadata.json"


@dataclasses.dataclass(frozen=True)
class ModelMetadata:
    """All that is needed to use a model, and where it comes from.

    Attributes:
      name: What to call it.
      class_map: Its classes, in the order of its scores.
      features: Its front end; what sample rate, and how long a patch is.
      thresholds: Score from which each class counts as present, in [0, 1], as
        `choose_thresholds` chose it; None if none were given.
      training: Where it comes from, JSON-ready: the run's settings, hash of its
        records, checkpoint, step and hash of the weights.
      licence: Of the weights, such as "CC-BY-4.0"; "" if it was not said.
      version: Of the package that exported it.
    """

    name: str
    class_map: ClassMap
    features: FeatureParams
    thresholds: tuple[float, ...] | None = None
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    licence: str = ""
    version: str = ""

    def to_json(self) -> str:
        """Returns it as JSON."""
        features, classes = self.features, self.class_map
        return json.dumps(
            {
                "name": self.name,
                "sample_rate": features.sample_rate,
                "patch_window_seconds": features.patch_window_seconds,
                "patch_hop_seconds": features.patch_window_seconds,
                "label_frame_seconds": features.patch_window_seconds,
                "class_map_hash": classes.content_hash,
                "mids": classes.mids,
                "display_names": classes.display_names,
                "thresholds": self.thresholds,
                "features": dataclasses.asdict(features),
                "training": self.training,
                "licence": self.licence,
                "version": self.version,
            }
        )


def parse_metadata(text: str, path: str) -> ModelMetadata:
    """Reads what `to_json` returned; `path` is the model's, for errors.

    Raises:
      InputError: It is not such JSON, or its classes are not those of its hash.
    """
    try:
        stored = json.loads(text)
        class_map = ClassMap(
            tuple(stored["mids"]), tuple(stored["display_names"])
        )
        thresholds = stored["thresholds"]
        metadata = ModelMetadata(
            name=stored["name"],
            class_map=class_map,
            features=from_dict(FeatureParams, stored["features"]),
            thresholds=None if thresholds is None else tuple(thresholds),
            training=stored["training"],
            licence=stored["licence"],
            version=stored["version"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a model of this package, with its metadata. "
            f"Export it again with export_saved_model. ({error!r})"
        ) from error
    check_class_hash(
        class_map.mids,
        stored["class_map_hash"],
        path,
        "The model was exported with other classes: export it again.",
    )
    return metadata

"""The official files of AudioSet labels: where they are and what is in them.

A row is a line besides the header, or a node of the ontology. Nobody publishes
checksums, so a file is known by its rows, clips and classes.

Source of the counts: the second line of the weak CSVs (eval, balanced train);
the download page of the strong labels (clips; 456 classes); files counted by
us (class index, display names, ontology); users who counted the others (events
and classes of the strong files, segments of unbalanced train). The framed
file's are recalled and not verified, so a difference there is a warning.
"""

import dataclasses

_WEAK_URL = "https://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv/"
_STRONG_URL = (
    "https://storage.googleapis.com/us_audioset/youtube_corpus/strong/"
)
_ONTOLOGY_URL = "https://raw.githubusercontent.com/audioset/ontology/master/"

LABEL_LICENCE = "CC BY 4.0, Google AudioSet"
ONTOLOGY_LICENCE = "CC BY-SA 4.0, Google AudioSet"


@dataclasses.dataclass(frozen=True)
class FileCounts:
    """What is in a label file; None where it does not apply or is not known.

    Attributes:
      rows: Lines besides the header, or nodes.
      clips: Distinct segment ids.
      classes: Distinct mids.
      labels: Labels of all clips together, of weak CSVs.
    """

    rows: int | None = None
    clips: int | None = None
    classes: int | None = None
    labels: int | None = None

    def differences(self, found: "FileCounts") -> list[str]:
        """Says where `found` is not as expected; unknown counts are not."""
        pairs = {
            name: (expected, getattr(found, name))
            for name, expected in dataclasses.asdict(self).items()
        }
        return [
            f"Expected {expected:,} {name}, found "
            f"{'none' if count is None else format(count, ',')}"
            for name, (expected, count) in pairs.items()
            if expected is not None and expected != count
        ]


@dataclasses.dataclass(frozen=True)
class ReleasedFile:
    """An official file.

    Attributes:
      name: Its name, also in a folder of labels.
      url: Where it is.
      kind: "weak", "strong", "framed", "class_map", "display_names" or
        "ontology": which reader reads it.
      expected: What is in it.
      is_verified: Whether `expected` was verified; if not, a difference is a
        warning.
      licence: Its licence and authors.
    """

    name: str
    url: str
    kind: str
    expected: FileCounts
    is_verified: bool = True
    licence: str = LABEL_LICENCE


def _weak(name: str, segments: int, labels: int | None = None) -> ReleasedFile:
    # One segment a clip, and all 527 classes in each file.
    counts = FileCounts(segments, segments, 527, labels)
    return ReleasedFile(name, _WEAK_URL + name, "weak", counts)


def _strong(name: str, events: int, clips: int, classes: int) -> ReleasedFile:
    counts = FileCounts(events, clips, classes)
    return ReleasedFile(name, _STRONG_URL + name, "strong", counts)


RELEASED_FILES = (
    _weak("eval_segments.csv", 20_371, 51_804),
    _weak("balanced_train_segments.csv", 22_160, 52_882),
    _weak("unbalanced_train_segments.csv", 2_041_789),
    ReleasedFile(
        "class_labels_indices.csv",
        _WEAK_URL + "class_labels_indices.csv",
        "class_map",
        FileCounts(rows=527, classes=527),
    ),
    _strong("audioset_train_strong.tsv", 934_821, 103_463, 447),
    _strong("audioset_eval_strong.tsv", 139_538, 16_996, 416),
    ReleasedFile(
        "audioset_eval_strong_framed_posneg.tsv",
        _STRONG_URL + "audioset_eval_strong_framed_posneg.tsv",
        "framed",
        # 300,307 positive and 658,221 negative label frames.
        FileCounts(rows=958_528, clips=14_203),
        is_verified=False,
    ),
    ReleasedFile(
        "mid_to_display_name.tsv",
        _STRONG_URL + "mid_to_display_name.tsv",
        "display_names",
        FileCounts(rows=456, classes=456),
    ),
    ReleasedFile(
        "ontology.json",
        _ONTOLOGY_URL + "ontology.json",
        "ontology",
        FileCounts(rows=632, classes=632),
        licence=ONTOLOGY_LICENCE,
    ),
)

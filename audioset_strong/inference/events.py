"""The events that a model found in one recording, with their classes."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from audioset_strong.errors import InputError
from audioset_strong.inference.event_decoding import ScoredEvent
from audioset_strong.labels.class_map import ClassMap, group_by_name
from audioset_strong.labels.problems import listed

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, eq=False)
class Events:
    """The events of one recording; iterating gives each `ScoredEvent`.

    Attributes:
      events: By onset, then class index.
      class_map: What their class indices mean.
      audio_seconds: Length of the recording.
      notes: What is odd about its audio, a line each.
    """

    events: tuple[ScoredEvent, ...]
    class_map: ClassMap
    audio_seconds: float
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[ScoredEvent]:
        return iter(self.events)

    def mid(self, event: ScoredEvent) -> str:
        """Returns the class id of an event."""
        return self.class_map.mids[event.class_index]

    def display_name(self, event: ScoredEvent) -> str:
        """Returns the name of an event's class."""
        return self.class_map.display_names[event.class_index]

    def to_dataframe(self) -> "pd.DataFrame":
        """Returns a row for each event, in their order.

        Columns: onset_seconds and offset_seconds from the start of the
        recording, mid, display_name, score in [0, 1].
        """
        import pandas as pd

        rows = [
            (
                event.onset_seconds,
                event.offset_seconds,
                self.mid(event),
                self.display_name(event),
                event.score,
            )
            for event in self
        ]
        types = {
            "onset_seconds": float,
            "offset_seconds": float,
            "mid": str,
            "display_name": str,
            "score": float,
        }
        # Without events pandas does not see what the columns hold.
        return pd.DataFrame(rows, columns=list(types)).astype(types)


def find_classes_to_keep(
    names: Sequence[str], class_map: ClassMap
) -> list[int]:
    """Finds the class indices of classes, by class id or display name.

    Args:
      names: Such as "/m/0bt9lr", "dog_bark" or "Dog"; upper and lower case
        count.
      class_map: The classes of the model.

    Returns:
      Their class indices, ascending, each once.

    Raises:
      InputError: A name is of no class, or of several.
    """
    index_of_mid = class_map.index_of_mid
    named = zip(class_map.display_names, class_map.mids, strict=True)
    mids_of_name = group_by_name((mid, name) for name, mid in named)
    found = {
        name: [name] if name in index_of_mid else mids_of_name.get(name, [])
        for name in names
    }
    unknown = [name for name, mids in found.items() if not mids]
    if unknown:
        raise InputError(
            f"Expected ids or display names of classes of the model, found "
            f"{listed(map(repr, unknown))}. Its classes are "
            f"{listed(map(repr, class_map.display_names))}."
        )
    for name, mids in found.items():
        if len(mids) > 1:
            raise InputError(
                f"Expected a name of one class, found {name!r}, which is "
                f"{' and '.join(mids)}. Give the id."
            )
    return sorted({index_of_mid[mid] for [mid] in found.values()})

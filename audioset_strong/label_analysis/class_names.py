"""What is known of classes besides their labels, and classes by their names.

Twelve classes have one name in the weak release and another, mostly wider, in
the strong one. Classes are joined on mid; names are only shown, and looked up
for people who type them.
"""

import dataclasses
import difflib
import functools
import os
from collections.abc import Collection, Iterable, Mapping

from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import group_by_name, read_known_classes
from audioset_strong.labels.ontology import MUSIC_MID, read_ontology
from audioset_strong.labels.problems import ProblemLog

_Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class ClassInfo:
    """Names of classes, from up to three files, and which are music.

    Attributes:
      strong_names: Of the strong release, `mid_to_display_name.tsv`.
      weak_names: Of the weak release, `class_labels_indices.csv`, in its order.
      ontology_names: Of `ontology.json`, for mids that neither names.
      music_mids: Descendants of "Music", which the paper's annotators were not
        offered; None without an ontology.
    """

    strong_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    weak_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ontology_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    music_mids: Collection[str] | None = None

    def name(self, mid: str) -> str:
        """Returns the strong name, else the weak one, the ontology's, `mid`."""
        for names in (self.strong_names, self.weak_names, self.ontology_names):
            if mid in names:
                return names[mid]
        return mid

    def differing_weak_name(self, mid: str) -> str:
        """Returns the weak name where it is not `name(mid)`, else ""."""
        weak_name = self.weak_names.get(mid, "")
        return "" if weak_name == self.name(mid) else weak_name

    def full_name(self, mid: str) -> str:
        """Returns the name, with the weak one where it differs."""
        weak_name = self.differing_weak_name(mid)
        return self.name(mid) + (f" (weak: {weak_name})" if weak_name else "")

    def mids_of_name(self) -> dict[str, list[str]]:
        """Returns the mids of each name in any of the files."""
        files = (self.strong_names, self.weak_names, self.ontology_names)
        return group_by_name(pair for names in files for pair in names.items())

    @functools.cached_property
    def _mids_of_text(self) -> dict[str, set[str]]:
        """Mids of every name in lower case."""
        found: dict[str, set[str]] = {}
        for names in (self.strong_names, self.weak_names, self.ontology_names):
            for mid, name in names.items():
                found.setdefault(name.casefold(), set()).add(mid)
        return found

    def find_mid(self, text: str, mids: Iterable[str]) -> str:
        """Finds the class that a person means.

        Args:
          text: A mid, a display name, or a display name up to its first comma
            ("Male speech" for "Male speech, man speaking"), in any case. A
            whole name takes precedence over a beginning.
          mids: The classes to choose from.

        Returns:
          The mid.

        Raises:
          InputError: No class, or more than one, has that name; the message
            lists those that come near.
        """
        choices = set(mids)
        wanted = text.strip().casefold()
        if text.strip() in choices:
            return text.strip()
        texts = {
            name: named & choices
            for name, named in self._mids_of_text.items()
            if named & choices
        }
        found = texts.get(wanted) or {
            mid
            for name, named in texts.items()
            if name.split(",")[0] == wanted
            for mid in named
        }
        if len(found) == 1:
            return found.pop()
        if found:
            names = ", ".join(f"{self.name(m)} {m}" for m in sorted(found))
            raise InputError(
                f"{text!r} names {len(found)} classes: {names}. Give a mid."
            )
        near = difflib.get_close_matches(wanted, texts, n=5, cutoff=0.5)
        near += sorted(t for t in texts if wanted and wanted in t)[:5]
        near_mids = [
            mid for name in dict.fromkeys(near) for mid in sorted(texts[name])
        ]
        near_names = "; ".join(map(self.name, dict.fromkeys(near_mids)))
        hint = f" Near: {near_names}." if near_names else ""
        raise InputError(
            f"Expected a class that is labelled, by mid or display name. "
            f"Received: {text!r}.{hint} Lists are split at commas: give a mid, "
            f"or a name up to its first comma."
        )


def read_class_info(
    class_map_path: _Path | None = None,
    display_names_path: _Path | None = None,
    ontology_path: _Path | None = None,
    problems: ProblemLog | None = None,
) -> ClassInfo:
    """Reads the files that `ClassInfo` names; each is optional.

    `problems` takes those of the files; None to stop at bad lines.

    Raises:
      InputError: A file is not what it should be.
    """
    known = read_known_classes(class_map_path, display_names_path, problems)
    weak = known.class_map
    weak_names = dict(zip(weak.mids, weak.display_names)) if weak else {}
    if ontology_path is None:
        return ClassInfo(known.display_names, weak_names)
    ontology = read_ontology(ontology_path)
    return ClassInfo(
        known.display_names,
        weak_names,
        ontology.display_names,
        ontology.descendants(MUSIC_MID),
    )

"""Names of classes that several files name, and classes by their names.

Twelve classes have one name in the weak release and another, mostly wider, in
the strong one. Classes are joined on mid; names are only shown, and looked up
for people who type them.
"""

import dataclasses
import difflib
import functools
from collections.abc import Iterable, Mapping

from audioset_strong.errors import InputError


@dataclasses.dataclass(frozen=True)
class ClassNames:
    """Display names of mids, from up to three files.

    Attributes:
      strong: Of the strong release, `mid_to_display_name.tsv`.
      weak: Of the weak release, `class_labels_indices.csv`.
      ontology: Of `ontology.json`, for mids that neither names.
    """

    strong: Mapping[str, str] = dataclasses.field(default_factory=dict)
    weak: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ontology: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def name(self, mid: str) -> str:
        """Returns the strong name, else the weak one, the ontology's, `mid`."""
        for names in (self.strong, self.weak, self.ontology):
            if mid in names:
                return names[mid]
        return mid

    def differing_weak_name(self, mid: str) -> str:
        """Returns the weak name where it is not `name(mid)`, else ""."""
        weak_name = self.weak.get(mid, "")
        return "" if weak_name == self.name(mid) else weak_name

    def full_name(self, mid: str) -> str:
        """Returns the name, with the weak one where it differs."""
        weak_name = self.differing_weak_name(mid)
        return self.name(mid) + (f" (weak: {weak_name})" if weak_name else "")

    @functools.cached_property
    def _mids_of_text(self) -> dict[str, set[str]]:
        """Mids of every name in small letters."""
        found: dict[str, set[str]] = {}
        for names in (self.strong, self.weak, self.ontology):
            for mid, name in names.items():
                found.setdefault(name.casefold(), set()).add(mid)
        return found

    def find_mid(self, text: str, mids: Iterable[str]) -> str:
        """Finds the class that a person means.

        Args:
          text: A mid, a display name, or a display name up to its first comma
            ("Male speech" for "Male speech, man speaking"); capitals do not
            matter. A whole name holds over a beginning.
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
        whole = self._mids_of_text.get(wanted, set()) & choices
        beginning = {
            mid
            for name, named in self._mids_of_text.items()
            if name.split(",")[0] == wanted
            for mid in named & choices
        }
        found = whole or beginning
        if len(found) != 1:
            raise InputError(self._no_single_class(text, found, choices))
        return found.pop()

    def _no_single_class(
        self, text: str, found: set[str], choices: set[str]
    ) -> str:
        """Says why `text` is not one class, and what comes near."""
        if found:
            listed = ", ".join(f"{self.name(m)} {m}" for m in sorted(found))
            return f"{text!r} names {len(found)} classes: {listed}. Give a mid."
        texts = {
            t for t, named in self._mids_of_text.items() if named & choices
        }
        wanted = text.strip().casefold()
        near = difflib.get_close_matches(wanted, texts, n=5, cutoff=0.5)
        near += sorted(t for t in texts if wanted and wanted in t)[:5]
        near_mids = [
            mid
            for name in dict.fromkeys(near)
            for mid in sorted(self._mids_of_text[name] & choices)
        ]
        names = [self.name(mid) for mid in dict.fromkeys(near_mids)]
        hint = f" Near: {'; '.join(names)}." if names else ""
        return (
            f"Expected a class that is labelled, by mid or display name. "
            f"Received: {text!r}.{hint} Lists are split at commas: give a mid, "
            f"or a name up to its first comma."
        )

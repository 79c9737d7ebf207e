"""Label mapping: labels moved to other classes before anything uses them.

Three mappings, each off by default, because the paper uses labels "exactly as
provided" (end of Section 3.1). Those that are on work in this order:

  canonicalize_mids  Goose, Pink noise, Skidding and Toot become the wider class
                     that the strong labels have instead (`CANONICAL_MIDS`)
  smear_labels       a positive of a class is also one of all its ancestors
  subsume_music      descendants of Music become Music, but for those that the
                     strong labels keep (Section 3 of the paper)

A mapping says what a *positive* label becomes: one or several classes. Mids
that are not in the ontology (32 of the strong ones) have no ancestors and stay
as they are. Each mapping is idempotent: applied twice it does what it does
once. `mapped_labels.py` applies it to label tables.
"""

import dataclasses
import os
from collections.abc import Collection

from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.ontology import MUSIC_MID, Ontology, read_ontology
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelMappingParams

_Path = str | os.PathLike[str]

# Weak classes without strong labels -> the strong class whose new name says
# that it holds them. Our reading of two released files: left, names of
# class_labels_indices.csv; right, mid_to_display_name.tsv (in brackets, what
# the same mid is called in the former). The other 8 renamed classes took in
# nothing that ever had a mid: there is no class Tricycle, Food processor,
# River or Bubbling in the 527 or in the ontology.
CANONICAL_MIDS = {
    # Goose -> Ducks, geese, waterfowl (Duck)
    "/m/0dbvp": "/m/09ddx",
    # Pink noise -> White noise, pink noise (White noise)
    "/m/0cj0r": "/m/0chx_",
    # Skidding -> Tire squeal, skidding (Tire squeal)
    "/m/07rknqz": "/m/0h9mv",
    # Toot -> Vehicle horn, car horn, honking, toot (... honking)
    "/m/07qv_d5": "/m/0912c9",
}


@dataclasses.dataclass(frozen=True)
class MusicClasses:
    """What becomes of the descendants of Music.

    Attributes:
      kept: Mids that the strong labels have, which stay: 12 in the release,
        mostly bells. In the ontology's order.
      subsumed: Mids that the strong labels lack; they become Music.
    """

    kept: tuple[str, ...]
    subsumed: tuple[str, ...]


def music_classes(
    ontology: Ontology, strong_mids: Collection[str]
) -> MusicClasses:
    """Divides the descendants of Music by whether strong labels have them.

    Args:
      ontology: The ontology.
      strong_mids: All classes of the strong labels, train and eval, as in
        mid_to_display_name.tsv.

    Raises:
      InputError: Music is not a class of the ontology.

    Source:
      Section 3 of the paper: musical instruments and genres were subsumed into
      "Music". Which are kept is read from the release, where 137 of the 149
      descendants among the 527 have no strong label (the paper says 140).
    """
    if MUSIC_MID not in ontology.display_names:
        raise InputError(
            f"The ontology has no class Music ({MUSIC_MID}), so nothing can be "
            f"subsumed into it. Give the released ontology.json."
        )
    below = ontology.descendants(MUSIC_MID)
    ordered = [mid for mid in ontology.display_names if mid in below]
    strong = set(strong_mids)
    return MusicClasses(
        kept=tuple(mid for mid in ordered if mid in strong),
        subsumed=tuple(mid for mid in ordered if mid not in strong),
    )


class LabelMapping:
    """Which classes a positive label of a class becomes.

    Attributes:
      params: Which mappings are on.
      music: The descendants of Music; empty unless they are subsumed.
    """

    def __init__(
        self,
        params: LabelMappingParams = LabelMappingParams(),
        ontology: Ontology | None = None,
        strong_mids: Collection[str] | None = None,
    ) -> None:
        """Makes a mapping.

        Args:
          params: Which mappings are on.
          ontology: Needed to smear labels and to subsume Music.
          strong_mids: All classes of the strong labels; needed to subsume
            Music.

        Raises:
          InputError: Something that is needed is missing.
        """
        self.params = params
        self.music = MusicClasses((), ())
        self._ontology = ontology
        self._targets: dict[str, tuple[str, ...]] = {}
        if params.smear_labels and ontology is None:
            raise InputError(
                "--smear_labels needs --ontology: give ontology.json."
            )
        if params.subsume_music:
            if ontology is None or strong_mids is None:
                raise InputError(
                    "--subsume_music needs --ontology and --display_names: "
                    "give ontology.json, and mid_to_display_name.tsv, which "
                    "names the classes that the strong labels keep."
                )
            self.music = music_classes(ontology, strong_mids)
        self._subsumed = frozenset(self.music.subsumed)

    @property
    def is_identity(self) -> bool:
        """Whether every label stays as it is."""
        return self.params == LabelMappingParams()

    def targets_of(self, mid: str) -> tuple[str, ...]:
        """Returns what a positive label of a class becomes.

        Returns:
          At least one mid. The first is the class itself or what replaces it,
          the others are ancestors.
        """
        if mid not in self._targets:
            found = map(self._subsume, self._closure(self._canonical(mid)))
            self._targets[mid] = tuple(dict.fromkeys(found))
        return self._targets[mid]

    def _canonical(self, mid: str) -> str:
        if self.params.canonicalize_mids:
            return CANONICAL_MIDS.get(mid, mid)
        return mid

    def _closure(self, mid: str) -> list[str]:
        """Returns a class and, if labels are smeared, its ancestors.

        An ancestor is replaced by its canonical class, whose own ancestors
        count too; hence the queue.
        """
        found = [mid]
        if self._ontology is not None and self.params.smear_labels:
            for member in found:  # grows while it is read
                for ancestor in sorted(self._ontology.ancestors(member)):
                    canonical = self._canonical(ancestor)
                    if canonical not in found:
                        found.append(canonical)
        return found

    def _subsume(self, mid: str) -> str:
        return MUSIC_MID if mid in self._subsumed else mid


def read_label_mapping(
    params: LabelMappingParams,
    ontology_path: _Path | None = None,
    display_names_path: _Path | None = None,
    problems: ProblemLog | None = None,
) -> LabelMapping:
    """Makes a mapping from the released files that it needs.

    Args:
      params: Which mappings are on.
      ontology_path: ontology.json.
      display_names_path: mid_to_display_name.tsv.
      problems: Takes bad lines of the latter; None is strict.

    Raises:
      InputError: A file that is needed is missing, or is not what it should be.
    """
    needs_ontology = params.smear_labels or params.subsume_music
    if ontology_path is not None and not needs_ontology:
        logging.warning(
            "%s is not used: neither --smear_labels nor --subsume_music is on.",
            ontology_path,
        )
    ontology = strong_mids = None
    if needs_ontology and ontology_path is not None:
        ontology = read_ontology(ontology_path)
    if params.subsume_music and display_names_path is not None:
        strong_mids = read_display_names(display_names_path, problems)
    return LabelMapping(params, ontology, strong_mids)


def describe_mapping(mapping: LabelMapping) -> list[str]:
    """Says in words which mappings are on; nothing if none is."""
    lines = []
    if mapping.params.canonicalize_mids:
        lines.append(
            f"Canonical mids: {len(CANONICAL_MIDS)} weak classes become the "
            f"strong class that holds them."
        )
    if mapping.params.smear_labels:
        lines.append("Positives are also those of all ancestors.")
    if mapping.params.subsume_music:
        music = mapping.music
        lines.append(
            f"{len(music.subsumed)} descendants of Music become Music; the "
            f"strong labels keep {len(music.kept)}: {', '.join(music.kept)}."
        )
    return lines

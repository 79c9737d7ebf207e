"""Label mapping: labels moved to other classes before anything uses them.

Three mappings, each off by default, because the paper uses labels "exactly as
provided" (end of Section 3.1). Those that are on work in this order:

  canonicalize_mids  Goose, Pink noise, Skidding and Toot become the wider class
                     that the strong labels have instead (`CANONICAL_MIDS`)
  smear_labels       a positive of a class is also one of all its ancestors
  subsume_music      descendants of Music become Music, but for those that the
                     strong labels keep (Section 3 of the paper)

A mapping says which classes a *positive* label becomes. Mids that are not in
the ontology (32 of the strong ones) have no ancestors and stay as they are.
Each mapping is idempotent: applying it twice changes nothing more. Tables are
mapped by looking up each distinct class once, not each row.
"""

import dataclasses
import os
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.labels.label_files import read_display_names
from audioset_strong.labels.ontology import MUSIC_MID, Ontology, read_ontology
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams, LabelMappingParams

_Path = str | os.PathLike[str]
_Ints = npt.NDArray[np.int64]
_Objects = npt.NDArray[np.object_]

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
    """The descendants of Music, by what the mapping does to them.

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
      ontology: The ontology; InputError if it has no Music.
      strong_mids: All classes of the strong labels, train and eval, as in
        mid_to_display_name.tsv.

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
    return MusicClasses(
        kept=tuple(mid for mid in ordered if mid in strong_mids),
        subsumed=tuple(mid for mid in ordered if mid not in strong_mids),
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
        """Makes a mapping; refuses to without an argument that it needs.

        Args:
          params: Which mappings are on.
          ontology: Needed by smear_labels and subsume_music.
          strong_mids: All classes of the strong labels; needed by
            subsume_music.
        """
        self.params = params
        self.music = MusicClasses((), ())
        self._ontology = ontology
        self._targets: dict[str, tuple[str, ...]] = {}
        if params.smear_labels and ontology is None:
            raise InputError(
                "smear_labels needs an ontology: give ontology.json."
            )
        if params.subsume_music:
            if ontology is None or strong_mids is None:
                raise InputError(
                    "subsume_music needs an ontology and display_names: give "
                    "ontology.json, and mid_to_display_name.tsv, which names "
                    "the classes that the strong labels keep."
                )
            self.music = music_classes(ontology, strong_mids)
        self._subsumed = frozenset(self.music.subsumed)

    @property
    def is_identity(self) -> bool:
        """Whether every label stays as it is."""
        return self.params == LabelMappingParams()

    def targets_of(self, mid: str) -> tuple[str, ...]:
        """Returns what a positive label of a class becomes: at least one mid.

        The first is the class itself or what replaces it, the others are
        ancestors.
        """
        if mid not in self._targets:
            self._targets[mid] = tuple(
                dict.fromkeys(
                    MUSIC_MID if found in self._subsumed else found
                    for found in self._closure(self._canonical(mid))
                )
            )
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


def read_label_mapping(
    params: LabelMappingParams,
    ontology_path: _Path | None = None,
    display_names_path: _Path | None = None,
    problems: ProblemLog | None = None,
) -> LabelMapping:
    """Makes a mapping from ontology.json and mid_to_display_name.tsv.

    `problems` takes those of the latter; None to stop at bad lines.

    Raises:
      InputError: A file that is needed is missing, or is not what it should be.
    """
    needs_ontology = params.smear_labels or params.subsume_music
    if ontology_path is not None and not needs_ontology:
        logging.warning(
            "%s is not used: neither smear_labels nor subsume_music is on.",
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


def map_weak_labels(weak: pd.DataFrame, mapping: LabelMapping) -> pd.DataFrame:
    """Maps the labels of a weak table (`label_files`).

    Returns:
      The same rows. `mids` has what replaces the clip's labels, in their order,
      and then their ancestors; each mid once.
    """
    if mapping.is_identity:
        return weak
    mapped: dict[tuple[str, ...], tuple[str, ...]] = {}
    for mids in weak["mids"]:
        if mids not in mapped:
            targets = [mapping.targets_of(mid) for mid in mids]
            first = [found[0] for found in targets]
            ancestors = [mid for found in targets for mid in found[1:]]
            mapped[mids] = tuple(dict.fromkeys([*first, *ancestors]))
    values = np.empty(len(weak), dtype=object)
    values[:] = [mapped[mids] for mids in weak["mids"]]
    return weak.assign(mids=pd.Series(values, index=weak.index, dtype=object))


def map_strong_labels(
    strong: pd.DataFrame, mapping: LabelMapping
) -> pd.DataFrame:
    """Maps the events of a strong table (`label_files`).

    Returns:
      Each event in its place with what replaces its class, followed by one
      event with the same times for each ancestor. Of events with the same clip,
      class and times the first is kept. Further columns are kept.
    """
    if mapping.is_identity:
        return strong
    expanded = _expand(strong["mid"], mapping)
    segment, _ = pd.factorize(strong["segment_id"])
    keys = pd.DataFrame(
        {
            "segment": segment[expanded.row],
            "target": expanded.target,
            "onset": strong["onset_seconds"].to_numpy()[expanded.row],
            "offset": strong["offset_seconds"].to_numpy()[expanded.row],
        }
    )
    is_kept = ~keys.duplicated().to_numpy()
    mapped = strong.take(expanded.row[is_kept]).reset_index(drop=True)
    mids = expanded.classes[expanded.target[is_kept]]
    return mapped.assign(mid=pd.Series(mids, dtype=object))


@dataclasses.dataclass(frozen=True)
class FramedMappingCounts:
    """What mapping a framed table did.

    Attributes:
      num_pairs_gained: (clip, class) pairs that got positives of other classes.
      num_contradicted_pairs: Explicit negatives, as (clip, class) pairs, of
        which a label frame is now PRESENT.
      num_overridden_negatives: NOT_PRESENT label frames that are now PRESENT,
        of these and of other pairs.
      num_replaced_negatives: NOT_PRESENT label frames of classes that were
        replaced by a wider one, left out: that geese are absent does not say
        that "Ducks, geese, waterfowl" is.
    """

    num_pairs_gained: int = 0
    num_contradicted_pairs: int = 0
    num_overridden_negatives: int = 0
    num_replaced_negatives: int = 0


def map_framed_labels(
    framed: pd.DataFrame,
    mapping: LabelMapping,
    params: LabelFrameParams = LabelFrameParams(),
) -> tuple[pd.DataFrame, FramedMappingCounts]:
    """Maps the labels of a framed table, as if its events had been mapped.

    A (clip, class) pair that gets a PRESENT of another class is PRESENT on
    every label frame on which it or any class that becomes it is. All other
    label frames of such a pair are complementary negatives, as the frame rule
    makes them of the mapped events. So an explicit negative never holds against
    a descendant that was heard; where it would, it is counted.

    Args:
      framed: Framed table (`label_files`), label frames inside the grid.
      mapping: What labels become.
      params: The grid of label frames.

    Returns:
      mapped: The rows of the pairs that got nothing, in file order; then those
        of the others, all label frames, sorted by segment_id, mid and
        label_frame.
      counts: What was done.
    """
    if mapping.is_identity:
        return framed, FramedMappingCounts()
    clip, clips = pd.factorize(framed["segment_id"], sort=True)
    expanded = _expand(framed["mid"], mapping)
    num_classes = max(len(expanded.classes), 1)
    is_present = framed["is_present"].to_numpy()
    label_frame = framed["label_frame"].to_numpy()
    # Pairs are numbered so that they sort by clip and class: [num_rows]
    own_pair = clip * num_classes + expanded.own
    is_replaced = expanded.replaced_by != expanded.own

    # Positives of the table and the pairs that they become: [num_positives]
    is_positive = is_present[expanded.row]
    row, target = expanded.row[is_positive], expanded.target[is_positive]
    pair = clip[row] * num_classes + target
    gained = np.unique(pair[target != expanded.own[row]])  # [num_gained]
    is_gaining = np.isin(own_pair, gained)
    present = np.zeros((len(gained), params.num_label_frames), dtype=bool)
    is_of_gained = np.isin(pair, gained)
    present[
        np.searchsorted(gained, pair[is_of_gained]),
        label_frame[row[is_of_gained]],
    ] = True

    gained_clip, gained_class = np.divmod(gained, num_classes)
    num_repeats = params.num_label_frames
    table = pd.DataFrame(
        {
            "segment_id": np.repeat(
                np.asarray(clips, dtype=object)[gained_clip], num_repeats
            ),
            "label_frame": np.tile(np.arange(num_repeats), len(gained)),
            "mid": np.repeat(expanded.classes[gained_class], num_repeats),
            "is_present": present.reshape(-1),
        }
    )
    kept = framed[~is_gaining & ~is_replaced]
    mapped = pd.concat([kept, table], ignore_index=True)

    # Negatives of pairs that gained, where they are PRESENT now.
    rows = np.flatnonzero(is_gaining & ~is_present)
    place = np.searchsorted(gained, own_pair[rows])
    overridden = rows[present[place, label_frame[rows]]]
    has_own_positive = np.isin(own_pair[overridden], own_pair[is_present])
    contradicted = own_pair[overridden[~has_own_positive]]
    return mapped.astype(framed.dtypes.to_dict()), FramedMappingCounts(
        num_pairs_gained=len(gained),
        num_contradicted_pairs=len(np.unique(contradicted)),
        num_overridden_negatives=len(overridden),
        num_replaced_negatives=int((is_replaced & ~is_present).sum()),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Expanded:
    """Rows repeated, once for each class that their label becomes.

    Attributes:
      row: int64 `[num_expanded]`, rows of the table, ascending.
      target: int64 `[num_expanded]`, index into `classes`.
      classes: str `[num_classes]`, sorted: all mids of the table and all that
        they become.
      own: int64 `[num_rows]`, index of each row's own mid.
      replaced_by: int64 `[num_rows]`, index of what each row's mid becomes.
    """

    row: _Ints
    target: _Ints
    classes: _Objects
    own: _Ints
    replaced_by: _Ints


def _expand(mids: "pd.Series[Any]", mapping: LabelMapping) -> _Expanded:
    """Looks up each distinct mid and repeats the rows."""
    code, distinct = pd.factorize(mids)
    targets = [mapping.targets_of(mid) for mid in distinct]
    names = sorted({*distinct, *(mid for found in targets for mid in found)})
    index = {mid: number for number, mid in enumerate(names)}
    classes = np.empty(len(names), dtype=object)
    classes[:] = names
    # Targets of all distinct mids, one after the other.
    flat = np.array([index[m] for found in targets for m in found], np.int64)
    lengths = np.array([len(found) for found in targets], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    counts = lengths[code]
    row = np.repeat(np.arange(len(code)), counts)
    within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    own = np.array([index[mid] for mid in distinct], dtype=np.int64)
    return _Expanded(
        row=row,
        target=flat[starts[code][row] + within],
        classes=classes,
        own=own[code],
        replaced_by=flat[starts][code],
    )

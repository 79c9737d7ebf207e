"""Truth: label files -> what scores are evaluated against.

    given                              Strong eval   Weak eval, explicit
    framed labels                      as they are   -
    strong labels                      framed here   -
    framed and strong labels           as they are   -
    strong labels, explicit negatives  framed here   -
    weak labels                        -             -
    weak labels, explicit negatives    -             those negatives
    weak and framed labels             as they are   pairs that are NOT_PRESENT
                                                     in all label frames
    ... and explicit negatives         as they are   those negatives
    weak and strong labels, explicit   framed here   those negatives, but where
    negatives                                        the clip has such events

Weak labels always give the Weak eval with implied negatives too. Labels that
rule no class out in all of a clip, such as strong labels without explicit
negatives, have complementary negatives only, and no explicit ones. Strong
labels are framed by the frame rule (`labels/frame_rule.py`), and kept for
protocols of events and segments (`protocols.py`).

A list of annotated clips (`labels/clips.py`) says how long clips are, which
belong together, and which have no event: those that it names and no label
given does. They are negatives of every class. Clips that have weak labels and
no strong ones, or the other way around, are unknown to the eval of the latter.

Without a list, scores of one's own recordings say how long these are, and label
tracks (`labels/label_tracks.py`) which of them were listened to.
"""

import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from absl import logging

from audioset_strong.errors import InputError
from audioset_strong.evaluation.items import (
    STRONG_NEGATIVES,
    WEAK_NEGATIVES,
    EvalItems,
    check_negatives,
    strong_items,
    weak_items,
)
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.scores import LabelFrameScores, Path
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.clips import (
    check_listed,
    clips_of_labels,
    leave_out_unknown,
    make_clips_table,
    read_annotated_clips,
)
from audioset_strong.labels.frame_rule import (
    frame_strong_labels,
    label_frames_of_clips,
    params_of_length,
    params_of_longest,
)
from audioset_strong.labels.ids import find_names, group_of_segment
from audioset_strong.labels.label_files import (
    absent_pairs,
    read_explicit_negatives,
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.label_mapping import (
    FramedMappingCounts,
    LabelMapping,
    map_framed_labels,
    map_weak_labels,
)
from audioset_strong.labels.label_rows import Names
from audioset_strong.labels.label_tracks import read_event_labels
from audioset_strong.labels.problems import ProblemLog, listed
from audioset_strong.params import LabelFrameParams

Labels = Path | pd.DataFrame

_PAIR = ["segment_id", "mid"]


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """What scores are evaluated against.

    Attributes:
      framed: Framed table (`label_files`), for the Strong eval; None for none.
      strong: Strong table, for metrics of events and segments; None for none.
      weak: Weak table, for the Weak eval; None for none.
      explicit_negatives: Pairs for the Weak eval; None to take those that are
        NOT_PRESENT in all label frames of `framed`.
      clips: Clips table (`labels/clips.py`), with a column has_event, bool:
        whether any label names the clip; None for no list.
      params: Length and label frames of the clips that are not listed.
      notes: What a reader of results must know of how labels were made.
      sources: Where the labels are from, for reports: path of each argument of
        `read_truth`, None if it was not given.
      problems: Label lines that were left out, or look wrong.
    """

    framed: pd.DataFrame | None = None
    strong: pd.DataFrame | None = None
    weak: pd.DataFrame | None = None
    explicit_negatives: pd.DataFrame | None = None
    clips: pd.DataFrame | None = None
    params: LabelFrameParams = LabelFrameParams()
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    problems: ProblemLog = dataclasses.field(default_factory=ProblemLog)

    def evaluations(
        self, negatives: Sequence[str] | None = None
    ) -> list[tuple[str, str]]:
        """Lists the (evaluation, negatives) that the labels allow.

        The paper's two come first.

        Args:
          negatives: Kinds of negatives (`results.py`); None for all.

        Raises:
          InputError: A kind is unknown, or the labels allow none of them.
        """
        asked = STRONG_NEGATIVES if negatives is None else tuple(negatives)
        for kind in asked:
            check_negatives(kind)
        kinds_of = {
            "strong": () if self.framed is None else STRONG_NEGATIVES,
            "weak": () if self.weak is None else WEAK_NEGATIVES,
        }
        # Without a pair that is absent, what "explicit" would hold has other
        # names.
        without_negatives: set[tuple[str, str]] = set()
        has_pairs = self.framed is not None and _rules_pairs_out(self.framed)
        has_listed = (
            self.explicit_negatives is not None
            and len(self.explicit_negatives) > 0
        )
        if not has_pairs and not has_listed:
            without_negatives.add(("weak", "explicit"))
        if not has_pairs:
            without_negatives.add(("strong", "explicit_only"))
            # Clips without any event are negatives of every class.
            has_empty = (
                self.clips is not None and not self.clips["has_event"].all()
            )
            if not has_empty:
                without_negatives.add(("strong", "explicit"))
                if "explicit" in asked and self.framed is not None:
                    asked = (*asked, "complementary_only")
                    logging.info(
                        "The labels mark no sound absent from all of a clip: "
                        "instead of explicit negatives there are complementary "
                        "ones only."
                    )
        allowed = [
            (evaluation, kind)
            for kind in STRONG_NEGATIVES
            for evaluation, kinds in kinds_of.items()
            if kind in kinds
            and kind in asked
            and (evaluation, kind) not in without_negatives
        ]
        if not allowed:
            raise InputError(
                f"Expected labels that allow negatives {list(asked)}; those "
                f"given allow none of them. Give other labels, or ask for "
                f"implied negatives."
            )
        return allowed

    def items(
        self, score_file: LabelFrameScores, evaluation: str, negatives: str
    ) -> EvalItems:
        """Aligns scores with the labels, for one of `evaluations`.

        Raises:
          InputError: No clip is both scored and labelled.
        """
        of_clips = self.clips, self.params
        if evaluation == "strong":
            assert self.framed is not None
            items = strong_items(score_file, self.framed, negatives, *of_clips)
        else:
            assert self.weak is not None
            framed = pairs = None
            if negatives != "implied":
                pairs = self.explicit_negatives
                framed = self.framed if pairs is None else None
            items = weak_items(score_file, self.weak, framed, pairs, *of_clips)
        if self.clips is None:
            return items
        group_of = dict(
            zip(self.clips["segment_id"], self.clips["group"], strict=True)
        )
        # Clips that have explicit negatives alone need not be listed.
        groups = [
            group_of.get(clip) or group_of_segment(clip)
            for clip in items.segment_ids.tolist()
        ]
        return dataclasses.replace(
            items, group_of_clip=np.array(groups, dtype=object)
        )

    def fit(
        self, scores: NativeScores, allow_partial: bool = False
    ) -> NativeScores:
        """Names the clips of scores as the labels do, and says their lengths.

        Names that are no segment ids of the labels are looked up
        (`ids.find_names`); what is not found stays as it is.

        Args:
          scores: What a model scored.
          allow_partial: Whether most clips may have scores that end long before
            or after them.

        Raises:
          InputError: They do, and may not: times or lengths are wrong; or a
            name means several clips, or two names mean one.
        """
        scores = self._with_names(scores)
        return scores.within(
            self.clips, self.params.clip_seconds, allow_partial
        )

    def _with_names(self, scores: NativeScores) -> NativeScores:
        """Names the clips of scores as the labels do."""
        tables = self.framed, self.weak, self.explicit_negatives, self.clips
        known: set[str] = set()
        for table in tables:
            if table is not None:
                known.update(table["segment_id"].unique())
        names = scores.segment_ids.tolist()
        ordered: list[str] = []
        if self.clips is not None and self.sources.get("clips"):
            ordered = self.clips["segment_id"].tolist()
        found = find_names(names, known, ordered)
        if found.ambiguous:
            name, ids = next(iter(found.ambiguous.items()))
            raise InputError(
                f"Expected names of scored clips that mean one labelled clip "
                f"each, found {len(found.ambiguous)} that mean several: "
                f"{name!r} can be {listed(map(repr, ids), 3)}. Name the clips "
                f"of scores by segment id."
            )
        if not found.id_of_name:
            return scores
        ids = [found.id_of_name.get(name, name) for name in names]
        first_of: dict[str, str] = {}
        for name, segment_id in zip(names, ids, strict=True):
            if segment_id in first_of:
                raise InputError(
                    f"Expected scores of each clip once, found {name!r} and "
                    f"{first_of[segment_id]!r}, which are both "
                    f"{segment_id!r}. Leave one out."
                )
            first_of[segment_id] = name
        hows = [f"{count}: {how}" for how, count in found.how.items()]
        name, segment_id = next(iter(found.id_of_name.items()))
        note = (
            f"{len(found.id_of_name)} of {len(names)} scored clips were found "
            f"by other names than their segment ids ({', '.join(hows)}): "
            f"{name!r} is {segment_id!r}"
        )
        logging.info("Scores: %s.", note)
        return dataclasses.replace(
            scores, segment_ids=np.array(ids), notes=(*scores.notes, note)
        )

    def label_frames(
        self,
        scores: NativeScores | LabelFrameScores,
        pooling: str = "mean",
        allow_partial: bool = False,
    ) -> LabelFrameScores:
        """Pools scores onto the labels' grid; what is on it stays as it is.

        Args:
          scores: What a model scored.
          pooling: "mean" or "max" (`scores.py`).
          allow_partial: As in `fit`.

        Raises:
          InputError: As `fit` and `NativeScores.pool`, or label frames have
            another length than those of the labels.
        """
        seconds = self.params.label_frame_seconds
        if isinstance(scores, NativeScores):
            return self.fit(scores, allow_partial).pool(pooling, seconds)
        # float32 writers store 0.96 with an error of 2e-8.
        if abs(scores.label_frame_seconds - seconds) > 1e-6:
            raise InputError(
                f"Expected scores on label frames of {seconds:g} s, as the "
                f"labels have, found {scores.label_frame_seconds:g} s. Give "
                f"scores as they come (make_scores, read_scores), which are "
                f"pooled."
            )
        return scores

    def mids(self) -> set[str]:
        """Returns the classes that are labelled."""
        labelled: set[str] = set()
        if self.framed is not None:
            labelled.update(self.framed["mid"].unique())
        if self.weak is not None:
            labelled.update(self.weak["mids"].explode().dropna().unique())
        return labelled

    def of_clips(self, segment_ids: Collection[str]) -> "Truth":
        """Leaves out the labels, and listed clips, that are not among these.

        Raises:
          InputError: None of these clips has labels.
        """
        kept = {}
        for name in ("framed", "strong", "weak", "explicit_negatives", "clips"):
            table = getattr(self, name)
            if table is None:
                continue
            kept[name] = table[table["segment_id"].isin(set(segment_ids))]
            if kept[name].empty and name in ("framed", "weak"):
                raise InputError(
                    f"Expected {name} labels of listed clips, found none. Give "
                    f"the list of the set that is labelled."
                )
        return dataclasses.replace(self, **kept)


def read_truth(
    framed_labels: Labels | None = None,
    strong_labels: Labels | None = None,
    weak_labels: Labels | None = None,
    explicit_negatives: Labels | None = None,
    problems: ProblemLog | None = None,
    clips: Labels | None = None,
    clip_seconds: float = LabelFrameParams().clip_seconds,
    names: Names | None = None,
    class_map: ClassMap | None = None,
    recordings: pd.DataFrame | None = None,
    label_frame_seconds: float = LabelFrameParams().label_frame_seconds,
) -> Truth:
    """Reads labels, frames strong ones, and reports problems of the files.

    Args:
      framed_labels: Framed TSV, or a framed table.
      strong_labels: Strong TSV, label track or folder of tracks, or a strong
        table, to be framed if there are no framed ones, and for protocols of
        events and segments.
      weak_labels: Weak CSV, or a weak table.
      explicit_negatives: TSV of pairs that annotators marked absent, a framed
        TSV that holds them, or a table of pairs.
      problems: Collects problems of the files; None for a new log.
      clips: List of annotated clips, or a clips table (`labels/clips.py`);
        None for no list.
      clip_seconds: Length of the clips that are not listed.
      names: The mids of each display name, which labels of files may be.
      class_map: Classes that labels of tracks name.
      recordings: Clips table of what is scored, for the lengths of clips if
        there is no list; None if scores do not say how long they are.
      label_frame_seconds: Length and hop of the label frames that are
        evaluated, in whole milliseconds.

    Returns:
      The truth (module docstring).

    Raises:
      InputError: The labels given are none or contradict each other, a file or
        table is not what it should be, or a clip with an event is not listed.
    """
    given = {
        "framed_labels": framed_labels,
        "strong_labels": strong_labels,
        "weak_labels": weak_labels,
        "explicit_negatives": explicit_negatives,
    }
    _check_given({name for name, labels in given.items() if labels is not None})
    problems = ProblemLog() if problems is None else problems
    params = params_of_length(clip_seconds, label_frame_seconds)
    listed = None if clips is None else _read_clips(clips)
    lengths = recordings if listed is None else listed
    annotated = None
    tables: dict[str, Labels | None] = dict(given)
    if strong_labels is not None and not isinstance(
        strong_labels, pd.DataFrame
    ):
        tables["strong_labels"], annotated = read_event_labels(
            strong_labels,
            problems,
            names,
            params_of_longest(lengths, params),
            class_map,
            () if lengths is None else set(lengths["segment_id"]),
        )
    read = {
        name: _read(name, labels, problems, params, lengths, names)
        for name, labels in tables.items()
    }
    problems.report()
    framed, strong = read["framed_labels"], read["strong_labels"]
    absent, weak = read["explicit_negatives"], read["weak_labels"]
    sources: dict[str, str | None] = dict.fromkeys(given)
    sources |= {
        name: "a table"
        if isinstance(labels, pd.DataFrame)
        else os.fspath(labels)
        for name, labels in given.items()
        if labels is not None
    }
    notes = []
    if params.label_frame_seconds != LabelFrameParams().label_frame_seconds:
        notes.append(
            f"label frames are of {params.label_frame_seconds:g} s, not of "
            f"{LabelFrameParams().label_frame_seconds:g} s as in the paper"
        )
    what = "annotated clips are listed"
    if clips is not None:
        sources["clips"] = (
            "a table" if isinstance(clips, pd.DataFrame) else os.fspath(clips)
        )
    elif annotated is not None or recordings is not None:
        what = "recordings are labelled"
        listed = clips_of_labels(
            _labelled_clips(framed, strong, weak),
            annotated or (),
            strong,
            recordings,
            clip_seconds,
        )
    if listed is not None:
        labelled = _labelled_clips(framed, strong, weak)
        listed, unknown = leave_out_unknown(listed, problems, labelled)
        if unknown:
            notes.append(
                f"{len(unknown)} annotated clips are left out, because label "
                f"lines about them were skipped and they have no other label"
            )
        listed = _find_empty_clips(listed, framed, strong, weak)
        num_empty = int((~listed["has_event"]).sum())
        notes.append(
            f"{len(listed)} {what}, {num_empty} of them without any event, "
            f"which are negatives of every class"
        )
    is_framed_here = strong is not None and framed is None
    if strong is not None and not is_framed_here:
        notes.append(
            "label frames are those of the framed labels; the strong ones are "
            "for protocols of events and segments alone"
        )
    if strong is not None and is_framed_here:
        # Clips without any event are marked later: they would be a row for
        # every class and label frame.
        framed = frame_strong_labels(strong, absent, params, listed, ())
        notes.append(_describe_framing(framed, strong, absent))
        if listed is not None:
            # Events that fill no label frame leave their clip without any.
            listed = _find_empty_clips(listed, framed, None, weak)
    for note in notes:
        logging.info("Truth: %s.", note)
    return Truth(
        framed=framed,
        strong=strong,
        weak=weak,
        # With strong labels, events override them, as in framing.
        explicit_negatives=None if is_framed_here else absent,
        clips=listed,
        params=params,
        notes=tuple(notes),
        sources=sources,
        problems=problems,
    )


def _rules_pairs_out(framed: pd.DataFrame) -> bool:
    """Whether some (clip, class) pair is NOT_PRESENT wherever it is listed."""
    clip, _ = pd.factorize(framed["segment_id"])
    column, mids = pd.factorize(framed["mid"])
    pair = clip * len(mids) + column  # [num_labels]
    is_present = framed["is_present"].to_numpy()
    has_present = np.zeros(pair.max(initial=-1) + 1, dtype=bool)
    has_present[pair[is_present]] = True
    return not has_present[pair].all()


def _check_given(given: set[str]) -> None:
    """Raises `InputError` for labels that are missing or contradictory."""
    if "framed_labels" in given:
        given = given - {"strong_labels"}  # They are then of events alone.
    if not given - {"explicit_negatives"}:
        found = "explicit negatives only" if given else "none"
        raise InputError(
            f"Expected framed or strong labels, weak labels or both; found "
            f"{found}. Give framed_labels, strong_labels or weak_labels."
        )
    if given == {"framed_labels", "explicit_negatives"}:
        raise InputError(
            "Expected no explicit negatives with framed labels alone, which "
            "hold their own negatives. Leave out explicit_negatives, or give "
            "strong_labels instead of framed_labels."
        )


_READERS: dict[str, tuple[Callable[..., pd.DataFrame], list[str]]] = {
    "framed_labels": (
        read_framed_labels,
        [*_PAIR, "label_frame", "is_present"],
    ),
    "strong_labels": (
        read_strong_labels,
        [*_PAIR, "onset_seconds", "offset_seconds"],
    ),
    "weak_labels": (read_weak_labels, ["segment_id", "mids"]),
    "explicit_negatives": (read_explicit_negatives, _PAIR),
}


def _read(
    name: str,
    labels: Labels | None,
    problems: ProblemLog,
    params: LabelFrameParams,
    clips: pd.DataFrame | None,
    names: Names | None,
) -> pd.DataFrame | None:
    """Reads a label file; takes a table as it is, if it has the columns."""
    read, columns = _READERS[name]
    if labels is None:
        return None
    if isinstance(labels, pd.DataFrame):
        _check_columns(name, labels, columns)
        return labels
    if name in ("framed_labels", "explicit_negatives"):
        return read(labels, problems, names=names, params=params, clips=clips)
    longest = params_of_longest(clips, params)
    return read(labels, problems, names=names, params=longest)


def _read_clips(clips: Labels) -> pd.DataFrame:
    """Reads a list of annotated clips; takes a table that has the columns."""
    if not isinstance(clips, pd.DataFrame):
        return read_annotated_clips(clips)
    _check_columns("clips", clips, ["segment_id", "duration_seconds"])
    ids = clips["segment_id"].tolist()
    repeated = clips.loc[clips["segment_id"].duplicated(), "segment_id"]
    if len(repeated):
        raise InputError(
            f"clips must name each clip once; {len(repeated)} rows repeat one, "
            f"such as {repeated.iloc[0]!r}."
        )
    groups = clips["group"] if "group" in clips else map(group_of_segment, ids)
    return make_clips_table(
        ids, clips["duration_seconds"].tolist(), list(groups)
    )


def _check_columns(name: str, table: pd.DataFrame, columns: list[str]) -> None:
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise InputError(
            f"{name} must be a file or a table with {columns}, found no "
            f"{missing}."
        )


def _find_empty_clips(
    clips: pd.DataFrame,
    framed: pd.DataFrame | None,
    strong: pd.DataFrame | None,
    weak: pd.DataFrame | None,
) -> pd.DataFrame:
    """Adds has_event to a clips table: whether any label names the clip.

    Raises:
      InputError: A clip that a label names is not listed.
    """
    labelled = _labelled_clips(framed, strong, weak)
    for of_table in labelled:
        check_listed(of_table, clips)
    has_event = clips["segment_id"].isin(set().union(*labelled))
    return clips.assign(has_event=has_event)


def _labelled_clips(
    framed: pd.DataFrame | None,
    strong: pd.DataFrame | None,
    weak: pd.DataFrame | None,
) -> list["pd.Series[str]"]:
    """Returns the segment ids with a label, of each table."""
    labelled = []
    if framed is not None:
        labelled.append(framed.loc[framed["is_present"], "segment_id"])
    if strong is not None:
        labelled.append(strong["segment_id"])
    if weak is not None:
        labelled.append(weak.loc[weak["mids"].map(len) > 0, "segment_id"])
    return labelled


def _describe_framing(
    framed: pd.DataFrame, strong: pd.DataFrame, absent: pd.DataFrame | None
) -> str:
    """Describes in a line what framing made of strong labels."""
    num_present = int(framed["is_present"].sum())
    text = (
        f"strong labels were framed here: {len(strong)} events became "
        f"{num_present} PRESENT and {len(framed) - num_present} NOT_PRESENT "
        f"label frames"
    )
    if absent is None:
        return f"{text}, complementary negatives only"
    pairs = absent[_PAIR].drop_duplicates()
    with_events = pairs.merge(strong[_PAIR].drop_duplicates())
    return (
        f"{text}, with {len(pairs)} explicit negatives, of which "
        f"{len(with_events)} have events, which hold"
    )


def map_truth(truth: Truth, mapping: LabelMapping) -> tuple[Truth, str]:
    """Maps the labels that were given; describes the changes in a line."""
    params = dataclasses.asdict(mapping.params)
    done = [", ".join(name for name, is_on in params.items() if is_on)]
    weak, framed, pairs = truth.weak, truth.framed, truth.explicit_negatives
    if weak is not None:
        before = weak["mids"].map(len).sum()
        weak = map_weak_labels(weak, mapping)
        after = weak["mids"].map(len).sum()
        done.append(f"{before} weak labels became {after}")
    if framed is not None:
        framed, counts = _map_framed(framed, mapping, truth)
        done.append(
            f"{counts.num_pairs_gained} framed (clip, class) pairs gained "
            f"positives, against {counts.num_contradicted_pairs} explicit "
            f"negatives; {counts.num_overridden_negatives} negative label "
            f"frames became positive and {counts.num_replaced_negatives} of "
            f"replaced classes were left out"
        )
    if pairs is not None:
        mapped = absent_pairs(
            map_framed_labels(_frame_pairs(pairs), mapping)[0]
        )
        done.append(
            f"{len(pairs)} explicit negatives became {len(mapped)}; those of "
            f"replaced classes were left out"
        )
        pairs = mapped
    text = "; ".join(done)
    logging.info("Label mapping: %s.", text)
    # Mapped label frames have classes that no event has.
    mapped_truth = dataclasses.replace(
        truth, weak=weak, framed=framed, strong=None, explicit_negatives=pairs
    )
    return mapped_truth, text


def _map_framed(
    framed: pd.DataFrame, mapping: LabelMapping, truth: Truth
) -> tuple[pd.DataFrame, FramedMappingCounts]:
    """Maps framed labels of clips of any length."""
    longest = int(framed["label_frame"].max()) + 1 if len(framed) else 0
    num_label_frames = max(longest, truth.params.num_label_frames)
    grid = dataclasses.replace(truth.params, num_label_frames=num_label_frames)
    mapped, counts = map_framed_labels(framed, mapping, grid)
    if truth.clips is not None:
        # Mapped pairs have all label frames of the longest clip.
        ids = mapped["segment_id"]
        num_of_clip = label_frames_of_clips(ids, truth.clips, truth.params)
        mapped = mapped[mapped["label_frame"] < num_of_clip]
    return mapped, counts


def _frame_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Frames pairs that are absent: NOT_PRESENT in all label frames."""
    frames = pd.DataFrame(
        {"label_frame": range(LabelFrameParams().num_label_frames)}
    )
    framed = pairs[_PAIR].drop_duplicates().merge(frames, how="cross")
    return framed.assign(is_present=False)[
        ["segment_id", "label_frame", "mid", "is_present"]
    ]

"""Reads the files that a page is made of, and chooses its clips."""

import dataclasses
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from absl import logging

from audioset_strong.audio.listing import (
    find_audio,
    index_listing,
    is_of_whole_video,
    list_audio,
)
from audioset_strong.audio.recordings import recording_id_of
from audioset_strong.errors import InputError
from audioset_strong.evaluation.native_scores import read_recordings
from audioset_strong.evaluation.report import SCHEMA_VERSION
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.thresholds import read_threshold_file
from audioset_strong.inspection.clips import FrameScores, Inspection, Place
from audioset_strong.labels.class_map import KnownClasses, read_known_classes
from audioset_strong.labels.clips import read_annotated_clips
from audioset_strong.labels.frame_rule import (
    params_of_length,
    params_of_longest,
)
from audioset_strong.labels.ids import parse_audioset_id
from audioset_strong.labels.label_files import (
    read_explicit_negatives,
    read_framed_labels,
    read_weak_labels,
)
from audioset_strong.labels.label_tracks import read_event_labels
from audioset_strong.labels.problems import ProblemLog, listed
from audioset_strong.params import LabelFrameParams
from audioset_strong.records.audio_index import read_audio_index

_NUM_NAMED = 3

# Of each evaluation its name and `worst_items` of report.json.
_Errors = list[tuple[str, list[dict[str, Any]]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectionInputs:
    """Files to read; None or empty for none.

    Attributes:
      audio_dir: Folder of audio, or what paths of `audio_index` are relative
        to.
      audio_index: Where the audio of each clip is (`records/audio_index.py`).
      segment_ids: The clips to show, in this order. Without it those of the
        report's worst errors; or else the first of the list, scores or labels.
      max_clips: Most clips to show, unless `segment_ids` says which.
      clips: List of annotated clips, with their lengths.
      clip_seconds: Length of clips of AudioSet that it does not list.
      weak_labels: Weak CSV.
      strong_labels: Strong TSV, label track or folder of tracks; framed if
        there are no framed labels.
      framed_labels: Framed TSV.
      explicit_negatives: Pairs that annotators marked absent, for framing.
      class_map: Names of classes, and what columns of scores name.
      display_names: The same.
      scores: Score file, or folder of score tables.
      thresholds: CSV of `choose_thresholds`.
      report_dir: Folder that `evaluate` wrote, for its worst errors.
    """

    audio_dir: str | None = None
    audio_index: str | None = None
    segment_ids: Sequence[str] = ()
    max_clips: int = 50
    clips: str | None = None
    clip_seconds: float = LabelFrameParams().clip_seconds
    weak_labels: str | None = None
    strong_labels: str | None = None
    framed_labels: str | None = None
    explicit_negatives: str | None = None
    class_map: str | None = None
    display_names: str | None = None
    scores: str | None = None
    thresholds: str | None = None
    report_dir: str | None = None


def read_inspection(
    inputs: InspectionInputs, problems: ProblemLog
) -> Inspection:
    """Reads all files, and chooses the clips.

    Raises:
      InputError: A file is not what it should be, a clip is named that no file
        has, there is no clip, or none has audio.
    """
    # Scores of recordings say what their classes are, and how long they are.
    class_map, lengths = None, None
    if inputs.scores is not None:
        class_map, lengths = read_recordings(inputs.scores)
    known = read_known_classes(
        inputs.class_map or class_map, inputs.display_names, problems
    )
    clips = read_annotated_clips(inputs.clips) if inputs.clips else None
    lengths = lengths if clips is None else clips
    tables = _read_labels(inputs, lengths, known, problems)
    problems.report()
    scores = _read_scores(inputs, known, clips)
    errors = (
        [] if inputs.report_dir is None else _read_errors(inputs.report_dir)
    )
    named = dict.fromkeys([] if clips is None else clips["segment_id"])
    named |= dict.fromkeys([] if scores is None else scores.of_clip)
    for table in tables.values():
        if table is not None:
            named |= dict.fromkeys(table["segment_id"].unique())
    chosen = _choose_clips(inputs, named, errors)
    places = _find_places(inputs, chosen, clips)
    unknown = [s for s in inputs.segment_ids if s not in {*named, *places}]
    if unknown:
        raise InputError(
            f"Expected clips that have audio, labels or scores; {len(unknown)} "
            f"of {len(chosen)} have none: "
            f"{listed(map(repr, unknown), _NUM_NAMED)}. There are "
            f"{listed(map(repr, named), _NUM_NAMED)}."
        )
    kept = {
        name: None if table is None else table[table["segment_id"].isin(chosen)]
        for name, table in tables.items()
    }
    listed_seconds = {}
    if clips is not None:
        listed_seconds = dict(
            zip(clips["segment_id"], clips["duration_seconds"], strict=True)
        )
    classes = _list_classes(inputs, kept, scores, known, errors)
    return Inspection(
        segment_ids=chosen,
        places=places,
        classes=classes,
        weak=kept["weak"],
        strong=kept["strong"],
        framed=kept["framed"],
        absent=kept["absent"],
        listed_seconds=listed_seconds,
        scores=scores,
        errors=_number_errors(errors, chosen, [mid for mid, _, _ in classes]),
    )


def _read_labels(
    inputs: InspectionInputs,
    lengths: pd.DataFrame | None,
    known: KnownClasses,
    problems: ProblemLog,
) -> dict[str, pd.DataFrame | None]:
    """Reads the tables of labels that are given."""
    names = known.mids_of_name()
    params = params_of_length(inputs.clip_seconds)
    longest = params_of_longest(lengths, params)
    tables: dict[str, pd.DataFrame | None] = {
        name: path
        if path is None
        else read(path, problems, names=names, params=params, clips=lengths)
        for name, read, path in (
            ("framed", read_framed_labels, inputs.framed_labels),
            ("absent", read_explicit_negatives, inputs.explicit_negatives),
        )
    }
    tables |= {"weak": None, "strong": None}
    if inputs.weak_labels is not None:
        tables["weak"] = read_weak_labels(
            inputs.weak_labels, problems, names=names, params=longest
        )
    if inputs.strong_labels is not None:
        tables["strong"], _ = read_event_labels(
            inputs.strong_labels,
            problems,
            names,
            longest,
            known.class_map,
            () if lengths is None else set(lengths["segment_id"]),
        )
    return tables


def _read_scores(
    inputs: InspectionInputs, known: KnownClasses, clips: pd.DataFrame | None
) -> FrameScores | None:
    """Reads scores at their own frame rate, or on label frames if uneven."""
    if inputs.scores is None:
        return None
    native = read_scores(inputs.scores, known)
    ids = native.segment_ids.tolist()
    if native.onset_seconds is None and native.window_seconds is None:
        return FrameScores(
            native.mids.tolist(),
            native.frame_seconds,
            {ids[clip]: native.of_clip(clip) for clip in range(len(ids))},
        )
    scored = native.within(clips, inputs.clip_seconds).pool()
    return FrameScores(
        scored.mids.tolist(),
        scored.label_frame_seconds,
        {
            segment_id: scored.scores[row, : scored.num_label_frames[row]]
            for row, segment_id in enumerate(ids)
        },
    )


def _read_errors(report_dir: str) -> _Errors:
    """Reads the worst errors of each evaluation of a report."""
    path = os.path.join(report_dir, "report.json")
    with open(path, encoding="utf-8") as file:
        try:
            report = json.load(file)
        except ValueError:
            report = None
    if (
        not isinstance(report, dict)
        or report.get("schema_version") != SCHEMA_VERSION
    ):
        raise InputError(
            f"{path}: expected a report of schema version {SCHEMA_VERSION}. "
            f"Give a folder that evaluate wrote, or evaluate again."
        )
    return [
        (
            f"{evaluation.title()} eval, {negatives.replace('_', ' ')} "
            f"negatives",
            of_kind["worst_items"],
        )
        for evaluation in ("strong", "weak")
        for negatives, of_kind in report[evaluation].items()
        if of_kind["worst_items"]
    ]


def _choose_clips(
    inputs: InspectionInputs, named: Collection[str], errors: _Errors
) -> list[str]:
    """Chooses the clips to show; `named` are those that files name."""
    if inputs.segment_ids:
        return list(dict.fromkeys(inputs.segment_ids))
    wrong = [row["segment_id"] for _, rows in errors for row in rows]
    clips = list(dict.fromkeys(wrong)) or list(named)
    if not clips:
        raise InputError(
            "Expected clips to show: labels, scores, a list of annotated clips "
            "or their names (segment_ids); found none."
        )
    if len(clips) > inputs.max_clips:
        logging.info(
            "The first %d of %d clips are shown; name others (segment_ids) or "
            "allow more (max_clips).",
            inputs.max_clips,
            len(clips),
        )
    return clips[: inputs.max_clips]


def _find_places(
    inputs: InspectionInputs,
    segment_ids: Sequence[str],
    clips: pd.DataFrame | None,
) -> dict[str, Place]:
    """Finds the audio of each clip; warns of those without any."""
    if inputs.audio_index is not None:
        places = _find_indexed(inputs, segment_ids)
    elif inputs.audio_dir is not None:
        places = _find_named(inputs, segment_ids)
    else:
        raise InputError(
            "Expected audio: the folder of the clips (audio_dir), or an index "
            "of the audio (audio_index)."
        )
    if clips is not None:
        seconds_of = dict(zip(clips["segment_id"], clips["duration_seconds"]))
        places = {
            segment_id: place._replace(
                seconds=seconds_of.get(segment_id, place.seconds)
            )
            for segment_id, place in places.items()
        }
    without = [s for s in segment_ids if s not in places]
    if not places:
        raise InputError(
            f"Expected audio of the clips, found none for all "
            f"{len(segment_ids)}: {listed(map(repr, without), _NUM_NAMED)}. "
            f"Give the folder of these clips (audio_dir), or an index of the "
            f"audio (audio_index)."
        )
    if without:
        logging.warning(
            "%d of %d clips have no audio: %s.",
            len(without),
            len(segment_ids),
            listed(map(repr, without), _NUM_NAMED),
        )
    return places


def _find_indexed(
    inputs: InspectionInputs, segment_ids: Iterable[str]
) -> dict[str, Place]:
    """Finds clips by an index of the audio."""
    assert inputs.audio_index is not None
    index = read_audio_index(inputs.audio_index, inputs.audio_dir or "")
    places = {}
    for segment_id in segment_ids:
        row = index.row_of_clip.get(segment_id)
        if row is not None:
            start, seconds = (
                None if np.isnan(values[row]) else float(values[row])
                for values in (index.start_seconds, index.duration_seconds)
            )
            places[segment_id] = Place(
                index.path_of(row), start or 0.0, seconds
            )
    return places


def _find_named(
    inputs: InspectionInputs, segment_ids: Iterable[str]
) -> dict[str, Place]:
    """Finds clips by the names of the files.

    They are those of AudioSet (`audio/listing.py`) or, as `predict` and
    `import_labels` name recordings, the path below the folder, with or without
    extension.
    """
    assert inputs.audio_dir is not None
    listing = list_audio(inputs.audio_dir)
    path_of_key = index_listing(listing)
    path_of_id = {}
    for file in listing.paths:
        below = os.path.relpath(file, inputs.audio_dir).replace(os.sep, "/")
        path_of_id[below] = file
        path_of_id.setdefault(recording_id_of(file, inputs.audio_dir), file)
    places = {}
    for segment_id in segment_ids:
        path = find_audio(segment_id, path_of_key) or path_of_id.get(segment_id)
        if path is None:
            continue
        places[segment_id] = Place(path, 0.0, None)
        parts = parse_audioset_id(segment_id)
        if parts and is_of_whole_video(segment_id, path, path_of_key):
            places[segment_id] = Place(
                path, parts.start_ms / 1000, inputs.clip_seconds
            )
    return places


def _list_classes(
    inputs: InspectionInputs,
    tables: Mapping[str, pd.DataFrame | None],
    scores: FrameScores | None,
    known: KnownClasses,
    errors: _Errors,
) -> list[tuple[str, str, float | None]]:
    """Lists mid, name and threshold of the classes; those scored come first."""
    mids = dict.fromkeys([] if scores is None else scores.mids)
    for name, table in tables.items():
        if table is not None:
            of_rows = (
                table["mids"].explode() if name == "weak" else table["mid"]
            )
            mids |= dict.fromkeys(of_rows.dropna().unique())
    mids |= {row["mid"]: None for _, rows in errors for row in rows}
    threshold_of: Mapping[str, float] = {}
    if inputs.thresholds is not None:
        threshold_of, _ = read_threshold_file(inputs.thresholds)
        lacking = [
            m for m in (scores.mids if scores else ()) if m not in threshold_of
        ]
        if lacking:
            logging.warning(
                "%d scored classes have no threshold in %s: %s.",
                len(lacking),
                inputs.thresholds,
                listed(lacking, _NUM_NAMED),
            )
    names = known.name_of_mid
    return [(mid, names.get(mid, mid), threshold_of.get(mid)) for mid in mids]


def _number_errors(
    errors: _Errors, segment_ids: Sequence[str], mids: Sequence[str]
) -> list[dict[str, Any]]:
    """Keeps the errors of the chosen clips, as `Inspection.errors`."""
    number_of_clip = {s: n for n, s in enumerate(segment_ids)}
    number_of_class = {mid: n for n, mid in enumerate(mids)}
    num_errors = sum(len(rows) for _, rows in errors)
    numbered = []
    for name, rows in errors:
        kept = [
            (
                row["kind"],
                number_of_clip[row["segment_id"]],
                number_of_class[row["mid"]],
                row["onset_seconds"],
                row["offset_seconds"],
                row["score"],
            )
            for row in rows
            if row["segment_id"] in number_of_clip
        ]
        num_errors -= len(kept)
        if kept:
            numbered.append({"evaluation": name, "rows": kept})
    if num_errors:
        logging.warning(
            "%d worst errors are of clips that are not shown.", num_errors
        )
    return numbered

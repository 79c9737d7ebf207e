r"""Frames strong labels as the released framed file is.

    python -m audioset_strong.frame_labels \
      --strong_labels=audioset_eval_strong.tsv --output=framed.tsv \
      --explicit_negatives=audioset_eval_strong_framed_posneg.tsv \
      --reference=audioset_eval_strong_framed_posneg.tsv \
      --display_names=mid_to_display_name.tsv

Section 3.2 of the paper: a label frame of 960 ms is PRESENT where one event
overlaps it by half of the shorter of the two, and NOT_PRESENT elsewhere in
clips that have the class, wherever --explicit_negatives names the pair, and for
all classes in clips of --clips without any event. A class whose events all lie
after the last label frame has no rows.

Writes --output in the format of audioset_eval_strong_framed_posneg.tsv. With
--reference it also prints how far the two agree, for each class and in all,
both ways, with the first disagreements and the events behind them, and writes
the counts of each class beside --output, as `<output>.agreement.csv`. Needs no
TensorFlow.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.labels.class_map import group_by_name
from audioset_strong.labels.clips import (
    leave_out_unknown,
    read_annotated_clips,
)
from audioset_strong.labels.frame_rule import (
    frame_strong_labels,
    num_label_frames_of,
    params_of_length,
    params_of_longest,
)
from audioset_strong.labels.framed_agreement import (
    agreement_lines,
    compare_framed_labels,
    disagreement_lines,
    note_lines,
)
from audioset_strong.labels.label_files import (
    read_display_names,
    read_explicit_negatives,
    read_framed_labels,
    read_strong_labels,
    write_framed_labels,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import LabelFrameParams

_STRONG_LABELS = flags.DEFINE_string(
    "strong_labels", None, "Strong TSV to frame.", required=True
)
_EXPLICIT_NEGATIVES = flags.DEFINE_string(
    "explicit_negatives",
    None,
    "Pairs that annotators marked absent: a TSV with the header "
    "'segment_id<TAB>label', or a framed TSV, of which the pairs that are "
    "NOT_PRESENT in all label frames are taken.",
)
_REFERENCE = flags.DEFINE_string(
    "reference", None, "Framed TSV to compare with."
)
_DISPLAY_NAMES = flags.DEFINE_string(
    "display_names",
    None,
    "mid_to_display_name.tsv: names for the messages, and the classes that "
    "the labels may have.",
)
_MAX_DISAGREEMENTS = flags.DEFINE_integer(
    "max_disagreements", 10, "How many disagreements to print.", lower_bound=0
)
_CLIPS = run_flags.define_clips()
_CLIP_SECONDS = run_flags.define_clip_seconds()
_OUTPUT = flags.DEFINE_string(
    "output", None, "Framed TSV to write.", required=True
)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()

_KEYS = ["segment_id", "mid"]


def main(argv: Sequence[str]) -> None:
    """Frames, writes, and compares."""
    run_flags.refuse_arguments(argv)
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    names = mids_of_name = None
    if _DISPLAY_NAMES.value:
        names = read_display_names(_DISPLAY_NAMES.value, problems)
        mids_of_name = group_by_name(names.items())
    clips = read_annotated_clips(_CLIPS.value) if _CLIPS.value else None
    params = params_of_length(_CLIP_SECONDS.value)
    longest = params_of_longest(clips, params)
    strong = read_strong_labels(
        _STRONG_LABELS.value,
        problems,
        known_mids=names,
        names=mids_of_name,
        params=longest,
    )
    negatives = None
    if _EXPLICIT_NEGATIVES.value:
        negatives = read_explicit_negatives(
            _EXPLICIT_NEGATIVES.value,
            problems,
            names=mids_of_name,
            params=params,
            clips=clips,
        )
    reference = None
    if _REFERENCE.value:
        reference = read_framed_labels(
            _REFERENCE.value,
            problems,
            names=mids_of_name,
            params=params,
            clips=clips,
        )
    problems.report()
    if strong.empty:
        raise InputError(
            f"{_STRONG_LABELS.value} names no event, so there is nothing to "
            f"frame. Give a strong TSV with events."
        )

    if clips is not None:
        clips, _ = leave_out_unknown(clips, problems, [strong["segment_id"]])
    framed = frame_strong_labels(
        strong, negatives, known_mids=names, params=params, clips=clips
    )
    if clips is not None:
        _print_clips(strong, clips)
    _print_contradicted(strong, negatives)
    write_framed_labels(framed, _OUTPUT.value)
    # Every pair has all label frames: one row a pair.
    pairs = framed.loc[framed["label_frame"] == 0, _KEYS]
    _print_unframed(strong, pairs)
    num_present = int(framed["is_present"].sum())
    print(
        f"{len(framed)} rows of {pairs['segment_id'].nunique()} clips and "
        f"{pairs['mid'].nunique()} classes, {num_present} PRESENT and "
        f"{len(framed) - num_present} NOT_PRESENT: {_OUTPUT.value}"
    )
    if reference is not None:
        known_pairs = pd.concat([strong, negatives])
        _compare(framed, reference, known_pairs, strong, names or {}, longest)


def _print_clips(strong: pd.DataFrame, clips: pd.DataFrame) -> None:
    """Says how many listed clips are negatives of all, or too short."""
    is_empty = ~clips["segment_id"].isin(strong["segment_id"])
    num_short = int((num_label_frames_of(clips["duration_seconds"]) == 0).sum())
    short = f"; {num_short} are shorter than a label frame" if num_short else ""
    print(
        f"{is_empty.sum()} of {len(clips)} annotated clips have no event, and "
        f"are NOT_PRESENT for every class{short}."
    )


def _print_contradicted(
    strong: pd.DataFrame, negatives: pd.DataFrame | None
) -> None:
    """Says how many explicit negatives have events, which override them."""
    if negatives is None:
        return
    both = negatives[_KEYS].merge(strong[_KEYS].drop_duplicates(), on=_KEYS)
    if len(both):
        print(
            f"{len(both.drop_duplicates())} explicit negatives have events "
            f"of their class, which hold, such as {both['mid'].iloc[0]} in "
            f"{both['segment_id'].iloc[0]}."
        )


def _print_unframed(strong: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Says how much has no row because its events reach no label frame."""
    labelled = strong[_KEYS].drop_duplicates()
    framed = labelled.merge(pairs, on=_KEYS)
    if len(framed) < len(labelled):
        num_clips = len(set(labelled["segment_id"]) - set(pairs["segment_id"]))
        print(
            f"{len(labelled) - len(framed)} (clip, class) pairs reach no label "
            f"frame, with all their events near the end of the clip, and have "
            f"no rows; {num_clips} clips have no other labels."
        )


def _compare(
    framed: pd.DataFrame,
    reference: pd.DataFrame,
    known_pairs: pd.DataFrame,
    strong: pd.DataFrame,
    names: Mapping[str, str],
    params: LabelFrameParams,
) -> None:
    """Prints and writes the agreement with the reference."""
    agreement = compare_framed_labels(framed, reference, known_pairs, params)
    path = f"{_OUTPUT.value}.agreement.csv"
    with open_output(path) as file:
        agreement.per_class.to_csv(file, index=False, lineterminator="\n")
    for lines in (
        agreement_lines(agreement, names),
        note_lines(agreement, strong),
        disagreement_lines(agreement, strong, names, _MAX_DISAGREEMENTS.value),
    ):
        print(*lines, sep="\n", end="\n" if lines else "")
    print(f"Counts of each class: {path}")


if __name__ == "__main__":
    run_flags.run(main)

r"""Reports how much of the labelled audio a folder holds.

    python -m audioset_strong.report_coverage --audio_dir=audio/eval \
        --weak_labels=labels/eval_segments.csv \
        --strong_labels=labels/audioset_eval_strong.tsv \
        --framed_labels=labels/audioset_eval_strong_framed_posneg.tsv \
        --class_map=labels/class_labels_indices.csv --output_dir=coverage \
        --write_clips=our_clips.txt

Prints, and writes to --output_dir, how much of each label file and class is
there, and which classes can no longer be evaluated:

    coverage.json  everything; `label_analysis/coverage.py` documents it
    per_class.csv  clips, clips present and share of each class and label file
    missing.csv    clips that are not there

To compare numbers with another group, exchange the lists that --write_clips
writes and give theirs as --common_with: common_clips.txt in --output_dir holds
the clips that both have. With --clips in place of --audio_dir, only the clips
of a list count as there, such as the common ones. `audio/listing.py` says how
audio files may be named. They are not decoded.
"""

import os
from collections.abc import Collection, Sequence
from typing import Any

from absl import flags

from audioset_strong import run_flags
from audioset_strong.audio.listing import survey_audio
from audioset_strong.errors import InputError
from audioset_strong.label_analysis.coverage import (
    all_segment_ids,
    cover_sets,
    coverage_lines,
    read_labelled_sets,
    write_coverage,
)
from audioset_strong.labels.class_map import read_known_classes
from audioset_strong.labels.ids import (
    hash_of_clips,
    read_clip_list,
    write_clip_list,
)
from audioset_strong.labels.problems import ProblemLog, listed

_AUDIO_DIR = flags.DEFINE_string(
    "audio_dir",
    None,
    "Folder of audio, searched with its subfolders; files in Parquet and tars "
    "count.",
)
_CLIPS = flags.DEFINE_string(
    "clips", None, "List of the clips that are there, in place of --audio_dir."
)
_WEAK_LABELS = flags.DEFINE_list("weak_labels", [], "Weak label CSVs.")
_STRONG_LABELS = flags.DEFINE_list("strong_labels", [], "Strong label TSVs.")
_FRAMED_LABELS = flags.DEFINE_list("framed_labels", [], "Framed label TSVs.")
_CLASS_MAP = flags.DEFINE_string(
    "class_map",
    None,
    "class_labels_indices.csv: display names, and classes to list first.",
)
_DISPLAY_NAMES = run_flags.define_display_names()
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for the report.", required=True
)
_WRITE_CLIPS = flags.DEFINE_string(
    "write_clips", None, "File for the list of labelled clips that are there."
)
_COMMON_WITH = flags.DEFINE_string(
    "common_with", None, "Clip list of another copy of AudioSet."
)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()


def main(argv: Sequence[str]) -> None:
    """Reads labels, looks for the clips, writes and prints the report."""
    run_flags.refuse_arguments(argv)
    if (_AUDIO_DIR.value is None) == (_CLIPS.value is None):
        raise InputError("Expected either --audio_dir or --clips.")
    paths = {
        "weak": _WEAK_LABELS.value,
        "strong": _STRONG_LABELS.value,
        "framed": _FRAMED_LABELS.value,
    }
    if not any(paths.values()):
        raise InputError(
            "Expected label files: --weak_labels, --strong_labels or "
            "--framed_labels."
        )
    others = None
    if _COMMON_WITH.value:
        others = set(read_clip_list(_COMMON_WITH.value))
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    classes = read_known_classes(
        _CLASS_MAP.value, _DISPLAY_NAMES.value, problems
    )
    sets = read_labelled_sets(paths, problems, classes.mids_of_name())
    problems.report()
    labelled = list(all_segment_ids(sets))
    if not labelled:
        raise InputError(
            f"The label files name no clip: {listed([s.name for s in sets])}. "
            f"Give label files with labels."
        )
    present, audio, lines = _find_clips(labelled)
    coverage = cover_sets(sets, present, classes.name_of_mid, classes.mids)
    write_coverage(coverage, _OUTPUT_DIR.value, problems, audio)
    # All is written before anything is printed to a pipe that can close.
    lines += coverage_lines(coverage)
    names = ", ".join(sorted(s.name for s in sets))
    made_of = f"Made by report_coverage of the clips of {names}\nthat"
    found = set(labelled) & set(present)
    if _WRITE_CLIPS.value and found:
        where = _AUDIO_DIR.value or _CLIPS.value
        comment = f"{made_of} are in {where}."
        write_clip_list(found, _WRITE_CLIPS.value, comment)
        lines.append(
            f"{len(found):,} clips, hash {hash_of_clips(found)}: "
            f"{_WRITE_CLIPS.value}"
        )
    elif _WRITE_CLIPS.value:
        # Readers take an empty list for a mistake.
        lines.append(f"No clip is there: {_WRITE_CLIPS.value} is not written.")
    if others is not None:
        lines += _write_common_clips(
            found, others, f"{made_of} two copies have."
        )
    print("\n".join(lines))
    print(f"Report: {os.path.join(_OUTPUT_DIR.value, 'coverage.json')}")


def _write_common_clips(
    ours: set[str], theirs: set[str], comment: str
) -> list[str]:
    """Writes the clips that two copies have: the same file from either side."""
    common = ours & theirs
    if not common:
        raise InputError(
            f"{_COMMON_WITH.value} and the {len(ours):,} clips that are here "
            f"share none. Give a list of clips of the same label files."
        )
    path = os.path.join(_OUTPUT_DIR.value, "common_clips.txt")
    write_clip_list(common, path, comment)
    return [
        f"{len(common):,} clips are here and in {_COMMON_WITH.value}, "
        f"{len(ours - theirs):,} only here, {len(theirs - ours):,} only there.",
        f"Common clips, hash {hash_of_clips(common)}: {path}",
    ]


def _find_clips(
    labelled: Sequence[str],
) -> tuple[Collection[str], dict[str, Any] | None, list[str]]:
    """Returns the clips that are there, what a folder holds, and notes."""
    if _AUDIO_DIR.value is not None:
        survey = survey_audio(_AUDIO_DIR.value, labelled)
        lines = [*survey.lines(), ""]
        return survey.matches.path_of_clip, survey.as_json(), lines
    assert _CLIPS.value is not None  # main has checked it
    clips = read_clip_list(_CLIPS.value)
    known = set(labelled)
    unknown = [clip for clip in clips if clip not in known]
    if not unknown:
        return clips, None, []
    text = (
        f"{len(unknown)} of {len(clips)} clips of {_CLIPS.value} are in no "
        f"label file given, such as {unknown[0]}."
    )
    if len(unknown) == len(clips):
        raise InputError(f"{text} Give the label files that have them.")
    return clips, None, [text]


if __name__ == "__main__":
    run_flags.run(main)

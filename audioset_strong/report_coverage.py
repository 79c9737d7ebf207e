r"""Reports how much of the labelled audio a folder holds.

    python -m audioset_strong.report_coverage --audio_dir=audio/eval \
        --weak_labels=eval_segments.csv \
        --strong_labels=audioset_eval_strong.tsv \
        --framed_labels=audioset_eval_strong_framed_posneg.tsv \
        --class_map=class_labels_indices.csv --output_dir=coverage \
        --write_clips=our_clips.txt

Prints and writes to --output_dir the share of each label file and class that is
there, and the classes that can no longer be evaluated:

    coverage.json  everything; `analysis/coverage_report.py` documents it
    per_class.csv  clips, clips present and share of each class and label file
    missing.csv    clips that are not there

For numbers on the same clips as another group's, swap the lists that
--write_clips writes and give theirs as --common_with: common_clips.txt in
--output_dir holds the clips that both have. With --clips in place of
--audio_dir the clips of a list are what is there, such as the common ones. How
files may be named is in `audio/listing.py`. Audio is not decoded.
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
    read_names,
    write_common_clips,
    write_coverage,
    write_found_clips,
)
from audioset_strong.labels.ids import read_clip_list
from audioset_strong.labels.problems import ProblemLog

_AUDIO_DIR = flags.DEFINE_string(
    "audio_dir", None, "Folder of audio, searched with its subfolders."
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
_STRICT = run_flags.define_strict()


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
    others = read_clip_list(_COMMON_WITH.value) if _COMMON_WITH.value else None
    problems = ProblemLog(is_strict=_STRICT.value)
    sets = read_labelled_sets(paths, problems)
    names, class_map_mids = read_names(
        _CLASS_MAP.value, _DISPLAY_NAMES.value, problems
    )
    problems.report()
    labelled = list(all_segment_ids(sets))
    present, audio, lines = _find_clips(labelled)
    coverage = cover_sets(sets, present, names, class_map_mids)
    write_coverage(coverage, _OUTPUT_DIR.value, problems, audio)
    # All is written before anything is printed to a pipe that can close.
    lines += coverage_lines(coverage)
    source = f"of the clips of {', '.join(sorted(s.name for s in sets))}"
    found = set(labelled) & set(present)
    if _WRITE_CLIPS.value:
        where = _AUDIO_DIR.value or _CLIPS.value
        lines += write_found_clips(found, _WRITE_CLIPS.value, source, where)
    if others is not None:
        path = os.path.join(_OUTPUT_DIR.value, "common_clips.txt")
        lines += write_common_clips(
            found, set(others), path, source, _COMMON_WITH.value
        )
    print("\n".join(lines))
    print(f"Report: {os.path.join(_OUTPUT_DIR.value, 'coverage.json')}")


def _find_clips(
    labelled: Sequence[str],
) -> tuple[Collection[str], dict[str, Any] | None, list[str]]:
    """Returns the clips that are there, what a folder holds, and lines of it.

    Raises:
      InputError: No clip of --clips is labelled.
    """
    if _AUDIO_DIR.value is not None:
        survey = survey_audio(_AUDIO_DIR.value, labelled)
        lines = [*survey.lines(), ""]
        return survey.matches.path_of_clip, survey.as_json(), lines
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

r"""Scores detected events: PSDS, intersection- and collar-based F1.

    pip install '.[psds]'
    python -m audioset_strong.evaluate_events --scores=scores.npz \
      --strong_labels=audioset_eval_strong.tsv \
      --display_names=mid_to_display_name.tsv --output_dir=event_scores

These are metrics of other papers, from `sed_scores_eval`, to set beside theirs:
every number is printed with all that it depends on, because papers share the
name PSDS and not its parameters. They take whatever is no event for silence, so
that explicit negatives play no part. --clips lists the clips that were listened
to: false alarms in those without any event count, and every clip's own length.
Without a list only clips with an event, or with a label track, are evaluated.
Scores are taken at their own frame rate, not on label frames; those that
predict wrote say how long the recordings are. Writes to --output_dir:

    event_scores.txt  what is printed
    per_class.csv     the same of each class

--thresholds takes what choose_thresholds wrote, for the two F1. Needs no
TensorFlow, but a C compiler to install.
"""

import dataclasses
import os
from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.evaluation.events import (
    EventScoreParams,
    EventTruth,
    Thresholds,
    psds_scores,
)
from audioset_strong.evaluation.items import NO_LIST_ADVICE, log_gaps
from audioset_strong.evaluation.native_scores import read_recordings
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.thresholds import read_threshold_file
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.labels.class_map import read_known_classes
from audioset_strong.labels.clips import (
    clips_of_labels,
    leave_out_unknown,
    read_annotated_clips,
)
from audioset_strong.labels.frame_rule import (
    params_of_length,
    params_of_longest,
)
from audioset_strong.labels.label_tracks import read_event_labels
from audioset_strong.labels.problems import ProblemLog

_SCORES = flags.DEFINE_string(
    "scores", None, "Score file (.npz) or folder of tables.", required=True
)
_STRONG_LABELS = flags.DEFINE_string(
    "strong_labels",
    None,
    "Strong TSV: all events of its clips; or an Audacity label track, or a "
    "folder of them, whose labels are classes of --class_map or of the scores.",
    required=True,
)
_CLIPS = run_flags.define_clips()
_CLIP_SECONDS = run_flags.define_clip_seconds()
_THRESHOLDS = flags.DEFINE_string(
    "thresholds", None, "File of choose_thresholds; instead of --threshold."
)
_THRESHOLD = flags.DEFINE_float(
    "threshold", 0.5, "Least score of an event, for the F1 of all classes."
)
_CLASS_MAP = run_flags.define_class_map()
_DISPLAY_NAMES = run_flags.define_display_names()
_PARAMS_FLAGS = run_flags.define_params(EventScoreParams)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count() or 1, "Processes to use.", lower_bound=1
)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for the results.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Scores events, writes and prints the numbers."""
    run_flags.refuse_arguments(argv)
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    class_map, recordings = read_recordings(_SCORES.value)
    known = read_known_classes(
        _CLASS_MAP.value or class_map, _DISPLAY_NAMES.value, problems
    )
    clips = read_annotated_clips(_CLIPS.value) if _CLIPS.value else None
    lengths = recordings if clips is None else clips
    clip_seconds = _CLIP_SECONDS.value
    params = params_of_length(clip_seconds)
    strong, annotated = read_event_labels(
        _STRONG_LABELS.value,
        problems,
        known.mids_of_name(),
        params_of_longest(lengths, params),
        known.class_map,
        () if lengths is None else set(lengths["segment_id"]),
    )
    problems.report()
    labelled = [strong["segment_id"]]
    if clips is None and (annotated is not None or recordings is not None):
        clips = clips_of_labels(
            labelled, annotated or (), strong, recordings, clip_seconds
        )
    if clips is not None:
        clips, _ = leave_out_unknown(clips, problems, labelled)
    known = dataclasses.replace(known, labelled_mids=frozenset(strong["mid"]))
    thresholds: Thresholds = _THRESHOLD.value
    if _THRESHOLDS.value:
        thresholds = read_threshold_file(_THRESHOLDS.value).thresholds
    found = psds_scores(
        read_scores(_SCORES.value, known),
        strong,
        run_flags.read_params(EventScoreParams, _PARAMS_FLAGS),
        thresholds,
        audio_seconds=clip_seconds,
        clips=clips,
        display_names=known.name_of_mid,
        num_jobs=_NUM_WORKERS.value,
    )
    _warn_of_gaps(found.truth, bool(_CLIPS.value) or annotated is not None)
    make_output_folder(_OUTPUT_DIR.value)
    text = "\n".join(found.lines())
    with open_output(os.path.join(_OUTPUT_DIR.value, "event_scores.txt")) as f:
        f.write(f"{text}\n")
    with open_output(os.path.join(_OUTPUT_DIR.value, "per_class.csv")) as file:
        found.per_class.to_csv(file, index=False, lineterminator="\n")
    print(text)


def _warn_of_gaps(truth: EventTruth, has_clips: bool) -> None:
    """Logs what could not take part."""
    advice = "" if has_clips else NO_LIST_ADVICE
    gaps = {
        f"scored clips have no strong labels{advice}": (
            truth.clips_without_labels
        ),
        "labelled clips are not scored": truth.clips_not_scored,
        "labelled classes are not scored": truth.mids_not_scored,
    }
    log_gaps(gaps, "Left out")


if __name__ == "__main__":
    run_flags.run(main)

"""Finds hard candidates for explicit negatives.

    python -m audioset_strong.mine_candidates \
        --scores=scores.npz \
        --weak_labels=eval_segments.csv \
        --num_per_class=100 \
        --output=candidates.csv

Writes --output, a CSV with the header `mid,segment_id,score,rank`: for each
class the clips that the model scores highest and that are not labelled with it,
hardest first. Show them to annotators; what they refute is an explicit negative
(Section 3.2 of the paper). Clips without weak labels are not searched: they may
hold anything, or, if --clips lists them, are known to be negatives. Needs no
TensorFlow.
"""

import dataclasses
from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.evaluation.items import mine_candidates, warn_of_gaps
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.truth import Truth
from audioset_strong.files import open_output
from audioset_strong.labels.class_map import read_known_classes
from audioset_strong.labels.clips import read_annotated_clips
from audioset_strong.labels.frame_rule import (
    params_of_length,
    params_of_longest,
)
from audioset_strong.labels.label_files import read_weak_labels
from audioset_strong.labels.problems import ProblemLog

_SCORES = flags.DEFINE_string(
    "scores",
    None,
    "Score file (.npz), or folder of score tables, of a model.",
    required=True,
)
_CLASS_MAP = flags.DEFINE_string(
    "class_map",
    None,
    "class_labels_indices.csv, for scores whose columns are class indices or "
    "display names.",
)
_WEAK_LABELS = flags.DEFINE_string(
    "weak_labels", None, "Weak CSV of the scored clips.", required=True
)
_CLIPS = run_flags.define_clips()
_CLIP_SECONDS = run_flags.define_clip_seconds()
_NUM_PER_CLASS = flags.DEFINE_integer(
    "num_per_class", 100, "Most candidates of a class."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "CSV of candidates to write.", required=True
)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()


def main(argv: Sequence[str]) -> None:
    """Mines, writes the candidates and says how many there are."""
    run_flags.refuse_arguments(argv)
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    known = read_known_classes(_CLASS_MAP.value, None)
    clips = read_annotated_clips(_CLIPS.value) if _CLIPS.value else None
    params = params_of_length(_CLIP_SECONDS.value)
    weak = read_weak_labels(
        _WEAK_LABELS.value,
        problems,
        names=known.mids_of_name(),
        params=params_of_longest(clips, params),
    )
    problems.report()
    known = dataclasses.replace(
        known, labelled_mids=frozenset(weak["mids"].explode().dropna())
    )
    scores = read_scores(_SCORES.value, known)
    label_frames = Truth(weak=weak, clips=clips, params=params).label_frames(
        scores
    )
    candidates, alignment = mine_candidates(
        label_frames, weak, _NUM_PER_CLASS.value
    )
    with open_output(_OUTPUT.value) as file:
        candidates.to_csv(file, index=False, lineterminator="\n")
    warn_of_gaps(alignment, "Not searched", "weak labels")
    print(
        f"{len(candidates)} candidates of {candidates['mid'].nunique()} "
        f"classes among {alignment.num_clips_evaluated} clips: "
        f"{_OUTPUT.value}"
    )


if __name__ == "__main__":
    run_flags.run(main)

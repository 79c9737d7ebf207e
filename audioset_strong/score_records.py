r"""Scores every label frame of records with a trained model.

    python -m audioset_strong.score_records --workdir=runs/weak \
      --records_dir=records/eval --output=runs/weak/eval_scores.npz

Writes a score file, `[num_clips, num_label_frames, num_classes]`, which
`evaluate`, `choose_thresholds` and `mine_candidates` read.
"""

from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.records.manifest import GROUPS
from audioset_strong.training.scoring import write_scores

_WORKDIR = run_flags.define_workdir()
_RECORDS_DIR = run_flags.define_records_dir()
_OUTPUT = flags.DEFINE_string(
    "output", None, "Score file to write, .npz.", required=True
)
_CHECKPOINT = run_flags.define_checkpoint()
_GROUPS = flags.DEFINE_multi_enum(
    "group",
    list(GROUPS),
    GROUPS,
    "Group of shards to score; may be given several times.",
)


def main(argv: Sequence[str]) -> None:
    """Scores and writes the score file."""
    run_flags.refuse_arguments(argv)
    score_file = write_scores(
        _WORKDIR.value,
        _RECORDS_DIR.value,
        _OUTPUT.value,
        _CHECKPOINT.value,
        _GROUPS.value,
    )
    num_clips, num_label_frames, num_classes = score_file.scores.shape
    logging.info(
        "%d clips x %d label frames x %d classes written to %s.",
        num_clips,
        num_label_frames,
        num_classes,
        _OUTPUT.value,
    )


if __name__ == "__main__":
    run_flags.run(main)

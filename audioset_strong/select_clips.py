r"""Selects the training clips to relabel, as the paper did.

    python -m audioset_strong.select_clips --num_per_class=250 --seed=0 \
        --weak_labels=unbalanced_train_segments.csv \
        --output=clips.txt

Section 3 of the paper: up to 250 clips of each class, all where there are
fewer; frequent classes get more, because they occur beside others. Writes a
clip list, one segment id a line, for whatever reads one, such as
`report_coverage --clips`. Needs no TensorFlow.
"""

from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.labels.ids import write_clip_list
from audioset_strong.labels.label_files import read_label_files
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.labels.training_sets import select_for_relabelling

_WEAK_LABELS = flags.DEFINE_list(
    "weak_labels", None, "Weak CSVs, separated by commas.", required=True
)
_NUM_PER_CLASS = flags.DEFINE_integer(
    "num_per_class", 250, "Clips that each class should have.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Chooses among the clips of a class.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Clip list to write.", required=True
)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()


def main(argv: Sequence[str]) -> None:
    """Selects, writes the list, and says how many clips classes have."""
    run_flags.refuse_arguments(argv)
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    weak = read_label_files("weak", _WEAK_LABELS.value, problems)
    problems.report()
    if not len(weak):
        raise InputError("The label files name no clip, so none is selected.")
    selected = select_for_relabelling(weak, _NUM_PER_CLASS.value, _SEED.value)
    write_clip_list(
        selected,
        _OUTPUT.value,
        f"Up to {_NUM_PER_CLASS.value} of each class of "
        f"{', '.join(_WEAK_LABELS.value)}, seed {_SEED.value}.",
    )
    chosen = weak[weak["segment_id"].isin(selected)]
    per_class = chosen["mids"].explode().value_counts()
    print(
        f"{len(selected)} of {len(weak)} clips of {len(per_class)} classes, "
        f"{int(per_class.min())} to {int(per_class.max())} a class (median "
        f"{per_class.median():g}): {_OUTPUT.value}"
    )


if __name__ == "__main__":
    run_flags.run(main)

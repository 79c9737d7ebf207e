"""Turns mined candidates into explicit negatives of a simulated release.

  python -m audioset_strong.annotate_candidates \
      --soundscapes_dir=/tmp/soundscapes --candidates=/tmp/candidates.csv

Shows simulated annotators a random draw of the candidates of each class that
mine_candidates wrote. Clips without the class become its explicit negatives:
labels/audioset_eval_strong_framed_posneg.tsv of the release is written anew.
Works only with a release that make_soundscapes wrote, because only there the
truth is known.
"""

from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.simulation.release import annotate_candidates

_SOUNDSCAPES_DIR = flags.DEFINE_string(
    "soundscapes_dir",
    None,
    "Folder that make_soundscapes wrote.",
    required=True,
)
_CANDIDATES = flags.DEFINE_string(
    "candidates", None, "CSV that mine_candidates wrote.", required=True
)
_NUM_PER_CLASS = flags.DEFINE_integer(
    "num_per_class",
    20,
    "Candidates of a class that annotators are shown.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the draw.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    """Annotates the candidates and logs how many became negatives."""
    run_flags.refuse_arguments(argv)
    counts = annotate_candidates(
        _SOUNDSCAPES_DIR.value,
        _CANDIDATES.value,
        _NUM_PER_CLASS.value,
        _SEED.value,
    )
    logging.info(
        "%d classes: %d candidates shown, %d explicit negatives",
        len(counts),
        counts["num_shown"].sum(),
        counts["num_negatives"].sum(),
    )


if __name__ == "__main__":
    run_flags.run(main)

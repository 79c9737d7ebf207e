r"""How d' depends on the list that explicit negatives are drawn from.

    python -m experiments.mining_share --table1_dir=runs/table1

Reads a finished, simulated Table 1. For several shares of the evaluation clips,
draws explicit negatives from that share at the top of the miner's list and
evaluates every model with them. Prints a Markdown table of weak-eval and
strong-eval d'. Scores that are not of the present weights and records are made
anew; nothing else is written.
"""

import os
from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.evaluation.items import mine_candidates
from audioset_strong.evaluation.results import evaluate_items
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.truth import read_truth
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import (
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.simulation.annotators import (
    choose_candidates_to_show,
    confirm_absent,
    present_pairs,
)
from audioset_strong.simulation.release import read_release_classes
from experiments.joined import read_results
from experiments.simulated_release import SHOWN_PER_CLASS
from experiments.training_steps import SCORES_NAME, score_step

_TABLE1_DIR = flags.DEFINE_string(
    "table1_dir", None, "Folder that experiments.table1 wrote.", required=True
)
_SHARES = flags.DEFINE_multi_float(
    "share", [0.125, 0.25, 0.5, 0.75, 1.0], "Shares of the clips to try."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of what annotators are shown.")


def main(argv: Sequence[str]) -> None:
    """Mines with each share and evaluates the miner and every model."""
    run_flags.refuse_arguments(argv)
    folder = _TABLE1_DIR.value
    release_dir = os.path.join(folder, "release")
    labels = os.path.join(release_dir, "labels")
    weak = read_weak_labels(os.path.join(labels, "eval_segments.csv"))
    strong = read_strong_labels(
        os.path.join(labels, "audioset_eval_strong.tsv")
    )
    truth = read_strong_labels(os.path.join(labels, "ground_truth.tsv"))
    truth = truth[truth["segment_id"].isin(weak["segment_id"])]
    present = present_pairs(truth, read_release_classes(release_dir))
    eval_records_dir = os.path.join(folder, "records", "eval")
    workdirs = {
        "miner": os.path.join(folder, "miner"),
        **{
            row["run"]: os.path.join(folder, "models", row["run"])
            for row in read_results([folder], "rows")
        },
    }
    scores = {}
    for name, workdir in workdirs.items():
        score_step(folder, name, workdir, eval_records_dir)
        scores[name] = read_scores(os.path.join(workdir, SCORES_NAME)).pool()
    print(f"| share | {' | '.join(scores)} |")
    print("|---" * (len(scores) + 1) + "|")
    for share in _SHARES.value:
        num_candidates = round(share * len(weak))
        mined, _ = mine_candidates(scores["miner"], weak, num_candidates)
        shown = choose_candidates_to_show(mined, SHOWN_PER_CLASS, _SEED.value)
        framed = frame_strong_labels(strong, confirm_absent(shown, present))
        labels_of_share = read_truth(framed_labels=framed, weak_labels=weak)
        cells = []
        for score_file in scores.values():
            d_primes = []
            for evaluation in ("weak", "strong"):
                key = evaluation, "explicit"
                items = labels_of_share.items(score_file, *key)
                d_primes.append(f"{evaluate_items(items, *key).d_prime:.2f}")
            cells.append(" / ".join(d_primes))
        print(f"| {share} | {' | '.join(cells)} |")


if __name__ == "__main__":
    run_flags.run(main)

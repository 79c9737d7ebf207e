"""The options of the recipe experiment, and its table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from experiments.joined import Result

PLAIN = "plain"
# Fields of `RecipeParams` and `TrainParams`. Sizes are those of the peers, in
# the same share of a patch: AST masks up to 192 of 1,024 STFT frames and 48 of
# 128 bands, PaSST changes levels by up to 7 dB. EMA forgets within a third of
# so short a run.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    "warm-up": {"warmup_steps": 30},
    "cosine": {"learning_rate_decay": "cosine"},
    "step": {"learning_rate_decay": "step", "decay_interval_steps": 100},
    "weight decay": {"weight_decay": 0.05},
    "clipping": {"clip_norm": 1.0},
    "averages": {"ema_decay": 0.98},
    "first scores": {"initial_scores_from_labels": True},
    "label smoothing": {"label_smoothing": 0.1},
    "mixup": {"mixup_share": 0.5},
    "SpecAugment": {"max_masked_stft_frames": 18, "max_masked_mel_bands": 24},
    "gain": {"max_gain_db": 7.0},
    "balanced classes": {"balance_classes": True},
    "masked classes": {"mask_unlabelled_classes": True},
    "all": {
        "warmup_steps": 30,
        "learning_rate_decay": "cosine",
        "weight_decay": 0.05,
        "clip_norm": 1.0,
        "ema_decay": 0.98,
        "initial_scores_from_labels": True,
        "mixup_share": 0.5,
        "max_masked_stft_frames": 18,
        "max_masked_mel_bands": 24,
        "max_gain_db": 7.0,
        "balance_classes": True,
    },
}
METRICS = {
    "strong_d_prime": "Strong eval d'",
    "strong_lwlrap": "Strong eval lwlrap",
}
_LEVEL = 0.95


def summarise(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Compares each option with the plain runs of the same seeds.

    Returns:
      Of each option its `seeds`, and of each metric the mean, `<metric>`, and,
      but for the plain one, the mean difference, `<metric>_change`, with its
      interval of level 0.95, `<metric>_interval`, None with less than two
      seeds. The spread of differences over seeds is taken to be that of all
      options together, since three seeds alone tell little about it.
    """
    values = {
        (r["point"]["option"], r["point"]["seed"]): r["values"] for r in results
    }
    options = [o for o in OPTIONS if any(o == option for option, _ in values)]
    seeds_of = {
        option: sorted(seed for name, seed in values if name == option)
        for option in options
    }
    summary: list[dict[str, Any]] = [
        {"option": option, "seeds": seeds_of[option]} for option in options
    ]
    for metric in METRICS:
        changes = {
            option: np.array(
                [
                    values[option, seed][metric] - values[PLAIN, seed][metric]
                    for seed in seeds_of[option]
                    if (PLAIN, seed) in values
                ]
            )
            for option in options
            if option != PLAIN
        }
        squares = sum(
            ((c - c.mean()) ** 2).sum() for c in changes.values() if c.size
        )
        degrees = sum(max(0, c.size - 1) for c in changes.values())
        for row in summary:
            option = row["option"]
            of_seeds = [values[option, s][metric] for s in seeds_of[option]]
            row[metric] = float(np.mean(of_seeds))
            change = changes.get(option, np.zeros(0))
            if not change.size:
                continue
            row[f"{metric}_change"] = float(change.mean())
            row[f"{metric}_interval"] = None
            if degrees:
                quantile = stats.t.ppf(0.5 + _LEVEL / 2, degrees)
                spread = np.sqrt(squares / degrees / change.size)
                row[f"{metric}_interval"] = [
                    float(change.mean() + sign * quantile * spread)
                    for sign in (-1, 1)
                ]
    return summary


def format_table(summary: Sequence[dict[str, Any]]) -> str:
    """Formats the summary as Markdown."""

    def cells(row: dict[str, Any], metric: str) -> list[str]:
        change = "-"
        if f"{metric}_change" in row:
            change = f"{row[f'{metric}_change']:+.3f}"
            if row[f"{metric}_interval"]:
                low, high = row[f"{metric}_interval"]
                change += f" [{low:+.3f}, {high:+.3f}]"
        return [f"{row[metric]:.3f}", change]

    heads = [f"{head} | change" for head in METRICS.values()]
    lines = [
        f"| Option | Seeds | {' | '.join(heads)} |",
        "|---" * (2 + 2 * len(METRICS)) + "|",
    ]
    for row in summary:
        found = [cell for metric in METRICS for cell in cells(row, metric)]
        found = [row["option"], str(len(row["seeds"])), *found]
        lines.append(f"| {' | '.join(found)} |")
    lines.append(
        f"\nMeans over the seeds; changes from the plain run of the same seed, "
        f"with intervals of level {_LEVEL}."
    )
    return "\n".join(lines)

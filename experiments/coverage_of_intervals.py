r"""How often intervals hold what they are meant to hold, by simulation.

    python -m experiments.coverage_of_intervals --output_dir=runs/coverage

Draws set after set of clips, scored by two systems, from populations that are
known, makes the intervals of each set as `evaluate` does, and counts how many
hold the true value. What an interval is of:

  true value   the median of a metric over sets of as many clips of the same
               population: those with intervals and --num_truth_sets others. It
               is a median because the mean d' of a small set is often infinite.
               Average precision is higher in small sets, and classes without a
               clip drop out of the means: an interval says what other sets of
               this size would give, not what a much larger one would.
  far value    the metric of one set of --num_far_clips clips; how many
               intervals hold this one is told beside the other.

Populations, label frames of clips in both:

  release      every fourth class of the released eval set with its share of
               clips, 41 % to 0.006 %; negatives are explicit ones, in 0.9 % of
               clips for each class, and complementary ones
  dense        ten classes in 5 to 40 % of clips, every cell labelled

Writes sets.jsonl, a line for each set (given again, it goes on where it
stopped), and coverage.json, and prints a table.
"""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tqdm
from absl import flags

from audioset_strong import run_flags
from audioset_strong.evaluation.items import Alignment, EvalItems
from audioset_strong.evaluation.resampling import (
    compare_resamples,
    intervals_of,
    resample_classes,
)
from audioset_strong.files import make_output_folder, open_output

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder to write.", required=True
)
_POPULATIONS = flags.DEFINE_list("populations", ["release", "dense"], "Names.")
_NUM_CLIPS = flags.DEFINE_list(
    "num_clips", ["30", "100", "300", "1000", "3000"], "Clips of a set."
)
_NUM_SETS = flags.DEFINE_integer("num_sets", 240, "Sets with intervals.")
_NUM_TRUTH_SETS = flags.DEFINE_integer(
    "num_truth_sets", 260, "Other sets to find true values from."
)
_NUM_FAR_CLIPS = flags.DEFINE_integer(
    "num_far_clips", 30_000, "Clips of the set of the far values."
)
_NUM_RESAMPLES = flags.DEFINE_integer("num_resamples", 399, "Of each set.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", 2, "At a time.")

_NUM_FRAMES = 4  # Label frames of a clip.
_RELEASE_CLIPS = 16_996
# Clips of every fourth class of the released eval set, of those that it has.
_RELEASE_COUNTS = (
    6911, 1706, 1156, 873, 735, 601, 512, 471, 414, 332, 317, 279, 235, 210,
    177, 165, 151, 142, 133, 128, 120, 114, 106, 98, 96, 94, 88, 83, 82, 79,
    78, 76, 74, 72, 70, 69, 66, 66, 64, 64, 63, 62, 62, 61, 59, 58, 57, 55, 55,
    54, 53, 53, 52, 51, 50, 49, 49, 48, 47, 46, 46, 44, 43, 42, 41, 41, 41, 40,
    39, 39, 38, 37, 36, 35, 34, 34, 33, 33, 32, 31, 31, 30, 29, 28, 28, 27, 25,
    25, 22, 21, 20, 19, 17, 15, 14, 12, 11, 9, 8, 4, 3, 2, 2, 1,
)  # fmt: skip
# 124 clips a class, of 14,203.
_EXPLICIT_SHARE = 0.0087
_DENSE_PRIORS = (0.4, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.05)

_Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """Clips that sets are drawn from.

    Attributes:
      priors: Share of clips that have each class, float64 `[num_classes]`.
      explicit_share: Share of clips without a class in which it is known to be
        absent.
      d_primes: d' of each class, float64 `[2 systems, num_classes]`.
    """

    priors: np.ndarray
    explicit_share: float
    d_primes: np.ndarray

    @staticmethod
    def named(name: str) -> "Population":
        """Makes one of the module docstring."""
        priors, explicit_share = {
            "release": (
                np.array(_RELEASE_COUNTS) / _RELEASE_CLIPS,
                _EXPLICIT_SHARE,
            ),
            "dense": (np.array(_DENSE_PRIORS), 1.0),
        }[name]
        rng = np.random.default_rng(0)
        ours = rng.normal(1.4, 0.4, priors.size)
        theirs = ours - 0.1 + 0.2 * rng.standard_normal(priors.size)
        return Population(priors, explicit_share, np.stack([ours, theirs]))

    def draw_set(self, num_clips: int, seed: list[int]) -> list[EvalItems]:
        """Draws clips, labels and the scores of both systems.

        A class sounds in a run of a clip's label frames. Scores are of unit
        variance around the class's offset, plus d' where it sounds; half of the
        variance is common to the label frames of a clip, half of either part
        to both systems.
        """
        rng = np.random.default_rng(seed)
        shape = num_clips, _NUM_FRAMES, self.priors.size
        has_class = rng.random((num_clips, self.priors.size)) < self.priors
        start, end = np.sort(
            rng.integers(0, _NUM_FRAMES, (2, num_clips, self.priors.size)),
            axis=0,
        )
        frame = np.arange(_NUM_FRAMES)[:, np.newaxis]
        is_positive = (frame >= start[:, np.newaxis]) & (
            frame <= end[:, np.newaxis]
        )
        is_positive &= has_class[:, np.newaxis]
        is_known = has_class | (
            rng.random(has_class.shape) < self.explicit_share
        )
        is_negative = is_known[:, np.newaxis] & ~is_positive

        def noise() -> np.ndarray:
            of_clip = rng.standard_normal((num_clips, 1, shape[2]), np.float32)
            return of_clip + rng.standard_normal(shape, np.float32)

        common = noise()
        offsets = np.log(self.priors)  # A common class scores higher.
        return [
            _make_items(
                (common + noise()) / 2 + offsets + d_prime * is_positive,
                is_positive,
                is_negative,
            )
            for d_prime in self.d_primes
        ]


def _make_items(
    scores: np.ndarray, is_positive: np.ndarray, is_negative: np.ndarray
) -> EvalItems:
    """Makes items of arrays `[num_clips, label frames, num_classes]`."""
    num_clips, _, num_classes = scores.shape
    flat = -1, num_classes
    return EvalItems(
        scores=scores.astype(np.float32).reshape(flat),
        is_positive=is_positive.reshape(flat),
        is_negative=is_negative.reshape(flat),
        clip_of_item=np.repeat(np.arange(num_clips), _NUM_FRAMES),
        segment_ids=np.array([f"c{i:06d}_0" for i in range(num_clips)]),
        mids=np.array([f"/m/{i:04d}" for i in range(num_classes)]),
        alignment=Alignment(
            num_clips, num_clips, num_clips, (), (), (), (), (), 0, {}
        ),
    )


def _measure_set(
    name: str, num_clips: int, kind: str, index: int, num_resamples: int
) -> _Row:
    """Draws one set; returns its values and, of kind "set", its intervals."""
    # "truth" and "far" sets are others than those with intervals.
    seed = [("set", "truth", "far").index(kind), num_clips, index]
    systems = Population.named(name).draw_set(num_clips, seed)
    resamples = [
        resample_classes(
            items, num_resamples if kind == "set" else 1, index, num_threads=1
        )
        for items in systems
    ]
    row: _Row = {
        "population": name, "num_clips": num_clips, "kind": kind,
        "index": index,
    }  # fmt: skip
    ours, theirs = (own.overall for own in resamples)
    for metric, values in ours.items():
        row[metric] = float(values[0])
        with np.errstate(invalid="ignore"):  # inf - inf
            row[f"{metric}_difference"] = float(values[0] - theirs[metric][0])
    if kind == "set":
        for suffix, result in (
            ("", intervals_of(resamples[0])),
            ("_difference", compare_resamples(resamples[0], resamples[1])),
        ):
            for metric, interval in result.overall.items():
                row[f"{metric}{suffix}_low"] = interval.low
                row[f"{metric}{suffix}_high"] = interval.high
                if suffix:
                    row[f"{metric}_p_value"] = interval.p_value
    return row


def _measure_batch(arguments: list[tuple[Any, ...]]) -> list[_Row]:
    return [_measure_set(*own) for own in arguments]


def _read_rows(path: str) -> list[_Row]:
    with open(path, encoding="utf-8") as file:
        return list(map(json.loads, file))


def _jobs() -> Iterator[tuple[Any, ...]]:
    """Yields the arguments of `_measure_set` of every set."""
    counts = list(map(int, _NUM_CLIPS.value))
    for name in _POPULATIONS.value:
        yield name, _NUM_FAR_CLIPS.value, "far", 0, 1
        for num_clips in counts:
            for kind, number in (
                ("set", _NUM_SETS.value),
                ("truth", _NUM_TRUTH_SETS.value),
            ):
                for index in range(number):
                    yield name, num_clips, kind, index, _NUM_RESAMPLES.value


def summarize(sets: pd.DataFrame) -> pd.DataFrame:
    """Counts the intervals that hold the true value.

    Args:
      sets: A row for each set, as sets.jsonl has them.

    Returns:
      One row a population, number of clips and metric (or difference): num_sets
      with an interval, truth, far, coverage of both, share of the intervals
      below and above the truth, median_width, num_infinite estimates; of
      differences the share of p-values of at most 0.05.
    """
    rows = []
    columns = [str(name) for name in sets.columns]
    metrics = [c.removesuffix("_low") for c in columns if c.endswith("_low")]
    for (name, num_clips), of_size in sets[sets["kind"] != "far"].groupby(
        ["population", "num_clips"], sort=False
    ):
        own = of_size[of_size["kind"] == "set"]
        far = sets[(sets["kind"] == "far") & (sets["population"] == name)]
        for metric in metrics:
            low, high = own[f"{metric}_low"], own[f"{metric}_high"]
            has_interval = low.notna() & high.notna()
            truth = float(of_size[metric].median())
            is_below = (high < truth)[has_interval]
            is_above = (low > truth)[has_interval]
            far_value = float(far[metric].iloc[0])
            holds_far = (low <= far_value) & (far_value <= high)
            p_value = f"{metric.removesuffix('_difference')}_p_value"
            with np.errstate(invalid="ignore"):  # inf - inf
                width = (high - low).median()
            rows.append(
                {
                    "population": name,
                    "num_clips": num_clips,
                    "metric": metric,
                    "num_sets": int(has_interval.sum()),
                    "truth": truth,
                    "coverage": 1 - float(is_below.mean() + is_above.mean()),
                    "share_below": float(is_below.mean()),
                    "share_above": float(is_above.mean()),
                    "far": far_value,
                    "far_coverage": float(holds_far[has_interval].mean()),
                    "median_width": float(width),
                    "num_infinite": int(np.isinf(own[metric]).sum()),
                    "share_p_at_most_05": (
                        float((own[p_value] <= 0.05).mean())
                        if metric.endswith("_difference")
                        else float("nan")
                    ),
                }
            )
    return pd.DataFrame(rows)


def main(argv: Sequence[str]) -> None:
    """Measures what is not measured yet, and summarizes all."""
    run_flags.refuse_arguments(argv)
    folder = _OUTPUT_DIR.value
    make_output_folder(folder)
    path = os.path.join(folder, "sets.jsonl")
    done = {
        (row["population"], row["num_clips"], row["kind"], row["index"])
        for row in (_read_rows(path) if os.path.exists(path) else ())
    }
    jobs = [job for job in _jobs() if job[:4] not in done]
    batches = [jobs[start : start + 10] for start in range(0, len(jobs), 10)]
    with (
        concurrent.futures.ProcessPoolExecutor(
            _NUM_PROCESSES.value, multiprocessing.get_context("spawn")
        ) as pool,
        open(path, "a", encoding="utf-8") as file,
        tqdm.tqdm(total=len(jobs), unit="set") as progress,
    ):
        for rows in pool.map(_measure_batch, batches):
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            progress.update(len(rows))
    summary = summarize(pd.DataFrame(_read_rows(path)))
    with open_output(os.path.join(folder, "coverage.json")) as file:
        json.dump(summary.to_dict("records"), file, indent=1)
    print(
        summary.pivot_table(
            "coverage", ["population", "metric"], "num_clips", sort=False
        )
        .mul(100)
        .round(1)
        .to_string()
    )


if __name__ == "__main__":
    run_flags.run(main)

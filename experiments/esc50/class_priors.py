"""How much of a row's lwlrap is how common its training set says classes are.

lwlrap ranks the classes of a label frame, so that a constant a class changes
it; d' ranks the frames of a class and cannot see one. Here each class's logit
is moved by what separates Weak labels from label frames with strong ones: the
logit of the share of label frames with the class, less that of the share of
weakly labelled clips with it. A model that learned what weak labels say is then
as one that knows how common classes are in label frames; nothing else changes.
What a fine-tuned row gains over a moved Weak-large is more than priors. The
same is done with the models of the sweep of mu. And lwlrap is measured of the
priors alone, as if they were scores, the same for every label frame.

The moves are of the labels of the training clips; no label of the evaluation
clips is read for them.
"""

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong import files
from audioset_strong.evaluation import (
    evaluate,
    read_known_classes,
    read_scores,
    read_truth,
)
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import (
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.records.manifest import read_json, write_json
from experiments.esc50.intervals import LABELS, SCORES, find_output_dir
from experiments.joined import Result
from experiments.steps import hash_file, run_step

# Unbalanced and balanced weak labels, and strong ones.
_TRAINING_LABELS = (
    "unbalanced_train_segments.csv",
    "balanced_train_segments.csv",
    "audioset_train_strong.tsv",
)
_EVAL_LABELS = (
    "class_labels_indices.csv",
    "audioset_eval_strong_framed_posneg.tsv",
)

_Floats = npt.NDArray[np.float64]


def _logit(share: _Floats) -> _Floats:
    # Finite for a class that all clips have, and for a score of 0 or 1.
    bounded: _Floats = np.clip(share, 1e-6, 1 - 1e-6)
    return np.log(bounded) - np.log1p(-bounded)


def priors_of_classes(
    framed: pd.DataFrame, weak: pd.DataFrame, mids: Sequence[str]
) -> tuple[_Floats, _Floats]:
    """Returns how common training labels say that classes are.

    Args:
      framed: Framed labels of the training clips with strong ones.
      weak: Weak labels of the training clips.
      mids: The classes.

    Returns:
      float64 `[num_classes]` each: the share of label frames that have the
      class, and that of weakly labelled clips; 0 for one without a label.
    """
    positive = framed[framed["is_present"]]
    in_frames = positive["mid"].value_counts()
    num_frames = len(framed[["segment_id", "label_frame"]].drop_duplicates())
    in_clips = weak["mids"].explode().value_counts()
    frames, clips = (
        of.reindex(mids, fill_value=0).to_numpy(float)
        for of in (in_frames, in_clips)
    )
    return frames / num_frames, clips / len(weak)


def moves_of_classes(of_frames: _Floats, of_clips: _Floats) -> _Floats:
    """Returns what to add to logits, from what `priors_of_classes` returned.

    0 for a class that either kind of label does not have.
    """
    moves = _logit(of_frames) - _logit(of_clips)
    return np.where((of_frames > 0) & (of_clips > 0), moves, 0.0)


@functools.cache  # all rows of a run have the same
def _read_priors(
    labels_dir: str, mids: tuple[str, ...]
) -> tuple[_Floats, _Floats]:
    """Reads the training labels of a release, for `priors_of_classes`."""
    unbalanced, balanced, strong = (
        os.path.join(labels_dir, name) for name in _TRAINING_LABELS
    )
    weak = pd.concat(map(read_weak_labels, (unbalanced, balanced)))
    framed = frame_strong_labels(read_strong_labels(strong))
    return priors_of_classes(framed, weak, mids)


def _change(scores: Any, change: str, labels_dir: str) -> Any:
    """Changes a score file as "moved", "weak_priors" or "frame_priors"."""
    of_frames, of_clips = _read_priors(labels_dir, tuple(map(str, scores.mids)))
    if change == "moved":
        logits = _logit(scores.scores.astype(float))
        logits += moves_of_classes(of_frames, of_clips)
        return dataclasses.replace(scores, scores=logits, is_logits=True)
    priors = of_clips if change == "weak_priors" else of_frames
    everywhere = np.broadcast_to(priors, scores.scores.shape)
    return dataclasses.replace(
        scores, scores=everywhere.astype(np.float32), is_logits=False
    )


def write_class_priors(
    results: Sequence[Result],
    points: Sequence[Result],
    output_dirs: Sequence[str],
    results_dir: str,
) -> None:
    """Writes lwlrap and d' on the strong eval, as trained and moved.

    Args:
      results: Of rows: what `table1.run_row` returned.
      points: Of the sweep: what `mu_sweep.run_point` returned.
      output_dirs: Folders with the scores and labels that they are of.
      results_dir: Receives `class_priors.json`.
    """
    rows = [
        {
            **result["point"],
            "as_trained": {
                metric: result["values"][f"strong_{metric}"]
                for metric in ("lwlrap", "d_prime")
            },
            "moved": _measure(result["run"], output_dirs, "moved"),
        }
        for result in results
    ]
    of_points = [
        {
            **point["point"],
            "as_trained": _measure(point["run"], output_dirs, ""),
            "moved": _measure(point["run"], output_dirs, "moved"),
        }
        for point in points
    ]
    path = os.path.join(results_dir, "class_priors.json")
    alone = {
        name: _measure(results[0]["run"], output_dirs, name)
        for name in ("weak_priors", "frame_priors")
    }
    write_json({"rows": rows, "points": of_points, "alone": alone}, path)


def _measure(
    run: str, output_dirs: Sequence[str], change: str
) -> dict[str, float]:
    """Measures the scores of a run, changed or not, unless that was done."""
    output_dir = find_output_dir(run, output_dirs)
    scores_path = os.path.join(output_dir, SCORES.format(run=run))
    labels_dir = os.path.join(output_dir, LABELS)
    class_map, framed_labels = (
        os.path.join(labels_dir, name) for name in _EVAL_LABELS
    )
    name = run if change == "moved" else f"{run}-{change or 'as_trained'}"
    path = os.path.join(output_dir, "class_priors", f"{name}.json")

    def measure() -> None:
        scores = read_scores(scores_path, read_known_classes(class_map))
        if change:
            scores = _change(scores, change, labels_dir)
        report = evaluate(scores, read_truth(framed_labels=framed_labels))
        (found,) = (
            result
            for result in report.results
            if (result.evaluation, result.negatives) == ("strong", "explicit")
        )
        files.make_output_folder(os.path.dirname(path))
        write_json({"lwlrap": found.lwlrap, "d_prime": found.d_prime}, path)

    hashes = {
        name: hash_file(os.path.join(labels_dir, name))
        for name in _TRAINING_LABELS + _EVAL_LABELS
    }
    inputs = {"scores": hash_file(scores_path), **hashes}
    run_step(output_dir, f"class_priors_{name}", path, inputs, measure)
    return dict(read_json(path))

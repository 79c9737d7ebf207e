"""Evaluation items made directly from arrays, and from Gaussians."""

import numpy as np

from audioset_strong.evaluation.items import Alignment, EvalItems
from audioset_strong.evaluation.resampling import (
    compare_resamples,
    intervals_of,
    resample_classes,
)


def make_items(scores, is_positive, is_negative, clip_of_item, mids=None):
    """Makes items of arrays `[num_items, num_classes]`."""
    num_clips = int(clip_of_item.max()) + 1
    num_classes = scores.shape[1]
    return EvalItems(
        scores=scores,
        is_positive=is_positive,
        is_negative=is_negative,
        clip_of_item=clip_of_item,
        segment_ids=np.array([f"c{clip:05d}_0" for clip in range(num_clips)]),
        mids=np.array(mids or [f"/m/{c}" for c in range(num_classes)]),
        alignment=Alignment(
            *(num_clips, num_clips, num_clips, (), (), (), (), ()), 0, {}
        ),
    )


def random_items(seed=0, num_clips=12, num_values=None, dtype=np.float32):
    """Makes clips of one to four items and five classes, some of them bare."""
    rng = np.random.default_rng(seed)
    num_items = rng.integers(1, 5, num_clips)
    num_items[2] = 4
    clip_of_item = np.repeat(np.arange(num_clips), num_items)
    shape = clip_of_item.size, 5
    scores = rng.normal(size=shape)
    if num_values is not None:
        scores = rng.integers(num_values, size=shape) / num_values
    truth = rng.integers(-1, 2, shape)
    truth[:, 3] = 0
    truth[clip_of_item == 2, 3] = [1, -1, 1, -1]  # one clip only
    truth[:, 4] = np.minimum(truth[:, 4], 0)  # no positive
    return make_items(scores.astype(dtype), truth > 0, truth < 0, clip_of_item)


def gaussian_systems(
    rng, d_primes, num_clips=100, num_frames=4, num_classes=3, shared=0.5
):
    """Makes items of systems of known d' on the same clips and labels.

    A clip has a class in all of its label frames or in none. Scores have unit
    variance, half of it common to the label frames of a clip and class, and a
    `shared` part of it common to the systems: AUC is Phi(d' / sqrt(2)).
    """
    clip_of_item = np.repeat(np.arange(num_clips), num_frames)
    has_class = rng.random((num_clips, num_classes)) < 0.5
    is_positive = has_class[clip_of_item]

    def noise():
        of_clip = rng.normal(size=has_class.shape)[clip_of_item]
        return (of_clip + rng.normal(size=is_positive.shape)) / np.sqrt(2)

    common = noise()
    return [
        make_items(
            np.sqrt(shared) * common
            + np.sqrt(1 - shared) * noise()
            + d_prime * is_positive,
            is_positive,
            ~is_positive,
            clip_of_item,
        )
        for d_prime in d_primes
    ]


def own_intervals(items, *args, level=0.95, **options):
    """Intervals of one system."""
    return intervals_of(resample_classes(items, *args, **options), level)


def paired_intervals(items, baseline, *args, level=0.95, **options):
    """Differences of two systems."""
    ours, theirs = (
        resample_classes(own, *args, **options) for own in (items, baseline)
    )
    return compare_resamples(ours, theirs, level)

"""Scores and labels that break careless metrics, class by class."""

import numpy as np


def nasty_classes():
    """Makes {name: (scores, truth)}: `[num_items]`, truth 1, -1 or 0 unknown.

    All have the same 24 items, so that they make one array of classes too.
    """
    rng = np.random.default_rng(5)
    truth = np.tile([1, -1, -1, 0], 6)
    noise = rng.normal(size=24)
    only_first = np.where(np.arange(24) == 4, 1, -1)
    return {
        "random": (noise, truth),
        "ties": (rng.integers(3, size=24) * 1.0, truth),
        "all equal": (np.full(24, 0.25), truth),
        "both zeros": (np.where(noise > 0, 0.0, -0.0), truth),
        "perfect": (truth * 1.0, truth),
        "inverted": (-truth * 1.0, truth),
        "one positive": (noise, only_first),
        "one positive, tied": (np.round(noise), only_first),
        "one negative": (noise, -only_first),
        "one of each": (noise, np.where(np.arange(24) < 2, truth, 0)),
        "no negative": (noise, np.maximum(truth, 0)),
        "no positive": (noise, np.minimum(truth, 0)),
        "nothing listed": (noise, np.zeros(24, int)),
        "in one clip only": (noise, np.where(np.arange(24) < 4, truth, 0)),
        "huge and tiny": (np.where(noise > 0, 1e4, 1e-6) * noise, truth),
    }

"""When sounds are heard: as many, as long and as often as in AudioSet.

Short sounds of one class at a time, a few a clip, are not what AudioSet holds.
There a class that is marked in a clip fills half of it on average: a quarter of
the (clip, class) pairs all of it, a third a tenth or less. Rain lasts, a cough
does not, and some coughs are fits. `TimingParams` describes this, measured on
the released strong labels; `draw_pattern` draws the events of one pair.

How much of the clip a class fills comes from the measured distribution over all
pairs. Which quantile of it, depends on the class for a part (the share of the
variance that lies between classes, through a Gaussian copula), and on chance
for the rest. So the distribution is the measured one whatever the classes are.

Source: 103,207 events of the 110 most frequent classes in 15,646 clips of
audioset_eval_strong.tsv (experiments/results/label_statistics.md).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.special

from audioset_strong.errors import InputError

_Floats = npt.NDArray[np.float64]

# A class that fills this much of a clip was marked from its start to its end.
_WHOLE_CLIP = 0.99
# Of a fixed point that is reached in a few.
_NUM_ITERATIONS = 30


@dataclasses.dataclass(frozen=True)
class TimingParams:
    """How many classes a clip has, and when each is heard.

    Attributes:
      mean_classes: Classes of a clip, on average.
      class_dispersion: Number of classes but one is negative binomial with this
        dispersion: the lower, the more clips have one class or many.
      filled_shares: Quantiles, evenly spaced from 0 to 1, of the share of a
        clip that a class in it fills.
      variance_between_classes: Share of the variance of the filled share's
        latent normal variable that lies between classes, in [0, 1]: 0 if all
        classes last as long. 0.65 makes 0.57 of the filled share's own.
      filled_bins: Upper edges of bins of the filled share, ascending, below 1;
        above the last, one event is the whole.
      single_shares: In each bin, share of the pairs that have one event.
      mean_events: In each bin, events of the pairs that have several, on
        average.
      typical_seconds: Quantiles, evenly spaced from 0 to 1 over classes by how
        long they last, of the event length that is typical of a class.
      typical_weight: How far the number of events, of pairs that have several,
        moves towards that which makes them as long as is typical, in [0, 1].
      length_spread: Standard deviation of the logarithms of event lengths
        within a pair.
      min_event_seconds: Shortest event.
    """

    mean_classes: float = 3.5
    class_dispersion: float = 3.0
    filled_shares: tuple[float, ...] = (
        0.001, 0.016, 0.025, 0.033, 0.043, 0.053, 0.063, 0.075, 0.088, 0.102,
        0.118, 0.137, 0.156, 0.176, 0.199, 0.225, 0.253, 0.283, 0.316, 0.35,
        0.387, 0.427, 0.472, 0.517, 0.568, 0.621, 0.678, 0.738, 0.806, 0.874,
        0.929, 0.984, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
    )  # fmt: skip
    variance_between_classes: float = 0.65
    filled_bins: tuple[float, ...] = (
        0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 0.95, 0.99,
    )  # fmt: skip
    single_shares: tuple[float, ...] = (
        0.85, 0.65, 0.6, 0.47, 0.36, 0.28, 0.27, 0.27, 0.44, 0.64,
    )  # fmt: skip
    mean_events: tuple[float, ...] = (
        2.2, 2.6, 3.2, 3.6, 3.8, 4.2, 4.5, 4.5, 3.4, 2.3,
    )  # fmt: skip
    typical_seconds: tuple[float, ...] = (
        0.2, 0.35, 0.5, 0.6, 0.6, 0.6, 1.0, 1.7, 5.0, 5.0,
    )  # fmt: skip
    typical_weight: float = 0.2
    length_spread: float = 0.6
    min_event_seconds: float = 0.05

    def __post_init__(self) -> None:
        """Raises `InputError` for a setting that is out of its range."""
        num_bins = len(self.filled_bins)
        is_sensible = {
            "mean_classes": self.mean_classes >= 1,
            "class_dispersion": self.class_dispersion > 0,
            "filled_shares": len(self.filled_shares) >= 2
            and _is_ascending((0.0, *self.filled_shares, 1.0)),
            "variance_between_classes": 0 <= self.variance_between_classes <= 1,
            "filled_bins": _is_ascending((0.0, *self.filled_bins, 1.0)),
            "single_shares": len(self.single_shares) == num_bins
            and all(0 <= share <= 1 for share in self.single_shares),
            "mean_events": len(self.mean_events) == num_bins
            and all(number >= 2 for number in self.mean_events),
            "typical_seconds": len(self.typical_seconds) >= 2
            and all(seconds > 0 for seconds in self.typical_seconds),
            "typical_weight": 0 <= self.typical_weight <= 1,
            "length_spread": self.length_spread >= 0,
            "min_event_seconds": 0 < self.min_event_seconds <= 1,
        }
        for name, is_met in is_sensible.items():
            if not is_met:
                raise InputError(
                    f"{name}={getattr(self, name)} is out of range or does not "
                    f"fit the other settings; see TimingParams."
                )


def _is_ascending(values: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(values, values[1:], strict=False))


def rank_lasting(
    params: TimingParams, typical_seconds: Sequence[float], weights: _Floats
) -> _Floats:
    """Ranks classes by how long they last.

    Args:
      params: Says how many classes a clip has.
      typical_seconds: Of each class.
      weights: float64 `[num_classes]`: chance of each class to be drawn first.

    Returns:
      float64 `[num_classes]`, in (0, 1): the share of all (clip, class) pairs
      whose class lasts less long, with half of the class's own pairs.
    """
    # Classes are drawn without replacement, so that common ones are less common
    # among pairs than among first draws: about as in draws with replacement, of
    # which only the first of each class counts.
    draws = params.mean_classes
    for _ in range(_NUM_ITERATIONS):
        drawn = -np.expm1(-draws * weights)  # [num_classes]
        draws *= min(params.mean_classes, len(weights) - 0.5) / drawn.sum()
    shares = drawn / drawn.sum()
    order = np.argsort(typical_seconds, kind="stable")  # [num_classes]
    ranks = np.empty(len(order))
    ranks[order] = np.cumsum(shares[order]) - shares[order] / 2
    return ranks


def draw_num_classes(
    params: TimingParams, rng: np.random.Generator, num_classes: int
) -> int:
    """Draws how many classes a clip has: 1 to `num_classes`."""
    more = params.mean_classes - 1
    chance = params.class_dispersion / (params.class_dispersion + more)
    drawn = 1 + int(rng.negative_binomial(params.class_dispersion, chance))
    return min(drawn, num_classes)


def draw_pattern(
    params: TimingParams,
    rng: np.random.Generator,
    lasting: float,
    clip_seconds: float,
) -> list[tuple[float, float]]:
    """Draws when a class is heard in a clip that has it.

    Args:
      params: What the times are drawn from.
      rng: Source of randomness.
      lasting: Rank of the class (`rank_lasting`).
      clip_seconds: Length of the clip.

    Returns:
      (onset, offset) of each event in seconds, in order, not overlapping.
    """
    between = params.variance_between_classes
    latent = np.sqrt(between) * scipy.special.ndtri(lasting)
    latent += np.sqrt(1 - between) * rng.standard_normal()
    quantile = scipy.special.ndtr(latent)
    steps = np.linspace(0, 1, len(params.filled_shares))  # [num_quantiles]
    filled = float(np.interp(quantile, steps, params.filled_shares))
    if filled >= _WHOLE_CLIP:
        return [(0.0, clip_seconds)]
    shortest = params.min_event_seconds
    filled = max(filled * clip_seconds, shortest)
    number = _draw_num_events(params, rng, filled / clip_seconds)
    if number > 1:
        places = np.linspace(0, 1, len(params.typical_seconds))
        typical = filled / np.interp(lasting, places, params.typical_seconds)
        weight = params.typical_weight
        # Between whole numbers by chance, so that the mean is kept.
        exact = number ** (1 - weight) * typical**weight
        number = max(2, int(exact + rng.uniform()))
    number = max(1, min(number, int(filled / shortest)))
    shares = np.exp(params.length_spread * rng.standard_normal(number))
    lengths = shortest + shares / shares.sum() * (filled - number * shortest)
    # As many gaps as events, and one: before, between and after them.
    gaps = rng.dirichlet(np.ones(number + 1)) * (clip_seconds - filled)
    onsets = np.cumsum(gaps[:-1]) + np.cumsum(lengths) - lengths  # [number]
    return list(zip(onsets.tolist(), (onsets + lengths).tolist(), strict=True))


def _draw_num_events(
    params: TimingParams, rng: np.random.Generator, filled: float
) -> int:
    """Draws the number of events that fill a share of a clip."""
    index = int(np.searchsorted(params.filled_bins, filled))
    if index == len(params.filled_bins):
        return 1
    is_single = rng.uniform() < params.single_shares[index]
    further = rng.geometric(1 / (params.mean_events[index] - 1))
    return 1 if is_single else 1 + int(further)

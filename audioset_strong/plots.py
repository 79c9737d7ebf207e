"""Names beside points of a scatter plot, without overlaps.

Matplotlib places text where it is told. Here each name tries places around its
point, nearest first, and takes the one that covers the fewest points and no
other name; a name without such a place is left out and the caller is told.

Figure 1 of the paper: all labels of one clip below its spectrogram.

Four panels over the same seconds: log-mel spectrogram, weak labels, strong
labels, framed labels. Blue is present, yellow is confirmed not present, blank
is unknown. The colours are Okabe and Ito's, which colour-blind people can tell
apart.

Figure 2 of the paper: priors of the classes, weak against strong.

Both axes are logarithmic. A prior of zero has no place on them and is drawn at
one below the smallest, behind a dotted line, on a tick that says 0: classes
without strong labels along the bottom, classes without weak labels along the
left. Colours are Okabe and Ito's, which colour-blind people can tell apart.

The reliability curve of a model: scores against shares of positives.

Table 1 as bars.
"""

import collections
import dataclasses
import itertools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import logging
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Bbox

from audioset_strong.audio.log_mel import hertz_to_mel
from audioset_strong.evaluation.thresholds import ReliabilityCurve
from audioset_strong.files import temporary_path
from audioset_strong.labels.frame_rule import Event
from audioset_strong.params import FeatureParams, LabelFrameParams

# --- text placement --------------------------------------------------------


# Distances, in points (1/72 inch), and angles at which places are tried.
_DISTANCES = (5.0, 12.0, 20.0, 30.0, 42.0, 56.0)
_ANGLES = np.deg2rad(np.arange(0, 360, 30))
# A place further away than this gets a line to its point.
_LINE_FROM = 8.0
# How many points distance one covered point is worth.
_COVER_COST = 6.0


def place_names(
    axis: Axes,
    names: Sequence[str],
    positions: np.ndarray,
    all_positions: np.ndarray,
    font_size: float = 7.0,
) -> list[str]:
    """Writes names beside their points.

    The axes must have their final limits and place in the figure.

    Args:
      axis: Where to write.
      names: Most important first: they choose their places in this order.
      positions: float `[num_names, 2]`, the points, in data coordinates.
      all_positions: float `[num_points, 2]`, the points not to cover.
      font_size: In points.

    Returns:
      Names for which there was no free place.
    """
    points = axis.transData.transform(all_positions)  # [num_points, 2] pixels
    taken: list[Bbox] = []
    without_place = []
    for name, position in zip(names, positions, strict=True):
        place = _best_place(axis, name, position, points, taken, font_size)
        if place is None:
            without_place.append(name)
            continue
        box, offset = place
        taken.append(box)
        is_far = np.hypot(*offset) > _LINE_FROM
        axis.annotate(
            name,
            position,
            xytext=tuple(offset),
            textcoords="offset points",
            fontsize=font_size,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "0.4"}
            if is_far
            else None,
            **_alignment(offset),
        )
    return without_place


def _best_place(
    axis: Axes,
    name: str,
    position: np.ndarray,
    points: np.ndarray,
    taken: Sequence[Bbox],
    font_size: float,
) -> tuple[Bbox, np.ndarray] | None:
    """Finds the cheapest free box, in pixels, and its offset in points."""
    pixels_per_point = axis.figure.dpi / 72
    size = _text_size(axis, name, font_size)
    centre = axis.transData.transform(position)
    frame = axis.get_window_extent()
    best, best_cost = None, np.inf
    for distance, angle in itertools.product(_DISTANCES, _ANGLES):
        offset = distance * np.array([np.cos(angle), np.sin(angle)])
        box = _box(centre + offset * pixels_per_point, size, offset)
        is_inside = frame.containsx(box.x0) and frame.containsx(box.x1)
        is_inside &= frame.containsy(box.y0) and frame.containsy(box.y1)
        if not is_inside or any(box.overlaps(other) for other in taken):
            continue
        cost = distance + _COVER_COST * box.count_contains(points)
        if cost < best_cost:
            best, best_cost = (box, offset), cost
    return best


def _text_size(axis: Axes, text: str, font_size: float) -> np.ndarray:
    """Measures text, in pixels, with a little space around it."""
    canvas = axis.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    drawn = axis.text(0, 0, text, fontsize=font_size)
    extent = drawn.get_window_extent(canvas.get_renderer())
    drawn.remove()
    return np.array([extent.width + 8, extent.height + 2])


def _alignment(offset: np.ndarray) -> dict[str, str]:
    """Says which side of the text lies at `offset` from its point."""
    x, y = np.round(offset, 6)
    horizontal = "center" if x == 0 else ("left" if x > 0 else "right")
    vertical = "center" if y == 0 else ("bottom" if y > 0 else "top")
    return {"ha": horizontal, "va": vertical}


def _box(anchor: np.ndarray, size: np.ndarray, offset: np.ndarray) -> Bbox:
    """Returns the text's box, given where its anchor is."""
    # Share of the size that lies left of and below the anchor.
    share_of = {"left": 0, "bottom": 0, "center": 0.5, "right": 1, "top": 1}
    sides = _alignment(offset)
    shares = np.array([share_of[sides["ha"]], share_of[sides["va"]]])
    lower = anchor - shares * size
    return Bbox([lower, lower + size])


# --- clip plot -------------------------------------------------------------


PRESENT, ABSENT = "#0072B2", "#F0E442"
_DPI = 150
_ROW_INCHES = 0.24
_SPECTROGRAM_INCHES = 1.9
_MAX_NAME_LETTERS = 32
# Height of a bar, in rows.
_BAR = 0.7
# Explicit negatives that are drawn; the simulated release can have dozens.
MAX_ABSENT = 8


@dataclasses.dataclass(frozen=True, eq=False)
class ClipPicture:
    """What is known of one clip.

    Attributes:
      segment_id: The clip.
      weak_mids: Classes that are weakly labelled; None if the clip has no weak
        labels.
      events: Strong labels.
      framed: Rows of a framed table (`label_files`), of this clip.
      log_mel: float32 `[num_stft_frames, mel_bands]`; None without audio.
    """

    segment_id: str
    weak_mids: tuple[str, ...] | None
    events: tuple[Event, ...]
    framed: pd.DataFrame
    log_mel: np.ndarray | None

    @property
    def absent_mids(self) -> tuple[str, ...]:
        """Explicit negatives: classes without any PRESENT label frame."""
        by_class = self.framed.groupby("mid", sort=False)["is_present"]
        is_present = by_class.any()
        return tuple(is_present.index[~is_present])


def plot_clip(
    picture: ClipPicture,
    path: str,
    name_of_mid: Callable[[str], str] = str,
    label_frames: LabelFrameParams = LabelFrameParams(),
    features: FeatureParams = FeatureParams(),
) -> None:
    """Draws Figure 1 as a PNG.

    Args:
      picture: The clip.
      path: PNG to write; the folder exists.
      name_of_mid: Gives the display name of a class.
      label_frames: The grid of label frames.
      features: The front end that made `picture.log_mel`.
    """
    figure = clip_figure(picture, name_of_mid, label_frames, features)
    with temporary_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def clip_figure(
    picture: ClipPicture,
    name_of_mid: Callable[[str], str] = str,
    label_frames: LabelFrameParams = LabelFrameParams(),
    features: FeatureParams = FeatureParams(),
) -> Figure:
    """Draws Figure 1; arguments as `plot_clip`.

    Returns:
      The figure: its axes are spectrogram (if there is audio), weak, strong and
      framed labels.
    """
    rows = _rows_of_panels(picture)
    heights = [max(len(mids), 1) * _ROW_INCHES for mids in rows]
    if picture.log_mel is not None:
        heights = [_SPECTROGRAM_INCHES, *heights]
    figure = Figure(
        figsize=(9, sum(heights) + 0.35 * len(heights) + 0.6),
        dpi=_DPI,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, height_ratios=heights
    )[:, 0]
    if picture.log_mel is not None:
        _draw_spectrogram(axes[0], picture.log_mel, features)
    for axis, mids in zip(axes[-3:], rows, strict=True):
        _set_rows(axis, [name_of_mid(mid) for mid in mids])
    weak_rows, strong_rows, framed_rows = rows
    _draw_weak(axes[-3], weak_rows, picture, label_frames.clip_seconds)
    _draw_strong(axes[-2], strong_rows, picture)
    _draw_framed(axes[-1], framed_rows, picture, label_frames)
    axes[-1].set_xlim(0, label_frames.clip_seconds)
    axes[-1].set_xlabel("seconds from the start of the clip")
    figure.suptitle(picture.segment_id, fontsize=9, family="monospace")
    figure.legend(
        handles=[
            Patch(color=PRESENT, label="present"),
            Patch(color=ABSENT, label="confirmed not present"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    return figure


def _rows_of_panels(picture: ClipPicture) -> tuple[list[str], ...]:
    """Orders the classes of the weak, strong and framed panel, top to bottom.

    By first onset, so that a class is in the same order in each panel; then
    what has no event; the first `MAX_ABSENT` absent classes last.
    """
    by_onset = sorted(picture.events, key=lambda event: event.onset_seconds)
    strong = list(dict.fromkeys(event.mid for event in by_onset))
    weak_mids, absent = picture.weak_mids or (), picture.absent_mids
    shown_absent = absent[:MAX_ABSENT]
    weak = [mid for mid in strong if mid in weak_mids]
    weak += [*weak_mids, *shown_absent]
    present = set(picture.framed["mid"]) - set(absent)
    framed = [mid for mid in strong if mid in present]
    framed += [*sorted(present), *shown_absent]
    return list(dict.fromkeys(weak)), strong, list(dict.fromkeys(framed))


def _set_rows(axis: Axes, names: Sequence[str]) -> None:
    """Gives each class a row, the first on top."""
    axis.set_yticks(range(len(names)), [_short(n) for n in names], fontsize=8)
    axis.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right"]].set_visible(False)
    if not names:
        axis.text(0.5, 0.5, "none", transform=axis.transAxes, ha="center",
                  va="center", fontsize=8, color="0.45")  # fmt: skip


def _draw_weak(
    axis: Axes, mids: Sequence[str], picture: ClipPicture, clip_seconds: float
) -> None:
    """Draws bars as long as the clip."""
    weak_mids = picture.weak_mids or ()
    has_labels = picture.weak_mids is not None
    title = "weak labels" + ("" if has_labels else " (none in the files)")
    _title(axis, title + _hidden_text(picture))
    colors = [PRESENT if mid in weak_mids else ABSENT for mid in mids]
    axis.barh(range(len(mids)), clip_seconds, _BAR, color=colors)


def _draw_strong(axis: Axes, mids: Sequence[str], picture: ClipPicture) -> None:
    """Draws a bar for each event."""
    _title(axis, "strong labels")
    for event in picture.events:
        seconds = event.offset_seconds - event.onset_seconds
        # An edge keeps events of a few milliseconds visible, and apart.
        axis.barh(mids.index(event.mid), seconds, _BAR, event.onset_seconds,
                  color=PRESENT, edgecolor="white", lw=0.3)  # fmt: skip
        axis.plot([event.onset_seconds] * 2,
                  np.array([-0.5, 0.5]) * _BAR + mids.index(event.mid),
                  color=PRESENT, lw=0.6)  # fmt: skip


def _draw_framed(
    axis: Axes,
    mids: Sequence[str],
    picture: ClipPicture,
    label_frames: LabelFrameParams,
) -> None:
    """Draws a cell for each label frame."""
    seconds = label_frames.label_frame_seconds
    unframed = {event.mid for event in picture.events} - set(mids)
    note = f" ({len(unframed)} classes reach none)" if unframed else ""
    _title(
        axis,
        f"framed labels: {label_frames.num_label_frames} label frames of "
        f"{seconds:g} s, with negatives{note}{_hidden_text(picture)}",
    )
    framed = picture.framed[picture.framed["mid"].isin(mids)]
    # Gaps are for clarity only, as in the paper's figure.
    gap = 0.04 * seconds
    axis.barh(
        [list(mids).index(mid) for mid in framed["mid"]],
        seconds - 2 * gap,
        _BAR,
        framed["label_frame"].to_numpy() * seconds + gap,
        color=[PRESENT if p else ABSENT for p in framed["is_present"]],
    )
    framed_seconds = label_frames.num_label_frames * seconds
    axis.axvspan(framed_seconds, label_frames.clip_seconds, color="0.93")


def _draw_spectrogram(
    axis: Axes, log_mel: np.ndarray, features: FeatureParams
) -> None:
    """Draws the log-mel spectrogram, with ticks in kHz."""
    _title(axis, "log-mel spectrogram")
    seconds = len(log_mel) * features.stft_hop_seconds
    lowest, highest = hertz_to_mel(
        np.array([features.mel_min_hz, features.mel_max_hz])
    )
    axis.imshow(
        log_mel.T,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, float(lowest), float(highest)),
        cmap="magma",
        interpolation="nearest",
    )
    ticks_khz = np.array([0.25, 0.5, 1, 2, 4])
    ticks_khz = ticks_khz[
        (ticks_khz * 1000 > features.mel_min_hz)
        & (ticks_khz * 1000 < features.mel_max_hz)
    ]
    axis.set_yticks(
        hertz_to_mel(ticks_khz * 1000), [f"{t:g}" for t in ticks_khz]
    )
    axis.tick_params(axis="y", labelsize=8)
    axis.set_ylabel("kHz", fontsize=8)


def _hidden_text(picture: ClipPicture) -> str:
    """Says how many explicit negatives are not drawn."""
    num_hidden = len(picture.absent_mids) - MAX_ABSENT
    return f" ({num_hidden} more explicit negatives)" if num_hidden > 0 else ""


def _title(axis: Axes, text: str) -> None:
    """Names a panel."""
    axis.set_title(text, loc="left", fontsize=8, pad=3)


def _short(name: str) -> str:
    """Cuts a long display name."""
    if len(name) <= _MAX_NAME_LETTERS:
        return name
    return name[: _MAX_NAME_LETTERS - 1].rstrip(" ,") + "…"


# --- prior plot ------------------------------------------------------------


BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "0.45"
# A class is an outlier if its prior changed by more than this.
_OUTLIER_RATIO = 10.0
# Where the range of zeros ends, as a multiple of `zero_position`.
_ZERO_EDGE = 1.7
_MAX_NAMES = 45
_MAX_NAME_LETTERS_PRIOR_PLOT = 26


def plot_priors(
    priors: pd.DataFrame,
    num_clips: int,
    path: str,
    name_of_mid: Callable[[str], str] = str,
    music_mids: Collection[str] | None = None,
) -> None:
    """Draws Figure 2 as a PNG.

    Args:
      priors: What `statistics.class_priors` returned, a class at least.
      num_clips: Clips that the priors are shares of.
      path: PNG to write; the folder exists.
      name_of_mid: Gives the display name of a class.
      music_mids: Classes below Music, drawn in their own colour; None if that
        is not known.
    """
    figure = priors_figure(priors, num_clips, name_of_mid, music_mids)
    with temporary_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def priors_figure(
    priors: pd.DataFrame,
    num_clips: int,
    name_of_mid: Callable[[str], str] = str,
    music_mids: Collection[str] | None = None,
) -> Figure:
    """Draws Figure 2; arguments as `plot_priors`.

    Returns:
      The figure. Each class with a prior above zero is one point of one of the
      scatter collections of its axes.
    """
    shown = priors[(priors[["weak_prior", "strong_prior"]] > 0).any(axis=1)]
    zero = zero_position(shown)
    figure = Figure(figsize=(9, 9), dpi=_DPI)
    FigureCanvasAgg(figure)
    # Square axes with equal limits, so that "unchanged" is at 45 degrees.
    axis = figure.add_axes((0.085, 0.075, 0.89, 0.89))
    _set_axes(axis, shown, zero, num_clips)
    _draw_diagonals(axis, zero * _ZERO_EDGE)
    positions = _draw_points(axis, shown, zero, music_mids)
    _draw_names(axis, shown, positions, name_of_mid)
    return figure


def zero_position(priors: pd.DataFrame) -> float:
    """Returns where a prior of zero is drawn, on both axes."""
    values = priors[["weak_prior", "strong_prior"]].to_numpy()
    # Two decades at least, so that few similar classes get ticks as well.
    return float(min(values[values > 0].min() / 3, values.max() / 100))


def named_classes(priors: pd.DataFrame) -> list[str]:
    """Chooses the classes that Figure 2 names.

    Args:
      priors: What `statistics.class_priors` returned.

    Returns:
      Mids, most important first: the largest priors, the most changed in either
      direction, all that changed more than ten times, and the largest priors of
      classes that only one label set has; at most `_MAX_NAMES`.
    """
    is_weak, is_strong = priors["weak_prior"] > 0, priors["strong_prior"] > 0
    both = priors[is_weak & is_strong]
    change = np.log(both["prior_ratio"]).abs()
    by_change = both.loc[change.sort_values(ascending=False).index]
    is_outlier = change[by_change.index] > np.log(_OUTLIER_RATIO)
    larger = both[["weak_prior", "strong_prior"]].max(axis=1)
    groups = [
        both.loc[larger.nlargest(5).index],
        by_change[by_change["prior_ratio"] > 1].head(5),
        by_change[by_change["prior_ratio"] < 1].head(5),
        priors[~is_strong].nlargest(4, "weak_prior"),
        priors[~is_weak].nlargest(4, "strong_prior"),
        by_change[is_outlier],
    ]
    mids = pd.concat([group["mid"] for group in groups]).drop_duplicates()
    return mids.head(_MAX_NAMES).tolist()


def _set_axes(
    axis: Axes, priors: pd.DataFrame, zero: float, num_clips: int
) -> None:
    """Sets scales, limits, ticks and titles."""
    largest = float(priors[["weak_prior", "strong_prior"]].max().max())
    limits = (zero / 1.5, min(largest * 2, 1.1))
    decades = 10.0 ** np.arange(-9, 1)
    ticks = [zero, *decades[(decades > zero * 2) & (decades < limits[1])]]
    for side, set_scale, set_limits, draw_line, label_set in (
        (axis.xaxis, axis.set_xscale, axis.set_xlim, axis.axvline, "weak"),
        (axis.yaxis, axis.set_yscale, axis.set_ylim, axis.axhline, "strong"),
    ):
        set_scale("log")
        set_limits(*limits)
        side.set_major_locator(FixedLocator(ticks))
        side.set_minor_locator(NullLocator())
        side.set_major_formatter(
            FuncFormatter(lambda x, _: "0" if x == zero else f"{x:g}")
        )
        side.set_label_text(
            f"prior in the {label_set} labels (share of {num_clips:,} clips)"
        )
        draw_line(zero * _ZERO_EDGE, color=GREY, lw=0.6, ls=":")
    has_weak, has_strong = priors["weak_prior"] > 0, priors["strong_prior"] > 0
    axis.set_title(
        f"Priors of {len(priors)} classes: {(has_weak & has_strong).sum()} in "
        f"both label sets, {(~has_strong).sum()} without strong labels "
        f"(bottom), {(~has_weak).sum()} without weak labels (left)",
        fontsize=9,
    )
    axis.grid(color="0.92", lw=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_diagonals(axis: Axes, lower: float) -> None:
    """Draws where a prior is unchanged, ten times as large, or a tenth."""
    _, upper = axis.get_xlim()
    for ratio, text, style in (
        (_OUTLIER_RATIO, f"{_OUTLIER_RATIO:g}x", "--"),
        (1.0, "unchanged", "-"),
        (1 / _OUTLIER_RATIO, f"{1 / _OUTLIER_RATIO:g}x", "--"),
    ):
        # Diagonals say nothing about zeros, and stop at them.
        x = np.array([lower * max(1 / ratio, 1.0), upper])
        axis.plot(x, x * ratio, color=GREY, lw=0.7, ls=style, zorder=1)
        # At the upper end, inside the axes.
        end = upper / max(ratio, 1.0) / 1.15
        axis.text(
            end,
            end * ratio,
            f"{text} ",
            rotation=45,
            rotation_mode="anchor",
            ha="right",
            va="bottom",
            color=GREY,
            fontsize=8,
        )


def _draw_points(
    axis: Axes,
    priors: pd.DataFrame,
    zero: float,
    music_mids: Collection[str] | None,
) -> np.ndarray:
    """Draws the classes; returns their float `[num_classes, 2]` positions."""
    values = priors[["weak_prior", "strong_prior"]].to_numpy()
    positions = np.where(values > 0, values, zero)
    is_music = priors["mid"].isin(music_mids or ()).to_numpy()
    groups = [(~is_music, BLUE, "o", "classes"), (is_music, ORANGE, "^", "")]
    if music_mids is not None:
        groups[0] = (~is_music, BLUE, "o", "not below Music in the ontology")
        groups[1] = (is_music, ORANGE, "^", "below Music in the ontology")
    for members, color, marker, text in groups:
        if not members.any():
            continue
        axis.scatter(
            *positions[members].T,
            s=20,
            marker=marker,
            facecolor=color,
            edgecolor="white",
            linewidth=0.3,
            alpha=0.75,
            label=f"{text} ({members.sum()})",
            zorder=2,
        )
    axis.legend(loc="lower right", bbox_to_anchor=(1, 0.1), fontsize=8)
    return positions


def _draw_names(
    axis: Axes,
    priors: pd.DataFrame,
    positions: np.ndarray,
    name_of_mid: Callable[[str], str],
) -> None:
    """Names the outliers."""
    mids = named_classes(priors)
    short_names = _shorten([name_of_mid(mid) for mid in priors["mid"]])
    rows = pd.Index(priors["mid"]).get_indexer(mids)
    without_place = place_names(
        axis, [short_names[row] for row in rows], positions[rows], positions
    )
    if without_place:
        logging.info("Figure 2 has no room for: %s.", "; ".join(without_place))


def _shorten(names: Sequence[str]) -> list[str]:
    """Cuts names at their first comma, unless two would be the same."""
    num_of_start = collections.Counter(name.split(",")[0] for name in names)
    starts = (name.split(",")[0] for name in names)
    return [
        _cut(start if num_of_start[start] == 1 else name)
        for start, name in zip(starts, names, strict=True)
    ]


def _cut(name: str) -> str:
    """Cuts a long name."""
    if len(name) <= _MAX_NAME_LETTERS_PRIOR_PLOT:
        return name
    return name[: _MAX_NAME_LETTERS_PRIOR_PLOT - 1].rstrip(" ,") + "…"


# --- reliability plot ------------------------------------------------------


_BLUE, _GREY = "#0072B2", "#9a9a9a"
# A bin of fewer items says little of a class: its share jumps.
_MIN_ITEMS = 20


def plot_reliability(
    curve: ReliabilityCurve, path: str | os.PathLike[str], items: str
) -> None:
    """Draws a reliability curve as a PNG.

    Args:
      curve: Of every class.
      path: PNG to write; the folder exists.
      items: What the items are, such as "label frames".
    """
    figure = reliability_figure(curve, items)
    with temporary_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def reliability_figure(curve: ReliabilityCurve, items: str) -> Figure:
    """Draws a reliability curve; arguments as `plot_reliability`.

    Returns:
      The figure: its axes are the curve, pooled and of the middle half of the
      classes, and the number of items in each bin.
    """
    figure = Figure(figsize=(5, 6), layout="constrained")
    top, bottom = figure.subplots(
        2, sharex=True, gridspec_kw={"height_ratios": [4, 1]}
    )
    pooled = curve.pooled()
    _draw_classes(top, curve)
    top.plot([0, 1], [0, 1], "--", color="black", linewidth=0.8)
    top.annotate(
        "calibrated",
        (0.45, 0.45),
        xytext=(0, 5),
        textcoords="offset points",
        rotation=45,
        rotation_mode="anchor",
        transform_rotates_text=True,
        ha="center",
        fontsize="small",
    )
    top.plot(
        pooled.mean_scores[0],
        pooled.positive_shares[0],
        "o-",
        color=_BLUE,
        label="all classes pooled",
    )
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of positives")
    top.legend(loc="upper left", frameon=False)
    top.set_title(_title_reliability_plot(curve, pooled), fontsize="medium")
    _draw_counts(bottom, pooled, items)
    for axis in (top, bottom):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _title_reliability_plot(
    curve: ReliabilityCurve, pooled: ReliabilityCurve
) -> str:
    errors = curve.calibration_errors()
    errors = errors[~np.isnan(errors)]
    return (
        f"Expected calibration error {pooled.calibration_errors()[0]:.3f} "
        f"pooled,\n{errors.mean():.3f} mean of {errors.size} classes"
    )


def _draw_classes(axis: Axes, curve: ReliabilityCurve) -> None:
    """Draws the middle half of the classes, where at least four have items."""
    shares = np.where(
        curve.num_items >= _MIN_ITEMS, curve.positive_shares, np.nan
    )
    has_enough = (~np.isnan(shares)).sum(axis=0) >= 4
    if not has_enough.any():
        return
    quartiles: npt.NDArray[np.float64] = np.full((2, shares.shape[1]), np.nan)
    quartiles[:, has_enough] = np.nanquantile(
        shares[:, has_enough], [0.25, 0.75], axis=0
    )
    edges = curve.bin_edges
    for i in np.nonzero(has_enough)[0]:
        axis.fill_between(
            edges[i : i + 2],
            *quartiles[:, i],
            color=_GREY,
            alpha=0.35,
            linewidth=0,
            label="middle half of the classes"
            if i == np.nonzero(has_enough)[0][0]
            else None,
        )


def _draw_counts(axis: Axes, pooled: ReliabilityCurve, items: str) -> None:
    """Draws how many items each bin has, on a logarithmic scale."""
    axis.bar(
        pooled.bin_edges[:-1],
        pooled.num_items[0],
        width=np.diff(pooled.bin_edges),
        align="edge",
        color=_BLUE,
        edgecolor="white",
    )
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.7)
    axis.set(xlabel="score", ylabel=f"{items}\n× classes")


# --- table1 plot -----------------------------------------------------------


_TITLES = {
    "weak_d_prime": "Weak eval d'",
    "weak_lwlrap": "Weak eval lwlrap",
    "strong_d_prime": "Strong eval d'",
    "strong_lwlrap": "Strong eval lwlrap",
}


def plot_table1(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], path: str
) -> None:
    """Draws Table 1 as bars, ours beside the paper's.

    Args:
      rows: As in `table1.json`; a metric can be None, and "paper" can lack it.
      metrics: Metrics to draw, a panel each.
      path: PNG to write.
    """
    figure, axes = plt.subplots(
        1,
        len(metrics),
        figsize=(3.2 * len(metrics), 3.8),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    axes = axes[0]  # [num_metrics]
    positions = np.arange(len(rows))
    for axis, metric in zip(axes, metrics, strict=True):
        ours = [_number(row[metric]) for row in rows]
        paper = [_number(row["paper"].get(metric)) for row in rows]
        axis.barh(positions - 0.2, ours, 0.4, label="this run")
        axis.barh(
            positions + 0.2, paper, 0.4, color="lightgray", label="the paper"
        )
        axis.set_title(_TITLES[metric])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(positions, [row["training_set"] for row in rows])
    axes[0].invert_yaxis()
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _number(value: float | None) -> float:
    """Returns what bars can be drawn of: NaN, no bar, for None."""
    return float("nan") if value is None else value

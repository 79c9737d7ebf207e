"""Draws Figure 1 of the paper: all labels of one clip below its spectrogram.

Four panels over the same seconds: log-mel spectrogram, weak labels, strong
labels, framed labels. Blue is present, yellow is a complementary negative (the
clip has the class in another label frame), orange with stripes is an explicit
one (annotators marked it absent), blank is unknown. The colours are Okabe and
Ito's, which colour-blind people can tell apart.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from audioset_strong.audio.log_mel import hertz_to_mel
from audioset_strong.files import temporary_path
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.label_files import is_complementary
from audioset_strong.params import FeatureParams, LabelFrameParams

PRESENT, COMPLEMENTARY, EXPLICIT = "#0072B2", "#F0E442", "#D55E00"
_STRIPES = "////"
_DPI = 150
_ROW_INCHES = 0.24
_SPECTROGRAM_INCHES = 1.9
_MAX_NAME_LETTERS = 32
# Height of a bar, in rows.
_BAR = 0.7
# Explicit negatives that are drawn; the simulated release can have dozens.
MAX_ABSENT = 8


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledClip:
    """Everything that is known of one clip.

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

    def rows_of_panels(self) -> tuple[list[str], list[str], list[str]]:
        """Orders the classes of the weak, strong and framed panel.

        By first onset, so that a class is in the same order in each panel; then
        what has no event; the first `MAX_ABSENT` absent classes last.
        """
        by_onset = sorted(self.events, key=lambda event: event.onset_seconds)
        strong = list(dict.fromkeys(event.mid for event in by_onset))
        weak_mids, absent = self.weak_mids or (), self.absent_mids
        weak = [mid for mid in strong if mid in weak_mids]
        weak += [*weak_mids, *absent[:MAX_ABSENT]]
        present = set(self.framed["mid"]) - set(absent)
        framed = [mid for mid in strong if mid in present]
        framed += [*sorted(present), *absent[:MAX_ABSENT]]
        return list(dict.fromkeys(weak)), strong, list(dict.fromkeys(framed))


def plot_clip(
    clip: LabelledClip, path: str, name_of_mid: Callable[[str], str] = str
) -> None:
    """Draws Figure 1 as a PNG; arguments as `clip_figure`."""
    figure = clip_figure(clip, name_of_mid)
    with temporary_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def clip_figure(
    clip: LabelledClip,
    name_of_mid: Callable[[str], str] = str,
    label_frames: LabelFrameParams = LabelFrameParams(),
    features: FeatureParams = FeatureParams(),
) -> Figure:
    """Draws Figure 1.

    Args:
      clip: What to draw.
      name_of_mid: Gives the display name of a class.
      label_frames: The grid of label frames.
      features: The front end that made `clip.log_mel`.

    Returns:
      The figure: its axes are spectrogram (if there is audio), weak, strong and
      framed labels.
    """
    rows = clip.rows_of_panels()
    heights = [max(len(mids), 1) * _ROW_INCHES for mids in rows]
    if clip.log_mel is not None:
        heights = [_SPECTROGRAM_INCHES, *heights]
    figure = Figure(
        figsize=(9, sum(heights) + 0.35 * len(heights) + 0.6),
        dpi=_DPI,
        layout="constrained",
    )
    axes = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, height_ratios=heights
    )[:, 0]
    if clip.log_mel is not None:
        _draw_spectrogram(axes[0], clip.log_mel, features)
    for axis, mids in zip(axes[-3:], rows, strict=True):
        _set_rows(axis, [name_of_mid(mid) for mid in mids])
    weak_rows, strong_rows, framed_rows = rows
    num_hidden = len(clip.absent_mids) - MAX_ABSENT
    hidden = f" ({num_hidden} more explicit negatives)" * (num_hidden > 0)
    _draw_weak(axes[-3], weak_rows, clip, label_frames.clip_seconds, hidden)
    _draw_strong(axes[-2], strong_rows, clip)
    _draw_framed(axes[-1], framed_rows, clip, label_frames, hidden)
    axes[-1].set_xlim(0, label_frames.clip_seconds)
    axes[-1].set_xlabel("seconds from the start of the clip")
    figure.suptitle(clip.segment_id, fontsize=9, family="monospace")
    figure.legend(
        handles=[
            Patch(color=PRESENT, label="present"),
            Patch(color=COMPLEMENTARY, label="complementary negative"),
            Patch(label="explicit negative", **_style(EXPLICIT)),
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=8,
    )
    return figure


def _set_rows(axis: Axes, names: Sequence[str]) -> None:
    """Gives each class a row, the first on top; long names are cut."""
    short = [
        name
        if len(name) <= _MAX_NAME_LETTERS
        else name[: _MAX_NAME_LETTERS - 1].rstrip(" ,") + "…"
        for name in names
    ]
    axis.set_yticks(range(len(names)), short, fontsize=8)
    axis.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right"]].set_visible(False)
    if not names:
        axis.text(0.5, 0.5, "none", transform=axis.transAxes, ha="center",
                  va="center", fontsize=8, color="0.45")  # fmt: skip


def _draw_weak(
    axis: Axes,
    mids: Sequence[str],
    clip: LabelledClip,
    clip_seconds: float,
    hidden: str,
) -> None:
    """Draws bars as long as the clip."""
    note = " (none in the files)" if clip.weak_mids is None else ""
    _set_title(axis, f"weak labels{note}{hidden}")
    weak_mids = clip.weak_mids or ()
    for row, mid in enumerate(mids):
        color = PRESENT if mid in weak_mids else EXPLICIT
        axis.barh(row, clip_seconds, _BAR, **_style(color))


def _style(color: str) -> dict[str, Any]:
    """Returns how bars of a kind look; stripes show in print, too."""
    if color != EXPLICIT:
        return {"color": color}
    return {"facecolor": color, "hatch": _STRIPES, "edgecolor": "w", "lw": 0}


def _draw_strong(axis: Axes, mids: Sequence[str], clip: LabelledClip) -> None:
    """Draws a bar for each event."""
    _set_title(axis, "strong labels")
    for event in clip.events:
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
    clip: LabelledClip,
    label_frames: LabelFrameParams,
    hidden: str,
) -> None:
    """Draws a cell for each label frame."""
    seconds = label_frames.label_frame_seconds
    unframed = {event.mid for event in clip.events} - set(mids)
    note = f" ({len(unframed)} classes reach none)" if unframed else ""
    _set_title(
        axis,
        f"framed labels: {label_frames.num_label_frames} label frames of "
        f"{seconds:g} s, with negatives{note}{hidden}",
    )
    framed = clip.framed[clip.framed["mid"].isin(mids)]
    # Gaps are for clarity only, as in the paper's figure.
    gap = 0.04 * seconds
    is_present, is_other = (
        framed["is_present"].astype(bool),
        is_complementary(framed),
    )
    for color, is_of_kind in (
        (PRESENT, is_present),
        (COMPLEMENTARY, is_other),
        (EXPLICIT, ~is_present & ~is_other),
    ):
        cells = framed[is_of_kind]
        axis.barh(
            [list(mids).index(mid) for mid in cells["mid"]],
            seconds - 2 * gap,
            _BAR,
            cells["label_frame"].to_numpy() * seconds + gap,
            **_style(color),
        )
    framed_seconds = label_frames.num_label_frames * seconds
    axis.axvspan(framed_seconds, label_frames.clip_seconds, color="0.93")


def _draw_spectrogram(
    axis: Axes, log_mel: np.ndarray, features: FeatureParams
) -> None:
    """Draws the log-mel spectrogram, with ticks in kHz."""
    _set_title(axis, "log-mel spectrogram")
    seconds = len(log_mel) * features.stft_hop_seconds
    lowest, highest = hertz_to_mel(
        np.array([features.mel_min_hz, features.mel_max_hz])
    )
    axis.imshow(
        log_mel.T,  # [mel_bands, num_stft_frames]
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


def _set_title(axis: Axes, text: str) -> None:
    axis.set_title(text, loc="left", fontsize=8, pad=3)

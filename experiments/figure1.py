r"""Figure 1 of the paper, of any clip: every kind of label over the same time.

    python -m experiments.figure1 --segment_id=s9d-2nhuJCQ_30000 \
      --weak_labels=labels/eval_segments.csv \
      --strong_labels=labels/audioset_eval_strong.tsv \
      --framed_labels=labels/audioset_eval_strong_framed_posneg.tsv \
      --class_map=labels/class_labels_indices.csv \
      --display_names=labels/mid_to_display_name.tsv --audio_dir=audio \
      --output=figure1.png

Draws the log-mel spectrogram, weak, strong and framed labels to --output, over
the same seconds. Blue is present, yellow is confirmed not present, blank is
unknown; the colours are Okabe and Ito's, which colour-blind people can tell
apart. Only --segment_id, --strong_labels and --output are needed. Without
--framed_labels the strong labels are framed here; then no explicit negatives
are known. Needs no TensorFlow.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from absl import flags, logging
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from audioset_strong import run_flags
from audioset_strong.audio.decode import decode_audio
from audioset_strong.audio.listing import find_audio, index_audio_files
from audioset_strong.audio.log_mel import hertz_to_mel, waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.files import temporary_path
from audioset_strong.labels.class_map import read_known_classes
from audioset_strong.labels.frame_rule import Event, frame_strong_labels
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import FeatureParams, LabelFrameParams

_SEGMENT_ID = flags.DEFINE_string(
    "segment_id", None, "The clip, <ytid>_<start ms>.", required=True
)
_WEAK_LABELS = flags.DEFINE_list("weak_labels", [], "Weak CSVs.")
_STRONG_LABELS = flags.DEFINE_list(
    "strong_labels", None, "Strong TSVs.", required=True
)
_FRAMED_LABELS = flags.DEFINE_string("framed_labels", None, "Framed TSV.")
_CLASS_MAP = flags.DEFINE_string(
    "class_map", None, "class_labels_indices.csv, for display names."
)
_DISPLAY_NAMES = run_flags.define_display_names()
_AUDIO_DIR = flags.DEFINE_string(
    "audio_dir", None, "Folder of audio files; without it no spectrogram."
)
_OUTPUT = flags.DEFINE_string("output", None, "PNG to write.", required=True)

_FEATURES, _LABEL_FRAMES = FeatureParams(), LabelFrameParams()

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


def main(argv: Sequence[str]) -> None:
    """Reads the labels of one clip and draws them."""
    run_flags.refuse_arguments(argv)
    if not _OUTPUT.value.endswith(".png"):
        raise InputError(f"Expected --output=<name>.png: {_OUTPUT.value!r}.")
    problems = ProblemLog()
    classes = read_known_classes(
        _CLASS_MAP.value, _DISPLAY_NAMES.value, problems
    )
    clip = _read_clip(problems)
    problems.report()
    names = classes.name_of_mid
    figure = clip_figure(clip, lambda mid: names.get(mid, mid))
    with temporary_path(_OUTPUT.value) as temporary:
        figure.savefig(temporary, dpi=_DPI)
    print(
        f"{clip.segment_id}: {len(clip.weak_mids or ())} weak labels, "
        f"{len(clip.events)} events, {len(clip.absent_mids)} explicit "
        f"negatives: {_OUTPUT.value}"
    )


def _read_clip(problems: ProblemLog) -> LabelledClip:
    """Collects what the files know of the clip."""
    segment_id = _SEGMENT_ID.value
    weak_of = [_rows(read_weak_labels, p, problems) for p in _WEAK_LABELS.value]
    strong_of = [
        _rows(read_strong_labels, p, problems) for p in _STRONG_LABELS.value
    ]
    framed_paths = [_FRAMED_LABELS.value] if _FRAMED_LABELS.value else []
    framed_of = [_rows(read_framed_labels, p, problems) for p in framed_paths]
    tables = [*strong_of, *weak_of, *framed_of]
    if all(rows.empty for rows, _ in tables):
        known = next((example for _, example in tables if example), "empty")
        raise InputError(
            f"Expected a clip that a label file has, such as {known}. "
            f"Received: --segment_id={segment_id}."
        )
    strong = pd.concat([rows for rows, _ in strong_of])
    weak_mids = [mid for rows, _ in weak_of for m in rows["mids"] for mid in m]
    is_weak = any(len(rows) for rows, _ in weak_of)
    if framed_of:
        framed = framed_of[0][0]
    else:
        logging.info("No --framed_labels: explicit negatives are not known.")
        framed = frame_strong_labels(strong, params=_LABEL_FRAMES)
    columns = ("mid", "onset_seconds", "offset_seconds")
    return LabelledClip(
        segment_id=segment_id,
        weak_mids=tuple(dict.fromkeys(weak_mids)) if is_weak else None,
        events=tuple(map(Event, *(strong[c].tolist() for c in columns))),
        framed=framed,
        log_mel=_read_log_mel(segment_id),
    )


def _rows(
    read: Callable[..., pd.DataFrame], path: str, problems: ProblemLog
) -> tuple[pd.DataFrame, str]:
    """Reads the rows of the clip, and the name of a clip that the file has."""
    table = read(path, problems)
    rows = table[table["segment_id"] == _SEGMENT_ID.value]
    if rows.empty:
        logging.info("%s has no labels of the clip.", path)
    return rows, "" if table.empty else table["segment_id"].iloc[0]


def _read_log_mel(segment_id: str) -> np.ndarray | None:
    """Computes the spectrogram of the clip's audio, if there is any."""
    if _AUDIO_DIR.value is None:
        logging.info("No --audio_dir: the spectrogram is left out.")
        return None
    path = find_audio(segment_id, index_audio_files(_AUDIO_DIR.value))
    if path is None:
        raise InputError(
            f"Expected the audio of {segment_id} below --audio_dir="
            f"{_AUDIO_DIR.value}; it is not there. Leave --audio_dir out to "
            f"draw the labels alone."
        )
    audio = decode_audio(
        path, _FEATURES.sample_rate, _LABEL_FRAMES.clip_seconds
    )
    return waveform_to_log_mel(audio.waveform, _FEATURES)


# --- Drawing -----------------------------------------------------------------


def clip_figure(
    clip: LabelledClip,
    name_of_mid: Callable[[str], str] = str,
    label_frames: LabelFrameParams = _LABEL_FRAMES,
    features: FeatureParams = _FEATURES,
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
            Patch(color=ABSENT, label="confirmed not present"),
        ],
        loc="outside lower center",
        ncols=2,
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
    colors = [PRESENT if mid in weak_mids else ABSENT for mid in mids]
    axis.barh(range(len(mids)), clip_seconds, _BAR, color=colors)


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


if __name__ == "__main__":
    run_flags.run(main)

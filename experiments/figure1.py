r"""Figure 1 of the paper, of any clip: every kind of label over the same time.

    python -m experiments.figure1 --segment_id=s9d-2nhuJCQ_30000 \
      --weak_labels=labels/eval_segments.csv \
      --strong_labels=labels/audioset_eval_strong.tsv \
      --framed_labels=labels/audioset_eval_strong_framed_posneg.tsv \
      --class_map=labels/class_labels_indices.csv \
      --display_names=labels/mid_to_display_name.tsv --audio_dir=audio \
      --output=figure1.png

Draws the log-mel spectrogram, weak, strong and framed labels to --output. Only
--segment_id, --strong_labels and --output are needed. Without --framed_labels
the strong labels are framed here; then no explicit negatives are known. Needs
no TensorFlow.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.audio.decode import decode_audio
from audioset_strong.audio.listing import (
    find_audio,
    index_listing,
    list_audio,
)
from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import read_known_classes
from audioset_strong.labels.frame_rule import Event, frame_strong_labels
from audioset_strong.labels.label_files import (
    read_framed_labels,
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import FeatureParams, LabelFrameParams
from experiments.figure1_plot import LabelledClip, plot_clip

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
    plot_clip(clip, _OUTPUT.value, lambda mid: names.get(mid, mid))
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
    index = index_listing(list_audio(_AUDIO_DIR.value))
    path = find_audio(segment_id, index)
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


if __name__ == "__main__":
    run_flags.run(main)

r"""Writes TFRecords of log-mel features and events.

    python -m audioset_strong.prepare_records \
      --audio_dir=audio --class_map=class_labels_indices.csv \
      --weak_labels=balanced_train_segments.csv,unbalanced_train_segments.csv \
      --strong_labels=audioset_train_strong.tsv --output_dir=records/train

Writes shards, `class_map.csv` and `manifest.json` to --output_dir. Clips
without usable audio are left out and listed in the manifest with the reason.
The same command again makes only what is missing.
"""

import os
from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.params import FeatureParams, RecordParams
from audioset_strong.records.preparation import describe, prepare_records

_AUDIO_DIR = flags.DEFINE_string(
    "audio_dir",
    None,
    "Folder with the clips, searched with its subfolders. Files are named "
    "<segment_id>, <ytid> or Y<ytid>, with any extension that libsndfile "
    "reads.",
)
_WEAK_LABELS = flags.DEFINE_list(
    "weak_labels", [], "Weak label CSVs, separated by commas."
)
_STRONG_LABELS = flags.DEFINE_list(
    "strong_labels", [], "Strong label TSVs, separated by commas."
)
_CLASS_MAP = run_flags.define_class_map()
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where to write.")
_HELD_OUT_FRACTION = flags.DEFINE_float(
    "held_out_fraction",
    RecordParams.held_out_fraction,
    "Share of the ytids with strong labels to hold out for validation. Give 0 "
    "for evaluation data.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_CLIPS_PER_SHARD = flags.DEFINE_integer(
    "clips_per_shard",
    RecordParams.clips_per_shard,
    "Clips of a shard, on average.",
    lower_bound=1,
)
_LOG_OFFSET = flags.DEFINE_float(
    "log_offset",
    FeatureParams.log_offset,
    "Added to the mel spectrogram before the logarithm; YAMNet has 0.001.",
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count(), "Processes to use.", lower_bound=1
)
flags.mark_flags_as_required(["audio_dir", "class_map", "output_dir"])


def main(argv: Sequence[str]) -> None:
    """Joins labels and audio, writes the shards, says what was left out."""
    run_flags.refuse_arguments(argv)
    manifest = prepare_records(
        _AUDIO_DIR.value,
        _WEAK_LABELS.value,
        _STRONG_LABELS.value,
        _CLASS_MAP.value,
        _OUTPUT_DIR.value,
        RecordParams(
            held_out_fraction=_HELD_OUT_FRACTION.value,
            clips_per_shard=_CLIPS_PER_SHARD.value,
        ),
        FeatureParams(log_offset=_LOG_OFFSET.value),
        num_workers=_NUM_WORKERS.value,
    )
    describe(manifest, logging.info)


if __name__ == "__main__":
    run_flags.run(main)

r"""Makes a page to listen to clips and look at their labels and scores.

    python -m audioset_strong.inspect_clips --audio_dir=audio/eval \
      --framed_labels=audioset_eval_strong_framed_posneg.tsv \
      --strong_labels=audioset_eval_strong.tsv \
      --weak_labels=eval_segments.csv \
      --display_names=mid_to_display_name.tsv \
      --scores=scores.npz --report_dir=report --output=clips.html

Writes one HTML file that needs nothing else: a player, the log-mel spectrogram
that the model sees, and over the same time weak, strong and framed labels, and
scores with thresholds. With --report_dir it steps through the worst errors of a
report of `evaluate`. For long recordings, or many clips, --serve shows the same
page at an address of this machine, which no other machine can reach:

    python -m audioset_strong.inspect_clips --serve --audio_dir=recordings \
      --scores=predictions/scores.npz --strong_labels=predictions/events.tsv

Any of the labels and scores can be left out. Needs no TensorFlow.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.files import refuse_remote
from audioset_strong.inspection.page import write_page
from audioset_strong.inspection.reading import InspectionInputs, read_inspection
from audioset_strong.inspection.server import InspectionServer
from audioset_strong.labels.problems import ProblemLog

_FLAGS: dict[str, flags.FlagHolder[Any]] = {
    "audio_dir": flags.DEFINE_string(
        "audio_dir",
        None,
        "Folder with the audio, searched with its subfolders; files are named "
        "as prepare_records takes them, or by the path that predict names.",
    ),
    "audio_index": flags.DEFINE_string(
        "audio_index",
        None,
        "CSV, TSV or Parquet that says where the audio of each clip is, as "
        "prepare_records takes it.",
    ),
    "segment_ids": flags.DEFINE_list(
        "segment_ids",
        [],
        "Clips to show, separated by commas. Default: those of the worst "
        "errors of --report_dir, or else the first of the files.",
    ),
    "max_clips": flags.DEFINE_integer(
        "max_clips",
        InspectionInputs.max_clips,
        "Most clips to show, unless --segment_ids names them.",
        lower_bound=1,
    ),
    "clips": run_flags.define_clips(),
    "clip_seconds": run_flags.define_clip_seconds(),
    "weak_labels": flags.DEFINE_string("weak_labels", None, "Weak CSV."),
    "strong_labels": flags.DEFINE_string(
        "strong_labels",
        None,
        "Strong TSV, Audacity label track or folder of tracks; framed here "
        "without --framed_labels.",
    ),
    "framed_labels": flags.DEFINE_string(
        "framed_labels", None, "Framed TSV with positives and negatives."
    ),
    "explicit_negatives": flags.DEFINE_string(
        "explicit_negatives",
        None,
        "Pairs that annotators marked absent, if --strong_labels are framed "
        "here.",
    ),
    "class_map": flags.DEFINE_string(
        "class_map",
        None,
        "class_labels_indices.csv: display names, and what columns of scores "
        "name.",
    ),
    "display_names": run_flags.define_display_names(),
    "scores": flags.DEFINE_string(
        "scores",
        None,
        "Score file (.npz) of score_records or predict, or folder of score "
        "tables.",
    ),
    "thresholds": flags.DEFINE_string(
        "thresholds", None, "CSV that choose_thresholds wrote."
    ),
    "report_dir": flags.DEFINE_string(
        "report_dir", None, "Folder of evaluate, for its worst errors."
    ),
}
_OUTPUT = flags.DEFINE_string("output", None, "HTML file to write.")
_MAX_MEGABYTES = flags.DEFINE_float(
    "max_megabytes",
    100.0,
    "Most that --output may hold; browsers become slow beyond it. A clip of "
    "10 s takes a third of a megabyte.",
    lower_bound=0.0,
)
_SERVE = flags.DEFINE_boolean(
    "serve", False, "Show the page at an address of this machine instead."
)
_PORT = flags.DEFINE_integer(
    "port",
    0,
    "Port for --serve; 0 for any that is free.",
    lower_bound=0,
    upper_bound=65535,
)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()


def main(argv: Sequence[str]) -> None:
    """Reads the files, and writes or serves the page."""
    run_flags.refuse_arguments(argv)
    if _SERVE.value == (_OUTPUT.value is not None):
        raise InputError(
            "Expected --output=<name>.html, or --serve; found "
            + ("both." if _SERVE.value else "neither.")
        )
    if _OUTPUT.value is not None:
        refuse_remote(_OUTPUT.value)
    inputs = InspectionInputs(**{n: f.value for n, f in _FLAGS.items()})
    inspection = read_inspection(inputs, ProblemLog(_SKIP_BAD_LINES.value))
    num_clips = len(inspection.segment_ids)
    if _OUTPUT.value is not None:
        size = write_page(inspection, _OUTPUT.value, _MAX_MEGABYTES.value)
        print(f"{num_clips} clips, {size / 1e6:.1f} MB: {_OUTPUT.value}")
        return
    with (
        InspectionServer(inspection, _PORT.value) as server,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(
            f"{num_clips} clips at {server.url} on this machine alone. Ctrl-C "
            f"ends it.",
            flush=True,
        )
        server.serve_forever()


if __name__ == "__main__":
    run_flags.run(main)

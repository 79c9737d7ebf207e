r"""Exports a trained model as a SavedModel that takes a waveform.

    python -m audioset_strong.export_saved_model --workdir=runs/strong \
      --output_dir=exports/strong

The export holds the front end, the network and the class map, and needs nothing
but TensorFlow; `export/waveform_model.py` says what can be called. Its metadata
say where it comes from: settings and records of the run, checkpoint, step and
hash of the weights. Before this command succeeds, it loads the export in a new
process and compares its scores with those of the checkpoint.
"""

from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.export.saved_model import export_saved_model

_WORKDIR = run_flags.define_workdir()
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "New or empty folder for the export.", required=True
)
_CHECKPOINT = run_flags.define_checkpoint()
_THRESHOLDS = flags.DEFINE_string(
    "thresholds",
    None,
    "CSV that choose_thresholds wrote; the export will hold its thresholds.",
)
_LICENCE = flags.DEFINE_string(
    "licence", "", "Licence of the weights, such as CC-BY-4.0."
)
_NAME = flags.DEFINE_string(
    "name", "", "Name of the model; that of the workdir's folder if not given."
)


def main(argv: Sequence[str]) -> None:
    """Exports, compares and reports how well the two agree."""
    run_flags.refuse_arguments(argv)
    largest = export_saved_model(
        _WORKDIR.value,
        _OUTPUT_DIR.value,
        _CHECKPOINT.value,
        _THRESHOLDS.value,
        _LICENCE.value,
        _NAME.value,
    )
    logging.info(
        "Exported to %s; reloaded in a new process, no score differs by more "
        "than %.1g.",
        _OUTPUT_DIR.value,
        largest,
    )


if __name__ == "__main__":
    run_flags.run(main)

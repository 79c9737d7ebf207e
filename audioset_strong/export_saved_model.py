r"""Exports a trained model to files that run anywhere.

    python -m audioset_strong.export_saved_model --workdir=runs/strong \
      --output_dir=exports/strong --formats=saved_model,onnx

    saved_model   TensorFlow: from a waveform (`export/waveform_model.py`)
    tflite        LiteRT: from a waveform or patches, with weights of 32, 16 and
                  8 bits (`export/tflite_file.py`)
    onnx          ONNX Runtime: from log-mel patches, with weights of 32 and 8
                  bits (`export/onnx_file.py`); needs the extra `export`
    keras         Keras: from log-mel patches

An export's metadata say where it comes from: settings and records of the run,
checkpoint, step and hash of the weights. Before this command succeeds, it loads
each file in a new process without this package and compares its scores with
those of the checkpoint. `README.md` is a model card.
"""

from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.export.formats import FORMATS, export_model
from audioset_strong.files import read_bytes

_WORKDIR = run_flags.define_workdir()
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "New or empty folder for the export.", required=True
)
_FORMATS = flags.DEFINE_list(
    "formats", ["saved_model"], f"Formats to write: {', '.join(FORMATS)}."
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
_REPORT = flags.DEFINE_string(
    "report", None, "report.json of evaluate, whose metrics the card shows."
)
_DATASET = flags.DEFINE_string(
    "dataset", "", "What the report is about, for the card."
)
_NOTICE = flags.DEFINE_string(
    "notice",
    None,
    "Markdown file for the card's section on the licence, such as the authors "
    "of the recordings.",
)


def main(argv: Sequence[str]) -> None:
    """Exports, compares and reports how well files and checkpoint agree."""
    run_flags.refuse_arguments(argv)
    differences = export_model(
        _WORKDIR.value,
        _OUTPUT_DIR.value,
        _FORMATS.value,
        _CHECKPOINT.value,
        _THRESHOLDS.value,
        _LICENCE.value,
        _NAME.value,
        _REPORT.value,
        read_bytes(_NOTICE.value).decode() if _NOTICE.value else "",
        _DATASET.value,
    )
    for file, difference in differences.items():
        logging.info(
            "Exported to %s/%s; reloaded in a new process, no score differs by "
            "more than %.1g.",
            _OUTPUT_DIR.value,
            file,
            difference,
        )


if __name__ == "__main__":
    run_flags.run(main)

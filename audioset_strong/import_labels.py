r"""Imports labels of other tools and data sets, for your own recordings.

    python -m audioset_strong.import_labels --format=audacity \
      --labels=tracks --audio_dir=recordings --output_dir=own

Formats: audacity (label tracks), raven (selection tables), dcase (DESED's TSV),
csv, fsd50k, esc50 and events (Hugging Face); `labels/importers.py` documents
each. Parquet files and WebDataset tars (parquet, webdataset) hold the audio
too: they take --class_map instead of --audio_dir. Writes to --output_dir what
the other commands take:

    strong.tsv       events, or weak.csv where labels have no times
    class_map.csv    a class for each label, such as dog_bark for "dog bark"
    clips.tsv        the clips that were annotated, also those without events
    audio_index.tsv  where the audio of each clip is

A recording is one clip, or several of --clip_seconds; no audio is copied. A
line that cannot be used stops the command, which lists the first ten, unless
--skip_bad_lines is given. A recording that no label file names counts as not
annotated, unless --unlabelled=negative. Needs no TensorFlow.
"""

from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.labels.importers import FORMATS, ImportParams
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.records.importing import (
    CONTAINER_FORMATS,
    import_labels,
)

_FORMAT = flags.DEFINE_enum(
    "format",
    None,
    sorted([*FORMATS, *CONTAINER_FORMATS]),
    "Who wrote the labels.",
    required=True,
)
_LABELS = flags.DEFINE_string(
    "labels", None, "Label file, or folder of label files.", required=True
)
_AUDIO_DIR = flags.DEFINE_string(
    "audio_dir",
    None,
    "Folder of the recordings, any depth. Parquet files and tars hold theirs.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder to write to.", required=True
)
_CLASS_MAP = flags.DEFINE_string(
    "class_map",
    None,
    "Classes to use, a CSV like class_labels_indices.csv; without it each "
    "label is a class.",
)
_DISPLAY_NAMES = flags.DEFINE_string(
    "display_names",
    None,
    "mid_to_display_name.tsv, for names of classes in Parquet files and tars.",
)
_PARAMS_FLAGS = run_flags.define_params(
    ImportParams, {"unlabelled": ("unknown", "negative")}
)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()


def main(argv: Sequence[str]) -> None:
    """Imports, and prints what came of it."""
    run_flags.refuse_arguments(argv)
    is_container = _FORMAT.value in CONTAINER_FORMATS
    if is_container == bool(_AUDIO_DIR.value):
        way_out = (
            "They hold the audio."
            if is_container
            else f"For {' or '.join(CONTAINER_FORMATS)} files give that format."
        )
        raise InputError(
            f"Expected {'no ' if is_container else ''}--audio_dir with "
            f"--format={_FORMAT.value}. {way_out}"
        )
    summary = import_labels(
        _LABELS.value,
        _FORMAT.value,
        _AUDIO_DIR.value or "",
        _OUTPUT_DIR.value,
        _CLASS_MAP.value,
        _DISPLAY_NAMES.value,
        run_flags.read_params(ImportParams, _PARAMS_FLAGS),
        ProblemLog(_SKIP_BAD_LINES.value),
    )
    for line in summary.lines():
        print(line)


if __name__ == "__main__":
    run_flags.run(main)

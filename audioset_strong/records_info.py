"""Says what a folder of records holds.

    python -m audioset_strong.records_info --records_dir=records/train

Prints clips, hours, bytes, classes, what was left out and why, settings and
hashes, from the manifest. With --verify every record is read, and compared with
what was written. Writes nothing.
"""

from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.records.folder_view import describe_folder, verify_shards
from audioset_strong.records.manifest import read_records

_RECORDS_DIR = run_flags.define_records_dir()
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes",
    5,
    "Classes to name of each label set, most frequent first.",
    lower_bound=0,
)
_VERIFY = flags.DEFINE_boolean(
    "verify", False, "Read every record and compare the shards' hashes."
)
flags.mark_flag_as_required("records_dir")


def main(argv: Sequence[str]) -> None:
    """Prints the view, then verifies the shards if asked to."""
    run_flags.refuse_arguments(argv)
    for line in describe_folder(_RECORDS_DIR.value, _NUM_CLASSES.value):
        print(line)
    if _VERIFY.value:
        verify_shards(read_records(_RECORDS_DIR.value))
        logging.info("Every shard holds what was written.")


if __name__ == "__main__":
    run_flags.run(main)

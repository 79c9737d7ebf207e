"""Describes a folder of records.

    python -m audioset_strong.records_info --records_dir=records/train

Prints clips, hours, bytes, classes, what was left out and why, settings and
hashes, all from the manifest. With --verify it also reads every record and
checks that its shard holds what was written.
"""

from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.records.manifest import (
    describe_folder,
    read_records,
    verify_shards,
)

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


def main(argv: Sequence[str]) -> None:
    """Prints the description, then verifies the shards if asked to."""
    run_flags.refuse_arguments(argv)
    for line in describe_folder(_RECORDS_DIR.value, _NUM_CLASSES.value):
        print(line)
    if _VERIFY.value:
        verify_shards(read_records(_RECORDS_DIR.value))
        logging.info("Every shard holds what was written.")


if __name__ == "__main__":
    run_flags.run(main)

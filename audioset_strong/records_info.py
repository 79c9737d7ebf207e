"""Describes a folder of records.

    python -m audioset_strong.records_info --records_dir=records/train

Prints clips, hours, bytes, classes, what was left out and why, settings and
hashes, all from the manifest. With --verify it also reads every record and
checks that its shard holds what was written, and that the audio files are still
those that the records were made of, as far as they are in reach.
"""

from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.records.manifest import (
    describe_folder,
    read_records,
    verify_shards,
)
from audioset_strong.records.tasks import MAX_EXAMPLES, verify_audio

_RECORDS_DIR = run_flags.define_records_dir()
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes",
    5,
    "Classes to name of each label set, most frequent first.",
    lower_bound=0,
)
_VERIFY = flags.DEFINE_boolean(
    "verify",
    False,
    "Read every record and audio file and compare their hashes.",
)


def main(argv: Sequence[str]) -> None:
    """Prints the description, then verifies the shards if asked to."""
    run_flags.refuse_arguments(argv)
    for line in describe_folder(_RECORDS_DIR.value, _NUM_CLASSES.value):
        print(line)
    if _VERIFY.value:
        records = read_records(_RECORDS_DIR.value)
        verify_shards(records)
        logging.info("Every shard holds what was written.")
        changed, unknown = verify_audio(
            _RECORDS_DIR.value, [shard.name for shard in records.shards]
        )
        if unknown:
            logging.info(
                "%d audio files, such as %s, are not in reach or have no hash.",
                len(unknown),
                unknown[0],
            )
        if changed:
            raise InputError(
                f"{len(changed)} audio files are not those that the records "
                f"were made of, such as {', '.join(changed[:MAX_EXAMPLES])}. "
                f"Run the same prepare_records again."
            )
        logging.info("All other audio files are as they were.")


if __name__ == "__main__":
    run_flags.run(main)

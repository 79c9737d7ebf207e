"""What goes wrong while records are read, said clearly."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.records.manifest import Records

# Which operation failed is of no use to people.
_NOISE = re.compile(r"\{\{.*?\}\}|\[\[.*?\]\]|\[Op:\w+\]")


def _one_line(message: str) -> str:
    """Returns the first line that says something."""
    lines = [" ".join(_NOISE.sub("", li).split()) for li in message.split("\n")]
    useful = [
        li for li in lines if li and not li.startswith(("Error in", "\t"))
    ]
    return (useful or ["no reason given"])[0].rstrip(".")


@contextlib.contextmanager
def clear_data_errors(records: Records) -> Iterator[None]:
    """Turns TensorFlow's errors while records are read into clear ones.

    Only reading belongs inside this context: an error of a model would be
    taken for one of the data.

    Raises:
      InputError: A record read inside this context is corrupt, is no record of
        this kind, or cannot be read.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise InputError(
            f"A shard in {records.records_dir} is corrupt "
            f"({_one_line(error.message)}). Delete it and run prepare_records "
            f"again."
        ) from error
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"A record in {records.records_dir} is not one of clips with "
            f"{records.log_mel_dtype} features ({_one_line(error.message)}). "
            f"Prepare the records again."
        ) from error
    except tf.errors.OpError as error:
        raise InputError(
            f"The records in {records.records_dir} could not be read to the "
            f"end ({type(error).__name__}: {_one_line(error.message)}). See "
            f"that the folder can be reached, and run the same command again."
        ) from error


def read_batches(dataset: Iterable[Any], records: Records) -> Iterator[Any]:
    """Iterates over what is read from records, with clear errors.

    Only the reading is inside `clear_data_errors`, not what the caller does
    with a batch.

    Raises:
      InputError: As `clear_data_errors`.
    """
    with clear_data_errors(records):
        batches = iter(dataset)
    while True:
        with clear_data_errors(records):
            try:
                batch = next(batches)
            except StopIteration:
                return
        yield batch

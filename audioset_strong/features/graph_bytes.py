"""Reads and writes numbers in the bytes of a file, in the TensorFlow graph.

Nothing here fails at the end of a file: what lies behind it is zero or empty,
and whoever reads a header checks what it says.
"""

import tensorflow as tf


def _start(contents: tf.Tensor, position: int | tf.Tensor) -> tf.Tensor:
    """Returns the position, or the end of the file if that comes first."""
    return tf.minimum(tf.cast(position, tf.int64), size_of(contents))


def size_of(contents: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a file: int64 `[]` of string `[]`."""
    return tf.cast(tf.strings.length(contents), tf.int64)


def text_at(
    contents: tf.Tensor, position: int | tf.Tensor, num_bytes: int | tf.Tensor
) -> tf.Tensor:
    """Cuts out a part of a file.

    Args:
      contents: string `[]`.
      position: int64 `[]`, where the part begins.
      num_bytes: int64 `[]`, its length.

    Returns:
      string `[]`, shorter where the file ends.
    """
    return tf.strings.substr(
        contents, _start(contents, position), tf.cast(num_bytes, tf.int64)
    )


def rest_of(contents: tf.Tensor, position: int | tf.Tensor) -> tf.Tensor:
    """Returns what follows a position: string `[]`."""
    start = _start(contents, position)
    return tf.strings.substr(contents, start, size_of(contents) - start)


def bytes_at(
    contents: tf.Tensor, position: int | tf.Tensor, num_bytes: int
) -> tf.Tensor:
    """Reads int64 `[num_bytes]`, each in [0, 255]."""
    piece = text_at(contents, position, num_bytes)
    digits = tf.io.decode_raw(piece, tf.uint8, fixed_length=num_bytes)
    return tf.cast(digits, tf.int64)


def little_endian(digits: tf.Tensor) -> tf.Tensor:
    """Makes one number of bytes: int64 `[]` of int64 `[num_bytes]`."""
    powers = tf.constant([256**i for i in range(digits.shape[0])], tf.int64)
    return tf.reduce_sum(digits * powers)


def big_endian(digits: tf.Tensor) -> tf.Tensor:
    """Makes one number of bytes, the highest first."""
    return little_endian(digits[::-1])


def to_big_endian(value: int | tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Writes a number, the highest byte first.

    Args:
      value: int64 `[]`, not negative; higher bytes than `num_bytes` are left
        out.
      num_bytes: How many bytes, 7 at most.

    Returns:
      string `[]`.
    """
    return tf.strings.reduce_join(_digits(value, num_bytes)[::-1])


def to_little_endian(value: int | tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Writes a number, the lowest byte first; see `to_big_endian`."""
    return tf.strings.reduce_join(_digits(value, num_bytes))


def _digits(value: int | tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Returns the bytes of a number, the lowest first: string `[num_bytes]`."""
    powers = tf.constant([256**i for i in range(num_bytes)], tf.int64)
    every_byte = tf.constant([bytes([byte]) for byte in range(256)])
    return tf.gather(every_byte, tf.cast(value, tf.int64) // powers % 256)


def checked(value: tf.Tensor, condition: tf.Tensor, message: str) -> tf.Tensor:
    """Returns `value`, or fails with `message` before anything uses it.

    Raises:
      tf.errors.InvalidArgumentError: When it runs, if the condition is false.
    """
    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        return tf.identity(value)

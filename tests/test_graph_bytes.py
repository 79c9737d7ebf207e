"""Numbers in the bytes of a file, read and written in the graph."""

import pytest
import tensorflow as tf

from audioset_strong.audio import tfio_backend

_FILE = b"\x01\x02\x03\xff"


def test_numbers_are_read_in_both_orders():
    digits = tfio_backend.bytes_at(_FILE, 1, 3)
    assert digits.numpy().tolist() == [2, 3, 255]
    assert tfio_backend.little_endian(digits) == 2 + 3 * 256 + 255 * 65536
    assert tfio_backend.big_endian(digits) == 2 * 65536 + 3 * 256 + 255


@pytest.mark.parametrize("position", [4, 5, 1 << 40])
def test_nothing_fails_behind_the_end(position):
    assert tfio_backend.bytes_at(_FILE, position, 2).numpy().tolist() == [0, 0]
    assert tfio_backend.text_at(_FILE, position, 2) == b""
    assert tfio_backend.rest_of(_FILE, position) == b""


def test_parts_end_with_the_file():
    assert tfio_backend.text_at(_FILE, 3, 9) == b"\xff"
    assert tfio_backend.bytes_at(_FILE, 3, 2).numpy().tolist() == [255, 0]
    assert tfio_backend.rest_of(_FILE, 1) == b"\x02\x03\xff"


@pytest.mark.parametrize("number", [0, 1, 255, 256, 0xFEDCBA98])
def test_numbers_are_written_as_python_writes_them(number):
    number_in_graph = tf.constant(number, tf.int64)
    for num_bytes in (4, 7):
        little = tfio_backend.to_little_endian(number_in_graph, num_bytes)
        assert little == number.to_bytes(num_bytes, "little")
        big = tfio_backend.to_big_endian(number_in_graph, num_bytes)
        assert big == number.to_bytes(num_bytes, "big")


def test_what_fails_a_check_is_not_used():
    one = tf.constant(1)
    assert tfio_backend.checked(one, tf.constant(True), "no") == 1

    @tf.function(autograph=False)
    def use(condition):
        return 2 * tfio_backend.checked(one, condition, "told why")

    with pytest.raises(tf.errors.InvalidArgumentError, match="told why"):
        use(tf.constant(False))

"""tensorflow-io's decoders against libsndfile."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from audio_bytes import encode, flac_frame_starts, noise, samples_of

from audioset_strong.audio.tfio_backend import decode, import_tfio, read_header
from audioset_strong.errors import InputError

pytest.importorskip(
    "tensorflow_io", reason="tensorflow-io is an extra and not installed"
)


@pytest.fixture(scope="module")
def decode_file():
    """Decodes the contents of a file, in one graph."""
    signature = [tf.TensorSpec([], tf.string)]

    @tf.function(input_signature=signature, autograph=False)
    def run(contents):
        return decode(read_header(contents, tf.constant(10.0, tf.float64)))

    return lambda contents: run(contents).numpy()


def _full_scale_noise(num_channels):
    samples = noise(9000, num_channels)
    # The lowest and the highest number of each depth.
    samples[100:110], samples[200:210] = -1.0, 1.0
    return samples


@pytest.mark.parametrize("num_channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        *[("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32")],
        ("WAV", "FLOAT"),
        *[("FLAC", s) for s in ("PCM_S8", "PCM_16", "PCM_24")],
    ],
)
def test_lossless_formats_give_the_same_bits(
    decode_file, container, subtype, num_channels
):
    samples = _full_scale_noise(num_channels)
    contents = encode(samples, 16000, container, subtype)
    decoded = decode_file(contents)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, samples_of(contents))
    assert decoded.min() == -1.0


@pytest.mark.parametrize("sample_rate", [16000, 44100])
@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("container", ["OGG", "MP3"])
def test_lossy_formats_give_the_same_samples(
    decode_file, container, num_channels, sample_rate
):
    contents = encode(noise(20000, num_channels), sample_rate, container)
    decoded, expected = decode_file(contents), samples_of(contents)
    # As many of them, too: neither drops or adds any at the ends.
    assert decoded.shape == expected.shape == (20000, num_channels)
    # Other programs with the same arithmetic: libvorbis on both sides, minimp3
    # against mpg123.
    np.testing.assert_allclose(decoded, expected, atol=2e-6)


def test_flac_that_ends_between_two_frames_is_an_error(decode_file):
    contents = encode(noise(30000), 16000, "FLAC")
    starts = flac_frame_starts(contents)
    assert len(starts) >= 5
    # The decoder alone would ask for the missing frames for ever. Also a byte
    # or two of the next one.
    for start in starts[1:]:
        for num_more in (0, 1, 2, 7):
            with pytest.raises(tf.errors.InvalidArgumentError):
                decode_file(contents[: start + num_more])


@pytest.mark.parametrize("container", ["FLAC", "OGG", "MP3"])
def test_damaged_files_are_an_error(decode_file, container):
    contents = encode(noise(30000), 16000, container)
    middle = len(contents) // 2
    damaged = contents[:middle] + bytes(3000) + contents[middle + 3000 :]
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_file(damaged)


@pytest.mark.parametrize("problem", ["not installed", "another TensorFlow"])
def test_without_tfio_the_message_says_what_to_install(monkeypatch, problem):
    if problem == "not installed":
        monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    else:

        class Broken:
            @property
            def audio(self):
                raise NotImplementedError("unable to open file: libtfio.so")

        monkeypatch.setitem(sys.modules, "tensorflow_io", Broken())
    with pytest.raises(InputError, match=r"pip install 'audioset_strong\[io\]"):
        import_tfio()

"""What can be called in an export, on waveforms of every kind."""

import csv

import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.inference.patch_stream import num_frames
from audioset_strong.inference.sound_model import load_model
from audioset_strong.params import FeatureParams

_FEATURES = FeatureParams()
# Of a score: one batch of patches is added up in another order than another.
_ROUNDING = 1e-5


@pytest.fixture(scope="module")
def model(export_dir):
    return tf.saved_model.load(export_dir)


@pytest.fixture(scope="module")
def sound_model(export_dir):
    return load_model(export_dir)


def _noise(num_samples, loudness=0.5):
    """Noise whose loudness rises, so that no two patches are alike."""
    rng = np.random.default_rng(num_samples)
    noise = rng.uniform(-loudness, loudness, num_samples)
    return (noise * np.linspace(0.01, 1, num_samples)).astype(np.float32)


def test_every_length_is_scored(model, sound_model):
    lengths = [0, 1, 15_599, 15_600, 15_601, 30_960, 30_961, 160_000, 600_000]
    for num_samples in lengths:
        waveform = _noise(num_samples)
        outputs = model(waveform)
        assert isinstance(outputs, tuple)
        scores, embeddings, log_mel = outputs
        num_patches = num_frames(num_samples, _FEATURES, 96)
        assert num_patches == max(1, -(-(num_samples - 240) // 15_360))
        assert scores.shape == (num_patches, 3)
        assert embeddings.shape == (num_patches, 128)
        # By the NumPy front end; it takes no empty waveform.
        expected = sound_model.score(
            waveform if num_samples else np.zeros(1, np.float32)
        )
        np.testing.assert_allclose(scores, expected.scores, atol=1e-4)
        np.testing.assert_allclose(
            embeddings, expected.embeddings, rtol=1e-3, atol=1e-3
        )
        # A row for each 0.01 s that has samples and that the model heard.
        num_rows = max(1, min(-(-num_samples // 160), num_patches * 96))
        assert log_mel.shape == (num_rows, 64)
        missing = num_patches * 15_360 + 240 - num_samples
        padded = np.pad(waveform, (0, missing))
        np.testing.assert_allclose(
            log_mel,
            waveform_to_log_mel(padded, _FEATURES)[:num_rows],
            atol=1e-3,  # the logarithm of little energy magnifies rounding
        )


def test_the_end_of_a_waveform_is_heard(model):
    rng = np.random.default_rng(3)
    _, of_silence, _ = model(np.zeros(0, np.float32))
    for silent_seconds, loud_seconds, heard_in in (
        (1.0, 0.9, [1]),
        (2.0, 0.1, [2]),
        (0.5, 0.4, [0]),
        (3.0, 1.0, [3, 4]),
    ):
        silence = np.zeros(round(16_000 * silent_seconds), np.float32)
        sound = rng.uniform(-0.9, 0.9, round(16_000 * loud_seconds))
        waveform = np.append(silence, sound.astype(np.float32))
        _, embeddings, _ = model(waveform)
        differs = ~np.isclose(embeddings, of_silence, rtol=1e-2).all(axis=1)
        assert np.flatnonzero(differs).tolist() == heard_in
        # Silence after it changes nothing of what was heard.
        _, longer, _ = model(np.append(waveform, np.zeros(16_000, np.float32)))
        np.testing.assert_allclose(
            longer[: len(embeddings)], embeddings, rtol=1e-3, atol=1e-4
        )


def test_signatures_give_what_calls_give(model):
    waveform = tf.constant(_noise(50_000))
    scores, embeddings, log_mel = model(waveform)
    signatures = model.signatures
    served = signatures["serving_default"](waveform=waveform)
    assert served.keys() == {"scores", "embeddings", "log_mel"}
    np.testing.assert_array_equal(served["scores"], scores)
    np.testing.assert_array_equal(served["embeddings"], embeddings)
    np.testing.assert_array_equal(served["log_mel"], log_mel)
    of_clip = signatures["clip_scores"](waveform=waveform)["clip_scores"]
    assert of_clip.shape == (3,)
    np.testing.assert_allclose(of_clip, np.mean(scores, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(of_clip, model.clip_scores(waveform))
    patches = tf.reshape(log_mel[:192], [2, 96, 64])
    of_patches = signatures["score_patches"](patches=patches)
    np.testing.assert_allclose(of_patches["scores"], scores[:2], atol=_ROUNDING)
    assert of_patches["embeddings"].shape == (2, 128)


def test_a_batch_scores_each_waveform_as_if_alone(model):
    lengths = [40_000, 700, 0, 15_601, 100_000]
    waveforms = np.full((5, 100_000), np.nan, np.float32)  # must not be heard
    for row, length in enumerate(lengths):
        waveforms[row, :length] = _noise(length)
    outputs = model.batch(waveforms, np.array(lengths, np.int32))
    assert outputs["scores"].shape == (5, 7, 3)
    assert outputs["embeddings"].shape == (5, 7, 128)
    assert outputs["num_patches"].numpy().tolist() == [3, 1, 1, 2, 7]
    for row, length in enumerate(lengths):
        scores, embeddings, _ = model(_noise(length))
        num_patches = len(scores)
        found = outputs["scores"][row].numpy()
        np.testing.assert_allclose(found[:num_patches], scores, atol=_ROUNDING)
        assert not found[num_patches:].any()
        found = outputs["embeddings"][row].numpy()
        np.testing.assert_allclose(found[:num_patches], embeddings, rtol=1e-3)
        assert not found[num_patches:].any()
    served = model.signatures["batch"](
        waveforms=tf.constant(waveforms), lengths=tf.constant(lengths)
    )
    np.testing.assert_array_equal(served["scores"], outputs["scores"])


def test_a_finer_hop_scores_centred_patches(model, sound_model):
    waveform = _noise(41_234)
    for hop_seconds in (0.96, 0.95, 0.48, 0.29, 0.1):
        found = model.finer_hop(waveform, hop_seconds)
        expected = sound_model.score(waveform, hop_seconds=hop_seconds)
        assert found["scores"].shape == expected.scores.shape
        np.testing.assert_allclose(found["scores"], expected.scores, atol=1e-4)
    np.testing.assert_allclose(
        model.finer_hop(waveform, 0.96)["scores"],
        model(waveform)[0],
        atol=_ROUNDING,
    )
    for hop_seconds in (0.0, 0.09, 0.485, 0.97, 1.92, np.nan):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"from 0\.1 to 0\.96"
        ):
            model.finer_hop(waveform, hop_seconds)


def test_what_is_no_audio_is_refused(model):
    """Through every function that takes a waveform."""
    silence = np.zeros(20_000, np.float32)
    of_16_bits = np.round(_noise(20_000, 9000.0))

    def with_one(value):
        return np.where(np.arange(20_000) == 7, value, silence)

    for waveform, message in (
        (with_one(np.nan), "number of NaN"),
        (with_one(np.inf), "finite"),
        (with_one(-np.inf), "finite"),
        (of_16_bits, "by 32768"),
        (of_16_bits * 1.1, "by 32768"),
        (of_16_bits.astype(np.int16), "by 32768"),
        (np.round(_noise(20_000, 4.0)), "whole numbers"),
        (np.arange(-2, 3, dtype=np.int64), "whole numbers"),
        (np.full(20_000, 10.5), "in .-1, 1."),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            model(waveform)
        served = {"waveform": tf.constant(waveform.astype(np.float32))}
        beside = tf.stack([tf.zeros(waveform.shape), *served.values()])
        for name, inputs in {
            "serving_default": served,
            "clip_scores": served,
            "finer_hop": served | {"hop_seconds": tf.constant(0.5)},
            "batch": {
                "waveforms": beside,
                "lengths": tf.constant([3, len(waveform)]),
            },
        }.items():
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                model.signatures[name](**inputs)
    for lengths in ([5, 11], [5, -1], [5], [5, 5, 5]):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="lengths must be"
        ):
            model.batch(
                np.zeros([2, 10], np.float32), np.array(lengths, np.int32)
            )


def test_loud_audio_and_square_waves_are_scored(model):
    for waveform in (
        np.ones(16_000, np.float32),
        np.sign(_noise(16_000)),
        _noise(16_000, 9.0),  # overshoot of a sum
    ):
        assert np.isfinite(model(waveform)[0]).all()


@pytest.mark.parametrize(
    "waveform",
    [
        tf.zeros([1, 16_000]),
        tf.zeros([]),
        tf.zeros([16_000], tf.int16),
        tf.zeros([16_000], tf.float64),
    ],
    ids=["stereo", "scalar", "int16", "float64"],
)
def test_other_tensors_are_refused(model, waveform):
    with pytest.raises((TypeError, ValueError), match="float32"):
        model(waveform)


def test_the_class_map_reads_as_that_of_yamnet(model, export_dir):
    path = model.class_map_path().numpy()
    assert path.decode().startswith(export_dir)
    with tf.io.gfile.GFile(path) as file:
        rows = list(csv.DictReader(file))
    assert [row["display_name"] for row in rows] == ["Bell", "Dog", "Rain"]
    assert [row["mid"] for row in rows] == ["/m/bell", "/m/dog", "/m/rain"]
    assert [row["index"] for row in rows] == ["0", "1", "2"]

"""Random windows: inside the audio, and the same for the same clip and pass."""

import numpy as np
import tensorflow as tf

from audioset_strong.params import FeatureParams
from audioset_strong.records.examples import ParsedRecords, draw_windows

_FEATURES = FeatureParams()


def _draw(names, num_stft_frames, seed=0, pass_number=0, max_clips=8):
    clips = ParsedRecords(
        tf.constant(names),
        None,
        tf.constant(num_stft_frames, tf.int64),
        None,
        None,
    )
    number = tf.constant(pass_number, tf.int64)
    return draw_windows(clips, seed, number, _FEATURES, max_clips).numpy()


def _drawn_alone(name, num_stft_frames, seed, pass_number):
    """The definition, clip by clip."""
    clip_seed = tf.strings.to_hash_bucket_strong(
        f"{name}/{pass_number}", 2**62, [seed, 0]
    )
    return tf.random.stateless_uniform(
        [],
        tf.stack([tf.constant(seed, tf.int64), clip_seed]),
        minval=0,
        maxval=num_stft_frames - 96 + 1,
        dtype=tf.int64,
    )


def test_each_clip_is_drawn_as_if_alone():
    names = [f"clip{i}_0" for i in range(5)]
    lengths = [998, 97, 500, 96, 998]
    for seed, pass_number in ((0, 0), (3, 7)):
        drawn = _draw(names, lengths, seed, pass_number)
        assert drawn.dtype == np.int64
        assert drawn.tolist() == [
            int(_drawn_alone(name, length, seed, pass_number))
            for name, length in zip(names, lengths)
        ]


def test_windows_differ_by_seed_and_pass():
    names, lengths = ["a", "b", "c"], [998] * 3
    first = _draw(names, lengths)
    np.testing.assert_array_equal(first, _draw(names, lengths))
    assert (first != _draw(names, lengths, seed=1)).any()
    assert (first != _draw(names, lengths, pass_number=1)).any()


def test_the_first_and_the_last_window_are_drawn():
    # 98 STFT frames hold three windows of 96.
    starts = {int(_draw(["a"], [98], pass_number=n)[0]) for n in range(40)}
    assert starts == {0, 1, 2}

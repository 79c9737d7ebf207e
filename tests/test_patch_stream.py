"""Patches do not depend on how the samples of a recording came."""

import numpy as np
import pytest

from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.errors import InputError
from audioset_strong.inference.patch_stream import (
    check_hop,
    num_frames,
    samples_before,
    stream_patches,
)
from audioset_strong.params import FeatureParams

_FEATURES = FeatureParams()
# Around the edges of a window, a patch and a block of 256 STFT frames.
_LENGTHS = (0, 1, 240, 241, 15360, 15600, 15601, 41199, 41200, 41201, 300_007)


@pytest.mark.parametrize("hop", [10, 24, 47, 96])
@pytest.mark.parametrize("num_samples", _LENGTHS)
def test_any_cut_gives_the_same_bits(num_samples, hop):
    rng = np.random.default_rng(num_samples + hop)
    waveform = rng.uniform(-1, 1, num_samples).astype(np.float32)
    (whole,) = stream_patches([waveform], _FEATURES, hop, 1 << 40)
    count = num_frames(num_samples, _FEATURES, hop)
    assert whole.shape == (count, 96, 64)
    # Against the definition: patch i is centred on frame i, silence around.
    before = samples_before(_FEATURES, hop)
    end = (count - 1) * hop * 160 + 15600
    padded = np.pad(waveform, (before, end - before - num_samples))
    log_mel = waveform_to_log_mel(padded, _FEATURES)
    for number in (0, count // 2, count - 1):
        expected = log_mel[number * hop : number * hop + 96]
        np.testing.assert_allclose(whole[number], expected, atol=1e-4)
    # The last sample is in the last patch, and no frame is all after the end.
    assert end >= before + num_samples
    assert count == 1 or (count - 1) * hop * 160 < num_samples
    for num_cuts, batch in ((1, 32), (7, 5), (60, 1)):
        cuts = np.sort(rng.integers(0, num_samples + 1, num_cuts))
        parts = np.split(waveform, cuts)
        batches = list(stream_patches(parts, _FEATURES, hop, batch))
        assert all(len(patches) == batch for patches in batches[:-1])
        np.testing.assert_array_equal(np.concatenate(batches), whole)


def test_patches_come_before_the_end_is_known():
    given = 0

    def blocks():
        nonlocal given
        for _ in range(100):
            given += 1
            yield np.zeros(16000, np.float32)

    next(stream_patches(blocks(), _FEATURES, 96, 4))
    assert given < 10


@pytest.mark.parametrize("hop_seconds", [0.1, 0.24, 0.37, 0.96])
def test_hops(hop_seconds):
    assert check_hop(hop_seconds, _FEATURES) == round(100 * hop_seconds)


@pytest.mark.parametrize(
    "hop_seconds", [0.0, -0.24, 0.09, 0.97, 0.245, 96, np.nan, np.inf]
)
def test_other_hops_are_refused(hop_seconds):
    with pytest.raises(InputError, match=r"multiple of 0\.01 from 0\.1 to 0"):
        check_hop(hop_seconds, _FEATURES)
